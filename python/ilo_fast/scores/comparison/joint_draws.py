"""What chance does to many estimates at once: joint draws, corrected p, best ones and ranks.

The errors of estimates that share their sentences move together. Their joint distribution is drawn
by normal multipliers on the deviations of the replicates
(`ilo_fast.scores.certainty.intervals.deviations`),
divided by one chi for all: a multivariate t with their covariance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_AT_ONCE = 256  # draws that are in memory together
_NO_ERROR = 1e-10  # what rounding leaves of a standard error of 0


def error_draws(
    deviations: Sequence[Array], *, paired: bool, df: int, n_draws: int, seed: Sequence[int]
) -> Iterator[list[NDArray[np.float32]]]:
    """Draws of the errors of several models, some hundred at a time.

    Parameters
    ----------
    deviations
        Of each model, shape (replicates, ...).
    paired
        Whether the replicates of all models leave out the same units.
    df
        Degrees of freedom of the standard errors.

    Yields
    ------
    list of float32, shape (draws, ...)
        One for each model.
    """
    rng = np.random.default_rng(list(seed))
    flat = [d.reshape(len(d), -1).astype(np.float32) for d in deviations]
    for start in range(0, n_draws, _AT_ONCE):
        n = min(_AT_ONCE, n_draws - start)
        chi = np.sqrt(rng.chisquare(df, (n, 1)) / df)
        found: list[NDArray[np.float32]] = []
        multipliers: NDArray[np.float32] | None = None
        for part, whole in zip(flat, deviations, strict=True):
            if multipliers is None or not paired:
                multipliers = (rng.standard_normal((n, len(part))) / chi).astype(np.float32)
            errors: NDArray[np.float32] = multipliers @ part
            found.append(errors.reshape(n, *whole.shape[1:]))
        yield found


def nan_without_error(errors: Array) -> Array:
    """Standard errors; NaN for those that are rounding alone, as where no unit moves a score."""
    return np.where(errors < _NO_ERROR, np.nan, errors)


class StepDown:
    """Step-down maxT (Westfall and Young 1993) over one family of tests.

    Like `ilo_fast._util.max_t.step_down_p`, which has all permutations at hand and standardises by
    them; here draws of t come in parts, too many to be kept, and count on both sides.

    Parameters
    ----------
    observed
        t of every test; NaN where there is no test.
    """

    def __init__(self, observed: Array) -> None:
        self._shape = observed.shape
        flat = np.abs(observed).ravel()
        order = np.argsort(flat, kind="stable")
        self._order = order[~np.isnan(flat[order])]
        self._observed = flat[self._order]
        self._reached = np.zeros(len(self._order), np.int64)
        self._n_draws = 0

    def add(self, draws: NDArray[np.float32]) -> None:
        """Draws of t under the null, shape (draws, ...)."""
        # Each test is compared with the largest of those that are no more extreme than it.
        sizes = np.abs(draws.reshape(len(draws), -1)[:, self._order])
        largest = np.maximum.accumulate(sizes, axis=1, out=sizes)
        self._reached += (largest >= self._observed).sum(axis=0)
        self._n_draws += len(draws)

    def p(self) -> Array:
        """Corrected p, the more extreme test never the larger one; NaN where there is no test."""
        found = np.full(int(np.prod(self._shape)), np.nan)
        p = (1 + self._reached) / (1 + self._n_draws)
        found[self._order] = np.maximum.accumulate(p[::-1])[::-1]
        return found.reshape(self._shape)


class Contest:
    """Which of several estimates is the largest, and between which ranks each lies.

    Mogstad, Romano, Shaikh and Wilhelm, "Inference for Ranks", Review of Economic Studies 91
    (2024): an estimate is behind another where their difference is beyond what chance does to the
    largest of all such differences.

    Parameters
    ----------
    values : shape (estimates,)
    deviations : shape (replicates, estimates), or one of shape (replicates,) for each estimate
        The second where estimates rest on different samples.
    """

    def __init__(self, values: Array, deviations: Array | Sequence[Array]) -> None:
        self._values = values
        if isinstance(deviations, np.ndarray):
            apart = deviations[:, :, None] - deviations[:, None, :]
            errors = np.sqrt(np.square(apart).sum(axis=0))
        else:
            own = np.array([np.square(d).sum() for d in deviations])
            errors = np.sqrt(own[:, None] + own[None, :])
        self._errors = nan_without_error(errors)
        self._wins = np.zeros(len(values), np.int64)
        self._behind: list[Array] = []
        self._apart: list[Array] = []

    def add(self, draws: NDArray[np.float32]) -> None:
        """Draws of the errors, shape (draws, estimates)."""
        n = len(self._values)
        self._wins += np.bincount((self._values + draws).argmax(axis=1), minlength=n)
        apart = self._studentised(draws[:, None, :] - draws[:, :, None])
        self._behind.append(apart.max(axis=2))
        self._apart.append(np.abs(apart).max(axis=(1, 2)))

    def shares(self) -> Array:
        """Share of the draws in which each is the largest."""
        return self._wins / max(1, int(self._wins.sum()))

    def candidates(self, level: float) -> NDArray[np.bool_]:
        """Which may be the largest: a set that holds it at this level."""
        critical = np.quantile(np.concatenate(self._behind), level, axis=0, method="higher")
        behind: NDArray[np.bool_] = self._observed().max(axis=1) > np.maximum(critical, 0)
        return ~behind

    def ranks(self, level: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First and last rank of each, for all of them together; the largest has rank 1."""
        critical = np.quantile(np.concatenate(self._apart), level, method="higher")
        ahead = self._observed() > critical  # [i, j]: j is ahead of i
        return 1 + ahead.sum(axis=1), len(self._values) - ahead.sum(axis=0)

    def _observed(self) -> Array:
        """How far j is ahead of i, in standard errors; without end where no unit moves them."""
        lead = self._values[None, :] - self._values[:, None]
        certain = np.where(lead == 0, 0.0, np.copysign(np.inf, lead))
        return np.where(np.isnan(self._errors), certain, lead / self._errors)

    def _studentised(self, differences: NDArray[np.float32]) -> Array:
        return np.nan_to_num(differences / self._errors)
