"""Student's t: how often chance alone goes so far."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def two_sided_p(t: ArrayLike, df: int) -> NDArray[np.float64]:
    """P(|T| >= |t|) for every element; NaN for NaN.

    Parameters
    ----------
    t
        Any shape.
    df
        Degrees of freedom, at least 1.

    Notes
    -----
    The distribution function in closed form, Abramowitz and Stegun 26.7.3 and 26.7.4; right to some
    1e-15, so that what is smaller may be 0.
    """
    if df < 1:
        raise ValueError(f"df={df}: wanted at least 1 degree of freedom")
    angle = np.arctan(np.abs(np.asarray(t, np.float64)) / np.sqrt(df))
    odd = df % 2
    square = np.cos(angle) ** 2
    term = np.sin(angle) * (np.cos(angle) if odd else 1.0)
    total = np.zeros_like(angle)
    for power in range(1 + odd, df, 2):
        total += term
        term = term * square * (power / (power + 1))
    within = 2 / np.pi * (angle + total) if odd else total
    p: NDArray[np.float64] = np.clip(1 - within, 0.0, 1.0)
    return p
