"""Rows that lie in files, found again by name, offset and strides; and those that do not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ilo_fast import knn_graph
from ilo_fast.graph.arrays import as_stack
from ilo_fast.graph.tiles.source import block_rows, in_file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "x.npy"
    np.save(path, np.arange(3 * 40 * 6, dtype=np.float32).reshape(3, 40, 6))
    return path


def again(rows: NDArray[Any]) -> NDArray[Any]:
    found = in_file(rows)
    assert found is not None
    return found.open()


def test_any_view_of_a_map_is_found_in_its_file(file: Path) -> None:
    X = np.load(file, mmap_mode="r")
    views = [
        X[1], X[2, 5:9], np.asarray(X)[0, ::3], X[1, ::-1], X[0, :, ::2], X[0, 3:4], X[:, 7],
        np.asarray(X)[None][0, 2, 30:], X.transpose(0, 2, 1)[1], as_stack(X[2]).values[0, 4:],
        X[1, :, ::-1], X[..., 3],
    ]  # fmt: skip
    for view in views:
        np.testing.assert_array_equal(again(view), view)
        assert not again(view).flags.writeable
    whole = np.memmap(file, np.float32, "r", offset=128, shape=(120, 6))
    np.testing.assert_array_equal(again(whole[77:]), whole[77:])


def test_what_is_in_memory_is_in_no_file(file: Path) -> None:
    X = np.load(file, mmap_mode="r")
    assert in_file(X[0].copy()) is None
    assert in_file(np.zeros((3, 2))) is None
    private = np.load(file, mmap_mode="c")
    private[0, 0, 0] = -1  # of this process alone
    assert in_file(private[0]) is None
    file.unlink()
    assert in_file(X[0]) is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere maps are not listed")
def test_rows_of_a_file_that_was_replaced_are_those_that_were_mapped(file: Path) -> None:
    X = np.load(file, mmap_mode="r")
    other = np.load(file)
    other[0, 3, 3] += 1  # all else is as it was
    np.save(file.with_name("y.npy"), other)
    assert in_file(X[0]) is not None
    file.with_name("y.npy").replace(file)
    assert in_file(X[0]) is None  # so the rows are handed over, not the name
    assert in_file(np.load(file, mmap_mode="r")[0]) is not None
    with open(file, "r+b") as out:  # written to in place, it is one file: the map shows it, too
        out.seek(-4, 2)
        out.write(b"1234")
    assert in_file(np.load(file, mmap_mode="r")[0]) is not None


def test_another_file_of_that_name_is_told(file: Path) -> None:
    found = in_file(np.load(file, mmap_mode="r")[0])
    assert found is not None
    with open(file, "ab") as out:
        out.write(b"more")
    with pytest.raises(ValueError, match=r"has 3012 bytes here, 3008 where"):
        found.open()
    file.unlink()
    with pytest.raises(FileNotFoundError, match="cannot be seen from here"):
        found.open()


def test_a_block_may_lie_in_several_arrays() -> None:
    parts = [np.arange(2 * n * 3.0).reshape(2, n, 3) + 1000 * n for n in (4, 1, 6)]
    stacks = [as_stack(part) for part in parts]
    whole = np.concatenate(parts, axis=1)
    for begin in range(11):
        for end in range(begin + 1, 12):
            found = block_rows(stacks, 1, begin, end)
            np.testing.assert_array_equal(np.concatenate(found), whole[1, begin:end])
            assert all(len(part) for part in found)


def test_a_path_stands_for_its_rows(file: Path, tmp_path: Path) -> None:
    X = np.load(file)
    assert knn_graph(file, 3, metric="euclidean") == knn_graph(X, 3, metric="euclidean")
    assert knn_graph(str(file), 3) == knn_graph(X, 3)
    with pytest.raises(FileNotFoundError, match="nosuch"):
        knn_graph(tmp_path / "nosuch.npy")
    (tmp_path / "text").write_text("no array")
    with pytest.raises(ValueError, match=r"cannot be mapped as a \.npy file"):
        knn_graph(tmp_path / "text")
    np.savez(tmp_path / "several.npz", X=X)
    with pytest.raises(ValueError, match=r"cannot be mapped as a \.npy file"):
        knn_graph(tmp_path / "several.npz")
