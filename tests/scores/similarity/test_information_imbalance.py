"""Information imbalance against ranks of all distances."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import companions as oracle

from ilo_fast.scores.similarity import information_imbalance


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_equals_the_definition_both_ways(rng, metric):
    X = rng.standard_normal((40, 6))
    Y = np.hstack([X[:, :3], rng.standard_normal((40, 2))])
    for a, b in ((X, Y), (Y, X)):
        found = information_imbalance(a, b, metric=metric)
        assert float(found) == pytest.approx(oracle.imbalance(a, b, metric), abs=1e-12)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_copies_share_their_mean_rank(rng, metric):
    X = rng.permutation(np.repeat(rng.standard_normal((20, 6)), 2, axis=0))
    Y = np.repeat(rng.standard_normal((10, 5)), 4, axis=0)
    for a, b in ((X, Y), (Y, X), (X, X)):
        found = information_imbalance(a, b, metric=metric)
        assert float(found) == pytest.approx(oracle.imbalance(a, b, metric), abs=1e-12)


def test_all_pairs_of_layers_in_blocks_equal_pair_by_pair(rng):
    X = rng.standard_normal((3, 1500, 4)).astype(np.float32)
    X[1] += X[0]
    found = information_imbalance(X, n_threads=2)
    assert found.values[1, 0] == float(information_imbalance(X[1], X[0]))
    assert found.values[0, 1] == float(information_imbalance(X[0], X[1]))
    # Some two distances may differ by less than float32 tells: they share a rank.
    np.testing.assert_allclose(np.diagonal(found.values), 2 / 1500, rtol=0.01)


def test_independent_spaces_are_at_1(rng):
    X, Y = rng.standard_normal((2, 400, 5))
    found = information_imbalance(X, Y)
    assert float(found) == pytest.approx(1, abs=5 * 2 / np.sqrt(12 * 400)) and found.chance == 1


def test_a_part_is_predicted_by_the_whole_and_not_the_other_way(rng):
    X = rng.standard_normal((300, 4)) * [3, 3, 1, 1]
    part = X[:, 2:]
    to_part = float(information_imbalance(X, part, metric="euclidean"))
    to_whole = float(information_imbalance(part, X, metric="euclidean"))
    assert to_part != pytest.approx(to_whole, abs=0.02)


def test_turning_scaling_and_reordering_change_nothing(rng):
    X, Y = rng.standard_normal((60, 5)), rng.standard_normal((60, 5))
    Y += X
    turn, order = np.linalg.qr(rng.standard_normal((5, 5)))[0], rng.permutation(60)
    for metric, shift in (("cosine", 0), ("euclidean", 4)):
        wanted = float(information_imbalance(X, Y, metric=metric))
        for a, b in ((100 * X @ turn + shift, Y), (X, 0.01 * Y @ turn + shift)):
            assert float(information_imbalance(a, b, metric=metric)) == pytest.approx(wanted)
        again = information_imbalance(X[order], Y[order], metric=metric)
        assert float(again) == pytest.approx(wanted)


def test_a_far_row_does_not_blur_the_others(rng):
    X, Y = rng.standard_normal((2, 40, 3))
    Y[7] = 1e5
    wanted = oracle.imbalance(X, Y, "euclidean")
    assert float(information_imbalance(X, Y, metric="euclidean")) == pytest.approx(wanted, abs=0.01)
