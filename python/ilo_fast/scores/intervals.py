"""Intervals of scores, from the scores of the corpus without some of its units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.statistics import score_interval, t_quantile
from ilo_fast.scores.replicates import Counts, Replicates

MIN_UNITS: Final = 10
"""Fewer units than this do not say how far their scores would move."""

_FROM_SUBSETS: Final = frozenset({"reach"})

Array = NDArray[np.float64]


def deviations(
    replicates: Replicates, score: str, weights: NDArray[np.float64] | None = None
) -> Array:
    """How far the replicates of a score lie from their mean, scaled so that squares add up.

    The square root of the sum of squares over the first axis is the standard error. It is linear:
    the standard error of a difference, between layers, languages or two models on the same corpus,
    is that of the difference of the deviations (`standard_error`).

    Parameters
    ----------
    replicates
        Of two models to be compared: made with the same subsets, thus units and seed.
    score
        ``"bridge"``, ``"reach"``, ``"ilo"`` or ``"translation_share"``.
    weights : shape (languages,) or (groups, languages), optional
        Combine languages: ``numpy.full(L, 1 / L)`` is the plain mean. Languages of weight 0 are not
        looked at.

    Returns
    -------
    float64, shape (replicates, layers, languages)
        With weights (replicates, layers) or (replicates, layers, groups). NaN for a language of
        which a replicate has no point.
    """
    counts = replicates.subsets if score in _FROM_SUBSETS else replicates.without_one
    return _scaled(replicates, counts, _combined(_values(counts, replicates, score), weights))


def standard_error(deviations: Array) -> Array:
    """Square root of the sum of squares over the first axis."""
    error: Array = np.sqrt(np.square(deviations).sum(axis=0))
    return error


def degrees_of_freedom(replicates: Replicates) -> int:
    """Of Student's t, for `standard_error`: units less strata."""
    strata = 1 if replicates.strata is None else len(np.unique(replicates.strata))
    return replicates.n_units - strata


def _values(counts: Counts, replicates: Replicates, score: str) -> Array:
    scores = counts.scores(replicates.n_neighbors)
    if score not in scores:
        raise ValueError(f"score={score!r} is not known here; use one of {', '.join(scores)}")
    return scores[score]


def _combined(values: Array, weights: Array | None) -> Array:
    if weights is None:
        return values
    used = np.atleast_2d(weights).any(axis=0)
    return values[..., used] @ weights[..., used].T


def _scaled(replicates: Replicates, counts: Counts, values: Array) -> Array:
    """Each replicate's share of the variance, with its sign."""
    if counts is replicates.subsets:
        # Delete-d: n - d units kept, v = (n - d) / d times the mean of squares.
        n, kept = replicates.n_units, replicates.n_kept
        return (values - values.mean(axis=0)) * math.sqrt(kept / (n - kept) / len(values))
    if replicates.strata is None:
        n = len(values)
        return (values - values.mean(axis=0)) * math.sqrt((n - 1) / n)
    scaled = np.empty_like(values)
    for stratum in np.unique(replicates.strata):
        own = replicates.strata == stratum
        n = int(own.sum())
        scaled[own] = (values[own] - values[own].mean(axis=0)) * np.sqrt((n - 1) / n)
    return scaled


@dataclass(frozen=True, eq=False)
class Intervals:
    """Intervals of every score of every layer and language, and of plain means over languages.

    Attributes
    ----------
    level : float
        0.95: 95 % of such intervals hold the mean of the score over many corpora of this size.
    low, high : mapping of score to float64, shape (layers, languages)
        Within 0 and 1; the score itself lies between them. NaN where `reasons` says why.
    mean_low, mean_high : mapping of score to float64, shape (layers,)
    reason : str
        Why there are none at all; "" where there are.
    reasons : mapping of int to str
        Column of a language -> why it has none.
    unit : str
        What was left out in turn: ``"document"``, ``"sentence"`` or ``"point"``.
    n_units : int
    """

    level: float
    low: Mapping[str, Array]
    high: Mapping[str, Array]
    mean_low: Mapping[str, Array]
    mean_high: Mapping[str, Array]
    reason: str
    reasons: Mapping[int, str]
    unit: str
    n_units: int

    def ends(self, score: str) -> tuple[Array | None, Array | None]:
        """Low and high of one score, each (layers, languages); None where it was not measured."""
        return self.low.get(score), self.high.get(score)

    def of_means(self) -> dict[str, tuple[Array, Array]]:
        """Score -> low and high of its mean over all languages, each of shape (layers,)."""
        return {score: (self.mean_low[score], self.mean_high[score]) for score in self.mean_low}

    def of_layer(self, row: int) -> dict[str, tuple[float, float]]:
        """The same of one layer, without those that there are not."""
        ends = {score: (float(a[row]), float(b[row])) for score, (a, b) in self.of_means().items()}
        return {score: pair for score, pair in ends.items() if not np.isnan(pair[0])}

    def select(self, rows: Sequence[int], columns: Sequence[int]) -> Intervals:
        """Those of some layers and languages; of the mean over these languages nothing is known."""
        whole = list(columns) == list(range(next(iter(self.low.values())).shape[1]))

        def part(values: Mapping[str, Array]) -> dict[str, Array]:
            return {score: value[np.ix_(rows, columns)] for score, value in values.items()}

        def means(values: Mapping[str, Array]) -> dict[str, Array]:
            return {
                score: value[list(rows)] if whole else np.full(len(rows), np.nan)
                for score, value in values.items()
            }

        return replace(
            self,
            low=part(self.low),
            high=part(self.high),
            mean_low=means(self.mean_low),
            mean_high=means(self.mean_high),
            reasons={
                new: self.reasons[old] for new, old in enumerate(columns) if old in self.reasons
            },
        )


