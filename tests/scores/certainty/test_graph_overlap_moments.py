"""Mean and variance of the links that two graphs share, against all renumberings."""

from __future__ import annotations

import numpy as np
import pytest
from oracles.nulls import links_in_common

from ilo_fast.scores.certainty.graph_overlap_moments import LinkSums, overlap_moments


def random_graph(rng, n, k):
    return np.array([rng.choice(np.delete(np.arange(n), i), k, replace=False) for i in range(n)])


@pytest.mark.parametrize(("n", "k", "other_k"), [(6, 2, 2), (6, 3, 1), (6, 5, 2), (4, 2, 3)])
def test_moments_are_those_of_all_renumberings(n, k, other_k):
    entropy = np.random.SeedSequence().entropy
    rng = np.random.default_rng(entropy)
    for _ in range(4):
        A, B = random_graph(rng, n, k), random_graph(rng, n, other_k)
        wanted = tuple(float(x) for x in links_in_common(A, B))
        assert overlap_moments(A, B) == wanted, entropy  # both computed exactly, then rounded


@pytest.mark.parametrize("n", [2, 3])
def test_moments_of_very_few_points(n):
    rng = np.random.default_rng(n)
    A, B = random_graph(rng, n, 1), random_graph(rng, n, n - 1)
    assert overlap_moments(A, B) == tuple(float(x) for x in links_in_common(A, B))


def test_links_both_ways_and_hubs_raise_the_variance():
    n = 20
    ring = (np.arange(n)[:, None] + [1, 2]) % n
    both = (np.arange(n)[:, None] + [1, -1]) % n
    hub = np.array([[0 if i != 0 else 1, 1 if i > 1 else 2] for i in range(n)])
    variances = [overlap_moments(graph, graph)[1] for graph in (ring, both, hub)]
    assert variances[0] < variances[1] < variances[2]
    for graph in (ring, both, hub):
        assert overlap_moments(graph, both)[0] == pytest.approx(n * 2 * 2 / (n - 1))


def test_moments_fit_a_large_graph_that_is_permuted():
    rng = np.random.default_rng(0)
    n, k = 300, 5
    A, B = random_graph(rng, n, k), random_graph(rng, n, k)
    A[:200, 0] = rng.integers(250, 260, 200)  # hubs
    B[:200, 0] = rng.integers(280, 290, 200)
    A[250:260, 0] = 0
    A, B = (repaired(graph) for graph in (A, B))
    mean, variance = overlap_moments(A, B)
    link = np.zeros((n, n), bool)
    link[np.arange(n)[:, None], B] = True
    drawn = []
    for _ in range(3000):
        p = rng.permutation(n)
        drawn.append(link[p[:, None], p[A]].sum())
    assert np.mean(drawn) == pytest.approx(mean, abs=5 * np.sqrt(variance / 3000))
    assert np.var(drawn) == pytest.approx(variance, rel=0.2)


def repaired(graph):
    """Rows without repetitions and without the point itself."""
    out = []
    for i, row in enumerate(graph.tolist()):
        kept = list(dict.fromkeys(j for j in row if j != i))
        spare = (j for j in range(len(graph)) if j != i and j not in kept)
        out.append(kept + [next(spare) for _ in range(len(row) - len(kept))])
    return np.array(out)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (np.zeros((1, 3, 1), int), r"indices has shape \(1, 3, 1\), wanted \(n, k\)"),
        (np.array([[1], [2], [3]]), r"outside \[0, 3\)"),
        (np.array([[1, 1], [0, 2], [0, 1]]), "twice in a row"),
        (np.array([[1], [1], [0]]), "its own neighbour"),
    ],
)
def test_what_is_no_graph_is_refused(graph, message):
    with pytest.raises(ValueError, match=message):
        LinkSums.of(graph)


def test_graphs_of_different_points_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="the graphs have 5 and 6 points"):
        overlap_moments(random_graph(rng, 5, 2), random_graph(rng, 6, 2))
