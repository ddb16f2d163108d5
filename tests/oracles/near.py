"""Similarities of neighbour lists by their definitions, on Python sets and lists."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import sqrt

import numpy as np
from numpy.typing import NDArray

Lists = Sequence[Sequence[int]]


def neighbours(X: NDArray[np.floating], k: int, metric: str = "cosine") -> list[list[int]]:
    """The k nearest other rows by (distance, index)."""
    x = np.asarray(X, np.float64)
    if metric == "cosine":
        x = x / np.sqrt((x * x).sum(axis=1))[:, None]
    lists = []
    for i in range(len(x)):
        far = [(float(((x[i] - x[j]) ** 2).sum()), j) for j in range(len(x)) if j != i]
        lists.append([j for _, j in sorted(far)[:k]])
    return lists


def common(a: Sequence[int], b: Sequence[int]) -> int:
    return len(set(a) & set(b))


def lcs(a: Sequence[int], b: Sequence[int]) -> int:
    @cache
    def longest(i: int, j: int) -> int:
        if i == len(a) or j == len(b):
            return 0
        if a[i] == b[j]:
            return 1 + longest(i + 1, j + 1)
        return max(longest(i + 1, j), longest(i, j + 1))

    return longest(0, 0)


def edit_distance(a: Sequence[int], b: Sequence[int]) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y)))
    return row[-1]


def mutual_knn(A: Lists, B: Lists) -> float:
    return sum(common(a, b) / len(a) for a, b in zip(A, B, strict=True)) / len(A)


def jaccard_knn(A: Lists, B: Lists) -> float:
    pairs = zip(A, B, strict=True)
    return sum(len(set(a) & set(b)) / len(set(a) | set(b)) for a, b in pairs) / len(A)


def cycle_knn(A: Lists, B: Lists) -> float:
    return sum(any(i in A[j] for j in B[i]) for i in range(len(A))) / len(A)


def lcs_knn(A: Lists, B: Lists) -> float:
    return sum(lcs(a, b) / len(a) for a, b in zip(A, B, strict=True)) / len(A)


def edit_distance_knn(A: Lists, B: Lists) -> float:
    return sum(1 - edit_distance(a, b) / len(a) for a, b in zip(A, B, strict=True)) / len(A)


def hsic(K: list[list[float]], L: list[list[float]]) -> float:
    """The unbiased estimate, its three sums written out; diagonals count as zero."""
    n = range(len(K))
    k = [[K[i][j] if i != j else 0.0 for j in n] for i in n]
    ell = [[L[i][j] if i != j else 0.0 for j in n] for i in n]
    m = len(K)
    trace = sum(k[i][j] * ell[j][i] for i in n for j in n)
    sums = sum(map(sum, k)) * sum(map(sum, ell))
    product = sum(k[i][h] * ell[h][j] for i in n for h in n for j in n)
    return (trace + sums / ((m - 1) * (m - 2)) - 2 * product / (m - 2)) / (m * (m - 3))


def cknna(X: NDArray[np.floating], Y: NDArray[np.floating], k: int) -> float:
    def kernel(V: NDArray[np.floating]) -> list[list[float]]:
        v = np.asarray(V, np.float64)
        v = v / np.sqrt((v * v).sum(axis=1))[:, None]
        return [[float(a @ b) for b in v] for a in v]

    def near(A: Lists, B: Lists, K: list[list[float]]) -> list[list[float]]:
        n = range(len(A))
        return [[K[i][j] if j in A[i] and j in B[i] else 0.0 for j in n] for i in n]

    A, B, K, L = neighbours(X, k), neighbours(Y, k), kernel(X), kernel(Y)
    both = hsic(near(A, B, K), near(A, B, L))
    own = hsic(near(A, A, K), near(A, A, K)) * hsic(near(B, B, L), near(B, B, L))
    return both / sqrt(own)


def renumbered(lists: Lists, order: Sequence[int]) -> list[list[int]]:
    """Point i becomes order[i], with its list."""
    out: list[list[int]] = [[] for _ in lists]
    for i, row in enumerate(lists):
        out[order[i]] = [order[j] for j in row]
    return out
