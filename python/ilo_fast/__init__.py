"""Interlingual Local Overlap, exactly and fast.

    text -> representations -> neighbour graph -> overlap -> report
    corpus  representations    graph              ilo        report/

and training/, which moves the model that the flow starts from, and measures it on the way.

Names are loaded when first used: ``import ilo_fast`` imports neither torch nor transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .corpus import ParallelCorpus as ParallelCorpus
    from .errors import AccessError as AccessError
    from .errors import CorpusError as CorpusError
    from .extraction import extract as extract
    from .graph import NeighborGraph as NeighborGraph
    from .graph import knn_graph as knn_graph
    from .ilo import OverlapScores as OverlapScores
    from .ilo import overlap as overlap
    from .pipeline import measure as measure
    from .representations import Representations as Representations
    from .training.callback import OverlapCallback as OverlapCallback
    from .training.finetuning.finetune import FineTuned as FineTuned
    from .training.finetuning.finetune import finetune as finetune
    from .training.freezing import Frozen as Frozen
    from .training.freezing import freeze as freeze
    from .training.labelled.corpus import LabelledCorpus as LabelledCorpus
    from .training.pretraining.pretrain import Pretrained as Pretrained
    from .training.pretraining.pretrain import pretrain as pretrain
    from .training.records import read_overlap_log as read_overlap_log
    from .training.transfer.scores import TransferScores as TransferScores
    from .training.transfer.transfer import transfer as transfer

_HOME = {
    "ParallelCorpus": "corpus",
    "AccessError": "errors",
    "CorpusError": "errors",
    "NeighborGraph": "graph",
    "knn_graph": "graph",
    "OverlapScores": "ilo",
    "overlap": "ilo",
    "measure": "pipeline",
    "Representations": "representations",
    "extract": "extraction",
    "freeze": "training.freezing",
    "Frozen": "training.freezing",
    "finetune": "training.finetuning.finetune",
    "FineTuned": "training.finetuning.finetune",
    "OverlapCallback": "training.callback",
    "read_overlap_log": "training.records",
    "LabelledCorpus": "training.labelled.corpus",
    "transfer": "training.transfer.transfer",
    "TransferScores": "training.transfer.scores",
    "pretrain": "training.pretraining.pretrain",
    "Pretrained": "training.pretraining.pretrain",
}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
