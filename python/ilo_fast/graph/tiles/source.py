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

    A map that is private to the process, and may have been written to, counts as memory. So does
    one of a file that was replaced since: its name now stands for other rows. (Told on Linux alone;
    elsewhere the name is believed.)
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
    if first < 0 or last > size or _was_replaced(base, path):
        return None
    m, d = rows.shape
    return FileRows(path, size, offset, (m, d), (rows.strides[0], rows.strides[1]), rows.dtype.str)


def _was_replaced(mapped: NDArray[Any], path: str) -> bool:
    """Whether `path` is another file than the one that was mapped.

    Both as the kernel lists maps, since some file systems show other numbers of a file there than
    `os.stat` does. A mapped file keeps its number.
    """
    try:
        now = np.memmap(path, np.uint8, "r", shape=(1,))
        before, after = _file_at(mapped.ctypes.data), _file_at(now.ctypes.data)
    except (OSError, ValueError):
        return False
    return before != after


def _file_at(address: int) -> tuple[str, str]:
    """Device and inode of the file that is mapped at an address, from a list as Linux keeps it.

    Raises
    ------
    OSError, ValueError
        There is no such list; or nothing is mapped there.
    """
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        for line in maps:
            span, _, _, device, inode = line.split(maxsplit=5)[:5]
            begin, end = (int(at, 16) for at in span.split("-"))
            if begin <= address < end:
                return device, inode
    raise ValueError(f"nothing is mapped at {address:#x}")


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
