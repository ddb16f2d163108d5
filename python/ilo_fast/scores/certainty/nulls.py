"""What scores are where language does not matter, and the most that they can be: closed forms.

Three questions have three answers. *Under mixing*: what would the score be if each point had drawn
its neighbours at random from all others? *The most*: what do the numbers of languages, sentences
and neighbours allow? *Chance*: what would the share of translations be without any meaning?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import whole_number
from ilo_fast.scores.checks import check_pool

Floats = NDArray[np.float64]


def bridge_under_mixing(sizes: Sequence[int], n_neighbors: int, threshold: int) -> Floats:
    """Expected bridge of each language where neighbours are drawn at random.

    The graph may be any: where labels are shuffled over all points, the languages of a point's
    neighbours are a random sample of the other labels, without replacement. So this is the exact
    mean of bridge over all labelings of any graph with `n_neighbors` links from each point (and
    also its mean over random neighbours).

    Parameters
    ----------
    sizes
        Points of each language.
    n_neighbors, threshold
        k and t, as in `overlap`.

    Returns
    -------
    float64, shape (languages,)
        Relative error below 1e-11.

    Notes
    -----
    With N points, and n_j of language j, a point of language c has t or more other languages among
    its k neighbours with probability ``[x^k z^(>=t)] (1 + x)^(n_c - 1) prod_(j != c) (1 + z ((1 +
    x)^n_j - 1)) / C(N - 1, k)``. All coefficients are positive, so that nothing cancels. In place
    of x stands x k / (N - k): so those terms are the largest in which each language has its share
    of the k neighbours, and what underflows does not count.
    """
    n = _checked(sizes, n_neighbors, threshold)
    distinct, which, count = np.unique(n, return_inverse=True, return_counts=True)
    weight = n_neighbors / (n.sum() - n_neighbors)
    factors = [_Factor.of(size, n_neighbors, weight) for size in distinct]
    ordered = [f for f, times in zip(factors, count, strict=True) for _ in range(times)]
    nothing = np.zeros((n_neighbors + 1, threshold + 1))
    nothing[0, 0] = 1
    firsts = np.cumsum(count) - count
    smaller = list(accumulate(ordered[: firsts[-1]], _with_language, initial=nothing))
    larger = list(accumulate(ordered[:0:-1], _with_language, initial=nothing))
    number = np.add.outer(np.arange(threshold + 1), np.arange(threshold + 1))
    found = np.empty(len(distinct))
    for d, (size, first) in enumerate(zip(distinct, firsts, strict=True)):
        # The languages but one of this size, whose points are the own ones.
        own = _Factor.of(size - 1, n_neighbors, weight)
        left = own.some @ smaller[first] + own.none * smaller[first]
        pairs = left.T @ larger[len(n) - 1 - first][::-1]  # [languages left][languages right]
        enough, few = pairs[number >= threshold].sum(), pairs[number < threshold].sum()
        found[d] = enough / (enough + few)
    return found[which]


def reach_under_mixing(sizes: Sequence[int], n_neighbors: int) -> Floats:
    """Expected reach of each language where every point draws its neighbours at random.

    Each point's `n_neighbors` neighbours are a uniform subset of all other points, independent of
    those of other points. This is exact for such graphs. It is not the mean over labelings of a
    given graph, which has no closed form, since reach is a union over points, and these share
    neighbours: hubs, and points that are near each other, make the union smaller, so that shuffled
    labels give somewhat less where it is not near 1 (see `mixing_test` for that mean).

    Parameters
    ----------
    sizes
        Points of each language.
    n_neighbors
        k, as in `overlap`.

    Returns
    -------
    float64, shape (languages,)

    Notes
    -----
    No point of c has one of c' near it with probability ``(C(N - 1 - n_c', k) / C(N - 1, k))^n_c``.
    """
    n = _checked(sizes, n_neighbors, threshold=1)
    distinct, which, count = np.unique(n, return_inverse=True, return_counts=True)
    others = n.sum() - 1 - np.arange(n_neighbors)  # points that are left, at each draw
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = np.log1p(-distinct[:, None] / others)
    # A language of more points than can be avoided is always met.
    log_missed = np.where(others[-1] >= distinct, kept.sum(axis=1), -np.inf)
    met = -np.expm1(distinct[:, None] * log_missed)  # [own size][other size]
    met = met @ count - np.diagonal(met)  # its own language is none of the others
    reach: Floats = (met / (len(n) - 1))[which]
    return reach


def ilo_under_mixing(sizes: Sequence[int], n_neighbors: int, threshold: int) -> Floats:
    """Harmonic mean of `bridge_under_mixing` and `reach_under_mixing`, shape (languages,)."""
    return harmonic_mean(
        bridge_under_mixing(sizes, n_neighbors, threshold), reach_under_mixing(sizes, n_neighbors)
    )


def reach_max(sizes: Sequence[int], n_neighbors: int) -> Floats:
    """The largest reach that a language can have: its points have that many neighbours in all.

    ``min(1, n_c k / (L - 1))``, shape (languages,). Bridge needs no such function: any language can
    have a bridge of 1 where `overlap` takes the threshold, since all its points may be near the
    same points of `threshold` other languages.
    """
    n = np.asarray(sizes, dtype=np.int64)
    return np.minimum(1.0, n * n_neighbors / (len(n) - 1))


def ilo_max(sizes: Sequence[int], n_neighbors: int) -> Floats:
    """The largest ILO that a language can have, with a bridge of 1 and `reach_max`."""
    reach = reach_max(sizes, n_neighbors)
    return harmonic_mean(np.ones_like(reach), reach)


def translation_share_max(n_languages: int, n_neighbors: int) -> float:
    """The largest share of translations: a point has no more than L - 1. ``min(1, (L - 1) / k)``"""
    return min(1.0, (n_languages - 1) / n_neighbors)


def translation_chance(n_languages: int, n_sentences: int) -> float:
    """Expected share of translations where each point draws its neighbours at random.

    ``(L - 1) / (N - 1)`` for N points: it says what neither meaning nor language gives.
    """
    return (n_languages - 1) / (n_languages * n_sentences - 1)


def translation_chance_given_graph(cross_share: Floats, n_sentences: int) -> Floats:
    """Expected share of translations where sentence numbers are shuffled within each language.

    The graph stays as it is, so a link into another language meets the translation with
    probability 1 / n: a model that mixes languages without regard to meaning scores this.

    Parameters
    ----------
    cross_share
        Share of the neighbours of a language's points that are in other languages, any shape.
    n_sentences
        Of each language of the parallel text.

    Returns
    -------
    float64, of the shape of `cross_share`
    """
    return cross_share / n_sentences


def harmonic_mean(a: Floats, b: Floats) -> Floats:
    """Of shares, as ILO is of bridge and reach: 0 where both are 0."""
    both = a + b
    mean: Floats = np.divide(2 * a * b, both, out=np.zeros_like(both), where=both > 0)
    return mean


def _checked(sizes: Sequence[int], n_neighbors: int, threshold: int) -> NDArray[np.int64]:
    n = [whole_number(f"sizes[{c}]", size) for c, size in enumerate(sizes)]
    check_pool(
        {str(c): size for c, size in enumerate(n)},
        n_neighbors=whole_number("n_neighbors", n_neighbors),
        threshold=whole_number("threshold", threshold),
        parallel=False,
        what="sizes",
    )
    return np.array(n)


@dataclass(frozen=True, eq=False)
class _Factor:
    """A language's part of the product, ``(1 + weight x)^size``, up to a factor that cancels.

    Attributes
    ----------
    none : float
        The coefficient of x^0: no point of the language.
    some : float64, shape (k + 1, k + 1)
        The other coefficients, as the matrix that multiplies a polynomial by them.
    """

    none: float
    some: Floats

    @classmethod
    def of(cls, size: int, n_neighbors: int, weight: float) -> _Factor:
        m = np.arange(1, min(n_neighbors, size) + 1)
        logs = np.full(n_neighbors + 1, -np.inf)  # of C(size, m) weight^m
        logs[0] = 0
        logs[1 : 1 + len(m)] = np.cumsum(np.log((size - m + 1) * (weight / m)))
        coefficients = np.exp(logs - logs.max())
        padded = np.concatenate([np.zeros(n_neighbors + 1), coefficients[1:]])
        rows = np.lib.stride_tricks.sliding_window_view(padded, n_neighbors + 1)
        return cls(float(coefficients[0]), np.ascontiguousarray(rows[:, ::-1]))


def _with_language(so_far: Floats, factor: _Factor) -> Floats:
    """[neighbours so far][languages so far, `threshold` and more as one], with one language more.

    Either none of its points is a neighbour, or some are, and it counts.
    """
    some = factor.some @ so_far
    joined = factor.none * so_far
    joined[:, 1:] += some[:, :-1]
    joined[:, -1] += some[:, -1]
    scaled: Floats = joined / joined.max()
    return scaled
