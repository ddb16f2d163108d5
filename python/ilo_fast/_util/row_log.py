"""A log of finished rows of an array, so that an interrupted computation continues where it was.

The log begins with a key: the content hash of what the rows are computed from. Each record holds a
few rows and a checksum. A log with another key is started anew; what follows the first damaged
record is dropped, and its rows have to be computed again.
"""

from __future__ import annotations

import logging
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.arrays import write_array

logger = logging.getLogger(__name__)

_RECORD = struct.Struct("<4sIQ")  # magic, CRC-32 of what follows, number of rows
_MAGIC = b"ILO1"


class _Record(NamedTuple):
    rows: NDArray[np.int64]
    block: NDArray[np.float32]  # (planes, rows, columns)
    end: int


def _no_link(path: str, flags: int) -> int:
    """Open a file under a name that others may know, but no file elsewhere through a link."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


class RowLog:
    """The log of one float32 array (planes, rows, columns), opened for appending.

    Parameters
    ----------
    path
        The file; continued where it exists and has the same `key`.
    key
        Content hash in hexadecimal.
    shape
        Shape of the whole array.

    Attributes
    ----------
    done : ndarray of bool
        True for each row in the log.
    """

    def __init__(self, path: Path, key: str, shape: tuple[int, int, int]) -> None:
        self.path = path
        self.shape = shape
        self.done = np.zeros(shape[1], dtype=bool)
        self._head = bytes.fromhex(key)
        end = self._recover()
        self._file: IO[bytes] = open(path, "r+b" if end else "w+b", opener=_no_link)  # noqa: SIM115
        self._file.truncate(end)
        self._file.seek(end)
        if not end:
            self._file.write(self._head)
            self._file.flush()

    def append(self, rows: NDArray[np.int64], block: NDArray[np.float32]) -> None:
        """Add `block` (planes, len(rows), columns) as the given rows.

        Raises
        ------
        OSError
            The disk is full. The records before this one stay.
        """
        index = np.ascontiguousarray(rows, dtype="<i8").tobytes()
        data = np.ascontiguousarray(block, dtype="<f4").reshape(-1).view(np.uint8).data
        checksum = zlib.crc32(data, zlib.crc32(index))
        self._file.write(_RECORD.pack(_MAGIC, checksum, len(rows)))
        self._file.write(index)
        self._file.write(data)
        self._file.flush()
        self.done[rows] = True

    def write_array(self, path: Path) -> str:
        """Write the whole array as an ``.npy`` file; returns its SHA-256.

        Raises
        ------
        RuntimeError
            Rows are missing.
        """
        missing = int((~self.done).sum())
        if missing:
            raise RuntimeError(f"{missing} of {len(self.done)} rows are not in {self.path} yet")
        records = list(self._records(np.memmap(self.path, dtype=np.uint8, mode="r")))

        def plane(i: int) -> NDArray[np.float32]:
            values = np.empty(self.shape[1:], dtype=np.float32)
            for record in records:
                values[record.rows] = record.block[i]
            return values

        return write_array(path, self.shape, plane)

    def close(self) -> None:
        """Close the file; it stays."""
        self._file.close()

    def remove(self) -> None:
        """Close and delete the file."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _recover(self) -> int:
        """Mark the rows of an earlier log; returns where its last good record ends, or 0."""
        if self.path.is_symlink():
            self.path.unlink()
        size = self.path.stat().st_size if self.path.exists() else 0
        if size < len(self._head):
            return 0
        log = np.memmap(self.path, dtype=np.uint8, mode="r")
        if log[: len(self._head)].tobytes() != self._head:
            return 0
        end = len(self._head)
        for record in self._records(log):
            self.done[record.rows] = True
            end = record.end
        if end < size:
            logger.warning(
                "%s ends in %d bytes that are damaged or incomplete; their rows are computed again",
                self.path, size - end,
            )  # fmt: skip
        return end

    def _records(self, log: NDArray[np.uint8]) -> Iterator[_Record]:
        """The records up to the first damaged one."""
        planes, rows, columns = self.shape
        at = len(self._head)
        while at + _RECORD.size <= len(log):
            magic, checksum, count = _RECORD.unpack(log[at : at + _RECORD.size].tobytes())
            start = at + _RECORD.size
            middle = start + 8 * count
            end = middle + 4 * planes * count * columns
            if magic != _MAGIC or count > rows or end > len(log):
                return
            if zlib.crc32(log[start:end].data) != checksum:
                return
            block = log[middle:end].view("<f4").reshape(planes, count, columns)
            yield _Record(log[start:middle].view("<i8"), block, end)
            at = end
