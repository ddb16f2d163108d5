"""Checks of numbers, choices and paths that callers pass."""

from __future__ import annotations

import math
import numbers
import operator
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

MOST: Final = 2**62  # the core counts in 64 bits, and adds


def whole_number(name: str, value: Any, least: int = 1, most: int = MOST) -> int:
    """`value` as an int, from Python, NumPy or torch.

    Raises
    ------
    TypeError
        It is not a whole number; True is not one, nor is 2.0.
    ValueError
        It is below `least`, or above `most`.
    """
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int, got {value!r}") from None
    if number < least:
        raise ValueError(f"{name}={_digits(number)} must be at least {least}")
    if number > most:
        raise ValueError(f"{name}={_digits(number)} must be at most {most}")
    return number


def _digits(number: int) -> str:
    # Python refuses to write out thousands of digits, and nobody would read them.
    return str(number) if number.bit_length() <= 256 else f"[{number.bit_length()} bits]"


def real_number(name: str, value: Any) -> float:
    """`value` as a float.

    Raises
    ------
    TypeError
        It is not a number.
    ValueError
        It is not finite.
    """
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:  # an int or a fraction beyond the largest float
        raise ValueError(f"{name} is too large: wanted a finite number") from None
    if not math.isfinite(number):
        raise ValueError(f"{name}={value!r} must be finite")
    return number


def share(name: str, value: Any) -> float:
    """`value` as a float from 0 to 1.

    Raises
    ------
    TypeError
        It is not a number.
    ValueError
        It is not finite, or not a share.
    """
    number = real_number(name, value)
    if not 0 <= number <= 1:
        raise ValueError(f"{name} is {number:g}, wanted a share from 0 to 1")
    return number


def choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """`value`, one of `choices`.

    Raises
    ------
    TypeError
        It is no string.
    ValueError
        It is another one; names the choices.
    """
    wanted = f"{', '.join(map(repr, choices[:-1]))} or {choices[-1]!r}"
    if not isinstance(value, str):
        raise TypeError(f"{name} must be {wanted}, got {value!r}")
    if value not in choices:
        raise ValueError(f"{name}={value!r} is not known: use {wanted}")
    return value


def truth(name: str, value: Any) -> bool:
    """`value` as a bool, from Python or NumPy.

    Raises
    ------
    TypeError
        It is neither True nor False: ``"no"`` would count as true.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def path_of(name: str, value: Any) -> Path:
    """`value` as a path, with ``~`` put in its place.

    Raises
    ------
    TypeError
        It is no path: a number, None or bytes.
    ValueError
        It is empty, or no file can have this name.
    """
    if not isinstance(value, (str, os.PathLike)) or not isinstance(os.fspath(value), str):
        raise TypeError(f"{name} must be a path, got {value!r}")
    text = os.fspath(value)
    if not text.strip():
        raise ValueError(f"{name}={text!r} is empty: give a path")
    try:
        if "\0" in text:
            raise UnicodeError
        text.encode()
    except UnicodeError:
        raise ValueError(f"{name}={text!r}: a path is UTF-8 without NUL") from None
    return Path(text).expanduser()
