"""Files that say what they are, and which version of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import MOST, share, whole_number
from ilo_fast._util.files import parse_json
from ilo_fast._util.messages import listed
from ilo_fast._util.versions import __version__

_Result = TypeVar("_Result")

DAMAGE: Final = (TypeError, AttributeError, IndexError, OverflowError)
"""What reading something else than was written may end in."""


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


@contextmanager
def damage_refused(what: str, fix: str) -> Iterator[None]:
    """What goes wrong in the block, where a file is read, becomes a ValueError.

    Parameters
    ----------
    what
        ``"the scores"``, for the message.
    fix
        What to do about it, as `check_schema` takes it.

    Raises
    ------
    ValueError
        A key that is not there, a value of another type or too large.
    """
    try:
        yield
    except KeyError as error:
        raise ValueError(f"{what} are incomplete: there is no {error}; {fix}") from error
    except DAMAGE as error:
        raise ValueError(f"{what} are damaged: {error}; {fix}") from error


def text_of(name: str, value: Any) -> str:
    """`value`, a string; TypeError where it is none."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a text, got {value!r:.60}")
    return value


def texts_of(name: str, values: Any) -> tuple[str, ...]:
    """A list of strings, each once; TypeError or ValueError where it is none."""
    found = tuple(text_of(name, value) for value in list_of(name, values))
    if len(set(found)) < len(found):
        raise ValueError(f"{name} names one twice: {listed(found)}")
    return found


def share_or_none(name: str, value: Any) -> float | None:
    """`value` as a float from 0 to 1, or None."""
    return None if value is None else share(name, value)


def list_of(name: str, value: Any) -> Sequence[Any]:
    """`value`, a list; TypeError where it is none."""
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{name} must be a list, got {value!r:.60}")
    return value


def object_of(name: str, value: Any) -> Mapping[str, Any]:
    """`value`, a mapping of strings; TypeError where it is none."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be an object, got {value!r:.60}")
    return value


def whole_numbers(
    name: str, values: Any, *, least: int = 0, most: int = MOST, distinct: bool = False
) -> tuple[int, ...]:
    """A list of whole numbers; TypeError or ValueError where one is none, or named twice."""
    found = tuple(whole_number(name, value, least, most) for value in list_of(name, values))
    if distinct and len(set(found)) < len(found):
        raise ValueError(f"{name} names one twice: {listed(found)}")
    return found


def number_table(name: str, values: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Nested lists of numbers as an array, None as NaN; ValueError for anything else."""
    found = _table(name, values, shape, (int, float, type(None)), np.float64)
    if np.isinf(found).any():
        raise ValueError(f"{name} holds infinity, wanted finite numbers")
    return found


def count_table(name: str, values: Any, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Nested lists of whole numbers as an array; ValueError for anything else."""
    return _table(name, values, shape, (int,), np.int64)


def _table(
    name: str, values: Any, shape: tuple[int, ...], kinds: tuple[type, ...], dtype: type[Any]
) -> NDArray[Any]:
    wanted = "whole numbers" if dtype is np.int64 else "numbers"
    try:
        found = np.array(values, dtype=object)  # takes no text for a number
        if found.shape != shape:
            raise ValueError(f"{name} has shape {found.shape}, wanted {shape} of {wanted}")
        for kind in set(map(type, found.flat)):
            if kind is bool or not issubclass(kind, kinds):
                raise ValueError(f"{name} holds a {kind.__name__}, wanted {shape} of {wanted}")
        return found.astype(dtype)  # None becomes NaN
    except OverflowError:
        raise ValueError(f"{name} holds a number that is too large") from None
