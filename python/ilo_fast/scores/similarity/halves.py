"""Intervals from random pairs of disjoint halves of the sentences.

Both halves of a pair are samples of their own: half the mean square of their difference is an
unbiased estimate of the variance at half the size. At the whole size it is half of that. Never the
bootstrap: the copies of a sentence that it draws are each other's nearest neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ilo_fast._util.statistics import score_interval, t_quantile
from ilo_fast.scores.certainty.intervals import MIN_UNITS
from ilo_fast.scores.certainty.resampling import draw_halves, sampling_units

Array = NDArray[np.float64]

N_DRAWS: Final = 16
"""Pairs of halves. The standard error then varies by 18 % from seed to seed, which t allows for."""


@dataclass(frozen=True, eq=False)
class Halves:
    """Random pairs of disjoint halves of sentences.

    Attributes
    ----------
    pairs : tuple of pairs of int64 arrays
        Numbers of the sentences in each half, ascending.
    unit : str
        What is halved: ``"document"`` or ``"sentence"``.
    n_units : int
    reason : str
        Why no interval can be made of them; "" where one can.
    """

    pairs: tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]
    unit: str
    n_units: int
    reason: str

    @classmethod
    def draw(
        cls,
        n_sentences: int,
        groups: Sequence[str] | None = None,
        *,
        least: int = 2,
        n_draws: int = N_DRAWS,
        seed: int = 0,
        least_units: int = MIN_UNITS,
    ) -> Halves:
        """Halves of documents where they are known, else of sentences.

        Parameters
        ----------
        groups
            The document of each sentence.
        least
            Sentences that the score needs.
        least_units
            Documents or sentences that what is made of the halves needs.
        """
        units = sampling_units([n_sentences], parallel=True, groups=groups)
        kept = draw_halves(units, n_pairs=n_draws, seed=seed)[:, units.of_point]
        chosen = [np.flatnonzero(half) for half in kept]
        reason = ""
        if units.n < least_units:
            reason = f"halves need at least {least_units} {units.kind}s, got {units.n}"
        elif (fewest := min(map(len, chosen))) < least:
            reason = f"half the {units.kind}s have {fewest} sentences, the score needs {least}"
        pairs = () if reason else tuple(zip(chosen[::2], chosen[1::2], strict=True))
        return cls(pairs, units.kind, units.n, reason)

    def interval(
        self,
        values: ArrayLike,
        differences: Sequence[ArrayLike],
        *,
        level: float,
        lowest: float = -np.inf,
        highest: float = np.inf,
        share: bool = False,
        at_halves: ArrayLike | None = None,
    ) -> tuple[Array, Array]:
        """Low and high around `values`; NaN where there are no halves.

        Parameters
        ----------
        values
            The score of all sentences.
        differences
            Of the scores of the halves, one for each pair, of the shape of `values`.
        level
            0.95 for intervals of 95 %.
        lowest, highest
            The score's range, to which the ends are cut.
        share
            Whether the score is a share of the sentences: then it is Wilson's interval at the
            number of independent trials that the variance stands for, which has a length also
            where all sentences are hits.
        at_halves
            Of a share, its mean over the halves. Shares change with the size of the corpus, and
            their variance with them, as ``x (1 - x)``.
        """
        values = np.asarray(values, np.float64)
        if self.reason:
            return np.full_like(values, np.nan), np.full_like(values, np.nan)
        variance = np.mean(np.square(np.asarray(differences, np.float64)), axis=0) / 4
        df = max(1, int(1 / (1 / (self.n_units - 1) + 1 / len(self.pairs))))
        quantile = t_quantile((1 + level) / 2, df)
        if not share:
            reach = quantile * np.sqrt(variance)
            return np.maximum(values - reach, lowest), np.minimum(values + reach, highest)
        if at_halves is not None:
            at_halves = np.asarray(at_halves, np.float64)
            variance = variance * self._binomial(values) / self._binomial(at_halves)
        with np.errstate(divide="ignore"):
            trials = np.maximum(self._binomial(values) / variance, 1)
        # At 0 and 1, and where no pair of halves differs, no unit is more than one trial.
        at_an_end = (variance == 0) | (values == 0) | (values == 1)
        trials = np.where(at_an_end, np.minimum(trials, self.n_units), trials)
        return score_interval(values, trials, quantile)

    def _binomial(self, values: Array) -> Array:
        """``x (1 - x)``, half a unit away from 0 and 1."""
        inner = (values * self.n_units + 0.5) / (self.n_units + 1)
        return inner * (1 - inner)
