"""Parts of a graph: exact among their own rows, and together the graph of all rows to the bit."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from helpers.engine import LEVELS, every_level, independent_of_forcing
from numpy.typing import NDArray
from oracles import knn as reference

from ilo_fast import _core, _core_testing, knn_graph

METRICS = ("cosine", "euclidean")
DTYPES = ("float16", "float32", "float64")


def hard_rows(rng: np.random.Generator, n: int, d: int, dtype: str) -> NDArray[Any]:
    """One common direction, near-duplicates, exact ones, far-off rows, and ties on a grid."""
    X = rng.standard_normal((n, d)) + 30 * rng.standard_normal(d)
    X[rng.integers(0, n, n // 8)] *= 1 + 1e-6
    near = rng.integers(0, n, n // 4)
    X[near] = X[near[0]] + 1e-7 * rng.standard_normal((len(near), d))
    X[rng.integers(0, n, n // 4)] = X[rng.integers(0, n, n // 4)]
    X[rng.integers(0, n, max(1, n // 50))] *= 50
    grid = rng.integers(0, n, n // 4)
    X[grid] = rng.integers(-1, 2, (len(grid), d)) + 0.5
    return X.astype(dtype)


def by_definition(X: NDArray[Any], metric: str) -> NDArray[np.float64]:
    """Squared distances of all pairs as the definition computes them."""
    U, multiplier = reference.as_definition(X.astype(np.float64), metric)
    assert multiplier == 1
    return np.stack([reference.lane_sum((U - u) ** 2) for u in U])


def nearest(
    squared: NDArray[np.float64], rows: NDArray[np.int64], columns: NDArray[np.int64], k: int
) -> tuple[list[list[int]], list[list[float]]]:
    """For each of `rows` the places in `columns` of its k nearest others among them."""
    indices, distances = [], []
    for row in rows:
        order = sorted(
            (squared[row, column], place) for place, column in enumerate(columns) if column != row
        )[:k]
        indices.append([place for _, place in order])
        distances.append([distance for distance, _ in order])
    return indices, distances


@every_level
@pytest.mark.parametrize("metric", METRICS)
def test_both_sides_equal_float64_brute_force_on_every_path(metric: str, simd: str) -> None:
    for dtype in DTYPES:
        seed = np.random.SeedSequence().entropy
        rng = np.random.default_rng(seed)
        n, m, d = int(rng.integers(1, 130)), int(rng.integers(1, 130)), int(rng.integers(1, 40))
        k = int(rng.choice([1, 5, 200]))
        X = hard_rows(rng, n + m, d, dtype)
        X = X[rng.permutation(n + m)]
        squared = by_definition(X, metric)
        first, second = np.arange(n), np.arange(n, n + m)
        wanted = [*nearest(squared, first, second, k), *nearest(squared, second, first, k)]
        alone = nearest(squared, first, first, k)
        for options in (
            {},
            {"block_rows": 16},
            {"block_rows": 16, "max_memory": 1, "n_threads": 3},
            {"block_rows": 16, "max_candidates": 1},
            {"force_fallback": True},
            {"force_fallback": True, "block_rows": 16, "max_memory": 1},
        ):
            message = f"{seed}, n={n}, m={m}, d={d}, k={k}, {dtype}, {options}"
            given: dict[str, Any] = {
                "cosine": metric == "cosine", "simd": simd, "n_threads": 1, **options,
            }  # fmt: skip
            cut = X[None, : n // 2], X[None, n // 2 : n]  # a side may lie in several arrays
            sides = [part for part in cut if part.shape[1]], [X[None, n:]]
            *found, info, ran = _core_testing.knn_tile(*sides, dtype, k, **given)
            assert [part.tolist() for part in found] == wanted, message
            assert ran == simd
            assert info["certified_rows"] + info["widened_rows"] == n + m, message
            if "force_fallback" in options:
                assert info["widened_rows"] == n + m, message
            if n > 1:
                *found, info, _ = _core_testing.knn_tile(sides[0], [], dtype, k, **given)
                assert (found[0].tolist(), found[1].tolist()) == alone, message
                assert found[2] is None and found[3] is None


@every_level
def test_the_filter_certifies_most_rows_of_both_sides(simd: str) -> None:
    seed = np.random.SeedSequence().entropy
    rng = np.random.default_rng(seed)
    common = 1000 * rng.standard_normal(128)
    X, Y = ((common + rng.standard_normal((1, n, 128))).astype(np.float32) for n in (900, 700))
    *_, info, _ = _core_testing.knn_tile(
        [X], [Y], "float32", 5, cosine=False, n_threads=1, simd=simd
    )
    assert info["certified_rows"] > 0.9 * 1600, seed
    assert info["candidates_per_row"] < 60, seed


@independent_of_forcing
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_tiles_that_cover_all_pairs_merge_into_the_graph(metric: str, dtype: str) -> None:
    """Tiles, each on an instruction set of its own, some of them twice, in any order."""
    seed = np.random.SeedSequence().entropy
    rng = np.random.default_rng(seed)
    n, d, k = 400, 24, 7
    X = hard_rows(rng, n, d, dtype)
    ends = [0, *sorted(rng.choice(np.arange(1, n), 3, replace=False).tolist()), n]
    blocks = list(itertools.pairwise(ends))
    tiles = [(i, j) for i in range(4) for j in range(i, 4)]
    indices, squared = np.full((n, k), -1), np.full((n, k), np.inf)
    prints: dict[int, set[int]] = {i: set() for i in range(4)}
    for t in rng.permutation(np.repeat(np.arange(len(tiles)), 2)):
        i, j = tiles[t]
        (a, b), (c, e) = blocks[i], blocks[j]
        if i == j and b - a == 1:
            continue
        second = [] if i == j else [X[None, c:e]]
        simd = str(rng.choice(LEVELS))
        found = _core_testing.knn_tile(
            [X[None, a:b]], second, dtype, k, cosine=metric == "cosine", n_threads=2, simd=simd
        )
        prints[i].add(found[4]["fingerprints"][0])
        prints[j].add(found[4]["fingerprints"][1])
        merge = _core.merge_neighbors
        merge(indices, squared, np.arange(a, b), found[0] + c, found[1], n_columns=n)
        if second:
            merge(indices, squared, np.arange(c, e), found[2] + a, found[3], n_columns=n)
    whole = knn_graph(X, k, metric=metric)
    np.testing.assert_array_equal(indices, whole.indices, err_msg=str(seed))
    distances = squared / 2 if metric == "cosine" else np.sqrt(squared)
    assert distances.astype(np.float32).tobytes() == whole.distances.tobytes(), seed
    for (a, b), found in zip(blocks, prints.values(), strict=True):
        alone = _core.rows_fingerprint(
            [X[None, a:b]], dtype, cosine=metric == "cosine", n_threads=1
        )
        assert found == {alone}, seed


@independent_of_forcing
def test_the_fingerprint_is_of_values_and_their_order() -> None:
    rng = np.random.default_rng()
    X = rng.standard_normal((1, 50, 6))

    def of(rows: NDArray[Any], *parts: NDArray[Any]) -> int:
        return _core.rows_fingerprint([rows, *parts], "float64", cosine=False, n_threads=1)

    assert of(X) == of(X.copy()) == of(X[:, :20], X[:, 20:])
    other = X.copy()
    other[0, 49, 5] = np.nextafter(other[0, 49, 5], 9)
    assert len({of(X), of(other), of(X[:, ::-1]), of(X[:, :49])}) == 4


@independent_of_forcing
def test_refused() -> None:
    X = np.ones((1, 4, 3), np.float32) + np.arange(4, dtype=np.float32)[None, :, None]
    bad = X.copy()
    bad[0, 2, 1] = np.nan

    def tile(first: Any, second: Any, k: int = 2, dtype: str = "float32") -> Any:
        return _core.knn_tile(first, second, dtype, k, cosine=False, n_threads=1)

    for first, second, row in (([bad], [X], 2), ([X], [bad], 6), ([bad], [], 2)):
        with pytest.raises(ValueError, match="holds NaN") as caught:
            tile(first, second)
        assert caught.value.row == row  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="first holds one row"):
        tile([X[:, :1]], [])
    with pytest.raises(ValueError, match="n_neighbors=0 must be at least 1"):
        tile([X], [X], 0)
    with pytest.raises(ValueError, match=r"an array of second has shape \(2, 4, 3\)"):
        tile([X], [np.ones((2, 4, 3), np.float32)])
    with pytest.raises(ValueError, match="first holds no rows"):
        tile([], [X])
    for scale in (1e200, 1e-200):
        with pytest.raises(ValueError, match="scale X, or use backend='exact'"):
            tile([X.astype(np.float64) * scale], [], dtype="float64")


def test_ties_go_to_the_lower_row_of_the_other_side() -> None:
    first = np.array([[[1, 0], [0, 1], [0, 0]]], np.float32)
    second = np.array([[[0, 1], [1, 0]]], np.float32)
    indices = _core.knn_tile([first], [second], "float32", 1, cosine=False, n_threads=1)[0]
    assert indices.tolist() == [[1], [0], [0]]


@pytest.mark.parametrize("n_threads", [0, -1])
def test_a_fingerprint_wants_threads(n_threads: int) -> None:
    rows = np.ones((1, 3, 2), np.float32)
    with pytest.raises(ValueError, match="n_threads"):
        _core.rows_fingerprint([rows], "float32", cosine=False, n_threads=n_threads)
