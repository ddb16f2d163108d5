"""Cross-layer transcoders: a model's MLPs, replaced by sparse features that write across layers.

    sites ─▶ reading ─▶ training ─▶ transcoder ─▶ replacement ─▶ evaluation
    where MLPs  what they   windows,    encode,      the model      is it any
    read, write read, add   buffer      decode       with it        good?

and on top of them

    attribution ─▶ features ─▶ viewer        interventions
    which features  what each     the graph     features set, scaled,
    made what       one is        as a page     added to in a running model

`files` keeps transcoders and graphs on disk. Names are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ilo_fast.transcoders.activations import BatchTopK as BatchTopK
    from ilo_fast.transcoders.activations import JumpReLU as JumpReLU
    from ilo_fast.transcoders.activations import TopK as TopK
    from ilo_fast.transcoders.attribution.attribute import attribution_graph as attribution_graph
    from ilo_fast.transcoders.attribution.attribute import attribution_graphs as attribution_graphs
    from ilo_fast.transcoders.attribution.graph import AttributionGraph as AttributionGraph
    from ilo_fast.transcoders.attribution.scores import GraphScores as GraphScores
    from ilo_fast.transcoders.attribution.targets import Difference as Difference
    from ilo_fast.transcoders.attribution.targets import Direction as Direction
    from ilo_fast.transcoders.evaluation.folder import evaluate_folder as evaluate_folder
    from ilo_fast.transcoders.evaluation.metrics import evaluate_transcoder as evaluate_transcoder
    from ilo_fast.transcoders.evaluation.result import TranscoderScores as TranscoderScores
    from ilo_fast.transcoders.features.notes import FeatureNote as FeatureNote
    from ilo_fast.transcoders.features.notes import Supernode as Supernode
    from ilo_fast.transcoders.features.noting import feature_notes as feature_notes
    from ilo_fast.transcoders.features.supernodes import propose_supernodes as propose_supernodes
    from ilo_fast.transcoders.files.circuit_tracer import (
        export_circuit_tracer as export_circuit_tracer,
    )
    from ilo_fast.transcoders.files.circuit_tracer import (
        import_circuit_tracer as import_circuit_tracer,
    )
    from ilo_fast.transcoders.files.fitting import check_fits as check_fits
    from ilo_fast.transcoders.files.folder import load_transcoder as load_transcoder
    from ilo_fast.transcoders.files.folder import save_transcoder as save_transcoder
    from ilo_fast.transcoders.files.graph_export import (
        export_circuit_tracer_graph as export_circuit_tracer_graph,
    )
    from ilo_fast.transcoders.files.graph_export import (
        export_neuronpedia_graph as export_neuronpedia_graph,
    )
    from ilo_fast.transcoders.files.graph_file import load_graph as load_graph
    from ilo_fast.transcoders.files.graph_file import save_graph as save_graph
    from ilo_fast.transcoders.files.graph_import import (
        import_circuit_tracer_graph as import_circuit_tracer_graph,
    )
    from ilo_fast.transcoders.files.opening import open_transcoder as open_transcoder
    from ilo_fast.transcoders.interventions.intervene import intervene as intervene
    from ilo_fast.transcoders.interventions.intervened import intervened as intervened
    from ilo_fast.transcoders.interventions.intervention import Intervention as Intervention
    from ilo_fast.transcoders.interventions.result import InterventionResult as InterventionResult
    from ilo_fast.transcoders.multilingual.diffing.diff import diff_models as diff_models
    from ilo_fast.transcoders.multilingual.diffing.result import ModelDiff as ModelDiff
    from ilo_fast.transcoders.multilingual.language_features.ablation import (
        ablation_matrix as ablation_matrix,
    )
    from ilo_fast.transcoders.multilingual.language_features.ablation_table import (
        AblationMatrix as AblationMatrix,
    )
    from ilo_fast.transcoders.multilingual.language_features.language_features import (
        language_features as language_features,
    )
    from ilo_fast.transcoders.multilingual.language_features.language_features_table import (
        LanguageFeatures as LanguageFeatures,
    )
    from ilo_fast.transcoders.multilingual.line_features import LineFeatures as LineFeatures
    from ilo_fast.transcoders.multilingual.line_features import line_features as line_features
    from ilo_fast.transcoders.multilingual.matched import matched_features as matched_features
    from ilo_fast.transcoders.multilingual.probes.late_features import LateFeatures as LateFeatures
    from ilo_fast.transcoders.multilingual.probes.late_features import (
        late_features as late_features,
    )
    from ilo_fast.transcoders.multilingual.probes.probes import LanguageProbes as LanguageProbes
    from ilo_fast.transcoders.multilingual.probes.probes import language_probes as language_probes
    from ilo_fast.transcoders.multilingual.rates.language_rates import (
        language_rates as language_rates,
    )
    from ilo_fast.transcoders.multilingual.rates.rates_result import LanguageRates as LanguageRates
    from ilo_fast.transcoders.multilingual.rates.romanise import romanised as romanised
    from ilo_fast.transcoders.multilingual.rates.scripts import ScriptSplit as ScriptSplit
    from ilo_fast.transcoders.multilingual.rates.scripts import script_split as script_split
    from ilo_fast.transcoders.multilingual.sharing.influence import line_influence as line_influence
    from ilo_fast.transcoders.multilingual.sharing.sharing import feature_sharing as feature_sharing
    from ilo_fast.transcoders.multilingual.sharing.sharing_result import (
        FeatureSharing as FeatureSharing,
    )
    from ilo_fast.transcoders.multilingual.sharing.space import shared_space as shared_space
    from ilo_fast.transcoders.multilingual.sharing.space_result import SharedSpace as SharedSpace
    from ilo_fast.transcoders.multilingual.steering.language_id import (
        LanguageIdentifier as LanguageIdentifier,
    )
    from ilo_fast.transcoders.multilingual.steering.result import SteeringResult as SteeringResult
    from ilo_fast.transcoders.multilingual.steering.steer import steer as steer
    from ilo_fast.transcoders.multilingual.words.words import word_features as word_features
    from ilo_fast.transcoders.multilingual.words.words_result import WordFeatures as WordFeatures
    from ilo_fast.transcoders.reading import MLPReader as MLPReader
    from ilo_fast.transcoders.replacement import ReplacementModel as ReplacementModel
    from ilo_fast.transcoders.sites import Site as Site
    from ilo_fast.transcoders.sites import find_sites as find_sites
    from ilo_fast.transcoders.training.train import TrainedTranscoder as TrainedTranscoder
    from ilo_fast.transcoders.training.train import train_transcoder as train_transcoder
    from ilo_fast.transcoders.transcoder import CrossLayerTranscoder as CrossLayerTranscoder
    from ilo_fast.transcoders.windows import Windows as Windows
    from ilo_fast.transcoders.windows import read_windows as read_windows

_HOME = {
    "ablation_matrix": "multilingual.language_features.ablation",
    "AblationMatrix": "multilingual.language_features.ablation_table",
    "attribution_graph": "attribution.attribute",
    "attribution_graphs": "attribution.attribute",
    "AttributionGraph": "attribution.graph",
    "BatchTopK": "activations",
    "check_fits": "files.fitting",
    "CrossLayerTranscoder": "transcoder",
    "diff_models": "multilingual.diffing.diff",
    "Difference": "attribution.targets",
    "Direction": "attribution.targets",
    "evaluate_folder": "evaluation.folder",
    "evaluate_transcoder": "evaluation.metrics",
    "export_circuit_tracer": "files.circuit_tracer",
    "export_circuit_tracer_graph": "files.graph_export",
    "export_neuronpedia_graph": "files.graph_export",
    "feature_notes": "features.noting",
    "feature_sharing": "multilingual.sharing.sharing",
    "FeatureNote": "features.notes",
    "FeatureSharing": "multilingual.sharing.sharing_result",
    "find_sites": "sites",
    "GraphScores": "attribution.scores",
    "import_circuit_tracer": "files.circuit_tracer",
    "import_circuit_tracer_graph": "files.graph_import",
    "intervene": "interventions.intervene",
    "intervened": "interventions.intervened",
    "Intervention": "interventions.intervention",
    "InterventionResult": "interventions.result",
    "JumpReLU": "activations",
    "language_features": "multilingual.language_features.language_features",
    "language_probes": "multilingual.probes.probes",
    "language_rates": "multilingual.rates.language_rates",
    "LanguageFeatures": "multilingual.language_features.language_features_table",
    "LanguageIdentifier": "multilingual.steering.language_id",
    "LanguageProbes": "multilingual.probes.probes",
    "LanguageRates": "multilingual.rates.rates_result",
    "late_features": "multilingual.probes.late_features",
    "LateFeatures": "multilingual.probes.late_features",
    "line_features": "multilingual.line_features",
    "line_influence": "multilingual.sharing.influence",
    "LineFeatures": "multilingual.line_features",
    "load_graph": "files.graph_file",
    "load_transcoder": "files.folder",
    "matched_features": "multilingual.matched",
    "MLPReader": "reading",
    "ModelDiff": "multilingual.diffing.result",
    "open_transcoder": "files.opening",
    "propose_supernodes": "features.supernodes",
    "read_windows": "windows",
    "ReplacementModel": "replacement",
    "romanised": "multilingual.rates.romanise",
    "save_graph": "files.graph_file",
    "save_transcoder": "files.folder",
    "script_split": "multilingual.rates.scripts",
    "ScriptSplit": "multilingual.rates.scripts",
    "shared_space": "multilingual.sharing.space",
    "SharedSpace": "multilingual.sharing.space_result",
    "Site": "sites",
    "steer": "multilingual.steering.steer",
    "SteeringResult": "multilingual.steering.result",
    "Supernode": "features.notes",
    "TopK": "activations",
    "train_transcoder": "training.train",
    "TrainedTranscoder": "training.train",
    "TranscoderScores": "evaluation.result",
    "Windows": "windows",
    "word_features": "multilingual.words.words",
    "WordFeatures": "multilingual.words.words_result",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
