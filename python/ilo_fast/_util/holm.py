"""P values of several tests, corrected by Holm's step-down procedure."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def holm_p(p: ArrayLike) -> NDArray[np.float64]:
    """Corrected p values, of the same shape; NaN is no test, and stays.

    The probability that any is at or below a level where nothing is there is at most that level,
    whatever their dependence (Holm, Scandinavian Journal of Statistics 6, 1979).
    """
    p = np.asarray(p, np.float64)
    flat = p.ravel()
    known = np.flatnonzero(~np.isnan(flat))
    order = known[np.argsort(flat[known], kind="stable")]
    corrected = flat.copy()
    scaled = flat[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return corrected.reshape(p.shape)
