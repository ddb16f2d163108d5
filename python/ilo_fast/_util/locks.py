"""File locks between processes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import BaseFileLock as Lock
from filelock import FileLock, Timeout

__all__ = ["Lock", "acquire", "locked"]


def acquire(path: Path, *, wait: bool = False) -> Lock | None:
    """Hold the lock at `path`; None where another process holds it and `wait` is False.

    The caller releases it.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        return None
    return lock


@contextlib.contextmanager
def locked(path: Path, busy: str) -> Iterator[None]:
    """Hold the lock at `path` for the block.

    Raises
    ------
    ValueError
        With the message `busy`, where another process holds it.
    """
    lock = acquire(path)
    if lock is None:
        raise ValueError(busy)
    try:
        yield
    finally:
        lock.release()
