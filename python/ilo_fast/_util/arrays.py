"""Float32 arrays in ``.npy`` files whose every byte is checked when they are opened."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.files import replace_atomically
from ilo_fast._util.hashing import hash_file


class DamagedFileError(ValueError):
    """A file is not what its manifest says: truncated, altered, or missing."""


def write_array(
    path: Path, shape: tuple[int, int, int], plane: Callable[[int], NDArray[np.float32]]
) -> str:
    """Write a float32 ``.npy`` file atomically, one plane at a time.

    Parameters
    ----------
    shape
        (planes, rows, columns).
    plane
        Returns plane i, an array (rows, columns).

    Returns
    -------
    str
        SHA-256 of the file.
    """
    sha = hashlib.sha256()
    header = array_header(shape)
    with replace_atomically(path, 4 * int(np.prod(shape))) as file:
        sha.update(header)
        file.write(header)
        for i in range(shape[0]):
            data = np.ascontiguousarray(plane(i), dtype="<f4")
            if data.shape != shape[1:]:
                raise ValueError(f"plane {i} has shape {data.shape}, expected {shape[1:]}")
            view = data.reshape(-1).view(np.uint8).data
            sha.update(view)
            file.write(view)
    return sha.hexdigest()


def array_header(shape: tuple[int, int, int]) -> bytes:
    """What stands before the values in a float32 ``.npy`` file."""
    header = io.BytesIO()
    description = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, description)
    return header.getvalue()


def read_array(
    path: Path, shape: Sequence[int], sha256: str, *, mmap: bool = True
) -> NDArray[np.float32]:
    """Open a file that :func:`write_array` wrote, read-only, after checking every byte.

    Raises
    ------
    DamagedFileError
        The file is absent, truncated, altered, or of another shape.
    """
    try:
        found = hash_file(path)
    except FileNotFoundError as error:
        raise DamagedFileError(f"{path} is missing") from error
    if found != sha256:
        raise DamagedFileError(f"{path} is damaged: its content is not what its manifest says")
    array: NDArray[np.float32] = np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
    if array.shape != tuple(shape) or array.dtype != np.float32:
        raise DamagedFileError(
            f"{path} holds {array.dtype} of shape {array.shape}, its manifest says float32 of "
            f"shape {tuple(shape)}"
        )
    array.flags.writeable = False
    return array
