"""Lists of neighbours put together: any split, order, grouping and repetition gives one pass."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.engine import independent_of_forcing
from numpy.typing import NDArray

from ilo_fast import _core

pytestmark = independent_of_forcing

Lists = tuple[NDArray[np.int64], NDArray[np.float64]]


def empty(n: int, k: int) -> Lists:
    return np.full((n, k), -1, np.int64), np.full((n, k), np.inf)


def nearest(squared: NDArray[np.float64], columns: NDArray[np.int64], m: int) -> Lists:
    """Slow and obvious: the first m of some columns, by (squared distance, index), for each row."""
    indices, distances = empty(len(squared), m)
    for row, values in enumerate(squared):
        order = sorted((values[j], j) for j in columns)[:m]
        for place, (distance, j) in enumerate(order):
            indices[row, place], distances[row, place] = j, distance
    return indices, distances


def merge(into: Lists, rows: NDArray[np.int64], part: Lists, n_columns: int) -> None:
    _core.merge_neighbors(*into, rows, *part, n_columns=n_columns)


def same(a: Lists, b: Lists) -> bool:
    return a[0].tobytes() == b[0].tobytes() and a[1].tobytes() == b[1].tobytes()


def joined(x: Lists, y: Lists) -> Lists:
    out = x[0].copy(), x[1].copy()
    merge(out, np.arange(len(y[0])), y, 1000)
    return out


def test_any_split_order_and_repetition_gives_the_bytes_of_one_pass() -> None:
    for _ in range(60):
        seed = np.random.SeedSequence().entropy
        rng = np.random.default_rng(seed)
        n, columns, k = int(rng.integers(1, 12)), int(rng.integers(1, 40)), int(rng.integers(1, 9))
        # Few values, so that most distances tie; also 0 and numbers that differ in the last bit.
        values = np.array([0.0, 1.0, np.nextafter(1.0, 2), 2.0, 1e-300, 1e300])
        squared = rng.choice(values, (n, columns))
        wanted = nearest(squared, np.arange(columns), k)
        # Parts that overlap and cover all, each with at least k places or all of its columns.
        owner = rng.integers(0, 5, columns)
        parts = [np.flatnonzero(owner == p) for p in range(5)]
        parts += [rng.permutation(columns)[: int(rng.integers(1, columns + 1))] for _ in range(3)]
        got = empty(n, k)
        for p in rng.permutation(np.repeat(np.arange(len(parts)), 2)):
            rows = rng.permutation(n)
            m = k + int(rng.integers(0, 3))
            merge(got, rows, nearest(squared[rows], parts[p], m), columns)
        assert same(got, wanted), seed


def test_grouping_does_not_matter() -> None:
    """Associative, commutative, idempotent, with the empty list as its unit: on whole states."""
    for _ in range(40):
        seed = np.random.SeedSequence().entropy
        rng = np.random.default_rng(seed)
        n, columns, k = 6, 30, int(rng.integers(1, 7))
        squared = rng.integers(0, 5, (n, columns)).astype(np.float64)
        a, b, c = (nearest(squared, rng.permutation(columns)[: int(rng.integers(0, 20))], k)
                   for _ in range(3))  # fmt: skip
        assert same(joined(joined(a, b), c), joined(a, joined(b, c))), seed
        assert same(joined(a, b), joined(b, a)), seed
        assert same(joined(joined(a, b), b), joined(a, b)), seed
        assert same(joined(a, a), a) and same(joined(a, empty(n, k)), a), seed
        assert same(joined(empty(n, k), a), a), seed


def test_a_row_may_come_twice_in_one_part() -> None:
    got = empty(2, 2)
    part = np.array([[3, 4], [1, 3]]), np.array([[1.0, 2.0], [0.5, 1.0]])
    merge(got, np.array([1, 1]), part, 5)
    assert got[0].tolist() == [[-1, -1], [1, 3]]
    assert got[1].tolist() == [[np.inf, np.inf], [0.5, 1.0]]


@pytest.mark.parametrize(
    ("rows", "indices", "squared", "message"),
    [
        ([2], [[0, 1]], [[0.0, 1.0]], r"rows\[0\]=2 is not in \[0, 2\)"),
        ([-1], [[0, 1]], [[0.0, 1.0]], r"rows\[0\]=-1"),
        ([0], [[0, 5]], [[0.0, 1.0]], r"for row 0 the neighbour 5"),
        ([0], [[0, -1]], [[0.0, 1.0]], r"-1 and infinity"),
        ([0], [[0, 1]], [[0.0, np.nan]], r"nan"),
        ([0], [[0, 1]], [[-1.0, 0.0]], r"-1"),
        ([0], [[1, 0]], [[1.0, 1.0]], r"neighbours 1 and 0 of row 0 out of order"),
        ([0], [[-1, 0]], [[np.inf, 1.0]], r"out of order"),
        ([0], [[1, 1]], [[1.0, 1.0]], r"out of order"),
        ([0], [[1, 1]], [[1.0, 2.0]], r"neighbour 1 of row 0 at the squared distances 1 and 2"),
        ([0, 1], [[0, 1]], [[0.0, 1.0]], r"rows has shape \(2,\), wanted \(1,\)"),
        ([0], [[0, 1]], [[0.0]], r"one shape"),
    ],
)
def test_what_can_be_no_part_is_refused(rows, indices, squared, message) -> None:
    got = empty(2, 2)
    before = got[0].copy(), got[1].copy()
    part = np.array(indices, np.int64), np.array(squared)
    with pytest.raises(ValueError, match=message):
        merge(got, np.array(rows), part, 5)
    assert same(got, before)


def test_parts_that_saw_different_rows_are_told() -> None:
    got = empty(1, 3)
    row = np.array([0])
    merge(got, row, (np.array([[4, 2]]), np.array([[1.0, 3.0]])), 5)
    with pytest.raises(ValueError, match=r"neighbour 4 of row 0 .* 1 and 2: they saw different"):
        merge(got, row, (np.array([[4]]), np.array([[2.0]])), 5)


def test_a_part_that_is_refused_changes_no_row() -> None:
    """Also where the conflict is in its last row, and another row of it comes twice."""
    got = empty(3, 2)
    merge(got, np.array([2, 0]), (np.array([[4], [1]]), np.array([[1.0], [3.0]])), 5)
    before = got[0].copy(), got[1].copy()
    rows = np.array([0, 1, 0, 2])
    part = np.array([[2], [3], [0], [4]]), np.array([[1.0], [1.0], [0.5], [2.0]])
    with pytest.raises(ValueError, match="neighbour 4 of row 2"):
        merge(got, rows, part, 5)
    assert same(got, before)
    merge(got, rows[:3], (part[0][:3], part[1][:3]), 5)
    assert got[0].tolist() == [[0, 2], [3, -1], [4, -1]]


def test_only_arrays_that_can_be_written_to_are_merged_into() -> None:
    indices, squared = empty(2, 2)
    part = np.array([[0]]), np.array([[1.0]])
    with pytest.raises(TypeError):  # a converted copy would be lost
        merge((indices.astype(np.int32), squared), np.array([0]), part, 5)
    with pytest.raises(TypeError):
        merge((indices.T, squared.T), np.array([0]), part, 5)
    squared.flags.writeable = False
    with pytest.raises(ValueError):
        merge((indices, squared), np.array([0]), part, 5)
