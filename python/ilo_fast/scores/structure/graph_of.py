"""The graph that structure and map are made of."""

from __future__ import annotations

from ilo_fast.graph.checks import check_own_graph
from ilo_fast.graph.result import NeighborGraph
from ilo_fast.scores.result import OverlapScores


def graph_of(scores: OverlapScores | NeighborGraph) -> NeighborGraph:
    """The neighbours of every point: those that scores kept, or the graph that was given.

    Raises
    ------
    TypeError
        Neither scores nor a graph.
    ValueError
        Scores without their graph, a graph of queries, or one that was made by hand and is none.
    """
    if not isinstance(scores, (NeighborGraph, OverlapScores)):
        raise TypeError(f"scores must be OverlapScores or a graph, got {type(scores).__name__}")
    graph = scores if isinstance(scores, NeighborGraph) else scores.neighbors
    if graph is None:
        raise ValueError(
            "scores have no neighbours: measure with overlap(..., neighbors=True), or give a graph "
            "(to structure with the language of each row)"
        )
    check_own_graph(graph)
    return graph
