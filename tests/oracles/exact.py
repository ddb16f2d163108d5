"""Neighbours without the engine's arithmetic, for data without near-ties.

``knn.py`` adds in the engine's order; here SciPy adds in its own, and whole numbers need no
order. Both say the same only of *separated* rows: see ``separation``.
"""

from __future__ import annotations

from decimal import Context, Decimal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

Floats = NDArray[np.float64]
DIGITS = Context(prec=60)


def by_scipy(X: Floats, k: int, metric: str) -> tuple[NDArray[np.int64], Floats]:
    """The k nearest rows of every row, and their distances."""
    distances = cdist(X, X, metric)
    np.fill_diagonal(distances, np.inf)
    indices = np.argsort(distances, axis=1)[:, :k]
    return indices, np.take_along_axis(distances, indices, axis=1)


def separation(distances: Floats) -> tuple[float, float]:
    """The smallest step from one neighbour to the next: relative to the distance, and absolute."""
    steps = np.diff(distances, axis=1)
    return float((steps / distances[:, 1:]).min()), float(steps.min())


def by_integers(X: Floats, row: int, k: int, metric: str) -> tuple[list[int], list[float]]:
    """The k nearest rows of one row, decided without any rounding that could matter."""
    rows, unit = as_integers(X)
    if metric == "cosine":
        distances = [cosine_distance(rows[row], other) for other in rows]
    else:
        distances = [DIGITS.divide(length(rows[row], other), unit) for other in rows]
    order = sorted((distance, j) for j, distance in enumerate(distances) if j != row)[:k]
    return [j for _, j in order], [float(distance) for distance, _ in order]


def as_integers(X: Floats) -> tuple[list[list[int]], int]:
    """The values as multiples of 1 / unit: every float is a whole number of some power of 2."""
    ratios = [[value.as_integer_ratio() for value in row] for row in X.tolist()]
    unit = max(below for row in ratios for _, below in row)
    return [[above * (unit // below) for above, below in row] for row in ratios], unit


def cosine_distance(a: list[int], b: list[int]) -> Decimal:
    lengths = DIGITS.sqrt(Decimal(dot(a, a) * dot(b, b)))
    return DIGITS.subtract(Decimal(1), DIGITS.divide(Decimal(dot(a, b)), lengths))


def length(a: list[int], b: list[int]) -> Decimal:
    difference = [x - y for x, y in zip(a, b, strict=True)]
    return DIGITS.sqrt(Decimal(dot(difference, difference)))


def dot(a: list[int], b: list[int]) -> int:
    return sum(x * y for x, y in zip(a, b, strict=True))
