"""Output folders: made for the work, never taken from a run of other settings."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ilo_fast._util.messages import differences


@contextlib.contextmanager
def made_folder(path: Path, name: str) -> Iterator[None]:
    """Make a folder for the block; take it away again where the block leaves it empty.

    Parameters
    ----------
    path
        The folder.
    name
        The argument that gave it, for the message: ``"-o"``, ``"output_dir"``.

    Raises
    ------
    OSError
        `path` is a file, or a folder that cannot be made or written to.
    """
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"{name} {path} is a file; give a folder")
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        try:
            path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path):
                pass
        except OSError as error:
            # What the system names may be a temporary file, gone by now.
            raise OSError(
                error.errno,
                f"{name} {path} cannot be written to ({error.strerror}): give another folder, or "
                "make it writable",
            ) from error
        yield
    finally:
        with contextlib.suppress(OSError):  # not empty: something is in it that is kept
            for folder in made:
                folder.rmdir()


def refuse_other(
    path: Path, before: Mapping[str, Any], now: Mapping[str, Any], *, holds: str, remedy: str
) -> None:
    """Refuse to go on where `path` holds what other settings made.

    Parameters
    ----------
    before, now
        Settings as recorded in `path`, and as they are to be; compared as JSON has them. A name
        that is absent counts as None; leave out of both what is not to be compared.
    holds
        ``"a run"``, ``"scores"``.
    remedy
        What the caller can do, after a colon.

    Raises
    ------
    ValueError
        Naming the settings that differ.
    """
    found = differences(before, json.loads(json.dumps(now)))
    if found:
        raise ValueError(f"{path} holds {holds} of other settings ({'; '.join(found)}): {remedy}")
