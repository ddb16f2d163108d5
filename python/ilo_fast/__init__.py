"""Interlingual Local Overlap, exactly and fast.

    text ─▶ representations ─▶ neighbour graph ─▶ scores ─▶ report
    corpora  models,            graph              scores    plots, report
             representations

and on top of the flow ``pipeline``, which runs it in one call; ``evaluation``, which asks what a
fine-tuned model transfers; ``training``, which moves the model that the flow starts from, and
measures it on the way; and ``transcoders``, which open it up. A folder imports only those before
it.

Names are loaded when first used: ``import ilo_fast`` imports neither torch nor transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ilo_fast._util.versions import __version__

if TYPE_CHECKING:
    from ilo_fast.corpora.labelled.corpus import LabelledCorpus as LabelledCorpus
    from ilo_fast.corpora.parallel import ParallelCorpus as ParallelCorpus
    from ilo_fast.errors import AccessError as AccessError
    from ilo_fast.errors import CorpusError as CorpusError
    from ilo_fast.evaluation.result import TransferScores as TransferScores
    from ilo_fast.evaluation.tokens import token_statistics as token_statistics
    from ilo_fast.evaluation.tokens_result import TokenStatistics as TokenStatistics
    from ilo_fast.evaluation.transfer import transfer as transfer
    from ilo_fast.graph.knn import knn_graph as knn_graph
    from ilo_fast.graph.partitioned import PartitionedOptions as PartitionedOptions
    from ilo_fast.graph.result import NeighborGraph as NeighborGraph
    from ilo_fast.pipeline import measure as measure
    from ilo_fast.report.leaderboard.folder import load_results as load_results
    from ilo_fast.representations.extraction import extract as extract
    from ilo_fast.representations.ray.options import RayWorkers as RayWorkers
    from ilo_fast.representations.result import Representations as Representations
    from ilo_fast.scores.companions.companions import companions as companions
    from ilo_fast.scores.companions.result import Companions as Companions
    from ilo_fast.scores.comparison.compare import compare as compare
    from ilo_fast.scores.comparison.result import Comparison as Comparison
    from ilo_fast.scores.overlap import overlap as overlap
    from ilo_fast.scores.result import OverlapScores as OverlapScores
    from ilo_fast.scores.structure.layout import layout as layout
    from ilo_fast.scores.structure.result import Structure as Structure
    from ilo_fast.scores.structure.structure import structure as structure
    from ilo_fast.training.callback import OverlapCallback as OverlapCallback
    from ilo_fast.training.finetune.finetune import FineTuned as FineTuned
    from ilo_fast.training.finetune.finetune import finetune as finetune
    from ilo_fast.training.freezing import Frozen as Frozen
    from ilo_fast.training.freezing import freeze as freeze
    from ilo_fast.training.measuring import OverlapOptions as OverlapOptions
    from ilo_fast.training.pretrain.pretrain import Pretrained as Pretrained
    from ilo_fast.training.pretrain.pretrain import pretrain as pretrain
    from ilo_fast.training.records import read_overlap_log as read_overlap_log
    from ilo_fast.transcoders.attribution.attribute import attribution_graph as attribution_graph
    from ilo_fast.transcoders.files.folder import load_transcoder as load_transcoder
    from ilo_fast.transcoders.interventions.intervene import intervene as intervene
    from ilo_fast.transcoders.interventions.intervention import Intervention as Intervention
    from ilo_fast.transcoders.training.train import train_transcoder as train_transcoder
    from ilo_fast.transcoders.transcoder import CrossLayerTranscoder as CrossLayerTranscoder

_HOME = {
    "AccessError": "errors",
    "attribution_graph": "transcoders.attribution.attribute",
    "companions": "scores.companions.companions",
    "Companions": "scores.companions.result",
    "compare": "scores.comparison.compare",
    "Comparison": "scores.comparison.result",
    "CorpusError": "errors",
    "CrossLayerTranscoder": "transcoders.transcoder",
    "extract": "representations.extraction",
    "finetune": "training.finetune.finetune",
    "FineTuned": "training.finetune.finetune",
    "freeze": "training.freezing",
    "Frozen": "training.freezing",
    "intervene": "transcoders.interventions.intervene",
    "Intervention": "transcoders.interventions.intervention",
    "knn_graph": "graph.knn",
    "layout": "scores.structure.layout",
    "LabelledCorpus": "corpora.labelled.corpus",
    "load_results": "report.leaderboard.folder",
    "load_transcoder": "transcoders.files.folder",
    "measure": "pipeline",
    "NeighborGraph": "graph.result",
    "PartitionedOptions": "graph.partitioned",
    "overlap": "scores.overlap",
    "OverlapCallback": "training.callback",
    "OverlapOptions": "training.measuring",
    "OverlapScores": "scores.result",
    "ParallelCorpus": "corpora.parallel",
    "pretrain": "training.pretrain.pretrain",
    "Pretrained": "training.pretrain.pretrain",
    "RayWorkers": "representations.ray.options",
    "read_overlap_log": "training.records",
    "Representations": "representations.result",
    "structure": "scores.structure.structure",
    "Structure": "scores.structure.result",
    "token_statistics": "evaluation.tokens",
    "TokenStatistics": "evaluation.tokens_result",
    "train_transcoder": "transcoders.training.train",
    "transfer": "evaluation.transfer",
    "TransferScores": "evaluation.result",
}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    try:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    except ModuleNotFoundError as error:
        from ilo_fast._util.optional import missing_package

        package = missing_package(error)
        if package is None:
            raise
        raise ModuleNotFoundError(
            f"ilo_fast.{name} needs {package}: pip install {package}", name=error.name
        ) from error


def __dir__() -> list[str]:
    return __all__
