"""Spearman's correlation over layers and over pairs of languages, and how sure it is."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.statistics import t_quantile

Array = NDArray[np.float64]

LEAST_POINTS: Final = 4
"""Of fewer there is no rank correlation worth the name."""
_MOST_ORDERS: Final = 720  # up to so many permutations of languages all are tried
_SLACK: Final = 1e-12


def ranks(values: Array) -> Array:
    """1 for the smallest; equal values share the mean of their ranks."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    found: Array = (ends - (counts - 1) / 2)[which]
    return found


def spearman(x: Array, y: Array) -> float:
    """The correlation of the ranks; NaN of fewer than 4 points, or where all are equal."""
    there = np.isfinite(x) & np.isfinite(y)
    if there.sum() < LEAST_POINTS:
        return math.nan
    a, b = ranks(x[there]), ranks(y[there])
    a, b = a - a.mean(), b - b.mean()
    length = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / length if length else math.nan


@dataclass(frozen=True)
class Correlation:
    """A rank correlation; NaN where there is none.

    Attributes
    ----------
    rho, low, high : float
    p : float
        Of a permutation test, two-sided; NaN of layers, whose order is no accident.
    n : int
        Points.
    """

    rho: float
    low: float
    high: float
    p: float
    n: int


def layer_correlation(
    x: Array, y: Array, halves: Sequence[tuple[Array, Array]], confidence: float
) -> Correlation:
    """Over layers.

    The interval is of other documents at these layers: layers are no sample of anything, and
    neighbouring ones are alike, so that there is no test.

    Parameters
    ----------
    x, y : (layers,)
    halves
        (x, y) of the first half of the documents, of the second half, and so on pair by pair.
    confidence
        0.95 for an interval of 95 %.
    """
    variance = _text_variance(halves, spearman)
    quantile = t_quantile((1 + confidence) / 2, max(1, len(halves) // 2))
    return _with_interval(spearman(x, y), variance, quantile, len(x), math.nan)


def pair_correlation(
    x: Array,
    y: Array,
    halves: Sequence[tuple[Array, Array]],
    confidence: float,
    *,
    n_permutations: int,
    seed: int,
) -> Correlation:
    """Over pairs of languages.

    Pairs share languages and are not independent. The interval is of other languages (jackknife
    over languages) and other documents (halves), whose variances are added. The test permutes the
    languages of one matrix against the other (Mantel 1967): under the hypothesis that it does not
    matter which is which, p is exact.

    Parameters
    ----------
    x, y : (languages, languages)
        Symmetric; the diagonal does not count.
    halves, confidence
        As of `layer_correlation`; of no halves the interval is of other languages only.
    n_permutations
        All permutations are tried where there are no more than 720.
    """
    n = len(x)
    upper = np.triu_indices(n, 1)

    def of(a: Array, b: Array) -> float:
        return spearman(a[upper], b[upper])

    rho = of(x, y)
    n_pairs = n * (n - 1) // 2
    if math.isnan(rho):
        return Correlation(rho, math.nan, math.nan, math.nan, n_pairs)
    others = [np.delete(np.arange(n), at) for at in range(n)]
    without = np.array(
        [spearman(*(m[np.ix_(o, o)][np.triu_indices(n - 1, 1)] for m in (x, y))) for o in others]
    )
    of_languages = (n - 1) / n * float(((without - without.mean()) ** 2).sum())
    of_text = _text_variance(halves, of) if halves else 0.0
    quantile = t_quantile((1 + confidence) / 2, n - 1)
    p = _mantel(x, y, rho, n_permutations, seed)
    return _with_interval(rho, of_languages + of_text, quantile, n_pairs, p)


def _text_variance(
    halves: Sequence[tuple[Array, Array]], of: Callable[[Array, Array], float]
) -> float:
    """As of `Halves.interval`: a quarter of the mean square of the differences of both halves."""
    values = np.array([of(x, y) for x, y in halves])
    if not len(values):
        return math.nan
    return float(np.mean((values[::2] - values[1::2]) ** 2) / 4)


def _with_interval(rho: float, variance: float, quantile: float, n: int, p: float) -> Correlation:
    reach = quantile * math.sqrt(variance) if variance >= 0 else math.nan
    return Correlation(rho, max(rho - reach, -1.0), min(rho + reach, 1.0), p, n)


def _mantel(x: Array, y: Array, rho: float, n_permutations: int, seed: int) -> float:
    n = len(x)
    upper = np.triu_indices(n, 1)
    first, second = x[upper], y
    if math.factorial(n) <= _MOST_ORDERS:
        every = [np.array(order) for order in itertools.permutations(range(n))]
        found = [spearman(first, second[np.ix_(o, o)][upper]) for o in every]
        return float(np.mean(np.abs(found) >= abs(rho) - _SLACK))
    if not n_permutations:
        return math.nan
    random = np.random.default_rng(seed)
    orders = [random.permutation(n) for _ in range(n_permutations)]
    found = [spearman(first, second[np.ix_(o, o)][upper]) for o in orders]
    reached = int((np.abs(found) >= abs(rho) - _SLACK).sum())
    return (1 + reached) / (1 + n_permutations)
