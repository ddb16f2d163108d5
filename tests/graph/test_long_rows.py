"""Rows longer than what the float64 kernels take at a time: squared distances to the last bit.

The engine converts and divides rows in pieces, with a division of its own for what was float32 or
narrower, while it measures; the oracle divides whole rows with NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graph.test_tiles_core import METRICS, by_definition
from helpers.engine import every_level
from numpy.typing import NDArray

from ilo_fast import _core_testing

# Around one piece of 256 values and three of them, whole and broken lanes of 16, panels of 32.
DIMENSIONS = (31, 255, 256, 257, 272, 300, 513, 769)


def rows_of(rng: np.random.Generator, n: int, d: int, dtype: str) -> NDArray[Any]:
    """Ordinary rows, rows at the ends of the type's range, zeros of both signs, hard mantissas."""
    X = rng.standard_normal((n, d))
    X[rng.random((n, d)) < 0.05] = -0.0
    if dtype in ("float32", "bfloat16"):
        least = -140 if dtype == "float32" else -120  # no row of zeros
        X[: n // 4] *= 2.0 ** rng.integers(least, 120, (n // 4, 1))
        bits = X.astype(np.float32).view(np.uint32)
        bits[n // 4 : n // 2] |= rng.choice(np.array([0, 0x7F0000, 0x7FFFFF], np.uint32), d)
        return bits.view(np.float32)
    return X.astype(dtype)


@every_level
@pytest.mark.parametrize("metric", METRICS)
def test_squared_distances_of_long_rows_are_those_of_the_definition(metric: str, simd: str) -> None:
    seed = np.random.SeedSequence().entropy
    rng = np.random.default_rng(seed)
    k, n = 6, 52
    for d in DIMENSIONS:
        dtype = str(rng.choice(["float16", "bfloat16", "float32", "float32", "float64"]))
        X = rows_of(rng, n, d, dtype)
        given = X
        if dtype == "bfloat16":
            given = (X.view(np.uint32) >> 16).astype(np.uint16)
            X = (given.astype(np.uint32) << 16).view(np.float32)
        if rng.random() < 0.3:  # columns that do not touch
            wide = np.zeros((n, 2 * d), given.dtype)
            wide[:, ::2] = given
            given = wide[:, ::2]
        if metric == "euclidean":
            X, given = X[n // 4 :], given[n // 4 :]
        squared = by_definition(X, metric)
        np.fill_diagonal(squared, np.inf)
        wanted = np.argsort(squared, axis=1, kind="stable")[:, :k]
        indices, found, *_ = _core_testing.knn_tile(
            [given[None]], [], dtype, k, cosine=metric == "cosine", n_threads=1, simd=simd
        )
        message = f"seed {seed}, {d} {dtype}"
        np.testing.assert_array_equal(indices, wanted, err_msg=message)
        np.testing.assert_array_equal(
            found, np.take_along_axis(squared, wanted, axis=1), err_msg=message
        )