def intervals(replicates: Replicates, *, level: float = 0.95) -> Intervals:
    """Intervals of all scores.

    Parameters
    ----------
    replicates
        As `ilo_fast.scores.resampling` makes them.
    level
        Between 0.5 and 1.

    Raises
    ------
    ValueError
        A level out of range.
    """
    level = check_level(level)
    names = tuple(replicates.whole.scores(replicates.n_neighbors))
    n_languages = replicates.whole.points.shape[-1]
    each = {score: _interval(replicates, score, None, level) for score in names}
    mean = {
        score: mean_interval(replicates, score, range(n_languages), level=level) for score in names
    }
    return Intervals(
        level=level,
        low={score: low for score, (low, _) in each.items()},
        high={score: high for score, (_, high) in each.items()},
        mean_low={score: low for score, (low, _) in mean.items()},
        mean_high={score: high for score, (_, high) in mean.items()},
        reason=_reason(replicates),
        reasons=_reasons(replicates),
        unit=replicates.unit,
        n_units=replicates.n_units,
    )


def no_intervals(
    scores: Mapping[str, Array], level: float, unit: str, n_units: int, reason: str
) -> Intervals:
    """What stands for the intervals of these scores where there can be none: NaN, and why."""
    none = {score: np.full_like(value, np.nan) for score, value in scores.items()}
    means = {score: np.full(len(value), np.nan) for score, value in scores.items()}
    return Intervals(
        level=level,
        low=none,
        high=none,
        mean_low=means,
        mean_high=means,
        reason=reason,
        reasons={},
        unit=unit,
        n_units=n_units,
    )


def check_level(level: float) -> float:
    """The level of an interval, or a ValueError."""
    if not 0.5 <= level < 1:
        raise ValueError(f"level={level} is not between 0.5 and 1: 0.95 gives intervals of 95 %")
    return float(level)


def mean_interval(
    replicates: Replicates, score: str, columns: Sequence[int], *, level: float = 0.95
) -> tuple[Array, Array]:
    """Low and high of a score's plain mean over languages, each of shape (layers,).

    Languages share their sentences, so that their scores move together: the replicates keep that.
    """
    weights = np.zeros(replicates.whole.points.shape[-1])
    weights[list(columns)] = 1 / len(columns)
    return _interval(replicates, score, weights, level)


def _interval(
    replicates: Replicates, score: str, weights: Array | None, level: float
) -> tuple[Array, Array]:
    """Wilson's interval at the number of independent trials that the standard error stands for.

    For a share of n independent trials it is Wilson's own; it stays within 0 and 1, and at 0 and 1
    it has the width that n trials without an exception allow ("rule of three").
    """
    value = _combined(_values(replicates.whole, replicates, score), weights)
    if _reason(replicates):
        return np.full_like(value, np.nan), np.full_like(value, np.nan)
    variance = standard_error(deviations(replicates, score, weights)) ** 2
    n = float(replicates.n_units)
    # At the ends the variance of a share would be 0: take that of half a trial away from them.
    inner = (value * n + 0.5) / (n + 1)
    with np.errstate(divide="ignore"):
        trials = np.where(variance > 0, np.maximum(inner * (1 - inner) / variance, 1), n)
    trials = np.where(np.isnan(variance), np.nan, trials)
    return score_interval(
        value, trials, t_quantile((1 + level) / 2, degrees_of_freedom(replicates))
    )


def _reason(replicates: Replicates) -> str:
    n = replicates.n_units
    if n >= MIN_UNITS:
        return ""
    plural = "" if n == 1 else "s"
    return (
        f"intervals need at least {MIN_UNITS} {replicates.unit}s, this corpus has {n} "
        f"{replicates.unit}{plural}"
    )


def _reasons(replicates: Replicates) -> dict[int, str]:
    """Languages that a replicate leaves without a point."""
    if _reason(replicates):
        return {}
    empty = (replicates.without_one.points == 0).any(axis=0)
    empty |= (replicates.subsets.points == 0).any(axis=0)
    return {
        int(column): f"a single {replicates.unit} holds all of its points"
        for column in np.flatnonzero(empty)
    }
