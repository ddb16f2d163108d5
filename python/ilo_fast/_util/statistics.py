"""The interval of a share."""

from __future__ import annotations

import math
from typing import Final

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
    shrink = 1 + _Z**2 / n
    middle = (share + _Z**2 / (2 * n)) / shrink
    half = _Z / shrink * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    # Rounding must not push an end past the share itself.
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))
