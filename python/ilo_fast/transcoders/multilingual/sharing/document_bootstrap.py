"""Means over lines with intervals: documents are drawn anew, all their lines together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.statistics import percentile_tail
from ilo_fast.scores.similarity.result import nested

Array = NDArray[np.float64]

_BYTES: Final = 1e8  # of replicates at a time
LEAST_DOCUMENTS: Final = 10
"""Of fewer no interval is made."""


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

    Parameters
    ----------
    n_lines : (documents,)
        Lines of each document.
    n_draws
        How many draws.
    seed
    confidence
        0.95 for intervals of 95 %.
    """

    def __init__(self, n_lines: Array, *, n_draws: int, seed: int, confidence: float) -> None:
        n = len(n_lines)
        self.n_lines = np.asarray(n_lines, np.float64)
        self.has_intervals = n >= LEAST_DOCUMENTS
        random = np.random.default_rng(seed)
        self._draws = random.multinomial(n, np.full(n, 1 / n), size=n_draws).astype(np.float64)
        self._lines = self._draws @ self.n_lines
        # Percentiles of few documents are too near: as far apart as those of Student's t would be.
        self._tail = percentile_tail(n, confidence) if n > 1 else 0.0

    def means(self, sums: Array) -> Estimated:
        """The mean over lines. sums: (documents, ...), what each document's lines add up to."""
        flat = sums.reshape(len(sums), -1)
        values = flat.sum(axis=0) / self.n_lines.sum()
        ends = np.full((2, flat.shape[1]), np.nan)
        step = max(1, int(_BYTES // (8 * len(self._draws))))
        for first in range(0, flat.shape[1] if self.has_intervals else 0, step):
            part = slice(first, first + step)
            drawn = self._draws @ flat[:, part] / self._lines[:, None]
            ends[:, part] = np.quantile(drawn, [self._tail, 1 - self._tail], axis=0)
        shape = sums.shape[1:]
        return Estimated(values.reshape(shape), ends[0].reshape(shape), ends[1].reshape(shape))
