"""The mark of a training checkpoint: which files it is made of, so that a damaged one is known.

It is written once all files of the checkpoint are on disk, and holds size and SHA-256 of each, and
a digest of itself. A checkpoint without a mark was interrupted while it was written; one that is
not what its mark says is damaged.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from ilo_fast._util.files import read_json, write_json
from ilo_fast._util.hashing import digest, hash_file
from ilo_fast._util.messages import listed

MARK: Final = "complete.json"


def mark_complete(checkpoint: Path, seconds: float) -> None:
    """Flush a checkpoint's files to disk, then say what they are, and how long the run took."""
    files = {}
    for path in _files(checkpoint):
        with open(path, "rb") as file:
            os.fsync(file.fileno())
        name = path.relative_to(checkpoint).as_posix()
        files[name] = {"size": path.stat().st_size, "sha256": hash_file(path)}
    content = {"seconds": seconds, "files": files}
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
    found = {path.relative_to(checkpoint).as_posix(): path for path in _files(checkpoint)}
    for problem, names in (
        ("missing", [name for name in wanted if name not in found]),
        ("not of it", [name for name in found if name not in wanted]),
        ("altered", [n for n, path in found.items() if n in wanted and _differs(path, wanted[n])]),
    ):
        if names:
            return f"{problem}: {listed(sorted(names))}"
    return None


def _files(checkpoint: Path) -> Iterable[Path]:
    return (path for path in sorted(checkpoint.rglob("*")) if path.is_file() and path.name != MARK)


def _differs(path: Path, wanted: dict[str, Any]) -> bool:
    return bool(path.stat().st_size != wanted["size"]) or hash_file(path) != wanted["sha256"]
