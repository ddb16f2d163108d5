"""Intervals by bootstrap: documents are drawn anew, all that is of them together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.json_numbers import nested
from ilo_fast._util.statistics import bootstrap_tail

Array = NDArray[np.float64]

_BYTES: Final = 1e8  # of replicates at a time


@dataclass(frozen=True, eq=False)
class Estimated:
    """Numbers and the ends of their intervals, all of one shape; NaN where there is none."""

    values: Array
    low: Array
    high: Array

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {key: nested(getattr(self, key)) for key in ("values", "low", "high")}


class DocumentBootstrap:
    """The same draws of documents for every number, so that all are resampled jointly.

    Where a number is a plain ratio of sums, `documents.mean_interval` needs no draws; this is for
    many of them, and for what is made of several.

    Parameters
    ----------
    sizes : (documents,)
        What means are per: lines of each document.
    n_draws
        How many draws.
    seed
        Of the draws.
    confidence
        0.95 for intervals of 95 %.
    least_documents
        Of fewer no interval is made.
    """

    def __init__(
        self,
        sizes: Array,
        *,
        n_draws: int,
        seed: int | tuple[int, ...],
        confidence: float = 0.95,
        least_documents: int = 2,
    ) -> None:
        n = len(sizes)
        self.sizes = np.asarray(sizes, np.float64)
        self.has_intervals = n >= max(2, least_documents)
        random = np.random.default_rng(seed)
        self._draws = random.multinomial(n, np.full(n, 1 / n), size=n_draws).astype(np.float64)
        self._drawn_sizes = self._draws @ self.sizes
        self._tail = bootstrap_tail(n, confidence) if n > 1 else 0.0

    def drawn(self, sums: Array) -> Array:
        """(draws, ...): sums over documents in each draw. sums: (documents, ...)."""
        found: Array = self._draws @ sums.reshape(len(sums), -1)
        return found.reshape(-1, *sums.shape[1:])

    def ends(self, draws: Array) -> tuple[Array, Array]:
        """Low and high, over the first axis; NaN where a draw is, or documents are too few."""
        if not self.has_intervals:
            nothing = np.full(draws.shape[1:], np.nan)
            return nothing, nothing
        low, high = np.quantile(draws, [self._tail, 1 - self._tail], axis=0)
        return low, high

    def means(self, sums: Array) -> Estimated:
        """Per size. sums: (documents, ...), what each document's lines add up to."""
        flat = sums.reshape(len(sums), -1)
        values = flat.sum(axis=0) / self.sizes.sum()
        ends = np.full((2, flat.shape[1]), np.nan)
        step = max(1, int(_BYTES // (8 * len(self._draws))))
        for first in range(0, flat.shape[1], step):
            part = slice(first, first + step)
            ends[:, part] = self.ends(self.drawn(flat[:, part]) / self._drawn_sizes[:, None])
        shape = sums.shape[1:]
        return Estimated(values.reshape(shape), ends[0].reshape(shape), ends[1].reshape(shape))
