"""MEXA: is a sentence nearer to its translation than to any other, and the translation to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ilo_fast.scores.similarity.layers import Array
from ilo_fast.scores.similarity.pairs import Measure, each_pair, similarity
from ilo_fast.scores.similarity.result import Similarity
from ilo_fast.scores.similarity.translations import (
    Directions,
    mexa_chance,
    mexa_score,
    unit_rows,
)


def mexa(
    X: Any,
    Y: Any = None,
    *,
    intervals: bool = False,
    level: float = 0.95,
    seed: int = 0,
    n_threads: int | None = None,
    progress: bool = False,
) -> Similarity:
    """Share of sentences that are nearest to their translation, both ways, with any pivot.

    ``1/n sum_i [c_ii > max_(j != i) c_ij and c_ii > max_(j != i) c_ji]`` with the cosines c_ij of
    sentence i in the pivot and j in the language (Kargaran et al. 2025, arXiv 2410.05873, who take
    English for the pivot, 100 sentences, and layer by layer their weighted or last token).

    Parameters
    ----------
    X, Y
        As `ilo_fast.scores.similarity.pairs.similarity` takes them, of equal dimensions. Of
        `Representations`, rows are the pivots.
    intervals, level, seed
        From halves of the sentences, see `Similarity`.
    n_threads : int, optional
        Not used: products run on the threads of NumPy's BLAS.
    progress : bool
        A bar on standard error.

    Returns
    -------
    Similarity
        Between 0 and 1; by chance ``1 / (2 n - 1)``, since one of 2 n - 1 cosines is largest. It
        falls with n: compare values of equal n. The pivot may be exchanged with the language.

    Notes
    -----
    Does not change where both spaces are turned alike, where rows are scaled, or both reordered. A
    tie is a miss, as are cosines within some roundings of float32: the copies of a sentence are no
    translation that was found. Cost: 2 n^2 d operations for each pair.
    """
    measure = Measure(
        "mexa", unit_rows, _values, _chance, share=True, zero_rows=False,
    )  # fmt: skip
    return similarity(measure, X, Y, intervals=intervals, level=level, seed=seed, progress=progress)


def _values(a: Sequence[Array], b: Sequence[Array] | None) -> Array:
    every = [*a, *(b or ())]
    widths = {rows.shape[1] for rows in every}
    if len(widths) > 1:
        raise ValueError(
            f"X and Y have {' and '.join(map(str, sorted(widths)))} dimensions: a cosine needs the "
            "same space for both"
        )
    directions = Directions.of(every)

    def of_pair(i: int, j: int) -> float:
        return mexa_score(directions.ranks(i, j, methods=("cosine",))[0])

    columns = None if b is None else range(len(a), len(every))
    return each_pair(of_pair, symmetric=True)(range(len(a)), columns)


def _chance(a: Sequence[Array], b: Sequence[Array] | None) -> tuple[Array, Array]:
    shape = len(a), len(a if b is None else b)
    return np.full(shape, mexa_chance(len(a[0]))), np.full(shape, np.nan)
