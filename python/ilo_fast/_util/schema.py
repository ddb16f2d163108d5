"""Files that say what they are, and which version of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ilo_fast._util.files import parse_json
from ilo_fast._util.versions import __version__

_Result = TypeVar("_Result")


def check_schema(data: Any, kind: str, version: int, fix: str) -> None:
    """Raise where `data` is something else than `kind`, or of another schema version.

    Parameters
    ----------
    data
        What a file held, with ``"kind"`` and ``"schema_version"``.
    kind, version
        What the caller can read.
    fix
        How to get a file of this version: ``"score again"``.

    Raises
    ------
    ValueError
        Saying what was found, what was wanted and the fix.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"holds a {type(data).__name__}, wanted an object of kind {kind!r}")
    if data.get("kind") != kind:
        raise ValueError(
            f"kind={data.get('kind')!r}, wanted {kind!r}: this is another kind of file"
        )
    found = data.get("schema_version")
    if found != version:
        raise ValueError(
            f"schema_version={found!r} cannot be read by ilo_fast {__version__}, which knows "
            f"{version}: {fix}, or update ilo_fast"
        )


def read_result(
    source: str | os.PathLike[str], name: str, what: str, build: Callable[[Any], _Result]
) -> _Result:
    """A result from JSON: its text (a string that begins with ``{``), a file, or its folder.

    Parameters
    ----------
    name
        The file in a folder.
    what
        ``"scores"``, for the message.
    build
        Makes the result of what the JSON holds.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        What `build` says, after the file's name.
    """
    if isinstance(source, str) and source.lstrip().startswith("{"):
        return build(parse_json(source))
    path = Path(source).expanduser()
    path = path / name if path.is_dir() else path
    try:
        return build(parse_json(path))
    except ValueError as error:
        raise ValueError(f"{path} is not a file of {what}: {error}") from error
