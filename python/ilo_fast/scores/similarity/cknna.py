"""CKNNA: kernel alignment where the neighbourhoods of two spaces agree."""

from __future__ import annotations

from typing import Any

import numpy as np

from ilo_fast import _core
from ilo_fast.scores.similarity.neighbors import (
    Array,
    Neighbors,
    Points,
    Search,
    States,
    check_permutations,
    permutation_null,
    stacked,
)
from ilo_fast.scores.similarity.pairs import Measure, similarity
from ilo_fast.scores.similarity.result import Similarity


def cknna(
    X: Any,
    Y: Any = None,
    *,
    n_neighbors: int = 10,
    n_permutations: int = 100,
    intervals: bool = False,
    level: float = 0.95,
    seed: int = 0,
    n_threads: int | None = None,
    progress: bool = False,
) -> Similarity:
    """Centred kernel nearest-neighbour alignment.

    With K and L the cosines between the rows of X and of Y, ``a_ij = 1`` where j is among the k
    nearest other rows of i in both (``a_K, a_L``: in one)::

        HSIC1(a K, a L) / sqrt(HSIC1(a_K K, a_K K) HSIC1(a_L L, a_L L))

    HSIC1 is the unbiased estimate of Song et al. 2012, eq. 5, as in unbiased CKA.

    Parameters
    ----------
    X, Y, intervals, level, n_threads, progress
        As in `mutual_knn`.
    n_neighbors : int
        k, from 1 to n - 1. With n - 1 this is the unbiased CKA of the rows at unit length.
    n_permutations : int
        For `chance` and `z`; 0 leaves them out.
    seed : int
        Of the permutations and halves.

    Returns
    -------
    Similarity
        1 for a space with itself, about 0 by chance; it may be a little below. NaN where a space
        has no links that go both ways, and the root has nothing to stand on. `chance` and `z` are
        of permutations of the rows of Y.

    Raises
    ------
    ValueError
        As `mutual_knn`; fewer than 4 rows; n_permutations=1.

    Notes
    -----
    Source: ``AlignmentMetrics.cknna`` of Huh et al. 2024, on rows of unit length as its callers
    give them. Two things are as there: a is no symmetric matrix, so that X and Y may be exchanged
    only nearly; and the trace takes links that go both ways. Its 1e-6 in the denominator is left
    out, as it makes the result depend on n. Does not change where X or Y is rotated or scaled. The
    cosines are those of the graph, rounded to float32. One exact graph per array, then O(n k) per
    pair and permutation; no N x N matrix.
    """
    search = Search.checked(n_neighbors, "cosine", n_threads, halves=intervals)
    count = check_permutations(n_permutations)

    def values(a: States, b: States | None, permutations: Points | None = None) -> Array:
        others = a if b is None else b
        both = _hsic(a, others, permutations, search.n_threads)
        own_a, own_b = (
            np.array([_hsic([s], [s], None, search.n_threads)[0, 0, 0] for s in side])
            for side in (a, others)
        )
        scale = np.outer(own_a, own_b)
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Array = both / np.sqrt(
                np.where((own_a > 0)[:, None] & (own_b > 0), scale, np.nan)
            )
        return found

    measure = Measure(
        name="cknna",
        prepare=search,
        restrict=search.restrict,
        compare=lambda a, b: values(a, b)[0],
        null=permutation_null(values, count, seed),
        lowest=-np.inf,
        highest=np.inf,
        least=max(4, search.n_neighbors + 1),
        zero_rows=False,
        settings={"n_neighbors": search.n_neighbors, "n_permutations": count},
    )
    return similarity(measure, X, Y, intervals=intervals, level=level, seed=seed, progress=progress)


def _hsic(a: States, b: States, permutations: Points | None, n_threads: int) -> Array:
    n = len(a[0].indices)
    none = np.zeros((0, n), np.int32)
    return _core.masked_hsic(
        stacked(a),
        _cosines(a),
        stacked(b),
        _cosines(b),
        permutations=none if permutations is None else permutations,
        n_threads=n_threads,
    )


def _cosines(states: States) -> Array:
    def of(state: Neighbors) -> Array:
        return 1.0 - state.distances.astype(np.float64)

    return np.stack([of(state) for state in states])
