"""SVCCA against canonical correlations by their definition, and against random subspaces."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from oracles import companions as oracle
from scipy.linalg import subspace_angles

from ilo_fast.scores.similarity import svcca
from ilo_fast.scores.similarity.svcca import random_correlation


@pytest.mark.parametrize(("n", "d", "e", "q"), [(60, 8, 5, 3), (20, 40, 30, 4), (30, 6, 6, 6)])
def test_equals_canonical_correlations_of_the_components(rng, n, d, e, q):
    X, Y = rng.standard_normal((n, d)) * np.arange(1, d + 1), rng.standard_normal((n, e))
    Y[:, :4] += X[:, :4] / 2
    found = svcca(X, Y, n_components=q)
    assert float(found) == pytest.approx(oracle.canonical_correlations(X, Y, q, q).mean(), rel=1e-7)
    narrow = svcca(X.astype(np.float32), Y.astype(np.float32), n_components=q)
    assert float(narrow) == pytest.approx(float(found), rel=1e-3)


def test_equals_the_cosines_of_scipys_angles(rng):
    X, Y = rng.standard_normal((50, 4)), rng.standard_normal((50, 7))
    Xc, Yc = X - X.mean(axis=0), Y - Y.mean(axis=0)
    found = svcca(X, Y, variance=1.0)
    assert float(found) == pytest.approx(np.cos(subspace_angles(Xc, Yc)).mean(), rel=1e-9)


def test_keeps_the_components_that_the_variance_needs(rng):
    """Variances 90, 9 and 1: 99 % are the first two, 95 % too, 90 % the first."""
    X = np.linalg.qr(rng.standard_normal((200, 8)) - 0)[0]
    X -= X.mean(axis=0)
    X = np.linalg.qr(X)[0]
    three = X[:, :3] * np.sqrt([90, 9, 1])
    for variance, q in ((0.99, 2), (0.95, 2), (0.9, 1), (1.0, 3)):
        found = svcca(three, X[:, 3:], variance=variance)
        assert float(found.chance) == pytest.approx(random_correlation(199, q, 5))


def test_all_pairs_of_layers_equal_pair_by_pair(rng):
    X = rng.standard_normal((3, 40, 6))
    found = svcca(X, n_components=2)
    for i in range(3):
        for j in range(3):
            wanted = 1.0 if i == j else float(svcca(X[i], X[j], n_components=2))
            assert found.values[i, j] == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(
    ("n", "p", "q"), [(200, 60, 60), (200, 10, 40), (100, 60, 70), (80, 80, 9)]
)
def test_chance_is_that_of_random_subspaces(rng, n, p, q):
    def one(width):
        return np.linalg.qr(rng.standard_normal((n, width)))[0]

    drawn = [np.linalg.svd(one(p).T @ one(q), compute_uv=False).mean() for _ in range(8)]
    assert random_correlation(n, p, q) == pytest.approx(np.mean(drawn), abs=0.025)
    assert random_correlation(n, q, p) == random_correlation(n, p, q)


def test_chance_is_what_shuffled_sentences_give(rng):
    X, Y = rng.standard_normal((2, 300, 12)) ** 3
    found = svcca(X, Y, variance=0.95)
    shuffled = [float(svcca(X, Y[rng.permutation(300)], variance=0.95)) for _ in range(5)]
    assert float(found.chance) == pytest.approx(np.mean(shuffled), abs=0.03)
    assert found.z is None


def test_linear_maps_within_the_components_change_nothing(rng):
    X, Y = rng.standard_normal((40, 5)), rng.standard_normal((40, 9))
    Y[:, :5] += X
    A = rng.standard_normal((5, 5)) + 3 * np.eye(5)
    order = rng.permutation(40)
    wanted = float(svcca(X, Y, variance=1.0))
    assert float(svcca(X @ A + 7, Y, variance=1.0)) == pytest.approx(wanted, rel=1e-7)
    assert float(svcca(X[order], Y[order], variance=1.0)) == pytest.approx(wanted, rel=1e-9)
    turn = np.linalg.qr(A)[0]
    assert float(svcca(1e4 * X @ turn - 3, Y)) == pytest.approx(float(svcca(X, Y)), rel=1e-7)
    assert float(svcca(X, X @ A, variance=1.0)) == pytest.approx(1, rel=1e-7)


def test_the_same_twice_gives_the_same_to_the_bit(rng):
    X, Y = rng.standard_normal((2, 40, 12)).astype(np.float32)
    assert svcca(X, Y) == svcca(X, Y)


def test_no_variance_gives_no_value_and_copies_of_columns_no_components(rng):
    X = rng.standard_normal((30, 3))
    assert np.isnan(svcca(np.ones((30, 3)), X).values)
    twice = np.hstack([X, X])
    assert float(svcca(twice, X, n_components=6)) == pytest.approx(1, rel=1e-7)
    assert float(svcca(twice, X, n_components=6).chance) == random_correlation(29, 3, 3)


@pytest.mark.parametrize("options", [{"variance": 1.5}, {"n_components": 0}])
def test_options_that_make_no_sense_are_refused(rng, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        svcca(*rng.standard_normal((2, 9, 2)), **options)


@pytest.mark.parametrize("flat", [False, True])
def test_a_few_components_are_those_of_all(flat, monkeypatch):
    rng = np.random.default_rng(4)
    spread = (1 + np.arange(260)) ** (0.0 if flat else -0.7)  # flat: subspace iteration gives up
    X, noise = rng.standard_normal((2, 300, 260)) * spread
    found = svcca(X, X + noise, n_components=4)
    module = sys.modules[svcca.__module__]
    monkeypatch.setattr(module, "_ROUNDS", 0)
    everything = svcca(X, X + noise, n_components=4)
    assert float(found) == pytest.approx(float(everything), abs=1e-9)
