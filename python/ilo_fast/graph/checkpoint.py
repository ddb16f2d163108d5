"""The folder that holds the finished work of a long graph, and nothing else."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from ilo_fast._util.checks import path_of
from ilo_fast._util.folders import made_folder
from ilo_fast._util.locks import locked
from ilo_fast._util.messages import listed

CORE_FILES = re.compile(r"layer-\d{3,}\.ilo(\.partial)?|\.lock")
"""What the core writes, also when it is killed; and the lock."""


@contextmanager
def open_folder(
    path: str | os.PathLike[str] | None, ours: re.Pattern[str] = CORE_FILES
) -> Iterator[str | None]:
    """Make the folder and keep other processes out of it; gives its name, or None for None.

    `ours` matches the names of files that it may hold; by default those that the core writes.

    Raises
    ------
    ValueError
        It holds something else, or another process works in it.
    """
    if path is None:
        yield None
        return
    folder = path_of("checkpoint", path)
    if folder.is_dir():
        foreign = sorted(name for name in os.listdir(folder) if not ours.fullmatch(name))
        if foreign:
            raise ValueError(
                f"checkpoint={str(path)!r} holds something else ({listed(foreign)}): give a folder "
                "that is empty or new"
            )
    busy = f"checkpoint={str(path)!r} is in use by another process: wait for it, or give another"
    with made_folder(folder, "checkpoint"), locked(folder / ".lock", busy):
        yield str(folder)
