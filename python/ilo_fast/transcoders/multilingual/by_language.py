"""Features by language: sums, rates, and the languages' shares of the rates."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ilo_fast.transcoders.multilingual.line_features import LineFeatures

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def summed(table: LineFeatures, values: ArrayLike, labels: Integers | None = None) -> Floats:
    """(languages, columns): what entries add up to.

    Parameters
    ----------
    values : (entries,)
    labels : (rows,)
        Other languages for the rows; None: their own.
    """
    n, width = len(table.languages), table.n_columns
    at = (table.language if labels is None else labels)[table.rows] * width + table.indices
    found = np.bincount(at, np.asarray(values, np.float64), minlength=n * width)
    return found.reshape(n, width).astype(np.float64)


def rates(table: LineFeatures, labels: Integers | None = None) -> Floats:
    """(languages, columns): firings per token, the share of tokens at which each is active."""
    own = table.language if labels is None else labels
    tokens = np.bincount(own, table.tokens, minlength=len(table.languages))
    return summed(table, table.counts, labels) / tokens[:, None]


def shares(rates: Floats) -> Floats:
    """Of the sum over languages, the first axis; NaN where that is 0."""
    total = rates.sum(axis=0)
    found: Floats = np.divide(rates, total, out=np.full(rates.shape, np.nan), where=total > 0)
    return found


def largest_other(shares: Floats) -> Floats:
    """(languages, columns): the largest share of another language."""
    top = np.sort(shares, axis=0)
    found: Floats = np.where(shares == top[-1], top[-2], top[-1])
    return found
