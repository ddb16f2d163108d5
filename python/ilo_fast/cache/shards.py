"""Parts of a language that any process computes: a file each, whole or absent, put together last.

Layout: ``<code>-<key>.shards/<begin>-<end>.npz`` beside the files of `Store`. A file holds the key
of its entry, and zip keeps a checksum of its values. The manifest of the language is written when
all parts are in its array; then they go.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.arrays import array_header
from ilo_fast._util.files import replace_atomically, write_json
from ilo_fast._util.hashing import hash_file
from ilo_fast._util.locks import acquire
from ilo_fast._util.npz import opened_npz
from ilo_fast.cache.store import Entry, Store

logger = logging.getLogger(__name__)

_NAME: Final = re.compile(r"(\d+)-(\d+)\.npz")

Span = tuple[int, int]  # sentences [begin, end)


@contextlib.contextmanager
def held(
    store: Store, entries: Sequence[Entry], before_waiting: Callable[[], None]
) -> Iterator[None]:
    """Keep other processes from computing these languages; waits for those that do, without limit.

    Parameters
    ----------
    before_waiting
        Lets go of what they may need.
    """
    with contextlib.ExitStack() as stack:
        # In one order everywhere, or two processes might wait for each other.
        for path, code in sorted((store.path(entry, ".lock"), entry.code) for entry in entries):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = acquire(path)
            if lock is None:
                before_waiting()
                logger.info("cache: another process is computing %s; waiting for it", code)
                lock = acquire(path, wait=True)
            assert lock is not None
            stack.callback(lock.release)
        yield


def shard_folder(store: Store, entry: Entry) -> Path:
    """The folder of the shards of a language; made where it does not exist."""
    folder = store.path(entry, ".shards")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def shards_there(folder: Path) -> set[Span]:
    """The spans of the shards in a folder, by their names."""
    matches = (_NAME.fullmatch(path.name) for path in folder.iterdir())
    return {(int(found[1]), int(found[2])) for found in matches if found is not None}


def write_shard(folder: Path, key: str, span: Span, values: NDArray[np.float32]) -> None:
    """Write one shard, an array (layers, sentences, dim), in any process.

    Raises
    ------
    FileNotFoundError
        The folder cannot be seen from here.
    OSError
        The disk is full; names the path and the bytes needed.
    """
    if not folder.is_dir():
        raise FileNotFoundError(2, "cannot be seen from here", str(folder))
    about = np.frombuffer(json.dumps({"key": key, "span": span}).encode(), np.uint8)
    with replace_atomically(_file(folder, span), values.nbytes) as out:
        np.savez(out, allow_pickle=False, about=about, values=values)


def assemble(
    store: Store, entry: Entry, shape: tuple[int, int, int], spans: Sequence[Span]
) -> list[Span]:
    """Write the array of a language from its shards, then its manifest, and remove them.

    Parameters
    ----------
    shape
        (layers, sentences, dim).
    spans
        Of all shards: every sentence once.

    Returns
    -------
    list of (begin, end)
        Shards that are damaged or missing. They are removed, and nothing is written.
    """
    folder, path = shard_folder(store, entry), store.path(entry, ".npy")
    store.remove_stale(entry)
    bad: list[Span] = []
    header = array_header(shape)
    with (
        contextlib.suppress(_UnfinishedError),
        replace_atomically(path, 4 * int(np.prod(shape))) as out,
    ):
        out.write(header)
        for span in spans:
            try:
                values = _read(folder, entry.key, span, shape)
            except (FileNotFoundError, ValueError) as error:
                logger.warning("cache: %s; it is computed again", error)
                _file(folder, span).unlink(missing_ok=True)
                bad.append(span)
                continue
            for layer in range(0 if bad else shape[0]):
                row = layer * shape[1] + span[0]
                out.seek(len(header) + 4 * shape[2] * row)
                out.write(np.ascontiguousarray(values[layer], "<f4").data)
        if bad:
            raise _UnfinishedError
    if bad:
        return bad
    manifest = {
        "key": entry.key,
        "shape": list(shape),
        "sha256": hash_file(path),
        "parts": dict(entry.parts),
    }
    write_json(path.with_suffix(".json"), manifest)
    remove_shards(store, entry)
    return []


def remove_shards(store: Store, entry: Entry) -> None:
    """Remove the shards of a language, and what an unfinished run in one process left of it."""
    shutil.rmtree(store.path(entry, ".shards"), ignore_errors=True)
    store.path(entry, ".partial").unlink(missing_ok=True)


class _UnfinishedError(Exception):
    """Keeps an incomplete array from taking its name."""


def _file(folder: Path, span: Span) -> Path:
    return folder / f"{span[0]:09d}-{span[1]:09d}.npz"


def _read(folder: Path, key: str, span: Span, shape: tuple[int, int, int]) -> NDArray[np.float32]:
    with opened_npz(_file(folder, span), "a shard of representations") as arrays:
        about: Mapping[str, Any] = json.loads(arrays["about"].tobytes())
        values: NDArray[np.float32] = arrays["values"]
        wanted = (shape[0], span[1] - span[0], shape[2])
        if about.get("key") != key or about.get("span") != list(span):
            raise ValueError("it is of other sentences or settings")
        if values.dtype != np.float32 or values.shape != wanted:
            raise ValueError(f"it holds {values.dtype} of shape {values.shape}, wanted {wanted}")
    return values
