"""Slow and obvious: all labelings, all graphs, all renumberings, in exact fractions."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations, permutations, product
from math import comb

import numpy as np
from numpy.typing import NDArray


def bridge_over_labelings(
    indices: NDArray[np.int64], sizes: Sequence[int], threshold: int
) -> list[Fraction]:
    """Mean bridge of each language over all ways to label the points of a graph."""
    labels = [c for c, n in enumerate(sizes) for _ in range(n)]
    total, ways = [Fraction(0)] * len(sizes), 0
    for labeling in set(permutations(labels)):
        ways += 1
        for i, neighbours in enumerate(indices):
            others = {labeling[j] for j in neighbours} - {labeling[i]}
            total[labeling[i]] += len(others) >= threshold
    return [t / (ways * n) for t, n in zip(total, sizes, strict=True)]


def bridge_over_neighbours(sizes: Sequence[int], k: int, threshold: int) -> list[Fraction]:
    """The same by how many neighbours each language has: all ways to share k out."""
    out = []
    for own in range(len(sizes)):
        left = [n - (c == own) for c, n in enumerate(sizes)]
        good = Fraction(0)
        for counts in product(*(range(min(n, k) + 1) for n in left)):
            others = sum(m > 0 for c, m in enumerate(counts) if c != own)
            if sum(counts) == k and others >= threshold:
                ways = 1
                for n, m in zip(left, counts, strict=True):
                    ways *= comb(n, m)
                good += ways
        out.append(good / comb(sum(left), k))
    return out


def reach_over_graphs(sizes: Sequence[int], k: int) -> list[Fraction]:
    """Mean reach of each language over all graphs with k neighbours per point."""
    labels = [c for c, n in enumerate(sizes) for _ in range(n)]
    out = []
    for own in range(len(sizes)):
        rows = [
            list(combinations([j for j in range(len(labels)) if j != i], k))
            for i, label in enumerate(labels)
            if label == own
        ]
        total, graphs = 0, 0
        for graph in product(*rows):
            total += len({labels[j] for row in graph for j in row} - {own})
            graphs += 1
        out.append(Fraction(total, graphs * (len(sizes) - 1)))
    return out


def links_in_common(A: NDArray[np.int64], B: NDArray[np.int64]) -> tuple[Fraction, Fraction]:
    """Mean and variance of the links that A and a renumbered B share, over all renumberings."""
    links = [(i, j) for i, row in enumerate(A.tolist()) for j in row]
    of_b = {(i, j) for i, row in enumerate(B.tolist()) for j in row}
    found = [sum((p[i], p[j]) in of_b for i, j in links) for p in permutations(range(len(A)))]
    mean = Fraction(sum(found), len(found))
    return mean, Fraction(sum(s * s for s in found), len(found)) - mean**2
