"""Centred kernel alignment against its definition on n x n kernels, and against all orders."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from oracles import companions as oracle

from ilo_fast.scores.similarity import cka
from ilo_fast.scores.similarity.cka import Centred, Products, alignment_chance


def definition(unbiased):
    return oracle.unbiased_cka if unbiased else oracle.gram_cka


def some(rng, n, d, shift=3.0):
    return rng.standard_normal((n, d)) * rng.gamma(1, 2, d) + shift * rng.standard_normal(d)


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize(("n", "d", "e"), [(40, 5, 7), (12, 60, 30), (30, 30, 1), (5, 2, 90)])
def test_equals_the_definition_in_either_form(rng, n, d, e, unbiased):
    X, Y = some(rng, n, d), some(rng, n, e)
    Y[:, 0] += X[:, 0]
    wanted = definition(unbiased)(X, Y)
    assert float(cka(X, Y, unbiased=unbiased)) == pytest.approx(wanted, rel=1e-9, abs=1e-12)
    narrow = cka(X.astype(np.float32), Y.astype(np.float32), unbiased=unbiased)
    assert float(narrow) == pytest.approx(wanted, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("unbiased", [False, True])
def test_all_pairs_of_layers_equal_pair_by_pair(rng, unbiased):
    X, Y = rng.standard_normal((3, 20, 6)), rng.standard_normal((2, 20, 40))
    Y[:, :, :6] += X[:2]
    for a, b in ((X, Y), (X, X), (Y, Y)):
        wanted = [[definition(unbiased)(x, y) for y in b] for x in a]
        found = cka(a, None if a is b else b, unbiased=unbiased)
        np.testing.assert_allclose(found.values, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n", [700, 5000])
def test_many_rows_in_blocks_equal_the_definition(rng, n):
    X = some(rng, n, 3).astype(np.float32)
    Y = (X @ rng.standard_normal((3, 4))).astype(np.float32)
    Xc, Yc = X - X.mean(axis=0, dtype=float), Y - Y.mean(axis=0, dtype=float)
    wanted = np.sum((Yc.T @ Xc) ** 2) / np.sqrt(np.sum((Xc.T @ Xc) ** 2) * np.sum((Yc.T @ Yc) ** 2))
    assert float(cka(X, Y)) == pytest.approx(wanted, rel=1e-5)
    # Many arrays go by way of kernels, some rows at a time.
    many = np.stack([X[:700] * (1 + i) ** np.arange(3) for i in range(20)])
    wide = np.concatenate([many, rng.standard_normal((20, 700, 60))], axis=2).astype(np.float32)
    found = cka(wide).values
    pair = cka(wide[3].astype(np.float64), wide[17].astype(np.float64))
    assert found[3, 17] == pytest.approx(float(pair), rel=1e-5)


@pytest.mark.parametrize("unbiased", [False, True])
def test_chance_and_z_are_those_over_all_orders_of_the_rows(rng, unbiased):
    X = rng.standard_normal((5, 3)) ** 3
    Y = rng.standard_normal((5, 2)) + rng.standard_normal((5, 1)) ** 2
    orders = [Y[list(order)] for order in permutations(range(5))]
    values = [float(cka(X, order, unbiased=unbiased)) for order in orders]
    found = cka(X, Y, unbiased=unbiased)
    assert float(found.chance) == pytest.approx(np.mean(values), abs=1e-12)
    wanted = (found.values - np.mean(values)) / np.std(values)
    assert float(found.z) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("d", [3, 400])  # by features, by kernels
def test_chance_is_the_same_after_a_comparison_and_without_one(rng, d):
    """A kernel's product with itself is kept: it must be what would be found anew."""
    X, Y = rng.standard_normal((2, 30, d))
    compared = [Centred.of(X)], [Centred.of(Y)]
    Products.of(*compared)
    fresh = [Centred.of(X)], [Centred.of(Y)]
    for kept, anew in zip(
        alignment_chance(*compared, unbiased=False), alignment_chance(*fresh, unbiased=False),
        strict=True,
    ):  # fmt: skip
        np.testing.assert_allclose(kept, anew, rtol=1e-12)


