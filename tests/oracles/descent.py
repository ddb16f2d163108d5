"""Slow and obvious: one round of neighbour descent, row by row, in float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from oracles.knn import as_definition, lane_sum


def descend(X: NDArray, found: NDArray[np.int64], metric: str) -> NDArray[np.int64]:
    """Lists after a round that starts from the lists ``found``, (n, k), nearest first.

    The links of a row are its neighbours and, of the rows that have it for a neighbour, the k
    nearest. Its candidates are its list, its links, and their links.
    """
    U, _ = as_definition(X, metric)
    n, k = found.shape
    squared = np.array([lane_sum((U - u) ** 2) for u in U])
    links = []
    for i in range(n):
        reverse = [j for j in range(n) if i in found[j]]
        reverse.sort(key=lambda j, i=i: (squared[i, j], j))
        links.append({*found[i].tolist(), *reverse[:k]})
    out = np.empty((n, k), np.int64)
    for i in range(n):
        candidates = links[i].union(*(links[j] for j in links[i])) - {i}
        out[i] = sorted(candidates, key=lambda j, i=i: (squared[i, j], j))[:k]
    return out
