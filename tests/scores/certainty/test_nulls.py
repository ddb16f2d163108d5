"""Closed forms against all labelings and all graphs, in exact fractions."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import nulls as reference

from ilo_fast.scores.certainty import nulls


def random_graph(rng, n, k):
    """k neighbours of each point, drawn at random."""
    return np.array([rng.choice(np.delete(np.arange(n), i), k, replace=False) for i in range(n)])


@pytest.mark.parametrize("sizes", [(3, 4), (2, 2, 3), (1, 2, 4), (1, 1, 2, 3)])
def test_bridge_under_mixing_is_the_mean_over_all_labelings_of_any_graph(sizes):
    rng = np.random.default_rng(len(sizes))
    for k in (1, 2, 3, 5):
        for threshold in range(1, min(k, len(sizes) - 1) + 1):
            graph = random_graph(rng, sum(sizes), k)
            wanted = reference.bridge_over_labelings(graph, sizes, threshold)
            found = nulls.bridge_under_mixing(sizes, k, threshold)
            np.testing.assert_allclose(found, [float(w) for w in wanted], rtol=1e-13)


def test_bridge_under_mixing_of_random_sizes_is_exact():
    entropy = np.random.SeedSequence().entropy
    rng = np.random.default_rng(entropy)
    for _ in range(15):
        sizes = rng.integers(1, 30, rng.integers(2, 6)).tolist()
        k = int(rng.integers(1, min(7, sum(sizes))))
        threshold = int(rng.integers(1, min(k, len(sizes) - 1) + 1))
        wanted = reference.bridge_over_neighbours(sizes, k, threshold)
        found = nulls.bridge_under_mixing(sizes, k, threshold)
        np.testing.assert_allclose(
            found, [float(w) for w in wanted], rtol=1e-12, err_msg=f"{entropy} {sizes} {k}"
        )


@pytest.mark.parametrize(
    ("n_languages", "n", "k", "threshold", "wanted"),
    [
        (4, 1000, 5, 3, 0.38141),
        (31, 1012, 5, 3, 0.99724),
        (31, 1012, 5, 5, 0.59760),
        (8, 1000, 5, 3, 0.87829),
        (2, 1000, 5, 1, 0.96898),
    ],
)
def test_bridge_under_mixing_of_known_sizes(n_languages, n, k, threshold, wanted):
    found = nulls.bridge_under_mixing([n] * n_languages, k, threshold)
    np.testing.assert_allclose(found, wanted, atol=5e-6)


def test_bridge_under_mixing_of_many_languages_and_neighbours_stays_exact():
    """Against whole numbers: inclusion and exclusion over languages of one size."""
    from fractions import Fraction
    from math import comb

    n_languages, n, k = 204, 1012, 100

    def none_but(r):  # ways with neighbours in exactly r other languages, of r given ones
        return sum((-1) ** (r - q) * comb(r, q) * comb(q * n + n - 1, k) for q in range(r + 1))

    ways = [comb(n_languages - 1, r) * none_but(r) for r in range(k + 1)]
    total = comb(n_languages * n - 1, k)
    assert sum(ways) == total
    for threshold in (70, 90, 100):
        wanted = float(Fraction(sum(ways[threshold:]), total))
        found = nulls.bridge_under_mixing([n] * n_languages, k, threshold)
        np.testing.assert_allclose(found, wanted, rtol=1e-11)


@pytest.mark.parametrize("k", [700, 1000, 1999])
def test_bridge_under_mixing_of_very_many_neighbours_neither_over_nor_underflows(k):
    sizes = [1000, 1, 998, 1]
    found = nulls.bridge_under_mixing(sizes, k, 3)
    # Both single points are neighbours, and (but for a chance below 1e-300) the large language.
    both = k * (k - 1) / (1999 * 1998)
    np.testing.assert_allclose(found[[0, 2]], both, rtol=1e-11)
    np.testing.assert_allclose(found[[1, 3]], k / 1999, rtol=1e-11)


@pytest.mark.parametrize("sizes", [(2, 3), (1, 2, 2), (3, 1, 2)])
def test_reach_under_mixing_is_the_mean_over_all_graphs(sizes):
    for k in (1, 2, sum(sizes) - 1):
        wanted = reference.reach_over_graphs(sizes, k)
        found = nulls.reach_under_mixing(sizes, k)
        np.testing.assert_allclose(found, [float(w) for w in wanted], rtol=1e-13)


def test_ilo_under_mixing_is_the_harmonic_mean():
    sizes = [20] * 204
    bridge = nulls.bridge_under_mixing(sizes, 5, 3)
    reach = nulls.reach_under_mixing(sizes, 5)
    ilo = nulls.ilo_under_mixing(sizes, 5, 3)
    np.testing.assert_allclose(ilo, 2 / (1 / bridge + 1 / reach), rtol=1e-14)
    np.testing.assert_allclose(ilo, 0.55955, atol=5e-6)


def test_ceilings():
    np.testing.assert_array_equal(
        nulls.reach_max([1, 20, 41] + [1] * 201, 5)[:3] * 203, [5, 100, 203]
    )
    np.testing.assert_allclose(nulls.ilo_max([20] * 204, 5), 2 * 100 / 303)
    np.testing.assert_array_equal(nulls.ilo_max([20] * 5, 5), 1)
    assert nulls.translation_share_max(4, 5) == 3 / 5
    assert nulls.translation_share_max(31, 5) == 1


def test_ceilings_are_attained_by_a_graph_and_not_exceeded():
    """Each point is near languages that no other of its own is near."""
    from oracles.knn import overlap

    sizes, k = [2] + [1] * 9, 3
    labels = np.repeat(np.arange(10), sizes)
    graph = np.array([[2, 3, 4], [5, 6, 7]] + [[0, 1, 2 + (i == 2)] for i in range(2, 11)])
    _, reach, ilo = overlap(graph, labels, 10, 3)
    assert reach[0] == nulls.reach_max(sizes, k)[0] == 6 / 9
    assert ilo[0] == nulls.ilo_max(sizes, k)[0]


def test_translation_chances():
    assert nulls.translation_chance(31, 1012) == 30 / 31371
    cross = np.array([[0.0, 0.5], [1.0, 30 * 1012 / 31371]])
    found = nulls.translation_chance_given_graph(cross, 1012)
    np.testing.assert_array_equal(found, cross / 1012)
    # Where neighbours are drawn at random, both are one.
    np.testing.assert_allclose(found[1, 1], nulls.translation_chance(31, 1012))


@pytest.mark.parametrize(
    ("sizes", "k", "threshold", "message"),
    [
        ([5], 2, 1, r"sizes has 1 language"),
        ([5, 0], 2, 1, r"sizes\[1\]=0 must be at least 1"),
        ([5, 5], 10, 1, "n_neighbors=10 needs at least 11"),
        ([5, 5], 4, 2, "threshold=2 cannot be reached with 2 languages"),
    ],
)
def test_what_cannot_be_is_refused(sizes, k, threshold, message):
    with pytest.raises(ValueError, match=message):
        nulls.bridge_under_mixing(sizes, k, threshold)
