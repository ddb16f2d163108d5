"""Intervals for shares, F1 and means over languages.

All intervals are 95 %. What is random is drawn from a seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

_TAILS: Final = (2.5, 97.5)
# Draws of a bootstrap that are held at once, so that memory stays small whatever is asked for.
_CELLS: Final = 4_000_000


def confusion_matrix(
    targets: NDArray[np.int64], predictions: NDArray[np.int64], n_labels: int
) -> NDArray[np.int64]:
    """Counts of shape (n_labels, n_labels): rows what is true, columns what was predicted."""
    cells = np.bincount(targets * n_labels + predictions, minlength=n_labels**2)
    return cells.reshape(n_labels, n_labels).astype(np.int64)


def macro_f1(confusion: NDArray[np.int64]) -> float:
    """F1 of each class, and of these the plain mean.

    The mean is over the classes that are true or predicted at least once. A class that occurs and
    is never predicted right has an F1 of 0.
    """
    hits = np.diag(confusion)
    total = confusion.sum(axis=0) + confusion.sum(axis=1)
    return float(_mean_f1(hits, total))


def macro_f1_interval(
    confusion: NDArray[np.int64], *, seed: Sequence[int], n_boot: int
) -> tuple[float, float]:
    """Percentile bootstrap over sentences.

    F1 depends on the sentences only through the counts of `confusion`, and drawing n sentences with
    replacement draws these counts from a multinomial distribution: the same bootstrap without a
    sentence being touched.

    Parameters
    ----------
    confusion
        As `confusion_matrix` gives it.
    seed
        Entropy for `numpy.random.default_rng`.
    n_boot
        Number of draws.
    """
    true, predicted = np.nonzero(confusion)
    counts = confusion[true, predicted]
    n = int(counts.sum())
    n_labels = len(confusion)
    # What a sentence in each cell adds to the hits of a class, and to its hits + misses.
    right = np.zeros((len(counts), n_labels))
    touched = np.zeros((len(counts), n_labels))
    cells = np.arange(len(counts))
    right[cells[true == predicted], true[true == predicted]] = 1
    np.add.at(touched, (cells, true), 1)
    np.add.at(touched, (cells, predicted), 1)
    rng = np.random.default_rng(list(seed))
    scores = []
    for size in _chunks(n_boot, len(counts) + 2 * n_labels):
        drawn = rng.multinomial(n, counts / n, size=size).astype(np.float64)
        scores.append(_mean_f1(drawn @ right, drawn @ touched))
    low, high = np.percentile(np.concatenate(scores), _TAILS)
    return float(low), float(high)


def bootstrap_means(
    values: NDArray[np.float64], *, seed: Sequence[int], n_boot: int
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Means over languages, with percentile intervals from a bootstrap over the languages.

    Parameters
    ----------
    values : (..., languages)
    seed
        Entropy for `numpy.random.default_rng`.
    n_boot
        Number of draws.

    Returns
    -------
    means : (...)
    intervals : (..., 2), or None for one language, which says nothing of how languages differ
    """
    values = np.asarray(values, np.float64)
    n = values.shape[-1]
    means = values.mean(axis=-1)
    if n == 1:
        return means, None
    rng = np.random.default_rng(list(seed))
    drawn = []
    for size in _chunks(n_boot, n * max(1, means.size)):
        # How often each language is drawn decides the mean.
        weights = rng.multinomial(n, np.full(n, 1 / n), size=size) / n
        drawn.append(values @ weights.T)
    intervals = np.percentile(np.concatenate(drawn, axis=-1), _TAILS, axis=-1)
    return means, np.moveaxis(intervals, 0, -1)


def _mean_f1(hits: NDArray[np.number], touched: NDArray[np.number]) -> NDArray[np.float64]:
    """Mean over the last axis of 2 hits / touched, where touched is not 0."""
    occurs = touched > 0
    scores = np.divide(2.0 * hits, touched, out=np.zeros(touched.shape), where=occurs)
    mean: NDArray[np.float64] = scores.sum(axis=-1) / occurs.sum(axis=-1)
    return mean


def _chunks(total: int, width: int) -> list[int]:
    """`total` in parts, so that a part times `width` stays within what is held at once."""
    size = max(1, _CELLS // max(1, width))
    return [min(size, total - start) for start in range(0, total, size)]
