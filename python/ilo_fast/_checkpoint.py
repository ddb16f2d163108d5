"""The folder that holds the finished work of a long graph; the core writes and reads the files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def open_folder(path: str | os.PathLike[str] | None) -> Iterator[str | None]:
    """Make the folder and keep other processes out of it; gives its name, or None for None."""
    if path is None:
        yield None
        return
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"checkpoint={str(path)!r} is a file: give a folder")
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(
            f"checkpoint={str(path)!r} is in use by another process: wait for it, or give another"
        ) from None
    except PermissionError as error:
        raise PermissionError(
            f"checkpoint={str(path)!r} cannot be written to: give another folder"
        ) from error
    try:
        yield str(folder)
    finally:
        lock.release()
