"""Intervals over seeds and languages, and the rule that turns them into verdicts.

NumPy and SciPy only; knows numbers, not models. `decide` and `MARGINS` were written before any
result of the study was seen.
"""

from __future__ import annotations

import functools
import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

from .companions import COMPANIONS

N_BOOT = 10_000
CONFIDENCE = 0.95
# A difference inside plus or minus this counts as none, where its whole interval lies inside.
MARGINS = {
    **dict.fromkeys(("accuracy", "ilo", "translation_share"), 0.02),
    **dict.fromkeys(COMPANIONS, 0.02),
}

Verdict = Literal["holds", "does not hold", "cannot tell"]


@dataclass(frozen=True)
class Interval:
    """A mean and its interval; ``lower`` and ``upper`` are NaN where one seed is all there is.

    All three are NaN where a run ended in numbers that are not finite.
    """

    mean: float
    lower: float
    upper: float

    def to_dict(self) -> dict[str, float | None]:
        """As JSON can hold it: None for NaN."""
        return {k: v if math.isfinite(v) else None for k, v in asdict(self).items()}


def interval(x: NDArray[np.float64], *, seed: int = 0, n_boot: int = N_BOOT) -> Interval:
    """The mean of paired differences, with its interval over everything that might have differed.

    A crossed bootstrap: each axis of ``x`` is drawn with replacement, independently of the others,
    and the mean over the drawn grid is taken. Percentiles of so few seeds are too narrow (five
    seeds: the standard deviation by a factor of 0.89, and the quantiles are normal instead of t).
    Percentiles further out (Hesterberg 2015, arXiv 1411.5279, "expanded percentile interval") are
    no remedy here: no draw leaves the range of the seeds, so that an interval over n of them, where
    they are all that differs, misses the truth with a probability of 2 * 0.5**n or more. So the
    2.5 and 97.5 % quantiles are stretched about the mean instead, by how much further out t and an
    unbiased variance reach than normal quantiles and the bootstrap's variance do. Each axis has its
    own size: the correction weighs them by their share of the variance, the degrees of freedom are
    Satterthwaite's. In simulations with 3 or 5 seeds 93 to 97 % of such intervals hold the truth,
    whichever axes differ; with 2 seeds 94 % where these are all that differs, 87 to 98 % else.

    Parameters
    ----------
    x
        (seeds, languages), or (seeds, languages, test sentences). An axis of length 1 is not drawn.
        With one seed there is no interval: NaN.
    """
    mean = float(x.mean())
    if not math.isfinite(mean):
        return Interval(math.nan, math.nan, math.nan)
    if len(x) < 2:
        return Interval(mean, math.nan, math.nan)
    drawn = np.broadcast_to(x, (1, *x.shape))
    for axis in reversed(range(x.ndim)):
        weights = _draws(x.shape[axis], axis, seed, n_boot)
        rows = "b" if len(drawn) > 1 else "a"
        rest = "slt"[: drawn.ndim - 2]
        drawn = np.einsum(f"{rows}{rest}z,bz->b{rest}", drawn, weights, optimize=True)
    tail = (1 - CONFIDENCE) / 2
    lower, upper = mean + _stretch(x) * (np.quantile(drawn, [tail, 1 - tail]) - mean)
    return Interval(mean, float(lower), float(upper))


@functools.lru_cache(maxsize=32)
def _draws(n: int, axis: int, seed: int, n_boot: int) -> NDArray[np.float64]:
    """(n_boot, n): how often each member is drawn, as a share."""
    rng = np.random.default_rng([seed, axis, n])
    return rng.multinomial(n, np.full(n, 1 / n), n_boot) / n


def _stretch(x: NDArray[np.float64]) -> float:
    """How many times as far from the mean as the quantiles of the draws the interval ends."""
    parts = []  # variance of the mean that each axis brings, and its degrees of freedom
    for axis in range(x.ndim):
        values = x.mean(axis=tuple(i for i in range(x.ndim) if i != axis))
        if len(values) > 1:
            parts.append((float(values.var()) / len(values), len(values) - 1))
    total = sum(v for v, _ in parts)
    if total <= 0:
        return 1.0
    # var() divides by n, as the bootstrap does; (n / (n - 1)) makes it unbiased.
    unbiased = [(v * (df + 1) / df, df) for v, df in parts]
    whole = sum(v for v, _ in unbiased)
    freedom = whole**2 / sum(v**2 / df for v, df in unbiased)
    tail = (1 - CONFIDENCE) / 2
    reach = math.sqrt(whole / total) * student.isf(tail, freedom)
    return float(reach / norm.isf(tail))


def decide(found: Interval, direction: int, margin: float) -> Verdict:
    """The verdict on "the mean lies in this direction from 0".

    holds: the interval excludes 0 in the claimed direction. does not hold: it excludes 0 in the
    other one, or lies wholly within the margin around 0. cannot tell: anything else.
    """
    lower, upper = sorted((direction * found.lower, direction * found.upper))
    if math.isnan(lower):
        return "cannot tell"
    if lower > 0:
        return "holds"
    if upper < 0 or (lower > -margin and upper < margin):
        return "does not hold"
    return "cannot tell"


@dataclass(frozen=True)
class Claim:
    """A claim about one model and task, with the numbers that decide it.

    Attributes
    ----------
    name
        The number of the paper's claim; with a comma, a sharper form of it.
    says, score, measured
        The claim, the score that it is about, and the difference that decides it.
    direction
        1 where the claim says that the difference is above 0, -1 where below.
    """

    name: str
    says: str
    score: str
    measured: str
    found: Interval
    direction: int

    @property
    def verdict(self) -> Verdict:
        """By `decide`."""
        return decide(self.found, self.direction, MARGINS[self.score])

    @property
    def small(self) -> bool:
        """It holds, by less than the margin."""
        return self.verdict == "holds" and abs(self.found.mean) < MARGINS[self.score]

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "name": self.name,
            "says": self.says,
            "score": self.score,
            "measured": self.measured,
            **self.found.to_dict(),
            "direction": self.direction,
            "margin": MARGINS[self.score],
            "verdict": self.verdict,
            "smaller_than_margin": self.small,
        }
