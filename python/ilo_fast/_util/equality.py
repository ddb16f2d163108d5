"""Whether two results hold the same, arrays among their fields."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np


def same_fields(one: Any, other: Any, names: Iterable[str]) -> bool:
    """Whether the attributes `names` are equal in both, element by element in arrays."""
    return all(_same(getattr(one, name), getattr(other, name)) for name in names)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return one is not None and other is not None and np.array_equal(one, other)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
