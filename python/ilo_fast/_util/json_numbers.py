"""Numbers as JSON can hold them: None stands for NaN and infinity."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def finite(value: Any) -> float | None:
    """A number; None for NaN and infinity."""
    return float(value) if math.isfinite(value) else None


def nested(values: ArrayLike) -> Any:
    """An array as lists, a scalar as it is; None for NaN and infinity."""
    found = np.asarray(values)
    if found.dtype.kind != "f":
        return found.tolist()
    out = found.astype(object)
    out[~np.isfinite(found)] = None
    return out.tolist()
