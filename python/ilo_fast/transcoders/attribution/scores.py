"""Influence, how much of a graph is explained, and which of its nodes and edges matter.

With N the absolute values of the adjacency, each row divided by its sum, and w the probabilities of
the targets, the influence of a source is what reaches it of w along all paths: i = w (N + N² + ...)
(Ameisen et al. 2025, "Circuit tracing"). A feature is only reached from later layers, so that one
pass from the last layer to the first is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import share
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
        Which are kept. Tokens, positions, biases and targets are always.
    edges : (rows, sources) bool
        Which are kept; none of a node that is not.
    scores : GraphScores
        Of what is left: the influence of what was dropped counts as that of errors; in the
        published versions it is not there at all.
    """

    sources: NDArray[np.bool_]
    edges: NDArray[np.bool_]
    scores: GraphScores


def influence(graph: GraphData) -> NDArray[np.float64]:
    """Of every source, what reaches it of the targets' weights: (sources,)."""
    everything = np.ones(len(graph.sources), bool)
    return _influence(graph, _shares(graph, everything))


def graph_scores(graph: GraphData) -> GraphScores:
    """How much of a graph its features explain."""
    errors = graph.sources.of_kind("error", "rest")
    strict = _strict(graph, errors)
    published = _published(graph)
    return GraphScores(*strict, *published)


def pruned(graph: GraphData, node_threshold: float = 0.8, edge_threshold: float = 0.98) -> Pruned:
    """The fewest sources that hold `node_threshold` of the influence, and so with their edges.

    Parameters
    ----------
    node_threshold
        Of the influence of features, errors and `rest` together. (circuit-tracer takes tokens into
        the sum, which it keeps anyway, so that at the same threshold it keeps fewer.)
    edge_threshold
        Of what the edges between kept nodes carry: the share of the row's sum, times the influence
        or weight of the row. A feature that is left without an edge to a later node goes as well.

    Raises
    ------
    ValueError
        A threshold is not between 0 and 1.
    """
    share("node_threshold", node_threshold)
    share("edge_threshold", edge_threshold)
    shares = _shares(graph, np.ones(len(graph.sources), bool))
    reached = _influence(graph, shares)
    fixed = graph.sources.of_kind("token", "position", "bias")
    kept = fixed | _largest(np.where(fixed, 0.0, reached), node_threshold)
    rows = _row_weights(graph, reached)
    edges = np.zeros(shares.shape, bool)
    n = graph.n_features
    while True:
        alive = np.concatenate([kept[:n], np.ones(len(graph.targets), bool)])
        carried = np.where(alive[:, None] & kept, shares * rows[:, None], 0.0)
        edges = _largest(carried.ravel(), edge_threshold).reshape(carried.shape)
        led_on = edges.any(axis=0) | fixed
        if not (kept & ~led_on).any():
            break
        kept = kept & led_on
    errors = graph.sources.of_kind("error", "rest")
    strict = _strict(graph, errors | ~kept)
    return Pruned(kept, edges, GraphScores(*strict, *_published(graph, kept)))


def _shares(graph: GraphData, counted: NDArray[np.bool_]) -> NDArray[Any]:
    """The absolute values of the adjacency, of counted sources, each row divided by its sum."""
    size = np.where(counted, np.abs(graph.adjacency), 0.0)
    sums = size.sum(axis=1, dtype=np.float64, keepdims=True)
    return size / np.where(sums == 0, 1.0, sums)


def _row_weights(graph: GraphData, reached: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.array([target.probability for target in graph.targets], np.float64)
    return np.concatenate([reached[: graph.n_features], weights])


def _influence(graph: GraphData, shares: NDArray[Any]) -> NDArray[np.float64]:
    n = graph.n_features
    weights = np.array([target.probability for target in graph.targets], np.float64)
    reached = np.asarray(weights @ shares[n:], np.float64)
    layers = graph.sources.layer[:n]
    for layer in np.unique(layers)[::-1]:  # all that reaches it stands in later layers
        here = np.flatnonzero(layers == layer)
        reached = reached + reached[here] @ shares[here]
    return reached


def _largest(values: NDArray[np.float64], threshold: float) -> NDArray[np.bool_]:
    """The fewest that together hold the threshold of the sum; none that is zero."""
    order = np.argsort(-values, kind="stable")
    sums = np.cumsum(values[order])
    enough = sums[-1] * threshold if len(sums) else 0.0
    kept = np.zeros(len(values), bool)
    kept[order[: int(np.searchsorted(sums, enough * (1 - 1e-12))) + 1]] = True
    return kept & (values > 0)


def _strict(graph: GraphData, unexplained: NDArray[np.bool_]) -> tuple[float, float]:
    """Replacement and completeness; a source that is unexplained has no sources of its own."""
    n = graph.n_features
    shares = _shares(graph, np.ones(len(graph.sources), bool))
    shares[:n][unexplained[:n]] = 0.0
    reached = _influence(graph, shares)
    ends = ~graph.sources.of_kind("feature")
    ends[:n] |= unexplained[:n]
    total = reached[ends].sum()
    replacement = reached[ends & ~unexplained].sum() / total if total else 0.0
    rows = _row_weights(graph, reached)
    rows[:n][unexplained[:n]] = 0.0
    explained = shares[:, ~unexplained].sum(axis=1, dtype=np.float64)
    completeness = (rows * explained).sum() / rows.sum() if rows.sum() else 0.0
    return float(replacement), float(completeness)


def _published(graph: GraphData, kept: NDArray[np.bool_] | None = None) -> tuple[float, float]:
    """Both scores as circuit-tracer computes them."""
    sources, n = graph.sources, graph.n_features
    skipped = sources.of_kind("error") & (sources.position < graph.info["skip_positions"])
    counted = sources.of_kind("feature", "rest", "error", "token") & ~skipped
    if kept is not None:
        counted &= kept
    shares = _shares(graph, counted)
    if kept is not None:
        shares[:n][~kept[:n]] = 0.0
    reached = _influence(graph, shares)
    errors = sources.of_kind("error", "rest")
    tokens = sources.of_kind("token")
    total = reached[tokens].sum() + reached[errors].sum()
    replacement = reached[tokens].sum() / total if total else 0.0
    explained = 1.0 - shares[:, errors].sum(axis=1, dtype=np.float64)
    rows = _row_weights(graph, reached)
    leaves = reached[tokens | (errors & counted)].sum()  # they have no sources: all is explained
    whole = rows.sum() + leaves
    completeness = ((rows * explained).sum() + leaves) / whole if whole else 0.0
    return float(replacement), float(completeness)
