"""The mark of a training checkpoint: which files it is made of, so that damage is known.

It is written once all files of the checkpoint are on disk, and holds size and SHA-256 of each, and
a digest of itself. A checkpoint without a mark was interrupted while it was written; one that is
not what its mark says is damaged.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ilo_fast._util.files import read_json, write_json
from ilo_fast._util.hashing import digest, hash_file
from ilo_fast._util.messages import listed

MARK: Final = "complete.json"


def mark_complete(checkpoint: Path, seconds: float) -> None:
    """Flush a checkpoint's files to disk, then say what they are, and how long the run took."""
    content = {"seconds": seconds, "files": flushed_contents(checkpoint)}
    write_json(checkpoint / MARK, {**content, "sha256": digest(content)})


def is_marked(checkpoint: Path) -> bool:
    """Whether it was once complete."""
    return (checkpoint / MARK).is_file()


def seconds_of(checkpoint: Path) -> float:
    """What the run took up to a sound checkpoint."""
    mark = read_json(checkpoint / MARK)
    return float(mark["seconds"]) if mark else 0.0


def damage(checkpoint: Path) -> str | None:
    """What is wrong with a marked checkpoint; None where it is what its mark says, to the bit."""
    mark = read_json(checkpoint / MARK)
    if mark is None or mark.pop("sha256", None) != digest(mark):
        return f"its {MARK} is damaged, or of an earlier version of ilo_fast"
    wanted: dict[str, Any] = mark["files"]
    more = [name for name in _files(checkpoint) if name not in wanted]
    if more:
        return f"not of it: {listed(more)}"
    return damage_to(checkpoint, wanted)


def flushed_contents(folder: Path) -> dict[str, Any]:
    """Flush the files below a folder to disk; name -> size and SHA-256."""
    found = {}
    for name, path in _files(folder).items():
        with open(path, "rb") as file:
            os.fsync(file.fileno())
        found[name] = {"size": path.stat().st_size, "sha256": hash_file(path)}
    return found


def damage_to(folder: Path, wanted: Mapping[str, Any]) -> str | None:
    """What is missing or altered of the files that `flushed_contents` found there; None: nothing.

    Other files may have come.
    """
    found = _files(folder)
    missing = [name for name in wanted if name not in found]
    altered = [n for n, path in found.items() if n in wanted and _differs(path, wanted[n])]
    for problem, names in (("missing", missing), ("altered", altered)):
        if names:
            return f"{problem}: {listed(names)}"
    return None


def _files(folder: Path) -> dict[str, Path]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != MARK)
    return {path.relative_to(folder).as_posix(): path for path in paths}


def _differs(path: Path, wanted: Any) -> bool:
    if not isinstance(wanted, Mapping) or path.stat().st_size != wanted.get("size"):
        return True
    return hash_file(path) != wanted.get("sha256")
