"""Centred kernel alignment of linear kernels, without an n x n matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any, Final

import numpy as np

from ilo_fast._util.checks import truth
from ilo_fast.scores.similarity.layers import Array, Rows, unit_factor
from ilo_fast.scores.similarity.pairs import Measure, similarity
from ilo_fast.scores.similarity.result import Similarity

_BLOCK_ROWS: Final = 4096
_BLOCK_BYTES: Final = 1 << 26  # of the kernels of all arrays, some rows at a time


def cka(
    X: Any,
    Y: Any = None,
    *,
    unbiased: bool = False,
    intervals: bool = False,
    level: float = 0.95,
    seed: int = 0,
    n_threads: int | None = None,
    progress: bool = False,
) -> Similarity:
    """Centred kernel alignment with linear kernels: how alike two spaces place the sentences.

    ``|Yc' Xc|^2 / (|Xc' Xc| |Yc' Yc|)``, Frobenius norms, columns centred (Kornblith et al. 2019,
    arXiv 1905.00414; the RV coefficient of Robert and Escoufier 1976).

    Parameters
    ----------
    X, Y
        As `ilo_fast.scores.similarity.pairs.similarity` takes them; dimensions may differ.
    unbiased : bool
        With the unbiased estimator of the Hilbert-Schmidt independence criterion (Song et al. 2012,
        equation 5): what few sentences in many dimensions have in common by chance does not count.
        Needs 4 sentences.
    intervals, level, seed
        From halves of the sentences, see `Similarity`.
    n_threads : int, optional
        Not used: products run on the threads of NumPy's BLAS.
    progress : bool
        A bar on standard error.

    Returns
    -------
    Similarity
        Between 0 and 1; unbiased between -1 and 1. 1 where one space is the other turned and
        scaled. NaN where all rows of an array are the same. Chance and z are over all orders of
        the rows of Y, in closed form: of the biased one ``tr K tr L / ((n - 1) |K| |L|)``, some d /
        n for d directions of equal variance, and the variance of Kazi-Aoual et al. (1995); of the
        unbiased one 0, with the standard deviation ``sqrt(2 / (n (n - 3)))`` whatever the data.

    Notes
    -----
    Does not change where X or Y is turned, shifted or scaled as a whole, or both reordered. The
    directions of largest variance decide it: one huge dimension may be all that it sees.

    Of m arrays of n rows the cheaper of two ways is taken: all kernels, some rows at a time, m n^2
    d multiplications; or the d x d products of each pair, m^2 n d^2. Memory: a centred copy of
    every array. The unbiased one needs no more: centred kernels have rows that add up to 0, so
    that without their diagonals the rows add up to minus the diagonal.
    """
    measure = Measure(
        "cka_unbiased" if truth("unbiased", unbiased) else "cka",
        Centred.of,
        partial(_values, unbiased=unbiased),
        partial(alignment_chance, unbiased=unbiased),
        lowest=-1.0 if unbiased else 0.0,
        least=4 if unbiased else 2,
        settings={"unbiased": unbiased},
    )
    return similarity(measure, X, Y, intervals=intervals, level=level, seed=seed, progress=progress)


@dataclass(eq=False)
class Centred:
    """Rows with their mean subtracted, and scaled as one, so that the kernel has trace 1.

    Attributes
    ----------
    rows : float32 or float64, shape (n, d)
        All zero where all rows are the same.
    diagonal : float64, shape (n,)
        Of the kernel ``rows @ rows.T``.
    own : float or None
        The inner product of the kernel with itself, once `Products` has found it.
    """

    rows: Rows
    diagonal: Array
    own: float | None = None

    @classmethod
    def of(cls, rows: Rows) -> Centred:
        """Means, differences and squares are float64; `rows` keep their type."""
        blocks = [slice(at, at + _BLOCK_ROWS) for at in range(0, len(rows), _BLOCK_ROWS)]
        factor = unit_factor(np.float64, max(float(np.abs(rows[b]).max()) for b in blocks))

        def scaled(block: slice) -> Array:
            values: Array = rows[block].astype(np.float64) * factor
            return values

        mean = sum(scaled(b).sum(axis=0) for b in blocks) / len(rows)
        centred = np.empty_like(rows)
        diagonal = np.empty(len(rows))
        for b in blocks:
            difference = scaled(b) - mean
            diagonal[b] = np.einsum("ij,ij->i", difference, difference)
            centred[b] = difference
        total = diagonal.sum()
        if total <= rows.size * 2.0**-100:  # what rounding leaves of rows that are all the same
            return cls(np.zeros_like(rows), np.zeros(len(rows)))
        centred *= rows.dtype.type(1 / math.sqrt(total))
        return cls(centred, diagonal / total)


@dataclass(frozen=True, eq=False)
class Products:
    """Inner products of kernels: ``table[i, j]`` is that of kernel i of a and j of b.

    ``own_a`` and ``own_b`` are those of each kernel with itself.
    """

    table: Array
    own_a: Array
    own_b: Array

    @classmethod
    def of(cls, a: Sequence[Centred], b: Sequence[Centred] | None) -> Products:
        """Of all pairs, b None for a again, in the cheaper of two ways."""
        every = [*a, *(b or ())]
        n, widths = len(a[0].rows), [one.rows.shape[1] for one in every]
        width_a, width_b = sum(widths[: len(a)]), sum(widths[len(a) :]) if b else sum(widths) / 2
        by_features = 2 * n * (width_a * width_b + sum(width**2 for width in widths))
        by_kernels = n**2 * (sum(widths) + len(every) ** 2)
        if by_kernels < by_features:
            table = _by_kernels(every)
            own = np.diagonal(table)
            for one, value in zip(every, own, strict=True):
                one.own = float(value)
            if b is None:
                return cls(table, own, own)
            return cls(table[: len(a), len(a) :], own[: len(a)], own[len(a) :])
        for one in every:
            one.own = _by_features(one, one)
        own_a = np.array([one.own for one in a])
        if b is not None:
            found = np.array([[_by_features(one, other) for other in b] for one in a])
            return cls(found, own_a, np.array([one.own for one in b]))
        found = np.diag(own_a)
        for i, j in combinations(range(len(a)), 2):
            found[i, j] = found[j, i] = _by_features(a[i], a[j])
        return cls(found, own_a, own_a)


def _by_features(a: Centred, b: Centred) -> float:
    """``|a' b|^2``, which is the inner product of the kernels; blocks are added in float64."""
    total = np.zeros((a.rows.shape[1], b.rows.shape[1]))
    for at in range(0, len(a.rows), _BLOCK_ROWS):
        block = slice(at, at + _BLOCK_ROWS)
        total += a.rows[block].T @ b.rows[block]
    return float(np.vdot(total, total))


