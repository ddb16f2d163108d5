"""Write files and folders so that they are complete or absent.

The content is written under a temporary name and flushed to disk; then it is renamed, and the
rename is flushed too. Nothing is pickled.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

UNFINISHED = ".unfinished"  # files on their way into a folder


@contextlib.contextmanager
def replace_atomically(path: Path, needed: int = 0) -> Iterator[IO[bytes]]:
    """A file that appears under `path` when the block ends without an error, else not at all.

    Parameters
    ----------
    path
        Its folder must exist. A file of that name is replaced.
    needed
        Bytes that the block will write, for the message where the disk is full.

    Raises
    ------
    OSError
        The disk is full; names the path and the bytes needed.
    """
    temporary = _beside(path)
    try:
        with explain_full_disk(path, needed), open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replace_folder(path: Path) -> Iterator[Path]:
    """An empty folder to fill, which replaces `path` when the block ends without an error.

    After an error or an interruption, `path` is what it was before.
    """
    path = path.resolve()  # "." has no name, and of a link the folder is meant
    new, old = _beside(path), _beside(path)
    try:
        new.mkdir(parents=True)
        with explain_full_disk(path, 0):
            yield new
        try:
            if path.exists():
                os.replace(path, old)
            os.replace(new, path)
        except BaseException:
            if old.exists() and not path.exists():
                os.replace(old, path)
            raise
        _sync_folder(path.parent)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        if path.exists():  # else `old` is the only copy
            shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def add_to_folder(path: Path, *, last: str) -> Iterator[Path]:
    """An empty folder to fill, whose files move into `path` when the block ends without an error.

    Whatever else `path` holds stays; it may be a link or a mount point.

    Parameters
    ----------
    last
        The file that says that the others are complete: removed before the first of them is
        replaced, moved after the last.
    """
    new = path / UNFINISHED
    shutil.rmtree(new, ignore_errors=True)  # of a process that was killed
    try:
        new.mkdir()
        with explain_full_disk(path, 0):
            yield new
        (path / last).unlink(missing_ok=True)
        for file in sorted(new.iterdir(), key=lambda file: file.name == last):
            os.replace(file, path / file.name)
        _sync_folder(path)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    data = text.encode()
    with replace_atomically(path, len(data)) as file:
        file.write(data)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None where the file is absent or damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def parse_json(source: str | os.PathLike[str]) -> Any:
    """Parse JSON from a string that begins with ``{``, or from a file.

    Raises
    ------
    ValueError
        The JSON is not complete.
    """
    if isinstance(source, str) and source.lstrip().startswith("{"):
        text = source
    else:
        text = Path(source).read_text(encoding="utf-8")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{source} is not complete JSON ({error})") from error


@contextlib.contextmanager
def explain_full_disk(path: Path, needed: int, hint: str = "") -> Iterator[None]:
    """Name the path and the bytes needed when the disk is full; `hint` as in :func:`full_disk`."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise full_disk(path, needed, hint) from error


def full_disk(path: Path, needed: int, hint: str = "") -> OSError:
    """The error for a disk without room for `needed` bytes (0: an unknown number).

    `hint` says after a space how another disk is chosen.
    """
    wanted = f"{needed:,} bytes are needed" if needed else "the files do not fit"
    return OSError(
        errno.ENOSPC,
        f"the disk is full: {wanted}. Free some space, or write to another disk{hint}. What was "
        "finished is kept",
        str(path),
    )


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")


def _sync_folder(folder: Path) -> None:
    """Flush a rename to disk, where the system can (Windows cannot open folders)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
