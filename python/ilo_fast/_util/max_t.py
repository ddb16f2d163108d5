"""P values of many statistics at once, from permutations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Statistics that are equal may differ in their last bits once they are standardised.
_SLACK = 1e-9


def step_down_p(values: Floats) -> Floats:
    """Step-down maxT p values of Westfall and Young: large values are evidence.

    Each statistic is standardised by its mean and standard deviation over all rows, the observed
    among them, so that none rules the maximum because it varies most. In the order of the observed
    ones, each is compared with the largest of itself and all less extreme ones in every
    permutation, ``p = (1 + b) / (1 + B)``, and p never falls along that order.

    Parameters
    ----------
    values : float64, shape (1 + permutations, ...)
        The observed statistics, then those of each permutation.

    Returns
    -------
    float64, shape (...)
        Never below 1 / (1 + permutations); 1 where a statistic never changes. Under the hypothesis
        that rows are exchangeable, the probability that any p is at or below a level is at most
        that level, exactly.

    Raises
    ------
    ValueError
        NaN, which has no place in an order.

    Notes
    -----
    Westfall and Young, *Resampling-Based Multiple Testing* (1993), algorithm 2.8; Ge, Dudoit and
    Speed, TEST 12 (2003).
    """
    if np.isnan(values).any():
        raise ValueError("values holds NaN, wanted statistics that are all known")
    flat = values.reshape(len(values), -1)
    deviation = flat - flat.mean(axis=0)
    sd = np.where(np.ptp(flat, axis=0) > 0, flat.std(axis=0), np.inf)
    t = deviation / sd
    order = np.argsort(-t[0], kind="stable")
    t = t[:, order]
    largest = np.maximum.accumulate(t[:, ::-1], axis=1)[:, ::-1]
    reached = largest >= t[0] - _SLACK * np.maximum(1, np.abs(t[0]))
    p = np.empty(flat.shape[1])
    p[order] = np.maximum.accumulate(reached.mean(axis=0))
    return p.reshape(values.shape[1:])
