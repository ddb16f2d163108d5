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


def percentile_tail(n: int, confidence: float = 0.95) -> float:
    """At which percentile of a bootstrap over `n` units an interval begins: below 2.5 % of few.

    Parameters
    ----------
    n
        Units that are drawn, at least 2.
    confidence
        0.95 for an interval of 95 %.

    Notes
    -----
    So that a bootstrap of a mean of n normal values is as wide as Student's interval (Hesterberg,
    "What Teachers Should Know About the Bootstrap", 2015).
    """
    wide = t_quantile((1 + confidence) / 2, n - 1) * math.sqrt(n / (n - 1))
    return NormalDist().cdf(-wide)


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
