"""Influence, how much of a graph is explained, and which of its nodes and edges matter.

With N the absolute values of the adjacency, each row divided by its sum, and w the probabilities of
the targets, the influence of a source is what reaches it of w along all paths: i = w (N + N² + ...)
(Ameisen et al. 2025, "Circuit tracing"). A feature is only reached from later layers, so that one
pass from the last layer to the first is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ilo_fast.transcoders.attribution.data import GraphData


@dataclass(frozen=True)
class GraphScores:
    """How much of a graph its features explain; each between 0 and 1.

    Attributes
    ----------
    replacement : float
        Of the influence that ends in tokens, positions, biases or errors (and `rest`), the share
        that does not end in errors (or `rest`).
    completeness : float
        Of what enters features and targets, weighted by their influence, the share that is not
        errors (or `rest`).
    replacement_published, completeness_published : float
        As other tools compute them, for comparison: no positions, no biases; tokens and errors
        count as explained nodes themselves in completeness, so that one error that explains
        everything scores 0.5; no errors in the positions that the transcoder skips.
    """

    replacement: float
    completeness: float
    replacement_published: float
    completeness_published: float


@dataclass(frozen=True)
class Pruned:
    """What is left of a graph.

    Attributes
    ----------
    sources : (sources,) bool
        Which are kept. Tokens and targets are always.
    edges : (rows, sources) bool
        Which are kept; none of a node that is not.
    """

    sources: NDArray[np.bool_]
    edges: NDArray[np.bool_]


def influence(graph: GraphData) -> NDArray[np.float64]:
    """Of every source, what reaches it of the targets' weights: (sources,)."""
    raise NotImplementedError


def graph_scores(graph: GraphData) -> GraphScores:
    """How much of a graph its features explain."""
    raise NotImplementedError


def pruned(
    graph: GraphData, node_threshold: float = 0.8, edge_threshold: float = 0.98
) -> Pruned:
    """The fewest sources that hold `node_threshold` of the influence, and so with their edges."""
    raise NotImplementedError
