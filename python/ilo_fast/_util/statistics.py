"""The interval of a share, and the quantiles that intervals need."""

from __future__ import annotations

import functools
import math
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

_Z: Final = 1.959963984540054  # the 97.5 % quantile of the normal distribution


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """The 95 % score interval of Wilson (1927) for a share: within 0 and 1, also at the ends.

    Parameters
    ----------
    share
        Observed share of successes, 0 to 1.
    n
        Independent trials, at least 1.
    """
    if not 0 <= share <= 1 or n < 1:
        raise ValueError(f"share={share}, n={n}: wanted a share from 0 to 1 of at least 1 trial")
    low, high = score_interval(share, n, _Z)
    return float(low), float(high)


def difference_interval(share: float, n: int, other: float, other_n: int) -> tuple[float, float]:
    """The 95 % interval of `share` less `other`, from their Wilson intervals.

    Newcombe, Statistics in Medicine 17 (1998), method 10.
    """
    low, high = wilson_interval(share, n)
    other_low, other_high = wilson_interval(other, other_n)
    return (
        share - other - math.hypot(share - low, other_high - other),
        share - other + math.hypot(high - share, other - other_low),
    )


def score_interval(
    share: ArrayLike, n: ArrayLike, quantile: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wilson's interval of shares of `n` independent trials, which may be no whole number.

    Parameters
    ----------
    share, n
        Arrays that fit each other; NaN gives NaN.
    quantile
        Of the normal distribution or of Student's t: 1.96 for 95 %.

    Returns
    -------
    low, high : float64
        Within 0 and 1; `share` lies between them.
    """
    share, n = np.asarray(share, np.float64), np.asarray(n, np.float64)
    shrink = 1 + quantile**2 / n
    middle = (share + quantile**2 / (2 * n)) / shrink
    half = quantile / shrink * np.sqrt(share * (1 - share) / n + quantile**2 / (4 * n**2))
    # Rounding must not push an end past the share itself.
    low = np.clip(np.minimum(share, middle - half), 0, 1)
    return low, np.clip(np.maximum(share, middle + half), 0, 1)


def bootstrap_tail(n: int, level: float = 0.95) -> float:
    """The share of the draws of a bootstrap of `n` units that either end of an interval cuts off.

    Notes
    -----
    Percentiles of few units are too near: these are as far apart as Student's interval is for a
    mean of n normal values (Hesterberg, "What Teachers Should Know About the Bootstrap", 2015). Of
    2 or 3 units that is wider than all that can be drawn.
    """
    return NormalDist().cdf(-math.sqrt(n / (n - 1)) * t_quantile((1 + level) / 2, n - 1))


@functools.cache
def t_quantile(probability: float, df: int) -> float:
    """The quantile of Student's t distribution.

    Parameters
    ----------
    probability
        Between 0.5 and 1, both left out.
    df
        Degrees of freedom, at least 1.

    Notes
    -----
    Up to 200 degrees of freedom the distribution function in closed form (Abramowitz and Stegun
    26.7.3 and 26.7.4), inverted by bisection; beyond, the expansion 26.7.5. To 7 digits or more.
    """
    if not 0.5 < probability < 1 or df < 1:
        raise ValueError(
            f"probability={probability}, df={df}: wanted a probability between 0.5 and 1, and at "
            "least 1 degree of freedom"
        )
    if df > 200:
        z = NormalDist().inv_cdf(probability)
        terms = (
            z,
            (z**3 + z) / 4,
            (5 * z**5 + 16 * z**3 + 3 * z) / 96,
            (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        )
        return math.fsum(term / df**power for power, term in enumerate(terms))
    low, high = 0.0, math.pi / 2  # of the angle whose tangent is t / sqrt(df)
    for _ in range(64):
        middle = (low + high) / 2
        if (1 + _t_within(middle, df)) / 2 < probability:
            low = middle
        else:
            high = middle
    return math.sqrt(df) * math.tan((low + high) / 2)


def _t_within(angle: float, df: int) -> float:
    """P(|T| < sqrt(df) tan(angle))."""
    odd = df % 2
    term = math.sin(angle) * (math.cos(angle) if odd else 1.0)
    total = 0.0
    for power in range(1 + odd, df, 2):
        total += term
        term *= power / (power + 1) * math.cos(angle) ** 2
    return 2 / math.pi * (angle + total) if odd else total
