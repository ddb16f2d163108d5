"""Similarities of neighbour lists that depend on the order of the neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from ilo_fast.graph.knn import Metric
from ilo_fast.scores.similarity.neighbors import (
    Array,
    RowSums,
    Search,
    check_permutations,
    measure_of_lists,
    permutation_null,
)
from ilo_fast.scores.similarity.pairs import similarity
from ilo_fast.scores.similarity.result import Similarity


def lcs_knn(
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
    """Longest common subsequence of the neighbour lists of two spaces, as a share of k.

    The mean over rows i of ``LCS(A_i, B_i) / k``, where A_i and B_i are the k nearest other rows,
    nearest first. A subsequence keeps the order, and may leave entries out.

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
        From 0 to 1, at most `mutual_knn`. `chance` and `z` are of permutations of the rows of Y.

    Raises
    ------
    ValueError
        As `mutual_knn`; n_permutations=1.

    Notes
    -----
    Source: ``AlignmentMetrics.lcs_knn`` of Huh et al. 2024, which is **not** divided by k and runs
    from 0 to k. Ties are ordered by row number, in both spaces alike. Invariances as of
    `mutual_knn`. A neighbour is in a list once, so a row takes O(k log k): longest increasing
    subsequence.
    """
    search = Search.checked(n_neighbors, metric, n_threads, halves=intervals)
    k = search.n_neighbors
    return _compare(
        "lcs_knn", "lcs", np.arange(k + 1) / k, search, n_permutations,
        X, Y, intervals=intervals, level=level, seed=seed, progress=progress,
    )  # fmt: skip


def edit_distance_knn(
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
    """Edit similarity of the neighbour lists of two spaces.

    The mean over rows i of ``1 - ED(A_i, B_i) / k``, with Levenshtein's distance: the fewest
    insertions, deletions and substitutions that make one list of the other.

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
        From 0 to 1, at most `lcs_knn`. `chance` and `z` are of permutations of the rows of Y.

    Raises
    ------
    ValueError
        As `mutual_knn`; n_permutations=1.

    Notes
    -----
    Source: ``AlignmentMetrics.edit_distance_knn`` of Huh et al. 2024. Invariances as of
    `mutual_knn`. A row takes O(k^2 / 64), bit-parallel (Myers 1999).
    """
    search = Search.checked(n_neighbors, metric, n_threads, halves=intervals)
    k = search.n_neighbors
    return _compare(
        "edit_distance_knn", "edit_distance", 1 - np.arange(k + 1) / k, search, n_permutations,
        X, Y, intervals=intervals, level=level, seed=seed, progress=progress,
    )  # fmt: skip


def _compare(
    name: str,
    counted: str,
    weights: Array,
    search: Search,
    n_permutations: int,
    X: Any,
    Y: Any,
    *,
    intervals: bool,
    level: float,
    seed: int,
    progress: bool,
) -> Similarity:
    count = check_permutations(n_permutations)
    sums = RowSums(counted, weights, search.n_threads)
    null = permutation_null(sums, count, seed)
    measure = measure_of_lists(name, search, sums, null, {"n_permutations": count})
    return similarity(measure, X, Y, intervals=intervals, level=level, seed=seed, progress=progress)
