"""Intervals of scores, from the scores of the corpus without some of its units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import real_number
from ilo_fast._util.statistics import score_interval, t_quantile
from ilo_fast.scores.certainty.replicates import Counts, Replicates

MIN_UNITS: Final = 10
"""Fewer units than this do not say how far their scores would move."""

Array = NDArray[np.float64]


def deviations(replicates: Replicates, score: str, weights: Array | None = None) -> Array:
    """What pairs of disjoint halves say of the error of a score; squares add up to its variance.

    Both halves of a pair are samples of their own, so half the square of their difference is an
    unbiased estimate of the variance at half the size. The whole is worth twice as many independent
    trials: its variance is half of that, times v(whole) / v(halves) with v(x) = x (1 - x), since
    scores change with the size of the corpus. The trials of reach are the other languages, which do
    not become more: nothing is halved there. ILO follows from both by the delta method.

    Deviations are linear. The standard error of a difference, between layers, languages or two
    models on the same corpus, is that of the difference of the deviations (`standard_error`).

    Parameters
    ----------
    replicates
        Of two models to be compared: of the same units and seed, so that pairs are the same.
    score
        ``"bridge"``, ``"reach"``, ``"ilo"`` or ``"translation_share"``.
    weights : shape (languages,) or (languages, groups), optional
        Combine languages: ``numpy.full(L, 1 / L)`` is the plain mean. Languages of weight 0 are not
        looked at.

    Returns
    -------
    float64, shape (pairs, layers, languages)
        With weights (pairs, layers) or (pairs, layers, groups). NaN for a language of which a half
        has no point.

    Notes
    -----
    Why not the jackknife: leaving one out multiplies what interactions of order c add to the
    variance by c (Efron and Stein 1981), and neighbourhoods are made of interactions: its variance
    is up to five times too large (docs/results/coverage.md), and more of reach. Bootstraps are
    wrong altogether, since copies of a sentence are its nearest neighbours.
    """
    if score == "ilo":
        whole = replicates.whole.scores(replicates.n_neighbors)
        bridge, reach = whole["bridge"], whole["reach"]
        total = bridge + reach
        # Where both are 0, as anywhere with both alike.
        by_bridge = np.where(total > 0, 2 * (reach / np.where(total > 0, total, 1)) ** 2, 0.5)
        by_reach = np.where(total > 0, 2 * (bridge / np.where(total > 0, total, 1)) ** 2, 0.5)
        found = by_bridge * deviations(replicates, "bridge")
        found = found + by_reach * deviations(replicates, "reach")
    else:
        halves = scores_of(replicates.subsets, replicates, score)
        # A half, or a little less of odd numbers; other languages do not grow with the corpus.
        worth = 1 if score == "reach" else replicates.n_kept / replicates.n_units
        found = (halves[::2] - halves[1::2]) * np.sqrt(worth / len(halves))
        at_whole = _binomial(
            scores_of(replicates.whole, replicates, score),
            _steps(replicates.whole, replicates, score),
        )
        steps = _steps(replicates.subsets, replicates, score).mean(axis=0)
        found *= np.sqrt(at_whole / _binomial(halves.mean(axis=0), steps))
    return found if weights is None else combined(found, weights)


def jackknife_deviations(replicates: Replicates, score: str) -> Array:
    """The same from leaving out one unit after the other, shape (units, layers, languages).

    Too large by a factor: for comparison with `deviations`, and to see which unit carries a score.
    """
    if not len(replicates.without_one.points):
        raise ValueError("these replicates were made without a jackknife (units are points)")
    values = scores_of(replicates.without_one, replicates, score)
    strata = np.zeros(len(values)) if replicates.strata is None else replicates.strata
    scaled = np.empty_like(values)
    for stratum in np.unique(strata):
        own = strata == stratum
        n = int(own.sum())
        scaled[own] = (values[own] - values[own].mean(axis=0)) * np.sqrt((n - 1) / n)
    return scaled


def standard_error(deviations: Array) -> Array:
    """Square root of the sum of squares over the first axis."""
    error: Array = np.sqrt(np.square(deviations).sum(axis=0))
    return error


def degrees_of_freedom(replicates: Replicates) -> int:
    """Of Student's t for `standard_error`: of the units (less strata), and of the pairs drawn."""
    strata = 1 if replicates.strata is None else len(np.unique(replicates.strata))
    of_units = max(1, replicates.n_units - strata)
    n_pairs = len(replicates.subsets.points) // 2
    return max(1, int(1 / (1 / of_units + 1 / n_pairs)))


def scores_of(counts: Counts, replicates: Replicates, score: str) -> Array:
    """One score of the samples of `counts`, shape (..., layers, languages)."""
    scores = counts.scores(replicates.n_neighbors)
    if score not in scores:
        raise ValueError(f"score={score!r} is not known here; use one of {', '.join(scores)}")
    return scores[score]


def combined(values: Array, weights: Array) -> Array:
    """Weighted sums over languages, the last axis; a language of weight 0 may be NaN."""
    missing = np.isnan(values)
    total: Array = np.where(missing, 0, values) @ weights
    if missing.any():
        total[missing @ (weights != 0)] = np.nan  # of one group alone, where weights are of several
    return total


