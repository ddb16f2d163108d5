"""A log of rows is continued after an interruption; what follows damage is dropped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ilo_fast._util.arrays import read_array
from ilo_fast._util.row_log import RowLog

KEY, OTHER_KEY = "ab" * 32, "cd" * 32
VALUES = np.arange(2 * 5 * 3, dtype=np.float32).reshape(2, 5, 3)


def log_of(path: Path, *batches: list[int], key: str = KEY) -> RowLog:
    log = RowLog(path, key, VALUES.shape)
    for rows in batches:
        log.append(np.array(rows), VALUES[:, rows])
    return log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


def test_rows_in_any_order_become_the_array(path: Path) -> None:
    log = log_of(path, [4, 0], [2], [1, 3])
    sha256 = log.write_array(path.with_suffix(".npy"))
    found = read_array(path.with_suffix(".npy"), VALUES.shape, sha256)
    np.testing.assert_array_equal(found, VALUES)
    log.remove()
    assert not path.exists()


def test_array_with_missing_rows_is_refused(path: Path) -> None:
    log = log_of(path, [0, 1])
    with pytest.raises(RuntimeError, match="3 of 5 rows"):
        log.write_array(path.with_suffix(".npy"))
    log.close()


def test_log_is_continued(path: Path) -> None:
    log_of(path, [4, 0]).close()
    log = log_of(path)
    assert log.done.tolist() == [True, False, False, False, True]
    log.append(np.array([1, 2, 3]), VALUES[:, 1:4])
    log.write_array(path.with_suffix(".npy"))
    log.close()
    np.testing.assert_array_equal(np.load(path.with_suffix(".npy")), VALUES)


def test_log_of_another_key_is_started_anew(path: Path) -> None:
    log_of(path, [0, 1, 2]).close()
    log = log_of(path, key=OTHER_KEY)
    assert not log.done.any()
    log.close()
    assert path.stat().st_size == len(bytes.fromhex(OTHER_KEY))


def test_every_cut_loses_only_the_records_that_it_touches(path: Path) -> None:
    ends = []
    for batches in ([], [[0]], [[0], [1, 2]]):
        log_of(path, *batches).close()
        ends.append(path.stat().st_size)
        path.unlink()
    log_of(path, [0], [1, 2]).close()
    whole = path.read_bytes()
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        log = log_of(path)
        log.close()
        kept = sum(size >= end for end in ends[1:])
        assert log.done.sum() == (0, 1, 3)[kept], size
        assert path.stat().st_size == ends[kept]


def test_every_flipped_bit_loses_its_record_and_those_after(path: Path) -> None:
    log_of(path, [0]).close()
    first = path.stat().st_size
    path.unlink()
    log_of(path, [0], [1, 2]).close()
    whole = path.read_bytes()
    for at in range(len(whole)):
        data = bytearray(whole)
        data[at] ^= 1
        path.write_bytes(data)
        log = log_of(path)
        log.close()
        assert log.done.tolist() == [at >= first, False, False, False, False], at
