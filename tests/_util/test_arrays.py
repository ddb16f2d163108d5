"""Array files are written plane by plane and refused when a byte is not as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ilo_fast._util.arrays import DamagedFileError, read_array, write_array

VALUES = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.npy"


@pytest.mark.parametrize("mmap", [True, False])
def test_array_is_read_back_read_only(path: Path, mmap: bool) -> None:
    sha256 = write_array(path, VALUES.shape, lambda i: VALUES[i])
    found = read_array(path, VALUES.shape, sha256, mmap=mmap)
    assert isinstance(found, np.memmap) == mmap and not found.flags.writeable
    np.testing.assert_array_equal(found, VALUES)
    np.testing.assert_array_equal(np.load(path, allow_pickle=False), VALUES)


def test_plane_of_another_shape_is_refused_and_nothing_is_written(path: Path) -> None:
    with pytest.raises(ValueError, match=r"plane 1 has shape \(1, 4\), expected \(3, 4\)"):
        write_array(path, VALUES.shape, lambda i: VALUES[i, : 3 - 2 * i])
    assert list(path.parent.iterdir()) == []


def test_damage_is_named(path: Path) -> None:
    sha256 = write_array(path, VALUES.shape, lambda i: VALUES[i])
    with pytest.raises(DamagedFileError, match=r"shape \(2, 3, 4\), its manifest says"):
        read_array(path, (3, 2, 4), sha256)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedFileError, match=r"a\.npy is damaged"):
        read_array(path, VALUES.shape, sha256)
    path.unlink()
    with pytest.raises(DamagedFileError, match=r"a\.npy is missing"):
        read_array(path, VALUES.shape, sha256)
