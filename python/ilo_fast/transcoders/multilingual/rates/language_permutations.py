"""Whether features fire as often in every language: labels of documents permuted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast import _core
from ilo_fast._util.max_t import step_down_p
from ilo_fast._util.progress import cost_bar
from ilo_fast.transcoders.multilingual.documents import permuted_cells
from ilo_fast.transcoders.multilingual.rates.document_counts import DocumentCounts

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DOMINANT: Final = 0.5
"""A language-specific feature has this much of its summed rates in one language, or more, ..."""
OTHERS: Final = 0.1
"""... and less than this in each other (arXiv 2511.10840)."""

_SLACK: Final = 1e-9  # sums in another order differ in their last bits
_BATCH_LABELS: Final = 2**24


@dataclass(frozen=True, eq=False)
class LabelTest:
    """What permuted labels say of each column.

    Attributes
    ----------
    p, p_adjusted : (columns,) float64
        Of one feature alone; of all together, by step-down maxT.
    dominated : (1 + permutations, columns) bool
        Whether it is specific to one language by the rule, with the labels as they are first.
    """

    p: Floats
    p_adjusted: Floats
    dominated: NDArray[np.bool_]


def permutation_test(
    counts: DocumentCounts,
    *,
    n_permutations: int,
    seed: int,
    n_threads: int,
    progress: bool = False,
) -> LabelTest:
    """Test that the rate of each column is the same under every label.

    The statistic is Pearson's chi-squared of firings against tokens. Rows change labels whole,
    firings and tokens, as `permuted_cells` does.
    """
    n_rows, n_columns = len(counts.language), counts.n_columns
    random = np.random.default_rng(seed)
    total = 1 + n_permutations
    statistic = np.empty((total, n_columns))
    dominated = np.empty((total, n_columns), np.bool_)
    batch = max(16, _BATCH_LABELS // max(1, n_rows) // 16 * 16)
    with cost_bar(progress, "permuting labels", cost=total, items=total, unit="permutation") as bar:
        for first in range(0, total, batch):
            n = min(batch, total - first)
            labels = permuted_cells(counts.language, counts.document, n, random).astype(np.uint16)
            if first == 0:
                labels[0] = counts.language
            statistic[first : first + n], dominated[first : first + n] = _core.label_permutations(
                counts.offsets,
                counts.rows,
                counts.counts,
                tokens=counts.tokens,
                labels=labels,
                n_labels=counts.n_languages,
                dominant=DOMINANT,
                others=OTHERS,
                n_threads=n_threads,
            )
            bar.advance(n, n)
    if n_columns == 0:
        return LabelTest(np.empty(0), np.empty(0), dominated)
    reached = statistic >= statistic[0] * (1 - _SLACK)
    return LabelTest(reached.mean(axis=0), step_down_p(statistic), dominated)
