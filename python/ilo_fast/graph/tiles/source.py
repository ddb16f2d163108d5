"""Where the rows of a block are: in files that can be mapped anywhere, or in this process."""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast.graph.arrays import Stack

Rows = NDArray[Any]  # (m, d)


@dataclass(frozen=True)
class FileRows:
    """Rows (m, d) that lie in a file, wherever it is mapped.

    Attributes
    ----------
    path
        Absolute.
    size
        Bytes of the whole file: another file of the same name is told by it, or by its content.
    offset
        Of the first value, in bytes.
    shape, strides, dtype
        As NumPy has them.
    """

    path: str
    size: int
    offset: int
    shape: tuple[int, int]
    strides: tuple[int, int]
    dtype: str

    def open(self) -> Rows:
        """The rows, mapped: only those that are looked at are read.

        Raises
        ------
        FileNotFoundError, ValueError
            There is no such file here, or one of another size.
        """
        try:
            found = os.stat(self.path).st_size
        except OSError as error:
            raise FileNotFoundError(
                error.errno, f"cannot be seen from here ({error.strerror})", self.path
            ) from error
        if found != self.size:
            raise ValueError(
                f"{self.path} has {found} bytes here, {self.size} where the graph was asked for"
            )
        values = np.memmap(self.path, np.uint8, "r")
        return np.ndarray(self.shape, self.dtype, values, self.offset, self.strides)


def in_file(rows: Rows) -> FileRows | None:
    """The file that rows (m, d) are mapped from; None where they are in this process's memory.

    A map that is private to the process, and may have been written to, counts as memory.
    """
    base: Any = rows
    while base is not None and not _is_root(base):
        base = getattr(base, "base", None)
    if base is None or base.filename is None or base.mode == "c":
        return None
    path = os.path.abspath(base.filename)
    offset = base.offset + rows.ctypes.data - base.ctypes.data
    try:
        size = os.stat(path).st_size
    except OSError:  # the file was unlinked; its content is still here
        return None
    steps = [step * (length - 1) for length, step in zip(rows.shape, rows.strides, strict=True)]
    first = offset + sum(min(0, step) for step in steps)
    last = offset + sum(max(0, step) for step in steps) + rows.itemsize
    if first < 0 or last > size:
        return None
    m, d = rows.shape
    return FileRows(path, size, offset, (m, d), (rows.strides[0], rows.strides[1]), rows.dtype.str)


def _is_root(array: Any) -> bool:
    """Whether an array is a map itself, not a view of one."""
    return isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap)


def block_rows(stacks: Sequence[Stack], layer: int, begin: int, end: int) -> list[Rows]:
    """Rows [begin, end) of one layer, which lies in several arrays one after the other."""
    found, start = [], 0
    for stack in stacks:
        n = stack.values.shape[1]
        own = slice(max(0, begin - start), min(n, end - start))
        if own.start < own.stop:
            found.append(stack.values[layer, own])
        start += n
    return found
