"""Whether two results hold the same, arrays among their fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


def same_fields(one: Any, other: Any, names: Iterable[str]) -> bool:
    """Whether the attributes `names` are equal in both, element by element in arrays."""
    return all(_same(getattr(one, name), getattr(other, name)) for name in names)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        if one is None or other is None:
            return False
        floats = np.asarray(one).dtype.kind == np.asarray(other).dtype.kind == "f"
        return np.array_equal(one, other, equal_nan=floats)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if dataclasses.is_dataclass(one) and type(one) is type(other):
        return same_fields(one, other, (field.name for field in dataclasses.fields(one)))
    return bool(one == other)
