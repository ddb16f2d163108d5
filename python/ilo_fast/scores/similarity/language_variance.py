"""How much of what differs between representations is the language, and how much the meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import truth, whole_number
from ilo_fast._util.equality import same_fields
from ilo_fast._util.progress import share_bar
from ilo_fast.scores.certainty.intervals import check_level
from ilo_fast.scores.similarity.halves import Halves
from ilo_fast.scores.similarity.layers import (
    Array,
    Rows,
    check_parallel,
    layer_numbers,
)


@dataclass(frozen=True, eq=False)
class LanguageVariance:
    """Shares of variance, layer by layer.

    Attributes
    ----------
    share : float64, shape (layers,)
        Of the variance between languages in that between languages and between sentences.
    chance : float
        Of `share`, where points are drawn alike.
    language, sentence, residual : float64, shape (layers,)
        Shares of all variance: they add up to 1. The residual is what only a sentence in a language
        has.
    low, high : float64, shape (layers,), or None
        Interval of `share`.
    level : float
    layers, languages : tuple
    n : int
        Sentences of each language.
    reason : str
        Why there is no interval where one was asked for.
    """

    share: Array
    chance: float
    language: Array
    sentence: Array
    residual: Array
    low: Array | None
    high: Array | None
    level: float
    layers: tuple[int, ...]
    languages: tuple[str, ...]
    n: int
    reason: str = ""

    def __repr__(self) -> str:
        return (
            f"LanguageVariance({len(self.layers)} layers, share {np.nanmin(self.share):.3f} to "
            f"{np.nanmax(self.share):.3f}, chance {self.chance:.4f})"
        )

    def __eq__(self, other: object) -> bool:
        names = ("share", "language", "sentence", "low", "high", "level", "layers", "languages")
        return isinstance(other, LanguageVariance) and same_fields(self, other, names)

    def __hash__(self) -> int:
        return hash((self.layers, self.languages, self.n))


def language_variance(
    X: Mapping[str, Any],
    *,
    standardize: bool = False,
    intervals: bool = False,
    level: float = 0.95,
    seed: int = 0,
    progress: bool = False,
) -> LanguageVariance:
    """Share of the variance between language means in that between languages and sentences.

    The balanced two-way analysis of variance ``x_ls = m + a_l + b_s + e_ls`` of L languages and n
    sentences, summed over dimensions: ``A / (A + B)`` with ``A = n sum |a_l|^2`` and ``B = L sum
    |b_s|^2`` (Fisher 1925).

    Parameters
    ----------
    X : Representations of parallel text, or mapping of language to (n, d) or (layers, n, d)
    standardize : bool
        First divide every dimension by its standard deviation over all points, so that a few huge
        dimensions do not decide. Then turning the space changes the share.
    intervals, level, seed
        From halves of the sentences, see `Similarity`.
    progress : bool
        A bar on standard error.

    Returns
    -------
    LanguageVariance
        0 where languages have one mean, 1 where a sentence is the same as any other; by chance
        ``(L - 1) / (L + n - 2)``: degrees of freedom. NaN where all points are the same.

    Raises
    ------
    ValueError, TypeError
        Text that is not parallel, fewer than two languages or sentences, NaN, infinity.

    Notes
    -----
    Does not change where all is turned, shifted, scaled as a whole, or sentences reordered. It is a
    statement about means in the whole space, not about neighbourhoods. Cost: L n d.
    """
    truth("standardize", standardize)
    level, seed = check_level(level), whole_number("seed", seed, least=0)
    if not isinstance(X, Mapping):
        raise TypeError(f"X is a {type(X).__name__}, wanted a mapping of language to its array")
    stacks = check_parallel(X, "X", zero_rows=True)
    n, n_languages = stacks[0].n, len(stacks)
    if n < 2 or n_languages < 2:
        raise ValueError(f"X has {n_languages} languages of {n} sentences, wanted 2 or more of 2")
    halves = None
    if truth("intervals", intervals):
        halves = Halves.draw(n, getattr(X, "groups", None), seed=seed)
    parts, ends = [], []
    with share_bar(progress, "language variance") as update:
        for h in range(len(stacks[0])):
            rows = [stack[h] for stack in stacks]
            parts.append(shares_of_variance(rows, standardize=standardize))
            if halves is not None:
                ends.append(share_interval(rows, parts[-1], halves, level, standardize))
            if update:
                update((h + 1) / len(stacks[0]))
    language, sentence, residual = np.array(parts).T
    low, high = np.array(ends).T if ends else (None, None)
    return LanguageVariance(
        share=_share(language, sentence),
        chance=language_variance_chance(n_languages, n),
        language=language,
        sentence=sentence,
        residual=residual,
        low=low,
        high=high,
        level=level,
        layers=layer_numbers(X, len(stacks[0])),
        languages=tuple(X),
        n=n,
        reason="" if halves is None else halves.reason,
    )


def language_variance_chance(n_languages: int, n_sentences: int) -> float:
    """Expected share where no point has to do with another: the share of degrees of freedom."""
    return (n_languages - 1) / (n_languages + n_sentences - 2)


def shares_of_variance(
    rows: list[Rows], *, standardize: bool, sentences: NDArray[np.int64] | None = None
) -> tuple[float, float, float]:
    """Of all variance the shares of languages, sentences and the rest; of some sentences or all."""
    chosen = rows if sentences is None else [one[sentences] for one in rows]
    n_languages, (n, d) = len(chosen), chosen[0].shape
    peak = max(float(np.abs(one).max()) for one in chosen) or 1.0
    of_languages = np.stack([one.mean(axis=0, dtype=np.float64) for one in chosen]) / peak
    center = of_languages.mean(axis=0)
    of_sentences, squares = np.zeros((n, d)), np.zeros(d)
    for one in chosen:
        difference = one.astype(np.float64) / peak - center
        of_sentences += difference
        squares += np.square(difference).sum(axis=0)
    of_sentences /= n_languages
    between_languages = n * np.square(of_languages - center).sum(axis=0)
    between_sentences = n_languages * np.square(of_sentences).sum(axis=0)
    # What rounding leaves of a dimension that is the same everywhere.
    real = squares > n * n_languages * 2.0**-100
    weights = np.where(real, 1 / np.where(real, squares, 1) if standardize else 1.0, 0.0)
    total = float(squares @ weights)
    if total == 0:
        return (float("nan"),) * 3
    language, sentence = between_languages @ weights / total, between_sentences @ weights / total
    return float(language), float(sentence), max(0.0, float(1 - language - sentence))


def share_interval(
    rows: list[Rows],
    parts: tuple[float, float, float],
    halves: Halves,
    level: float,
    standardize: bool,
) -> tuple[float, float]:
    """Interval of the share of one layer."""

    def share(sentences: NDArray[np.int64]) -> Array:
        found = shares_of_variance(rows, standardize=standardize, sentences=sentences)
        return _share(np.array(found[0]), np.array(found[1]))

    differences = [share(one) - share(other) for one, other in halves.pairs]
    value = _share(np.array(parts[0]), np.array(parts[1]))
    low, high = halves.interval(value, differences, level=level, lowest=0.0, highest=1.0)
    return float(low), float(high)


def _share(language: Array, sentence: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return np.asarray(language / (language + sentence))