def _by_kernels(arrays: Sequence[Centred]) -> Array:
    """Inner products of all pairs, from some rows of every kernel at a time."""
    m, n = len(arrays), len(arrays[0].rows)
    height = max(8, min(256, _BLOCK_BYTES // (8 * m * n)))
    total = np.zeros((m, m))
    for at in range(0, n, height):
        end = min(n, at + height)
        some = np.empty((m, end - at, n - at))
        for of_one, one in zip(some, arrays, strict=True):
            of_one[:] = one.rows[at:end] @ one.rows[at:].T
        some[:, :, end - at :] *= math.sqrt(2)  # stands for what lies below the diagonal, too
        flat = some.reshape(m, -1)
        total += flat @ flat.T
    return total


def hsic(products: Products, a: Sequence[Centred], b: Sequence[Centred] | None) -> Products:
    """The unbiased estimator of all pairs, up to the factor ``n (n - 3)``."""
    of_a = np.stack([one.diagonal for one in a])
    of_b = of_a if b is None else np.stack([one.diagonal for one in b])
    n = of_a.shape[1]

    def unbiased(inner: Array, diagonals: Array, traces: Array) -> Array:
        found: Array = inner - diagonals * n / (n - 2) + traces / ((n - 1) * (n - 2))
        return found

    trace_a, trace_b = of_a.sum(axis=1), of_b.sum(axis=1)
    return Products(
        unbiased(products.table, of_a @ of_b.T, np.outer(trace_a, trace_b)),
        unbiased(products.own_a, np.einsum("ij,ij->i", of_a, of_a), trace_a**2),
        unbiased(products.own_b, np.einsum("ij,ij->i", of_b, of_b), trace_b**2),
    )


def alignment(products: Products) -> Array:
    """Inner products over the lengths of both; NaN where a kernel has none."""
    lengths = np.sqrt(np.maximum(np.outer(products.own_a, products.own_b), 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Array = np.clip(products.table / lengths, -1, 1)
    found[lengths == 0] = np.nan
    return found


def _values(a: Sequence[Centred], b: Sequence[Centred] | None, *, unbiased: bool) -> Array:
    products = Products.of(a, b)
    return alignment(hsic(products, a, b) if unbiased else products)


def alignment_chance(
    a: Sequence[Centred], b: Sequence[Centred] | None, *, unbiased: bool
) -> tuple[Array, Array]:
    """Mean and standard deviation of `alignment` over all orders of the rows of b, of all pairs."""
    shape = len(a), len(a if b is None else b)
    n = len(a[0].rows)
    if unbiased:
        return np.zeros(shape), np.full(shape, math.sqrt(2 / (n * (n - 3))))
    x = _Shapes.of(a)
    return x.chance(x if b is None else _Shapes.of(b))


@dataclass(frozen=True, eq=False)
class _Shapes:
    """What the chance of an alignment depends on, of every kernel."""

    n: int
    dimensions: Array  # (tr K)^2 / |K|^2
    diagonal: Array  # sum of K_ii^2 / |K|^2

    @classmethod
    def of(cls, arrays: Sequence[Centred]) -> _Shapes:
        own = np.array([_own_product(one) for one in arrays])
        with np.errstate(divide="ignore", invalid="ignore"):
            dimensions = np.array([one.diagonal.sum() ** 2 for one in arrays]) / own
            diagonal = np.array([(one.diagonal**2).sum() for one in arrays]) / own
        return cls(len(arrays[0].rows), dimensions, diagonal)

    def chance(self, other: _Shapes) -> tuple[Array, Array]:
        """Mean and standard deviation over all orders of the other's rows.

        Kazi-Aoual, Hitier, Sabatier and Lebreton (1995), as Josse, Pages and Husson (2008) write
        it.
        """
        n = self.n
        mean = np.sqrt(np.outer(self.dimensions, other.dimensions)) / (n - 1)
        if n < 4:
            return mean, np.full_like(mean, np.nan)
        left = np.outer(n - 1 - self.dimensions, n - 1 - other.dimensions)
        peaks = np.outer(self._peak(), other._peak())
        with np.errstate(invalid="ignore"):
            # The factor of the peaks has left in its denominator: multiplied out, it may be 0.
            variance = 2 * left / ((n + 1) * (n - 1) ** 2 * (n - 2))
            variance += peaks / ((n + 1) * n * (n - 1) * (n - 2) * (n - 3))
            return mean, np.sqrt(np.maximum(variance, 0))

    def _peak(self) -> Array:
        """How unequal the rows are: 0 on average where they are normal."""
        n = self.n
        return n * (n + 1) * self.diagonal - (n - 1) * (self.dimensions + 2)


def _own_product(one: Centred) -> float:
    return float(Products.of([one], None).own_a[0]) if one.own is None else one.own
