"""Documents as the unit of chance: halves of them, labels permuted, intervals over them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import whole_number
from ilo_fast._util.statistics import score_interval, t_quantile

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]


def document_halves(language: Integers, document: Integers, *, seed: int = 0) -> Booleans:
    """Which documents are of the first half.

    A document goes as a whole, in all its languages. Those of the same languages are halved
    together, so that each language has its share of both halves.

    Parameters
    ----------
    language, document : (rows,)
        Of lines, as in `LineFeatures`.

    Returns
    -------
    (documents,) bool

    Raises
    ------
    ValueError
        A language has fewer than two documents in a half.
    """
    there = _languages_of(language, document)
    random = np.random.default_rng(whole_number("seed", seed, least=0))
    first = np.zeros(len(there), bool)
    kinds, kind = np.unique(there, axis=0, return_inverse=True)
    kind = kind.reshape(-1)
    for number in range(len(kinds)):
        mine = random.permutation(np.flatnonzero(kind == number))
        first[mine[: (len(mine) + number % 2) // 2]] = True
    for code in range(there.shape[1]):
        least = min(int((there[:, code] & half).sum()) for half in (first, ~first))
        if least < 2:
            raise ValueError(
                f"language {code} has {int(there[:, code].sum())} documents, {least} of them in "
                "one half: at least 4 are needed, 2 in each; pass more text, or documents= with "
                "smaller units"
            )
    return first


def _languages_of(language: Integers, document: Integers) -> Booleans:
    """(documents, languages): whether there is something of it in the language."""
    there = np.zeros((int(document.max()) + 1, int(language.max()) + 1), bool)
    there[document, language] = True
    return there


def permuted_labels(
    language: Integers, document: Integers, random: np.random.Generator
) -> Integers:
    """Labels of rows, permuted as `permuted_cells`; what a document has in one language stays so.

    Returns
    -------
    (rows,) int64
    """
    n = int(language.max()) + 1
    cells, of_row = np.unique(document * n + language, return_inverse=True)
    found: Integers = permuted_cells(cells % n, cells // n, 1, random)[0, of_row.reshape(-1)]
    return found


def permuted_cells(
    language: Integers, document: Integers, n: int, random: np.random.Generator
) -> Integers:
    """(n, cells): the languages of each document in random order.

    Documents that are of one language alone change labels among each other.

    Parameters
    ----------
    language, document : (cells,)
        Each pair once.
    """
    _, number, size = np.unique(document, return_inverse=True, return_counts=True)
    number = number.reshape(-1)
    return permuted_within(language, np.where(size[number] > 1, number + 1, 0), n, random)


def permuted_within(
    values: Integers, group: Integers, n: int, random: np.random.Generator
) -> Integers:
    """(n, ...): values in random order, each in a place of its own group."""
    keys = random.integers(0, 2**32, size=(n, len(values))) + (group << 32)
    out = np.empty(keys.shape, np.int64)
    out[:, np.argsort(group, kind="stable")] = values[np.argsort(keys, axis=1)]
    return out


def in_turn(document: Integers) -> Integers:
    """(rows,): order that takes the first row of each document, then the second of each, ...

    Documents ascend in each round; rows of one document keep their order.
    """
    order = np.argsort(document, kind="stable")
    name = document[order]
    turn = np.arange(len(order)) - np.searchsorted(name, name)
    return order[np.lexsort((name, turn))]


def share_interval(
    hits: Floats, totals: Floats, *, level: float = 0.95
) -> tuple[float, float, float]:
    """A share, and its interval with documents as units.

    Parameters
    ----------
    hits, totals : (documents,)
        Of each; the share is the sum of the one over the sum of the other.

    Returns
    -------
    share, low, high
        NaN where there is nothing.

    Notes
    -----
    As `effective_interval`, with the variance of a ratio of sums over documents, and at most as
    many trials as `totals` says.
    """
    total = totals.sum()
    if total <= 0:
        return math.nan, math.nan, math.nan
    value = float(hits.sum() / total)
    used = totals > 0
    influence = (hits - value * totals)[used] / total
    low, high = effective_interval(value, influence, n_most=float(total), level=level)
    return value, low, high


def effective_interval(
    value: float, influence: Floats, *, n_most: float = math.inf, level: float = 0.95
) -> tuple[float, float]:
    """Wilson's interval of a share, of as many trials as the documents are worth.

    Parameters
    ----------
    value
        The share.
    influence : (documents,)
        What each adds to it, to first order; their mean is taken off.
    n_most
        So many trials are there at most.

    Notes
    -----
    The number of trials is value * (1 - value) / variance, at most `n_most`; where all documents
    agree and the variance says nothing, as many as there are documents (after Korn and Graubard,
    Survey Methodology 24, 1998, with Wilson's interval and Student's t). Within 0 and 1, and not of
    width 0 where the share is 0 or 1.
    """
    n = len(influence)
    if n < 2:
        return 0.0, 1.0
    t = t_quantile(0.5 + level / 2, n - 1)
    variance = n / (n - 1) * float(((influence - influence.mean()) ** 2).sum())
    worth = value * (1 - value) / variance if variance > 1e-18 else float(n)
    low, high = score_interval(value, max(1.0, min(worth, n_most)), t)
    return float(low), float(high)


def mean_interval(
    sums: Floats, totals: Floats, *, level: float = 0.95
) -> tuple[float, float, float]:
    """A ratio of sums over documents, such as a loss per token, and its interval.

    Parameters
    ----------
    sums, totals : (documents,)

    Returns
    -------
    ratio, low, high
        Of Student's t with the linearised variance; the ends are NaN of fewer than two documents.
    """
    used = totals > 0
    sums, totals = sums[used], totals[used]
    n = len(sums)
    if n == 0:
        return math.nan, math.nan, math.nan
    ratio = float(sums.sum() / totals.sum())
    if n < 2:
        return ratio, math.nan, math.nan
    rest = sums - ratio * totals
    error = math.sqrt(n / (n - 1) * float((rest**2).sum())) / float(totals.sum())
    half = t_quantile(0.5 + level / 2, n - 1) * error
    return ratio, ratio - half, ratio + half