def test_unbiased_finds_nothing_where_there_is_nothing(rng):
    """The biased one is near 1 for few sentences in many dimensions."""
    X, Y = rng.standard_normal((2, 50, 500))
    assert float(cka(X, Y)) > 0.8
    assert abs(float(cka(X, Y, unbiased=True))) < 5 * np.sqrt(2 / (50 * 47))


@pytest.mark.parametrize("unbiased", [False, True])
def test_turning_shifting_scaling_and_reordering_change_nothing(rng, unbiased):
    X, Y = some(rng, 30, 6), some(rng, 30, 9)
    Y[:, :6] += X
    turn = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    order = rng.permutation(30)
    wanted = float(cka(X, Y, unbiased=unbiased))
    for other in (X @ turn, 1e-3 * X, X + 10, (X @ turn * 7 - 5)):
        assert float(cka(other, Y, unbiased=unbiased)) == pytest.approx(wanted, rel=1e-9)
    assert float(cka(X[order], Y[order], unbiased=unbiased)) == pytest.approx(wanted, rel=1e-9)
    assert float(cka(X, 3 * X @ turn, unbiased=unbiased)) == pytest.approx(1, rel=1e-12)
    assert float(cka(Y, X, unbiased=unbiased)) == pytest.approx(wanted, rel=1e-12)


def test_a_large_common_part_does_not_cost_precision(rng):
    X, Y = rng.standard_normal((2, 60, 5)).astype(np.float32)
    shifted = (X.astype(np.float64) + 1000).astype(np.float32)
    wanted = oracle.gram_cka(shifted.astype(np.float64), Y.astype(np.float64))
    assert float(cka(shifted, Y)) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_huge_and_tiny_numbers_neither_over_nor_underflow(rng, scale):
    X, Y = rng.standard_normal((2, 20, 4))
    assert float(cka(scale * X, Y)) == pytest.approx(float(cka(X, Y)), rel=1e-9)


@pytest.mark.parametrize("unbiased", [False, True])
def test_rows_that_are_all_the_same_have_no_alignment(rng, unbiased):
    X = np.full((20, 3), 0.1, np.float32)
    found = cka(X, rng.standard_normal((20, 3)), unbiased=unbiased)
    assert np.isnan(found.values)


def test_too_few_rows_are_refused(rng):
    with pytest.raises(ValueError, match="needs 4"):
        cka(*rng.standard_normal((2, 3, 3)), unbiased=True)


def test_intervals_hold_the_value(rng):
    X = rng.standard_normal((100, 4))
    Y = X + rng.standard_normal((100, 4))
    found = cka(X, Y, intervals=True)
    assert 0 <= found.low < found.values < found.high <= 1


def test_agrees_with_pytorch_cka(rng):
    """It has the unbiased one alone, cut to 0."""
    reference = pytest.importorskip("cka", reason="pytorch-cka is not installed")
    torch = pytest.importorskip("torch")
    if not hasattr(reference, "cka_from_features"):
        pytest.skip("another package is called cka")
    X = rng.standard_normal((3, 30, 6)) + 2
    Y = np.concatenate([X[:2], rng.standard_normal((2, 30, 5))], axis=2)
    wanted = reference.cka_from_features(torch.from_numpy(X), torch.from_numpy(Y)).numpy()
    found = np.maximum(cka(X, Y, unbiased=True).values, 0)
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-9)


def test_agrees_with_repsim(rng):
    """Its estimator "gretton"; its "song" is not equation 5 of Song et al."""
    repsim = pytest.importorskip("repsim", reason="repsim is not installed")
    X = some(rng, 30, 6)
    Y = np.hstack([X[:, :3], some(rng, 30, 9)])
    wanted = repsim.cka([X, Y], "linear", "gretton")[0, 1]
    assert float(cka(X, Y)) == pytest.approx(wanted, rel=1e-6)
