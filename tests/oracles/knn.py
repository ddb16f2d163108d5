"""Slow and obvious: the definitions in NumPy float64, for the tests to compare with.

``squared_distances`` adds in the order that the core defines (16 strided partial sums, then
pairwise), so that even the last bit, and with it the order of near-ties, can be compared.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LANES = 16
Floats = NDArray[np.float64]


def lane_sum(terms: Floats) -> Floats:
    """Sum over the last axis: lane l adds terms l, l + 16, ... in turn; then lanes pairwise."""
    padding = -terms.shape[-1] % LANES
    terms = np.pad(terms, [(0, 0)] * (terms.ndim - 1) + [(0, padding)])
    lanes = np.zeros((*terms.shape[:-1], LANES))
    for start in range(0, terms.shape[-1], LANES):
        lanes += terms[..., start : start + LANES]
    width = LANES // 2
    while width:
        lanes[..., :width] += lanes[..., width : 2 * width]
        width //= 2
    return lanes[..., 0]


def unit_rows(X: Floats) -> Floats:
    """Rows divided by their norms, each first brought near 1 by a power of two where it must be."""
    out = np.empty_like(X)
    for i, row in enumerate(X):
        largest = np.abs(row).max()
        if not 2.0**-400 <= largest <= 2.0**400:
            row = row * 2.0 ** min(1023, 1 - np.frexp(largest)[1])
        norm = np.sqrt(lane_sum(row * row))
        out[i] = row if norm == 1.0 else row / norm
    return out


def as_definition(X: NDArray, metric: str) -> tuple[Floats, float]:
    """u of csrc/knn/rows.h, and what Euclidean distances were multiplied with."""
    X = np.asarray(X).astype(np.float64)
    if metric == "cosine":
        return unit_rows(X), 1.0
    largest = np.abs(X).max()
    if largest and not 2.0**-400 <= largest <= 2.0**400:
        multiplier = 2.0 ** min(1023, 1 - np.frexp(largest)[1])
        return X * multiplier, multiplier
    return X, 1.0


def knn(X: NDArray, k: int, metric: str) -> tuple[NDArray[np.int64], Floats]:
    """Neighbours by (distance, index), the row itself excluded by its index."""
    U, multiplier = as_definition(X, metric)
    n = len(U)
    indices, distances = np.empty((n, k), np.int64), np.empty((n, k))
    for i in range(n):
        squared = lane_sum((U - U[i]) ** 2)
        others = np.delete(np.arange(n), i)
        order = others[np.lexsort((others, squared[others]))][:k]
        indices[i] = order
        distances[i] = (
            squared[order] / 2 if metric == "cosine" else np.sqrt(squared[order]) / multiplier
        )
    return indices, distances


def overlap(
    indices: NDArray[np.int64], languages: NDArray[np.int64], n_languages: int, threshold: int
) -> tuple[Floats, Floats, Floats]:
    """Bridge, reach and ILO of one layer, point by point as arXiv 2503.11280 defines them."""
    bridge, reach = np.zeros(n_languages), np.zeros(n_languages)
    for language in range(n_languages):
        points = np.flatnonzero(languages == language)
        union: set[int] = set()
        bridging = 0
        for i in points:
            others = {int(languages[j]) for j in indices[i]} - {language}
            union |= others
            bridging += len(others) >= threshold
        bridge[language] = bridging / len(points)
        reach[language] = len(union) / (n_languages - 1)
    both = bridge + reach
    ilo = np.divide(2 * bridge * reach, both, out=np.zeros_like(both), where=both > 0)
    return bridge, reach, ilo


def cross_share(
    indices: NDArray[np.int64], languages: NDArray[np.int64], n_languages: int
) -> Floats:
    """Share of the neighbours of a language's points that are in other languages."""
    share = np.zeros(n_languages)
    for language in range(n_languages):
        points = np.flatnonzero(languages == language)
        share[language] = np.mean([languages[j] != language for i in points for j in indices[i]])
    return share


def translation_share(
    indices: NDArray[np.int64],
    languages: NDArray[np.int64],
    sentences: NDArray[np.int64],
    n_languages: int,
) -> Floats:
    """Share of the neighbours of a language's points that say the same in another language."""
    share = np.zeros(n_languages)
    for language in range(n_languages):
        points = np.flatnonzero(languages == language)
        hits = [
            sentences[j] == sentences[i] and languages[j] != language
            for i in points
            for j in indices[i]
        ]
        share[language] = np.mean(hits)
    return share
