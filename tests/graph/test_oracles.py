"""The engine, and the oracle of the other tests, against arithmetic that neither of them uses.

``oracles/knn.py`` shares the engine's order of summation, and with it whatever is wrong with that.
Here rows are *separated*: each neighbour is so much further than the one before that rounding in
float64 cannot change their order, so that SciPy and whole numbers must find the same ones.
"""

from __future__ import annotations

import numpy as np
import pytest
from graph.test_knn import METRICS, core_graph
from oracles import exact
from oracles import knn as reference

K = 6
# From the 60 digits of the integers to float32, and from the engine's float64 to float32.
MOST_ULPS = 2
# Steps between neighbours, relative and absolute (of cosine distances, which SciPy takes from 1).
# Rounding in float64 is about 1e-15 of 1.
RELATIVE_STEP, ABSOLUTE_STEP = 1e-7, 1e-12
# As much of a common direction as leaves the type enough bits for what rows have of their own.
COMMON = {"bfloat16": 3, "float16": 20, "float32": 100, "float64": 100}


def stored(X, dtype):
    """The rows as the core takes them, and the float64 values that they stand for."""
    if dtype == "bfloat16":  # as bit patterns
        bits = (X.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
        return bits, (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    rows = X.astype(dtype)
    return rows, rows.astype(np.float64)


def make(name, rng, dtype):
    n, d = int(rng.integers(40, 110)), int(rng.choice([24, 50, 130]))
    X = rng.standard_normal((n, d))
    if name == "common direction":
        return X + COMMON[dtype] * rng.standard_normal(d)
    if name == "massive dimensions":
        X[:, rng.permutation(d)[:2]] *= 50
    if name == "falling spectrum":
        return X / np.arange(1, d + 1) @ np.linalg.qr(rng.standard_normal((d, d)))[0]
    return X


def separated(name, dtype, metric):
    """Rows as stored and as float64, SciPy's answer, a few rows, and the seed."""
    seed = np.random.SeedSequence().entropy
    rng = np.random.default_rng(seed)
    for _ in range(50):
        rows, values = stored(make(name, rng, dtype), dtype)
        indices, distances = exact.by_scipy(values, K + 1, metric)
        relative, absolute = exact.separation(distances)
        if relative > RELATIVE_STEP and absolute > ABSOLUTE_STEP:
            few = rng.permutation(len(rows))[:3]
            return rows, values, (indices[:, :K], distances[:, :K]), few, f"seed {seed}"
    raise AssertionError(f"seed {seed}: 50 draws, and all had near-ties")


def assert_agrees(got, values, by_scipy, few, metric, message):
    """Of all rows with SciPy, of a few with integers: equal neighbours, distances within ulps."""
    indices, distances = got
    np.testing.assert_array_equal(indices, by_scipy[0], err_msg=message)
    assert_within_ulps(distances, by_scipy[1], message)
    for row in few:
        neighbors, lengths = exact.by_integers(values, row, K, metric)
        assert indices[row].tolist() == neighbors, f"{message}, row {row}"
        assert_within_ulps(distances[row], lengths, f"{message}, row {row}")


def assert_within_ulps(got, wanted, message):
    got, wanted = np.asarray(got, np.float32), np.asarray(wanted, np.float32)
    ulps = np.abs(got - wanted) / np.spacing(wanted)
    assert ulps.max() <= MOST_ULPS, f"{message}: {ulps.max()} ulps"


def on_separated_rows(test):
    names = ("isotropic", "common direction", "massive dimensions", "falling spectrum")
    for argument, values in (("metric", METRICS), ("dtype", COMMON), ("name", names)):
        test = pytest.mark.parametrize(argument, values)(test)
    return test


@on_separated_rows
def test_the_engine_meets_scipy_and_integers(name, dtype, metric):
    rows, values, by_scipy, few, seed = separated(name, dtype, metric)
    for options in ({}, {"block_rows": 16, "max_memory": 1}, {"force_fallback": True}):
        indices, distances, *_ = core_graph(rows, K, metric, dtype, **options)
        message = f"{seed}, {rows.shape}, {options}"
        assert_agrees((indices, distances), values, by_scipy, few, metric, message)


@on_separated_rows
def test_the_oracle_meets_scipy_and_integers(name, dtype, metric):
    _, values, by_scipy, few, seed = separated(name, dtype, metric)
    got = reference.knn(values, K, metric)
    assert_agrees(got, values, by_scipy, few, metric, f"{seed}, {values.shape}")


@pytest.mark.parametrize("metric", METRICS)
def test_a_wrong_neighbour_or_distance_is_seen(metric):
    """The comparison above can fail: on two neighbours exchanged, on a distance 3 ulps off."""
    _, values, by_scipy, few, _ = separated("isotropic", "float32", metric)
    indices, distances = reference.knn(values, K, metric)
    exchanged = indices.copy()
    exchanged[few[0], [0, 1]] = exchanged[few[0], [1, 0]]
    with pytest.raises(AssertionError):
        assert_agrees((exchanged, distances), values, by_scipy, few, metric, "")
    off = distances.astype(np.float32)
    off[few[0], 0] += 3 * np.spacing(off[few[0], 0])
    with pytest.raises(AssertionError, match="ulps"):
        assert_agrees((indices, off), values, by_scipy, few, metric, "")
