import numpy as np
import pytest
from scipy.cluster.hierarchy import average, cophenet
from scipy.spatial.distance import squareform

from ilo_fast.scores.structure.dendrogram import average_linkage, language_distance, leaf_order
from ilo_fast.scores.structure.language_shares import expected_shares


def distances(n: int, seed: int) -> np.ndarray:
    square = np.random.default_rng(seed).random((n, n))
    square = (square + square.T) / 2
    np.fill_diagonal(square, 0)
    return square


@pytest.mark.parametrize("n", [2, 3, 8, 40])
def test_the_tree_is_that_of_scipy(n: int) -> None:
    square = distances(n, n)
    np.testing.assert_allclose(average_linkage(square), average(squareform(square)), atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_every_cluster_of_the_tree_is_contiguous_in_the_order(seed: int) -> None:
    square = distances(17, seed)
    tree = average_linkage(square)
    place = np.argsort(leaf_order(tree, square))
    leaves = {i: [i] for i in range(17)}
    for step, (a, b, _, size) in enumerate(tree):
        leaves[17 + step] = leaves[int(a)] + leaves[int(b)]
        places = sorted(place[leaves[17 + step]])
        assert len(places) == size
        assert places == list(range(places[0], places[-1] + 1))


def test_ends_that_touch_are_near() -> None:
    at = np.array([0.0, 9.0, 1.0, 10.0, 2.2, 4.0])  # on a line: the order is that of the line
    square = abs(at[:, None] - at)
    order = leaf_order(average_linkage(square), square)
    assert (np.diff(at[order]) > 0).all() or (np.diff(at[order]) < 0).all()


def test_of_equal_distances_the_smallest_numbers_merge_first() -> None:
    square = np.ones((4, 4)) - np.eye(4)
    tree = average_linkage(square)
    assert tree.tolist() == [[0, 1, 1, 2], [2, 3, 1, 2], [4, 5, 1, 4]]
    assert (cophenet(tree) == 1).all()


def test_distance_is_half_by_chance_and_one_where_no_link_is() -> None:
    sizes = (10, 20, 30)
    expected = expected_shares(sizes)
    counts = expected * 59 * np.array(sizes)[:, None]  # k = 59: all links, each as by chance
    by_chance = language_distance(counts.round().astype(int), sizes, expected)
    np.testing.assert_allclose(by_chance, 0.5 * (1 - np.eye(3)), atol=1e-12)
    apart = language_distance(np.diag([50, 100, 150]), sizes, expected)
    np.testing.assert_allclose(apart, 1 - np.eye(3))


def test_a_language_of_one_point_is_at_no_distance_from_itself() -> None:
    sizes, counts = (1, 1, 2), np.array([[0, 1, 0], [1, 0, 0], [0, 1, 1]])
    found = language_distance(counts, sizes, expected_shares(sizes))  # 0 / 0 would be a warning
    assert (np.diagonal(found) == 0).all()
    assert np.isfinite(found).all() and found[0, 1] < 0.5 < found[0, 2]
