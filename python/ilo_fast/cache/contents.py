"""What a cache holds, and how to clear it."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ilo_fast._util.checks import real_number
from ilo_fast._util.files import read_json
from ilo_fast._util.hashing import digest
from ilo_fast._util.locks import acquire
from ilo_fast.cache.store import cache_folder

_SUFFIXES = (".npy", ".json", ".partial", ".shards")


@dataclass(frozen=True)
class CacheEntry:
    """What the cache holds of one model under one set of options.

    Attributes
    ----------
    model
        The name under which the model was last used.
    key
        Key of the model in the cache, shortened.
    languages
        Their codes.
    n_sentences
        Of all languages together.
    layers
        The hidden states kept; empty for unfinished languages, whose options are not known.
    pooling, special_tokens
        As :func:`~ilo_fast.extract` has them; empty for unfinished languages.
    n_bytes
        On disk.
    last_used
        Seconds since 1970.
    complete
        False for languages of an extraction that was interrupted: it continues from them.
    """

    model: str
    key: str
    languages: tuple[str, ...]
    n_sentences: int
    layers: tuple[int, ...]
    pooling: str
    special_tokens: str
    n_bytes: int
    last_used: float
    complete: bool


def list_entries(cache: bool | str | os.PathLike[str] | None = None) -> list[CacheEntry]:
    """What a cache holds, the last used first.

    Parameters
    ----------
    cache
        The folder; None or True: the default one. One that does not exist holds nothing.
    """
    groups: dict[tuple[Any, ...], list[_Stored]] = {}
    for stored in _walk(cache_folder(cache)):
        groups.setdefault(stored.group, []).append(stored)
    found = []
    for (key, model, complete, layers, pooling, special, _), members in groups.items():
        languages = tuple(sorted({stored.code for stored in members}))
        found.append(
            CacheEntry(
                model, key, languages, sum(stored.n_sentences for stored in members), layers,
                pooling, special, sum(stored.n_bytes for stored in members),
                max(stored.last_used for stored in members), complete,
            )
        )  # fmt: skip
    return sorted(found, key=lambda entry: -entry.last_used)


def clear(
    cache: bool | str | os.PathLike[str] | None = None,
    *,
    model: str | None = None,
    older_than_days: float | None = None,
) -> int:
    """Delete from a cache; what another process is computing stays.

    Parameters
    ----------
    cache
        As in :func:`list_entries`.
    model
        Only of this model: its name, the last part of its name, or its key; None: of all.
    older_than_days
        Only what was not used for so many days; None: regardless of age.

    Returns
    -------
    int
        The bytes that became free.

    Raises
    ------
    ValueError
        A negative or undefined number of days.
    """
    if older_than_days is not None:
        older_than_days = real_number("older_than_days", older_than_days)
        if older_than_days < 0:
            raise ValueError(f"older_than_days={older_than_days} must be at least 0")
    root = cache_folder(cache)
    now = time.time()
    freed = 0
    for stored in _walk(root):
        if model is not None and not stored.is_of(model):
            continue
        if older_than_days is None or now - stored.last_used >= older_than_days * 86400:
            freed += stored.delete()
    for record in root.glob("*/model.json"):
        folder = record.parent
        if not any(path.suffix in _SUFFIXES and path != record for path in folder.iterdir()):
            record.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # a lock that is held
                folder.rmdir()
    return freed


@dataclass(frozen=True)
class _Stored:
    """The files of one language: complete with a manifest, unfinished without."""

    stem: Path
    model: str
    manifest: Mapping[str, Any] | None

    @property
    def code(self) -> str:
        return self.stem.name.rpartition("-")[0]

    @property
    def n_sentences(self) -> int:
        shape: Any = (self.manifest or {}).get("shape")
        return int(shape[1]) if _is_shape(shape) else 0

    @property
    def files(self) -> list[Path]:
        named = [self.stem.with_name(self.stem.name + suffix) for suffix in _SUFFIXES]
        return [path for path in named if path.exists()]

    @property
    def n_bytes(self) -> int:
        return sum(map(_size, self.files))

    @property
    def last_used(self) -> float:
        times = [0.0]
        for path in self.files:
            with contextlib.suppress(FileNotFoundError):
                times.append(path.stat().st_mtime)
        return max(times)

    @property
    def group(self) -> tuple[Any, ...]:
        """The key and name of the model, and the options; one line of a list."""
        parts = (self.manifest or {}).get("parts")
        parts = parts if isinstance(parts, Mapping) else {}
        layers = parts.get("layers")
        rest = {name: value for name, value in parts.items() if name != "tokens"}
        return (
            self.stem.parent.name,
            self.model,
            self.manifest is not None,
            tuple(layers) if isinstance(layers, list) else (),
            str(parts.get("pooling", "")),
            str(parts.get("special_tokens", "")),
            digest(rest),
        )

    def is_of(self, model: str) -> bool:
        key = self.stem.parent.name
        last = Path(self.model).name
        return model in (self.model, last) or (len(model) >= 8 and model.startswith(key[:8]))

    def delete(self) -> int:
        """Delete the files unless another process holds their lock; returns the bytes freed."""
        path = self.stem.with_name(f"{self.stem.name}.lock")
        lock = acquire(path)
        if lock is None:
            return 0
        try:
            freed = self.n_bytes
            # The manifest first: without it the rest counts as unfinished.
            for file in sorted(self.files, key=lambda file: file.suffix != ".json"):
                if file.is_dir():
                    shutil.rmtree(file, ignore_errors=True)
                else:
                    file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # Windows deletes no file that is open
                path.unlink(missing_ok=True)
            return freed
        finally:
            lock.release()


def _walk(root: Path) -> Iterator[_Stored]:
    """All languages in a cache folder."""
    for folder in sorted(path.parent for path in root.glob("*/model.json")):
        name = str((read_json(folder / "model.json") or {}).get("name") or "unknown")
        for stem in sorted({path.stem for path in folder.iterdir() if path.suffix in _SUFFIXES}):
            if stem == "model":
                continue
            manifest = read_json(folder / f"{stem}.json")
            yield _Stored(folder / stem, name, manifest)


def _size(path: Path) -> int:
    """Bytes of a file, or of those in a folder; 0 of what another process has just removed."""
    try:
        if path.is_dir():
            return sum(map(_size, path.iterdir()))
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, list) and len(shape) == 3 and all(isinstance(n, int) for n in shape)
