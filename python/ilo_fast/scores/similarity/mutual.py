"""Mutual k-NN and its relatives: which neighbours two spaces agree on, whatever their order."""

from __future__ import annotations

from fractions import Fraction
from math import comb
from typing import Any

import numpy as np

from ilo_fast.graph.knn import Metric
from ilo_fast.scores.similarity.neighbors import (
    Array,
    RowSums,
    Search,
    States,
    check_permutations,
    measure_of_lists,
    permutation_null,
)
from ilo_fast.scores.similarity.pairs import similarity
from ilo_fast.scores.similarity.result import Similarity


def mutual_knn(
    X: Any,
    Y: Any = None,
    *,
    n_neighbors: int = 10,
    metric: Metric = "cosine",
    intervals: bool = False,
    level: float = 0.95,
    seed: int = 0,
    n_threads: int | None = None,
    progress: bool = False,
) -> Similarity:
    """Share of the nearest neighbours that two spaces have in common.

    The mean over rows i of ``|A_i & B_i| / k``, where A_i and B_i are the k nearest other rows of
    row i in X and in Y.

    Parameters
    ----------
    X, Y
        As in `similarity`: two arrays (n, d), stacks (layers, n, d), or `Representations`.
    n_neighbors : int
        k, at most n - 1.
    metric : {"cosine", "euclidean"}
    intervals : bool
        Also `low` and `high`, from random halves of the sentences, whose neighbours are found in
        longer lists of the same graph.
    level : float
        Of the intervals.
    seed : int
        Of the halves.
    n_threads : int, optional
        All processors that this process may use.
    progress : bool

    Returns
    -------
    Similarity
        From 0 to 1. `chance` is k / (n - 1), `z` from the exact variance over all renumberings of
        the rows of Y (`overlap_moments`): both in closed form.

    Raises
    ------
    ValueError
        Shapes that do not fit, n_neighbors too large, NaN, a zero row under cosine.

    Notes
    -----
    Source: Huh, Cheung, Wang and Isola, The Platonic Representation Hypothesis, 2024. The value
    falls as n grows, since there are more rows to choose from (Koepke et al. 2026): it is a
    statement about n, which the result holds. Symmetric in X and Y; does not change where X or Y is
    rotated or scaled, nor, with ``"euclidean"``, shifted. Ties go to the smaller row number. One
    exact graph per array, O(n^2 d) with n k numbers kept, then O(n k) per pair.
    """
    search = Search.checked(n_neighbors, metric, n_threads, halves=intervals)
    k = search.n_neighbors
    sums = RowSums("common", np.arange(k + 1) / k, search.n_threads)
    measure = measure_of_lists("mutual_knn", search, sums, _mutual_null, {})
    return similarity(measure, X, Y, intervals=intervals, level=level, seed=seed, progress=progress)


def _mutual_null(a: States, b: States | None) -> tuple[Array, Array]:
    others = a if b is None else b
    links = a[0].indices.size
    moments = np.array(
        [[one.link_sums.overlap_moments(other.link_sums) for other in others] for one in a]
    )
    return moments[..., 0] / links, np.sqrt(moments[..., 1]) / links


def jaccard_knn(
    X: Any,
    Y: Any = None,
    *,
    n_neighbors: int = 10,
    metric: Metric = "cosine",
    n_permutations: int = 100,
    intervals: bool = False,
    level: float = 0.95,
    seed: int = 0,
    n_threads: int | None = None,
    progress: bool = False,
) -> Similarity:
    """Jaccard similarity of the neighbourhoods of two spaces.

    The mean over rows i of ``|A_i & B_i| / |A_i | B_i|``, which is o / (2 k - o) for o neighbours
    in common.

    Parameters
    ----------
    X, Y, n_neighbors, metric, intervals, level, n_threads, progress
        As in `mutual_knn`.
    n_permutations : int
        For `z`; 0 leaves it out.
    seed : int
        Of the permutations and halves.

    Returns
    -------
    Similarity
        From 0 to 1. `chance` is exact: o is hypergeometric, k of n - 1 drawn twice. `z` by the
        standard deviation over permutations of the rows of Y.

    Raises
    ------
    ValueError
        As `mutual_knn`; n_permutations=1.

    Notes
    -----
    Source: Schumacher et al. 2021; repsim of Klabunde et al. leaves out column 0 of the neighbours
    as the row itself, which is wrong where rows are equal: here the row is left out by its number.
    Invariances and cost as of `mutual_knn`; a permutation costs O(n k) for all layers together.
    """
    search = Search.checked(n_neighbors, metric, n_threads, halves=intervals)
    count = check_permutations(n_permutations)
    k = search.n_neighbors
    weights = np.array([o / (2 * k - o) for o in range(k + 1)])
    sums = RowSums("common", weights, search.n_threads)
    permuted = permutation_null(sums, count, seed)

    def null(a: States, b: States | None) -> tuple[Array, Array]:
        shape = (len(a), len(a if b is None else b))
        deviation = np.full(shape, np.nan) if permuted is None else permuted(a, b)[1]
        return np.full(shape, _mean_of_common(weights, len(a[0].indices), k)), deviation

    measure = measure_of_lists("jaccard_knn", search, sums, null, {"n_permutations": count})
    return similarity(measure, X, Y, intervals=intervals, level=level, seed=seed, progress=progress)


def _mean_of_common(weights: Array, n: int, k: int) -> float:
    """Of weights[o], where two sets of k of the n - 1 other points have o in common by chance."""
    ways = [comb(k, o) * comb(n - 1 - k, k - o) for o in range(k + 1)]
    total = comb(n - 1, k)
    return sum(float(Fraction(w, total)) * float(x) for w, x in zip(ways, weights, strict=True))


def cycle_knn(
    X: Any,
    Y: Any = None,
    *,
    n_neighbors: int = 10,
    metric: Metric = "cosine",
    n_permutations: int = 100,
    intervals: bool = False,
    level: float = 0.95,
    seed: int = 0,
    n_threads: int | None = None,
    progress: bool = False,
) -> Similarity:
    """Share of the rows that come back to themselves: to a neighbour in Y, then to one in X.

    The mean over rows i of 1 where any j in B_i has i in A_j, else 0.

    Parameters
    ----------
    X, Y, n_neighbors, metric, intervals, level, n_threads, progress
        As in `mutual_knn`.
    n_permutations : int
        For `chance` and `z`; 0 leaves them out.
    seed : int
        Of the permutations and halves.

    Returns
    -------
    Similarity
        From 0 to 1. **Not symmetric**: the first step goes in Y, the second in X, so of a table of
        layers or languages [r, c] starts in c and returns in r. `chance` and `z` are of
        permutations of the rows of Y: there is no closed form, since it depends on the in-degrees
        of X.

    Raises
    ------
    ValueError
        As `mutual_knn`; n_permutations=1.

    Notes
    -----
    Source: ``AlignmentMetrics.cycle_knn`` of Huh et al. 2024: any of the k^2 ways back counts, so
    it grows fast with k: read it beside its chance, about ``1 - exp(-k^2 / n)``. It is near 1 for
    a space with itself, and 1 only where each row has a link that is returned. Invariances and
    cost as of `mutual_knn`.
    """
    search = Search.checked(n_neighbors, metric, n_threads, halves=intervals)
    count = check_permutations(n_permutations)
    sums = RowSums("cycle", np.array([0.0, 1.0]), search.n_threads)
    null = permutation_null(sums, count, seed)
    measure = measure_of_lists("cycle_knn", search, sums, null, {"n_permutations": count})
    return similarity(measure, X, Y, intervals=intervals, level=level, seed=seed, progress=progress)
