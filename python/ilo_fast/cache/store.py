"""The cache of representations, keyed by the content of all that they depend on.

Layout of a cache::

    file_hashes.json                         content hashes of weight files, by path, inode, times
    <model key>/model.json                   what looking up the entries of a model needs to know
    <model key>/<code>-<key>.npy  .json      one language; complete once the .json exists
    <model key>/<code>-<key>.partial         finished rows of an unfinished language
    <model key>/<code>-<key>.shards/         the same, of several processes: see cache/shards.py
    <model key>/<code>-<key>.lock            held by the process that computes the language

Nothing is pickled.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.arrays import DamagedFileError, read_array
from ilo_fast._util.files import explain_full_disk, full_disk, read_json, write_json
from ilo_fast._util.hashing import digest, hash_file
from ilo_fast._util.locks import Lock, acquire
from ilo_fast._util.row_log import RowLog

logger = logging.getLogger(__name__)

# Part of every key: raise it when the same input would give other numbers or another file layout.
FORMAT = 1

_ANOTHER_DISK = " (cache=PATH, or the variable ILO_FAST_CACHE). What was finished is kept"

# A file changed this short ago may change again within the same tick of its file system's clock.
_TICK_NS = 2_000_000_000


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


def cache_folder(cache: bool | str | os.PathLike[str] | None) -> Path:
    """The folder that an argument ``cache=`` names; None and True: the default one."""
    if cache is None or cache is True:
        return default_cache_dir()
    return _checked(cache)


def _checked(cache: Any) -> Path:
    if not isinstance(cache, (str, os.PathLike)):
        raise TypeError(f"cache={cache!r} is no folder: pass a path, True, or None")
    if os.fspath(cache) == "" or "\0" in str(cache):
        raise ValueError(
            f"cache={str(cache)!r} names no folder: pass a path, True for the default one, or None"
        )
    return Path(cache).expanduser()


@dataclass(frozen=True)
class Entry:
    """One language in the cache.

    Parameters
    ----------
    code
        The language.
    parts
        All that its numbers depend on, JSON-able; ``parts["model"]`` is the key of the model.
    """

    code: str
    parts: Mapping[str, Any]

    @cached_property
    def key(self) -> str:
        """SHA-256 of `parts`."""
        return digest(self.parts)


class Store:
    """A cache folder. Any number of processes may use it at once.

    Parameters
    ----------
    root
        The folder; made where it does not exist.

    Raises
    ------
    NotADirectoryError
        It is a file.
    """

    def __init__(self, root: Path) -> None:
        if root.exists() and not root.is_dir():
            raise NotADirectoryError(f"cache={str(root)!r} is a file; give a folder")
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    @classmethod
    def open(cls, cache: bool | str | os.PathLike[str] | None) -> Store | None:
        """The store for an argument ``cache=``: a folder, True for the default one, or none."""
        return None if cache is None or cache is False else cls(cache_folder(cache))

    def file_hash(self, path: Path) -> str:
        """SHA-256 of a file, remembered by its path, inode, size and times of change."""
        real = path.resolve()
        memo = self.root / "file_hashes.json"
        name = _file_state(real)
        known = read_json(memo) or {}
        if isinstance(known.get(name), str):
            return str(known[name])
        size = real.stat().st_size
        if size > 1 << 30:
            logger.info("hashing %s (%.1f GB), once", real, size / 1e9)
        found = hash_file(real)
        stat = real.stat()
        settled = time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) > _TICK_NS
        if settled and _file_state(real) == name:
            # Read again: another process may have added its own in the meantime. Losing one costs
            # a second hashing, never a wrong answer. Files that are gone or changed are dropped.
            kept = {k: v for k, v in (read_json(memo) or {}).items() if _still_is(k)}
            write_json(memo, {**kept, name: found})
        return found

    def read_model(self, model_key: str) -> dict[str, Any] | None:
        """What :meth:`write_model` stored, or None."""
        record = read_json(self._folder(model_key) / "model.json")
        if record is None or record.get("key") != model_key:
            return None
        checksum = record.pop("sha256", None)
        return record if checksum == digest(record) else None

    def write_model(self, model_key: str, info: Mapping[str, Any]) -> None:
        """Store what looking up the entries of a model needs to know."""
        folder = self._folder(model_key)
        folder.mkdir(parents=True, exist_ok=True)
        record = {**info, "key": model_key}
        write_json(folder / "model.json", {**record, "sha256": digest(record)})

    def read(self, entry: Entry) -> NDArray[np.float32] | None:
        """A finished language, memory-mapped; None where it is absent or damaged."""
        manifest_path = self.path(entry, ".json")
        manifest = read_json(manifest_path)
        if manifest is None and not manifest_path.exists():
            return None
        try:
            if manifest is None or manifest.get("key") != entry.key:
                raise DamagedFileError(f"{manifest_path} is damaged")
            array = read_array(self.path(entry, ".npy"), manifest["shape"], manifest["sha256"])
            with contextlib.suppress(OSError):  # the time of last use, for clear()
                os.utime(manifest_path)
            return array
        except (DamagedFileError, KeyError, TypeError, ValueError) as error:
            logger.warning("cache: %s; it is computed again", error)
            with contextlib.suppress(OSError):
                manifest_path.unlink(missing_ok=True)
            return None

    def writer(
        self, entry: Entry, shape: tuple[int, int, int], *, wait: bool
    ) -> CacheWriter | None:
        """Start or continue one language.

        None where another process computes it and `wait` is False.
        """
        path = self.path(entry, ".lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = acquire(path)
        if lock is None:
            if not wait:
                return None
            logger.info("cache: another process is computing %s; waiting for it", entry.code)
            lock = acquire(path, wait=True)
            assert lock is not None
        try:
            return CacheWriter(self, entry, shape, lock)
        except BaseException:
            lock.release()
            raise

    def check_space(self, needed: int) -> None:
        """Refuse what cannot fit, before it is computed.

        Raises
        ------
        OSError
            With the path and the bytes needed.
        """
        if shutil.disk_usage(self.root).free < needed:
            raise full_disk(self.root, needed, _ANOTHER_DISK)

    def remove_stale(self, entry: Entry) -> None:
        """Remove what killed processes, on any machine, left half-written of a language.

        Under its lock, where nobody else writes them.
        """
        stem = self.path(entry, "")
        for stale in stem.parent.glob(f".{stem.name}.*.tmp"):
            stale.unlink(missing_ok=True)

    def path(self, entry: Entry, suffix: str) -> Path:
        """The file of an entry."""
        return self._folder(entry.parts["model"]) / f"{entry.code}-{entry.key[:24]}{suffix}"

    def _folder(self, model_key: str) -> Path:
        return self.root / model_key[:24]


class CacheWriter:
    """Collects the batches of one language on disk, so that an interruption loses none.

    Attributes
    ----------
    done : ndarray of bool
        True for each sentence that an earlier run, or this one, has finished.
    """

    def __init__(
        self,
        store: Store,
        entry: Entry,
        shape: tuple[int, int, int],
        lock: Lock,
    ) -> None:
        self._store = store
        self._entry = entry
        self._lock = lock
        store.remove_stale(entry)
        self._log = RowLog(store.path(entry, ".partial"), entry.key, shape)
        self.done = self._log.done
        if self.done.any():
            logger.info(
                "cache: continuing %s: %d of %d sentences are done",
                entry.code, int(self.done.sum()), len(self.done),
            )  # fmt: skip

    def add(self, rows: NDArray[np.int64], block: NDArray[np.float32]) -> None:
        """Add `block` (layers, len(rows), dim) as the given sentences.

        Raises
        ------
        OSError
            The disk is full. What was added before stays.
        """
        needed = 4 * math.prod(self._log.shape)
        with explain_full_disk(self._log.path, needed, _ANOTHER_DISK):
            self._log.append(rows, block)

    def finish(self) -> NDArray[np.float32]:
        """Write the array, then the manifest that makes it complete, then drop the log."""
        array = self._store.read(self._entry)
        if array is None:
            path = self._store.path(self._entry, ".npy")
            manifest = {
                "key": self._entry.key,
                "shape": list(self._log.shape),
                "sha256": self._log.write_array(path),
                "parts": dict(self._entry.parts),
            }
            write_json(path.with_suffix(".json"), manifest)
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        self._log.remove()
        shutil.rmtree(self._store.path(self._entry, ".shards"), ignore_errors=True)
        return array

    def close(self) -> None:
        """Release the log and the lock; what was added stays."""
        self._log.close()
        self._lock.release()


def _file_state(path: Path) -> str:
    """What changes when the file does: a copy over it has another inode or time of change.

    Not the number of its file system, which differs between machines that mount the same storage:
    with it each would hash the weights anew, and forget what the others have found.
    """
    stat = path.stat()
    return f"{path}|{stat.st_ino}|{stat.st_size}|{stat.st_mtime_ns}|{stat.st_ctime_ns}"


def _still_is(name: str) -> bool:
    try:
        return _file_state(Path(name.rsplit("|", 4)[0])) == name
    except OSError:
        return False
