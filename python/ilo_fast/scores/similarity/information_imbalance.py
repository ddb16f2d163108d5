"""Information imbalance: does nearness in one space tell nearness in another."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast import _core
from ilo_fast.graph.knn import Metric, knn_graph
from ilo_fast.graph.options import check_metric, thread_count
from ilo_fast.scores.similarity.layers import Array, Rows
from ilo_fast.scores.similarity.pairs import Measure, similarity
from ilo_fast.scores.similarity.result import Similarity
from ilo_fast.scores.similarity.translations import tie, unit_rows

_BLOCK_BYTES: Final = 1 << 22  # of distances of some rows to all


def information_imbalance(
    X: Any,
    Y: Any = None,
    *,
    metric: Metric = "cosine",
    intervals: bool = False,
    level: float = 0.95,
    seed: int = 0,
    n_threads: int | None = None,
    progress: bool = False,
) -> Similarity:
    """How little the nearest neighbours in X say of distances in Y.

    ``2 / n`` times the mean rank, among the distances in Y, of each row's nearest neighbour in X
    (Glielmo et al. 2022, arXiv 2104.15079, with k = 1).

    Parameters
    ----------
    X, Y
        As `ilo_fast.scores.similarity.pairs.similarity` takes them; dimensions may differ. Row and
        column of a table are X and Y: from a row's space to a column's.
    metric : {"cosine", "euclidean"}
    intervals, level, seed
        From halves of the sentences, see `Similarity`.
    n_threads : int, optional
        All that the process may use.
    progress : bool
        A bar on standard error.

    Returns
    -------
    Similarity
        2/n where the nearest in X is the nearest in Y for all rows, 1 by chance, at most 2 - 2/n:
        small values are similar. Not symmetric, which is its point: a space with all that is in Y,
        and more, predicts Y, and Y does not predict it.

    Notes
    -----
    Does not change where a space is turned, or scaled as a whole; with the Euclidean metric nor
    where it is shifted. Nearest neighbours are those of the exact engine, of equal ones the first.
    All distances in Y are ranked, where the published program ranks a list; ties, and distances
    within some roundings of float32, share their mean rank. No n x n matrix. Cost: for each array
    ``n^2 d``, for each pair ``n^2`` comparisons.
    """
    check_metric(metric)
    threads = thread_count(n_threads)
    measure = Measure(
        "information_imbalance",
        partial(_Space.of, metric=metric, n_threads=threads),
        partial(_values, n_threads=threads),
        _chance,
        highest=2.0,
        zero_rows=metric != "cosine",
        settings={"metric": metric},
    )
    return similarity(measure, X, Y, intervals=intervals, level=level, seed=seed, progress=progress)


@dataclass(frozen=True, eq=False)
class _Space:
    """Products of `left` and `right` are squared distances, less what depends on the left alone.

    Attributes
    ----------
    nearest : int64, shape (n,)
        Neighbour of each row.
    lengths : float32, shape (n,)
        Of the centred rows, which rounding grows with.
    """

    left: Rows
    right: Rows
    lengths: NDArray[np.float32]
    nearest: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Rows, *, metric: Metric, n_threads: int) -> _Space:
        nearest = knn_graph(rows, 1, metric=metric, n_threads=n_threads).indices[:, 0]
        if metric == "cosine":  # whose order is that of distances between unit rows
            wide = unit_rows(rows)
            wide -= wide.mean(axis=0)
        else:  # a far row must not move the middle away from the others: they would lose digits
            wide = rows.astype(np.float64) / (np.abs(rows).max() or 1.0)
            wide -= np.median(wide, axis=0)
        squares = np.einsum("ij,ij->i", wide, wide)
        left = np.column_stack([-2 * wide, np.ones(len(wide))]).astype(np.float32)
        right = np.column_stack([wide, squares]).astype(np.float32)
        return cls(left, right, np.sqrt(squares).astype(np.float32), nearest)


def _values(a: Sequence[_Space], b: Sequence[_Space] | None, *, n_threads: int) -> Array:
    chosen = np.column_stack([space.nearest for space in a])
    n = len(chosen)
    height = max(1, _BLOCK_BYTES // (4 * n))

    def column(space: _Space) -> Array:
        total = np.zeros(len(a))
        for at in range(0, n, height):
            own = np.arange(at, min(n, at + height))
            distances = space.left[own] @ space.right.T
            reach = space.lengths[own, None] + space.lengths[chosen[own]]
            tolerances = np.float32(tie(space.left.shape[1])) * np.square(reach)
            total += _core.ranks_of_chosen(distances, own, chosen[own], tolerances).sum(axis=0)
        return total * (2 / n**2)

    with ThreadPoolExecutor(n_threads) as pool:
        return np.column_stack(list(pool.map(column, a if b is None else b)))


def _chance(a: Sequence[_Space], b: Sequence[_Space] | None) -> tuple[Array, Array]:
    shape = len(a), len(a if b is None else b)
    return np.ones(shape), np.full(shape, np.nan)
