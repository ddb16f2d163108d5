"""The cache of representations, keyed by the content of all that they depend on.

Layout of a cache::

    file_hashes.json                         content hashes of weight files, by path, size and time
    <model key>/model.json                   what must be known of a model to look up its entries
    <model key>/<code>-<key>.npy  .json      one language; counts once the .json is there
    <model key>/<code>-<key>.partial         batches of an unfinished language, each checksummed
    <model key>/<code>-<key>.lock            held by the process at work on it

Nothing is pickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import shutil
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import filelock
import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.files import (
    explain_full_disk,
    full_disk,
    read_json,
    replace_atomically,
    write_json,
)
from ilo_fast._util.hashing import hash_file
from ilo_fast._util.locks import acquire

logger = logging.getLogger(__name__)

# Part of every key: raise it when the same input would give other numbers or another file layout.
FORMAT = 1

_RECORD = struct.Struct("<4sIQ")
_MAGIC = b"ILO1"


class DamagedFileError(ValueError):
    """A file is not what its manifest says: truncated, altered, or missing."""


def default_cache_dir() -> Path:
    """``ILO_FAST_CACHE``, else ``ilo_fast`` in Hugging Face's folder for assets."""
    own = os.environ.get("ILO_FAST_CACHE")
    if own:
        return Path(own).expanduser()
    assets = os.environ.get("HF_ASSETS_CACHE")
    if assets:
        return Path(assets).expanduser() / "ilo_fast"
    home = os.environ.get("HF_HOME")
    if not home:
        home = os.path.join(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "huggingface")
    return Path(home).expanduser() / "assets" / "ilo_fast"


def write_array(
    path: Path, shape: tuple[int, int, int], layer: Callable[[int], NDArray[np.float32]]
) -> str:
    """Write a float32 ``.npy`` file atomically, one layer at a time.

    Parameters
    ----------
    shape
        (layers, sentences, dim).
    layer
        Gives layer i as an array (sentences, dim).

    Returns
    -------
    str
        SHA-256 of the file.
    """
    sha = hashlib.sha256()
    header = io.BytesIO()
    description = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, description)
    with replace_atomically(path, 4 * int(np.prod(shape))) as file:
        sha.update(header.getvalue())
        file.write(header.getvalue())
        for i in range(shape[0]):
            data = np.ascontiguousarray(layer(i), dtype="<f4")
            if data.shape != shape[1:]:
                raise ValueError(f"layer {i} has shape {data.shape}, expected {shape[1:]}")
            view = data.reshape(-1).view(np.uint8).data
            sha.update(view)
            file.write(view)
    return sha.hexdigest()


