"""Files that say what they are, and which version of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ilo_fast._util.versions import __version__


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
