import itertools

import networkx as nx
import numpy as np
import pytest

from ilo_fast.graph.knn import knn_graph
from ilo_fast.scores.certainty.graph_overlap_moments import LinkSums
from ilo_fast.scores.structure.language_shares import (
    expected_shares,
    link_counts,
    modularity,
    modularity_chance,
    permutation_moments,
    z_scores,
)


def graph(n: int, k: int, seed: int) -> np.ndarray:
    """Neighbours among few points in the plane: hubs, ties and exact duplicates."""
    points = np.random.default_rng(seed).integers(0, 3, (n, 2)) + 1.0
    points[1] = points[0]
    return knn_graph(points, k, metric="euclidean").indices


def counted(indices: np.ndarray, labels: tuple[int, ...], n_languages: int) -> np.ndarray:
    counts = np.zeros((n_languages, n_languages), int)
    for i, row in enumerate(indices):
        for j in row:
            counts[labels[i], labels[j]] += 1
    return counts


def test_counts_are_those_of_every_link() -> None:
    indices, labels = graph(30, 4, 0), np.random.default_rng(1).integers(0, 3, 30)
    assert (link_counts(indices, labels, 3) == counted(indices, tuple(labels), 3)).all()


@pytest.mark.parametrize(
    ("sizes", "k", "seed"),
    [((2, 2, 3), 2, 0), ((1, 2, 4), 3, 1), ((1, 1, 5), 1, 2), ((4, 3), 2, 3)],
)
def test_moments_are_those_of_all_permutations(sizes: tuple[int, ...], k: int, seed: int) -> None:
    indices, n_languages = graph(sum(sizes), k, seed), len(sizes)
    labels = np.repeat(np.arange(n_languages), sizes)
    every = np.array(
        [counted(indices, p, n_languages) for p in set(itertools.permutations(labels.tolist()))]
    )
    mean, variance = permutation_moments(LinkSums.of(indices), sizes)
    np.testing.assert_allclose(mean, every.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(variance, every.var(axis=0), atol=1e-9)
    shares = mean / mean.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, expected_shares(sizes), atol=1e-12)

    z = z_scores(every[3], LinkSums.of(indices), sizes)
    spread = every.std(axis=0)
    constant = spread < 1e-9
    assert (np.isnan(z) == constant).all()
    wanted = ((every[3] - every.mean(axis=0)) / np.where(constant, 1, spread))[~constant]
    np.testing.assert_allclose(z[~constant], wanted, atol=1e-6)


def test_modularity_is_that_of_networkx() -> None:
    indices, labels = graph(40, 3, 4), np.random.default_rng(5).integers(0, 4, 40)
    directed = nx.DiGraph([(i, j) for i, row in enumerate(indices) for j in row])
    groups = [[0, 2], [1], [3]]
    points = [set(np.flatnonzero(np.isin(labels, group)).tolist()) for group in groups]
    found = modularity(link_counts(indices, labels, 4), groups)
    assert found == pytest.approx(nx.community.modularity(directed, points), abs=1e-12)


def test_chance_of_modularity_is_the_mean_over_all_permutations() -> None:
    sizes, indices = (1, 2, 4), graph(7, 2, 6)
    labels, groups = np.repeat(np.arange(3), sizes), [[0, 2], [1]]
    every = [
        modularity(counted(indices, p, 3), groups)
        for p in set(itertools.permutations(labels.tolist()))
    ]
    assert modularity_chance(sizes, groups) == pytest.approx(np.mean(every), abs=1e-12)
