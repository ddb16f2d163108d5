"""`AttributionGraph`: a graph, and what can be done with it."""

from __future__ import annotations

from ilo_fast.transcoders.attribution.data import GraphData
from ilo_fast.transcoders.attribution.scores import GraphScores, graph_scores, influence, pruned


class AttributionGraph(GraphData):
    """As `GraphData`, with its scores, its files and its page."""
