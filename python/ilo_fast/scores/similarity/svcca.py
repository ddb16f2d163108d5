"""Singular vector canonical correlation analysis, deterministic, with its chance level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, Final

import numpy as np

from ilo_fast._util.checks import share, whole_number
from ilo_fast.scores.similarity.cka import Centred
from ilo_fast.scores.similarity.layers import Array, Rows
from ilo_fast.scores.similarity.pairs import Measure, each_pair, similarity
from ilo_fast.scores.similarity.result import Similarity

_SMALLEST: Final = 1e-10
"""Directions with less of the largest variance are rounding; rows of float32 have no better."""

_ROUNDS: Final = 40  # of subspace iteration, at the most: about what eigh takes
_SETTLED: Final = 1e-13  # residuals, of the largest eigenvalue
_STEPS: Final = 4096  # of the integral over Wachter's density


def svcca(
    X: Any,
    Y: Any = None,
    *,
    variance: float = 0.99,
    n_components: int | None = None,
    intervals: bool = False,
    level: float = 0.95,
    seed: int = 0,
    n_threads: int | None = None,
    progress: bool = False,
) -> Similarity:
    """Mean canonical correlation of the main directions of two spaces.

    Each side is centred and cut to its first principal components; the canonical correlations are
    the singular values of ``Qx' Qy``, with the orthonormal bases Q of the components (Raghu et al.
    2017, arXiv 1706.05806; Bjorck and Golub 1973). The mean is over the smaller number of
    components.

    Parameters
    ----------
    X, Y
        As `ilo_fast.scores.similarity.pairs.similarity` takes them; dimensions may differ.
    variance : float
        Share of the variance that the components of a side keep, at the least.
    n_components : int, optional
        So many instead (or as many as there are), whatever their variance.
    intervals, level, seed
        From halves of the sentences, see `Similarity`. A half has fewer sentences for as many
        components, which raises its values: the interval is about the value at this n.
    n_threads : int, optional
        Not used: products run on the threads of NumPy's BLAS.
    progress : bool
        A bar on standard error.

    Returns
    -------
    Similarity
        Between 0 and 1. NaN where all rows of a side are the same. `chance` is that of two spaces
        in random directions, by the limit law of Wachter (1980): it depends on the numbers of
        components and of sentences alone, and is near 1 where there are hardly more sentences than
        components. Read no value without it. There is no z.

    Notes
    -----
    Does not change under any invertible linear map within the components that are kept; nor where
    a space is turned, shifted or scaled as a whole. Nothing is random: eigenvectors come from the
    smaller of ``X X'`` and ``X' X``, and directions of less than 1e-10 of the largest variance are
    left out. Cost: for each array ``min(n, d)^3``, for each pair ``n q^2 + q^3`` with q components.
    """
    q = None if n_components is None else whole_number("n_components", n_components)
    kept = share("variance", variance)
    measure = Measure(
        "svcca",
        partial(basis, variance=kept, n_components=q),
        each_pair(mean_correlation, symmetric=True),
        correlation_chance,
        settings={"variance": kept, "n_components": q},
    )
    return similarity(measure, X, Y, intervals=intervals, level=level, seed=seed, progress=progress)


def basis(rows: Rows, *, variance: float, n_components: int | None) -> Array:
    """Orthonormal columns that span the first principal components of the rows, (n, q)."""
    centred = Centred.of(rows).rows.astype(np.float64)
    n, d = centred.shape
    wide = n < d
    gram = centred @ centred.T if wide else centred.T @ centred
    values, vectors = _eigenvectors(gram, n_components)
    real = int((values > _SMALLEST * values[0]).sum()) if values[0] > 0 else 0
    real = min(real, n - 1)
    if n_components is None:
        shares = np.cumsum(values[:real]) / max(values[:real].sum(), np.finfo(float).tiny)
        # Rounding must not ask for one more than there are.
        q = min(real, int(np.searchsorted(shares, variance - 1e-12)) + 1)
    else:
        q = min(real, n_components)
    if wide:
        return np.ascontiguousarray(vectors[:, :q])
    scores = centred @ vectors[:, :q]
    return np.linalg.qr(scores)[0] if q else scores


def _eigenvectors(matrix: Array, at_least: int | None) -> tuple[Array, Array]:
    """Largest eigenvalues of a symmetric matrix, descending, and their vectors; None: all of them.

    A few are found by subspace iteration with Rayleigh and Ritz (Golub and Van Loan, 8.2.4) from a
    fixed start, as exactly as by `eigh`, which takes over where they do not settle: where the last
    that is wanted and the next are nearly equal.
    """
    width = 0 if at_least is None else 2 * at_least + 8
    if 0 < 16 * width <= len(matrix):
        start = np.random.default_rng(0).standard_normal((len(matrix), width))
        span = np.linalg.qr(matrix @ start)[0]
        for _ in range(_ROUNDS):
            image = matrix @ span
            values, turn = np.linalg.eigh(span.T @ image)
            values, turn = values[::-1][:at_least], turn[:, ::-1][:, :at_least]
            vectors = span @ turn
            if np.abs(image @ turn - vectors * values).max() <= _SETTLED * values[0]:
                return values, vectors
            span = np.linalg.qr(image)[0]
    values, vectors = np.linalg.eigh(matrix)
    return values[::-1], vectors[:, ::-1]


def mean_correlation(a: Array, b: Array) -> float:
    """Mean singular value of ``a' b``; NaN where one has no columns."""
    q = min(a.shape[1], b.shape[1])
    if q == 0:
        return math.nan
    return float(np.minimum(np.linalg.svd(a.T @ b, compute_uv=False), 1).sum() / q)


def correlation_chance(a: Sequence[Array], b: Sequence[Array] | None) -> tuple[Array, Array]:
    """`random_correlation` of all pairs of bases, and no standard deviation."""
    table = each_pair(
        lambda x, y: random_correlation(len(x) - 1, x.shape[1], y.shape[1]), symmetric=True
    )(a, b)
    return table, np.full_like(table, np.nan)


@lru_cache(maxsize=1 << 16)
def random_correlation(n: int, p: int, q: int) -> float:
    """Mean canonical correlation of random subspaces of dimensions p and q in n dimensions.

    In the limit of large n at these ratios; right to some 1 / n. NaN where p or q is 0.

    Notes
    -----
    With a = p / n <= b = q / n, squared correlations have the density ``sqrt((high - x)(x - low)) /
    (2 pi a x (1 - x))`` between ``(sqrt(a (1 - b)) -+ sqrt(b (1 - a)))^2`` (Wachter 1980), and a
    share of ``(a + b - 1) / a`` is 1 where the subspaces must meet.
    """
    if not p or not q:
        return math.nan
    a, b = sorted((min(1.0, p / n), min(1.0, q / n)))
    if b == 1:
        return 1.0
    one, other = math.sqrt(a * (1 - b)), math.sqrt(b * (1 - a))
    low, high = (one - other) ** 2, (one + other) ** 2
    # x = middle + radius cos(angle): then the integrand is smooth, also where low is 0.
    angle = (np.arange(_STEPS) + 0.5) * (math.pi / _STEPS)
    radius = (high - low) / 2
    x = (high + low) / 2 + radius * np.cos(angle)
    density = (radius * np.sin(angle)) ** 2 / (2 * math.pi * a * x * (1 - x))
    mean = float((density * np.sqrt(x)).sum() * (math.pi / _STEPS))
    return mean + max(0.0, (a + b - 1) / a)