def read_array(
    path: Path, shape: Sequence[int], sha256: str, *, mmap: bool = True
) -> NDArray[np.float32]:
    """Open a file that :func:`write_array` wrote, read-only, after checking every byte.

    Raises
    ------
    DamagedFileError
        Absent, cut short, altered, or of another shape.
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


class Store:
    """A cache folder. Any number of processes may use it at once.

    Parameters
    ----------
    root
        The folder; made where it does not exist.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def file_hash(self, path: Path) -> str:
        """SHA-256 of a file, remembered by its path, size and time of change."""
        real = path.resolve()
        stat = real.stat()
        name = f"{real}|{stat.st_size}|{stat.st_mtime_ns}"
        memo = self.root / "file_hashes.json"
        known = read_json(memo) or {}
        if isinstance(known.get(name), str):
            return str(known[name])
        if stat.st_size > 1 << 30:
            logger.info("hashing %s (%.1f GB), once", real, stat.st_size / 1e9)
        found = hash_file(real)
        # Read again: another process may have added its own in the meantime. Losing one costs a
        # second hashing, never a wrong answer.
        write_json(memo, {**(read_json(memo) or {}), name: found})
        return found

    def read_model(self, model_key: str) -> dict[str, Any] | None:
        """What :meth:`write_model` stored, or None."""
        record = read_json(self._folder(model_key) / "model.json")
        return record if record is not None and record.get("key") == model_key else None

    def write_model(self, model_key: str, facts: Mapping[str, Any]) -> None:
        """Remember what must be known of a model before its entries can be looked up."""
        folder = self._folder(model_key)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "model.json", {**facts, "key": model_key})

    def read(self, model_key: str, code: str, key: str) -> NDArray[np.float32] | None:
        """A finished language, memory-mapped, or None; a damaged one is put away with a warning."""
        stem = self._stem(model_key, code, key)
        manifest_path = stem.with_name(stem.name + ".json")
        manifest = read_json(manifest_path)
        if manifest is None and not manifest_path.exists():
            return None
        try:
            if manifest is None or manifest.get("key") != key:
                raise DamagedFileError(f"{manifest_path} is damaged")
            data = stem.with_name(stem.name + ".npy")
            return read_array(data, manifest["shape"], manifest["sha256"])
        except (DamagedFileError, KeyError, TypeError, ValueError) as error:
            logger.warning("cache: %s; it is computed again", error)
            with contextlib.suppress(OSError):
                manifest_path.unlink(missing_ok=True)
            return None

    def writer(
        self,
        model_key: str,
        code: str,
        key: str,
        shape: tuple[int, int, int],
        parts: Mapping[str, Any],
        *,
        wait: bool,
    ) -> CacheWriter | None:
        """Start, or take up, one language; None if another process is at it and `wait` is false."""
        stem = self._stem(model_key, code, key)
        stem.parent.mkdir(parents=True, exist_ok=True)
        path = stem.with_name(stem.name + ".lock")
        lock = acquire(path)
        if lock is None:
            if not wait:
                return None
            logger.info("cache: another process is computing %s; waiting for it", code)
            lock = acquire(path, wait=True)
            assert lock is not None
        try:
            return CacheWriter(self, model_key, code, key, stem, shape, dict(parts), lock)
        except BaseException:
            lock.release()
            raise

    def check_space(self, needed: int) -> None:
        """Refuse at once what cannot fit.

        Raises
        ------
        OSError
            With the path and the bytes needed.
        """
        if shutil.disk_usage(self.root).free < needed:
            raise full_disk(self.root, needed)

    def _folder(self, model_key: str) -> Path:
        return self.root / model_key[:24]

    def _stem(self, model_key: str, code: str, key: str) -> Path:
        return self._folder(model_key) / f"{code}-{key[:24]}"


