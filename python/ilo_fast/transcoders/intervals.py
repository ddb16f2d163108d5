"""Intervals of what is computed from sums over documents, by drawing documents again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

_TAILS: Final = (2.5, 97.5)
_CELLS: Final = 4_000_000  # draws that are held at once

Floats = NDArray[np.float64]


def resampled_sums(values: Floats, *, seed: Sequence[int], n_boot: int) -> Floats:
    """Sums over documents, each time over as many drawn with replacement.

    Parameters
    ----------
    values : (documents, k)
    seed
        Entropy for `numpy.random.default_rng`.
    n_boot
        Number of draws.

    Returns
    -------
    (n_boot, k)
    """
    n = len(values)
    rng = np.random.default_rng(list(seed))
    size = max(1, _CELLS // n)
    parts = []
    for start in range(0, n_boot, size):
        # How often each document is drawn decides the sums.
        times = rng.multinomial(n, np.full(n, 1 / n), size=min(size, n_boot - start))
        parts.append(times @ values)
    return np.concatenate(parts)


def percentile_interval(drawn: Floats) -> Floats:
    """95 % of what was drawn: (draws, ...) to (..., 2); NaN where a draw is not a number."""
    return np.moveaxis(np.percentile(drawn, _TAILS, axis=0), 0, -1)