def _steps(counts: Counts, replicates: Replicates, score: str) -> Array:
    """In how many steps the score of a language goes from 0 to 1, shape (..., languages)."""
    points = counts.points.astype(np.float64)
    if score == "reach":
        return np.full_like(points, points.shape[-1] - 1)
    return points * replicates.n_neighbors if score == "translation_share" else points


def _binomial(share: Array, steps: Array) -> Array:
    """p (1 - p), half a step away from 0 and 1."""
    inner = (share * steps + 0.5) / (steps + 1)
    return inner * (1 - inner)


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
        What is drawn anew: ``"document"``, ``"sentence"`` or ``"point"``.
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
        As `ilo_fast.scores.certainty.resampling` makes them.
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
    known = {score: deviations(replicates, score) for score in names}
    each = {score: _interval(replicates, score, None, level, known[score]) for score in names}
    mean = {
        score: mean_interval(replicates, score, range(n_languages), level=level, known=known[score])
        for score in names
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
    """The level of an interval as a float; TypeError or ValueError where it is none."""
    number = real_number("level", level)
    if not 0.5 <= number < 1:
        raise ValueError(f"level={level} is not between 0.5 and 1: 0.95 gives intervals of 95 %")
    return number


def mean_interval(
    replicates: Replicates,
    score: str,
    columns: Sequence[int],
    *,
    level: float = 0.95,
    known: Array | None = None,
) -> tuple[Array, Array]:
    """Low and high of a score's plain mean over languages, each of shape (layers,).

    Languages share their sentences, so that their scores move together: the replicates keep that.
    NaN where these languages have fewer than `MIN_UNITS` units in all. `known`: the `deviations` of
    the score, so that those of many groups are made once.
    """
    chosen = np.zeros(replicates.whole.points.shape[-1])
    chosen[list(columns)] = 1
    return _interval(replicates, score, chosen, level, known)


def _mean(values: Array, chosen: Array) -> Array:
    """Over the languages for which `chosen` is 1, else 0: of ones exactly 1."""
    mean: Array = combined(values, chosen) / chosen.sum()
    return mean


def _interval(
    replicates: Replicates,
    score: str,
    chosen: Array | None,
    level: float,
    known: Array | None = None,
) -> tuple[Array, Array]:
    """Wilson's interval at the number of independent trials that the standard error stands for.

    Of each language, or of the mean over those for which `chosen` is 1. For a share of n
    independent trials it is Wilson's own; it stays within 0 and 1. At 0 and 1, and where no pair
    of halves differs, no unit is more than one trial: the "rule of three".
    """
    value = scores_of(replicates.whole, replicates, score)
    units = _units(replicates)
    steps = _steps(replicates.whole, replicates, score)
    if chosen is not None:
        value, steps = _mean(value, chosen), steps[chosen != 0].sum()
        units = np.array(units[chosen != 0].sum() if _has_strata(replicates) else units[0])
    if _reason(replicates) or (chosen is not None and units < MIN_UNITS):
        return np.full_like(value, np.nan), np.full_like(value, np.nan)
    known = deviations(replicates, score) if known is None else known
    apart = known if chosen is None else _mean(known, chosen)
    variance = np.square(standard_error(apart))
    with np.errstate(divide="ignore"):
        trials = np.maximum(_binomial(value, steps) / variance, 1)
    at_an_end = (variance == 0) | (value == 0) | (value == 1)
    trials = np.where(at_an_end, np.minimum(trials, units), trials)
    if chosen is None:
        trials[:, list(_reasons(replicates))] = np.nan
    quantile = t_quantile((1 + level) / 2, degrees_of_freedom(replicates))
    low, high = score_interval(value, trials, quantile)
    if score == "reach":  # its steps may be coarse: the usual correction by half a step
        half = np.where(variance == 0, 0, 0.5 / steps)
        low, high = np.maximum(low - half, 0), np.minimum(high + half, 1)
    if chosen is not None:
        # However languages move together, their mean moves no more than they do in the mean.
        of_each = _interval(replicates, score, None, level, known)
        low = np.fmax(low, _mean(of_each[0], chosen))
        high = np.fmin(high, _mean(of_each[1], chosen))
    return low, high


def too_few_units(replicates: Replicates, weights: Array) -> NDArray[np.bool_]:
    """Which combinations rest on too few units for an interval.

    Parameters
    ----------
    weights : shape (languages, groups)
        As in `deviations`.

    Returns
    -------
    bool, shape (groups,)
    """
    if not _has_strata(replicates):
        return np.full(weights.shape[1], replicates.n_units < MIN_UNITS)
    few: NDArray[np.bool_] = _units(replicates) @ (weights != 0) < MIN_UNITS
    return few


def _has_strata(replicates: Replicates) -> bool:
    return replicates.strata is not None


def _units(replicates: Replicates) -> Array:
    """How many units each language has, shape (languages,)."""
    points = replicates.whole.points
    if _has_strata(replicates):
        return points.astype(np.float64)
    return np.full(points.shape, replicates.n_units, np.float64)


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
    """Languages that have too few units of their own."""
    if _reason(replicates):
        return {}
    return {
        int(column): f"intervals need at least {MIN_UNITS} {replicates.unit}s per language"
        for column in np.flatnonzero(_units(replicates) < MIN_UNITS)
    }
