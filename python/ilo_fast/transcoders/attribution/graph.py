"""`AttributionGraph`: a graph, and what can be done with it."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ilo_fast.transcoders.attribution.data import GraphData
from ilo_fast.transcoders.attribution.scores import (
    GraphScores,
    Pruned,
    graph_scores,
    influence,
    pruned,
)


class AttributionGraph(GraphData):
    """As `GraphData`, with its scores, its files and its page."""

    @cached_property
    def influence(self) -> NDArray[np.float64]:
        """Of every source, what reaches it of the targets' weights: (sources,)."""
        return influence(self)

    @cached_property
    def scores(self) -> GraphScores:
        """How much of the graph its features explain."""
        return graph_scores(self)

    def pruned(self, node_threshold: float = 0.8, edge_threshold: float = 0.98) -> Pruned:
        """Which nodes and edges matter: see `ilo_fast.transcoders.attribution.scores.pruned`."""
        return pruned(self, node_threshold, edge_threshold)