class MemoryWriter:
    """Collects the batches of one language in memory.

    Attributes
    ----------
    done
        True for each sentence that is there already.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.done = np.zeros(shape[1], dtype=bool)
        self._array = np.empty(shape, dtype=np.float32)

    def add(self, rows: NDArray[np.int64], block: NDArray[np.float32]) -> None:
        """Take `block` (layers, len(rows), dim) as the given sentences."""
        self._array[:, rows] = block
        self.done[rows] = True

    def finish(self) -> NDArray[np.float32]:
        """The whole language, (layers, sentences, dim), read-only."""
        self._array.flags.writeable = False
        return self._array

    def close(self) -> None:
        """Nothing to let go of."""


class CacheWriter:
    """Collects the batches of one language in a log on disk, so that an interruption loses none.

    Each record of the log carries its checksum; what follows the first bad one is dropped and
    computed again. :meth:`finish` rearranges the log into the final file.

    Attributes
    ----------
    done
        True for each sentence that an earlier run, or this one, has finished.
    """

    def __init__(
        self,
        store: Store,
        model_key: str,
        code: str,
        key: str,
        stem: Path,
        shape: tuple[int, int, int],
        parts: dict[str, Any],
        lock: filelock.BaseFileLock,
    ) -> None:
        self._store = store
        self._names = (model_key, code, key)
        self._stem = stem
        self._shape = shape
        self._parts = parts
        self._lock = lock
        self._log_path = stem.with_name(stem.name + ".partial")
        self._head = bytes.fromhex(key)
        self.done = np.zeros(shape[1], dtype=bool)
        end = self._recover()
        self._log: IO[bytes] = open(self._log_path, "r+b" if end else "w+b")  # noqa: SIM115
        if end:
            self._log.truncate(end)
            self._log.seek(end)
        else:
            self._log.write(self._head)
            self._log.flush()

    def add(self, rows: NDArray[np.int64], block: NDArray[np.float32]) -> None:
        """Take `block` (layers, len(rows), dim) as the given sentences.

        Raises
        ------
        OSError
            Where the disk is full; the log keeps all records before this one.
        """
        index = np.ascontiguousarray(rows, dtype="<i8").tobytes()
        data = np.ascontiguousarray(block, dtype="<f4").reshape(-1).view(np.uint8).data
        crc = zlib.crc32(data, zlib.crc32(index))
        with explain_full_disk(self._log_path, self._bytes()):
            self._log.write(_RECORD.pack(_MAGIC, crc, len(rows)))
            self._log.write(index)
            self._log.write(data)
            self._log.flush()
        self.done[rows] = True

    def finish(self) -> NDArray[np.float32]:
        """Write the final file, then the manifest that makes it count, then drop the log."""
        missing = int((~self.done).sum())
        if missing:
            raise RuntimeError(f"{missing} sentences are not computed yet")
        existing = self._store.read(*self._names)
        if existing is None:
            for stale in self._stem.parent.glob(f".{self._stem.name}.*.tmp"):
                stale.unlink(missing_ok=True)
            log = np.memmap(self._log_path, dtype=np.uint8, mode="r")
            records = list(self._records(log))
            path = self._stem.with_name(self._stem.name + ".npy")

            def layer(i: int) -> NDArray[np.float32]:
                plane = np.empty(self._shape[1:], dtype=np.float32)
                for rows, block, _ in records:
                    plane[rows] = block[i]
                return plane

            sha256 = write_array(path, self._shape, layer)
            manifest = {
                "key": self._names[2],
                "shape": list(self._shape),
                "sha256": sha256,
                "parts": self._parts,
            }
            write_json(path.with_suffix(".json"), manifest)
            del log, records
            existing = np.load(path, mmap_mode="r", allow_pickle=False)
        self._log.close()
        self._log_path.unlink(missing_ok=True)
        return existing

    def close(self) -> None:
        """Let go of the log and the lock; what was added stays."""
        self._log.close()
        self._lock.release()

    def _bytes(self) -> int:
        return 4 * int(np.prod(self._shape))

    def _recover(self) -> int:
        """Mark what an earlier run finished; returns where its last good record ends, or 0."""
        try:
            if self._log_path.stat().st_size < len(self._head):
                return 0
        except FileNotFoundError:
            return 0
        log = np.memmap(self._log_path, dtype=np.uint8, mode="r")
        if log[: len(self._head)].tobytes() != self._head:
            return 0
        end = len(self._head)
        for rows, _, stop in self._records(log):
            self.done[rows] = True
            end = stop
        if end < len(log):
            logger.warning(
                "cache: %s ends in %d bytes that are damaged or incomplete; those sentences are "
                "computed again", self._log_path, len(log) - end,
            )  # fmt: skip
        if self.done.any():
            logger.info(
                "cache: going on with %s: %d of %d sentences are done",
                self._names[1], int(self.done.sum()), self._shape[1],
            )  # fmt: skip
        return end

    def _records(
        self, log: NDArray[np.uint8]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32], int]]:
        """Rows, block (layers, rows, dim) and end of each good record, up to the first bad."""
        layers, sentences, dim = self._shape
        at = len(self._head)
        while at + _RECORD.size <= len(log):
            magic, crc, count = _RECORD.unpack(log[at : at + _RECORD.size].tobytes())
            start = at + _RECORD.size
            middle = start + 8 * count
            stop = middle + 4 * layers * count * dim
            if magic != _MAGIC or count > sentences or stop > len(log):
                return
            if zlib.crc32(log[start:stop].data) != crc:
                return
            rows = log[start:middle].view("<i8")
            yield rows, log[middle:stop].view("<f4").reshape(layers, count, dim), stop
            at = stop


def total_bytes(shapes: Iterable[tuple[int, int, int]]) -> int:
    """Bytes of float32 arrays of the given shapes."""
    return sum(4 * a * b * c for a, b, c in shapes)
