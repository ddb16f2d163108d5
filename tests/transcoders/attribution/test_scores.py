"""Influence, scores and pruning against plain matrices, and on graphs done by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.graphs import random_graph
from numpy.typing import NDArray

from ilo_fast.transcoders.attribution.data import KINDS, GraphData, Sources, Target
from ilo_fast.transcoders.attribution.scores import graph_scores, influence, pruned


def square(graph: GraphData, counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """All nodes by all nodes, targets last: absolute values, rows of sum one or nothing."""
    n, m, t = graph.n_features, len(graph.sources), len(graph.targets)
    matrix = np.zeros((m + t, m + t))
    size = np.abs(graph.adjacency) * counted
    matrix[:n, :m], matrix[m:, :m] = size[:n], size[n:]
    sums = matrix.sum(1, keepdims=True)
    return matrix / np.where(sums == 0, 1, sums)


def all_paths(graph: GraphData, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.zeros(len(matrix))
    weights[len(graph.sources) :] = [target.probability for target in graph.targets]
    return weights @ (np.linalg.inv(np.eye(len(matrix)) - matrix) - np.eye(len(matrix)))


@pytest.mark.parametrize("seed", range(3))
def test_influence_is_that_of_all_paths(seed: int) -> None:
    graph = random_graph(seed=seed, rest=False)
    everything = np.ones(len(graph.sources), bool)
    wanted = all_paths(graph, square(graph, everything))[: len(graph.sources)]
    np.testing.assert_allclose(influence(graph), wanted, rtol=1e-12)
    ends = ~graph.sources.of_kind("feature")
    weights = sum(target.probability for target in graph.targets)
    assert influence(graph)[ends].sum() == pytest.approx(weights)


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_their_definitions(seed: int) -> None:
    graph = random_graph(seed=seed, rest=False)
    sources, m = graph.sources, len(graph.sources)
    scores = graph_scores(graph)
    errors = sources.of_kind("error")
    reached = all_paths(graph, square(graph, np.ones(m, bool)))
    whole = sum(target.probability for target in graph.targets)
    assert scores.replacement == pytest.approx(1 - reached[:m][errors].sum() / whole, rel=1e-12)
    weights = reached.copy()
    weights[m:] = [target.probability for target in graph.targets]
    has_sources = np.concatenate([sources.of_kind("feature"), np.ones(len(graph.targets), bool)])
    weights[~has_sources] = 0
    explained = 1 - square(graph, np.ones(m, bool))[:, :m][:, errors].sum(1)
    wanted = (weights * explained).sum() / weights.sum()
    assert scores.completeness == pytest.approx(wanted, rel=1e-12)

    counted = sources.of_kind("feature", "error", "token") & ~(errors & (sources.position < 1))
    matrix = square(graph, counted)
    reached = all_paths(graph, matrix)
    tokens = reached[:m][sources.of_kind("token")].sum()
    of_errors = reached[:m][errors].sum()
    assert scores.replacement_published == pytest.approx(tokens / (tokens + of_errors), rel=1e-12)
    reached[m:] = [target.probability for target in graph.targets]
    complete = 1 - matrix[:, :m][:, errors].sum(1)
    wanted = (complete * reached).sum() / reached.sum()
    assert scores.completeness_published == pytest.approx(wanted, rel=1e-12)


def small(kinds: list[str], adjacency: list[list[float]], targets: int = 1) -> GraphData:
    """Features in layers of their own, in order; everything else at position 1."""
    names = [KINDS.index(kind) for kind in kinds]  # type: ignore[arg-type]
    numbers = np.array(adjacency, float)
    n = len(kinds)
    layer = np.array([at if kind == "feature" else -1 for at, kind in enumerate(kinds)], np.int32)
    return GraphData(
        prompt="",
        tokens=("a", "b"),
        token_ids=np.arange(2),
        sources=Sources(
            np.array(names, np.int8), layer, np.ones(n, np.int32), np.zeros(n, np.int32),
            np.ones(n),
        ),
        targets=tuple(Target(str(t), t, 1 / targets) for t in range(targets)),
        adjacency=numbers,
        values=numbers.sum(1),
        info={"n_layers": n, "skip_positions": 1},
    )  # fmt: skip


def test_one_error_that_explains_everything() -> None:
    """Published completeness calls it half explained."""
    scores = graph_scores(small(["error", "token"], [[2.0, 0.0]]))
    assert (scores.replacement, scores.completeness) == (0.0, 0.0)
    assert scores.replacement_published == 0.0
    assert scores.completeness_published == 0.5


def test_a_chain_by_hand() -> None:
    #                 feature 0, feature 1, error, token
    graph = small(
        ["feature", "feature", "error", "token"],
        [[0, 0, 0, 4.0], [3.0, 0, -1.0, 0], [0, 2.0, 0, -2.0]],
    )
    np.testing.assert_allclose(influence(graph), [0.375, 0.5, 0.125, 0.875])
    scores = graph_scores(graph)
    assert scores.replacement == pytest.approx(0.875)
    assert scores.completeness == pytest.approx((1 + 0.5 * 0.75 + 0.375) / 1.875)
    kept = pruned(graph, node_threshold=0.5, edge_threshold=1.0)
    assert kept.sources.tolist() == [False, True, False, True]
    assert kept.edges.tolist() == [[False] * 4, [False] * 4, [False, True, False, True]]


def test_pruning_keeps_the_fewest_that_hold_the_threshold() -> None:
    graph = random_graph(n_features=12, seed=5, rest=False)
    reached = influence(graph)
    open_to_it = graph.sources.of_kind("feature", "error")
    for threshold in (0.3, 0.8, 0.95):
        found = pruned(graph, threshold, 1.0)
        total = reached[open_to_it].sum()
        held = reached[found.sources & open_to_it].sum()
        assert held >= threshold * total * (1 - 1e-9)
        smallest = reached[found.sources & open_to_it].min()
        assert held - smallest < threshold * total
        assert found.sources[~open_to_it].all()
    everything = pruned(graph, 1.0, 1.0)
    assert everything.scores == graph_scores(graph)
    assert np.array_equal(everything.edges, graph.adjacency != 0)


def test_pruned_edges_lie_between_kept_nodes_and_every_feature_leads_on() -> None:
    graph = random_graph(n_features=12, seed=6, rest=False)
    found = pruned(graph, 0.7, 0.6)
    n = graph.n_features
    assert not found.edges[:, ~found.sources].any()
    assert not found.edges[:n][~found.sources[:n]].any()
    features = np.flatnonzero(found.sources[:n])
    assert found.edges[:, features].any(axis=0).all()
    whole = graph_scores(graph)
    assert found.scores.replacement < whole.replacement
    assert found.scores.completeness < whole.completeness


def test_thresholds_are_checked() -> None:
    with pytest.raises(ValueError, match="node_threshold"):
        pruned(random_graph(seed=0, rest=False), 1.5)
    with pytest.raises(ValueError, match="edge_threshold"):
        pruned(random_graph(seed=0, rest=False), 0.8, -0.1)


def test_residual_tells_a_row_that_does_not_add_up() -> None:
    graph = random_graph(seed=7, rest=False)
    assert graph.residual < 1e-12
    values = graph.values.copy()
    values[2] *= 1.01
    assert replace(graph, values=values).residual == pytest.approx(0.01 / 1.01, rel=1e-6)
