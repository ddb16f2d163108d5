"""Checks of numbers that callers pass."""

from __future__ import annotations

import math
import numbers
import operator
from typing import Any

import numpy as np


def whole_number(name: str, value: Any, least: int = 1) -> int:
    """`value` as an int.

    Raises
    ------
    ValueError
        It is not a whole number (True is not one), or below `least`.
    """
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least:
        raise ValueError(f"{name}={value!r}: wanted a whole number of at least {least}")
    return number


def real_number(name: str, value: Any) -> float:
    """`value` as a float.

    Raises
    ------
    ValueError
        It is not a finite number.
    """
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        raise ValueError(f"{name}={value!r}: wanted a finite number")
    return float(value)
