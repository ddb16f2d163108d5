"""Interlingual Local Overlap, exactly and fast.

    text -> representations -> neighbour graph -> overlap -> report
    corpus  representations    graph              ilo        report/

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
}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
