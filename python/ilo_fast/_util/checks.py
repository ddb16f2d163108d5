"""Checks of numbers that callers pass."""

from __future__ import annotations

import math
import numbers
import operator
from typing import Any

import numpy as np


def whole_number(name: str, value: Any, least: int = 1) -> int:
    """`value` as an int, from Python, NumPy or torch.

    Raises
    ------
    TypeError
        It is not a whole number; True is not one, nor is 2.0.
    ValueError
        It is below `least`.
    """
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int, got {value!r}") from None
    if number < least:
        raise ValueError(f"{name}={number} must be at least {least}")
    return number


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
    if not math.isfinite(value):
        raise ValueError(f"{name}={value!r} must be finite")
    return float(value)


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
