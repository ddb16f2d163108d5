"""The folder that holds the finished work of a long graph; the core writes and reads the files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ilo_fast._util.folders import made_folder
from ilo_fast._util.locks import locked


@contextmanager
def open_folder(path: str | os.PathLike[str] | None) -> Iterator[str | None]:
    """Make the folder and keep other processes out of it; gives its name, or None for None."""
    if path is None:
        yield None
        return
    folder = Path(path)
    busy = f"checkpoint={str(path)!r} is in use by another process: wait for it, or give another"
    with made_folder(folder, "checkpoint"), locked(folder / ".lock", busy):
        yield str(folder)
