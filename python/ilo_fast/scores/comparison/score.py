"""One score of several models: the draws are made once, for tests, best layers and ranks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.statistics import t_quantile
from ilo_fast._util.student import two_sided_p
from ilo_fast.scores.comparison.joint_draws import Contest, StepDown, error_draws, nan_without_error
from ilo_fast.scores.comparison.models import MeasuredModel, Targets
from ilo_fast.scores.comparison.records import BestLayer, Difference, LayerValue, Rank

Array = NDArray[np.float64]


@dataclass(frozen=True)
class _Place:
    """Where two models are subtracted, and the tests of all pairs there.

    `rows` has the rows of each model's layers. The arrays are of shape (pairs, layers, targets):
    what both models have, the standard error of the difference, and t, both NaN where no unit moves
    it.
    """

    at: str
    rows: list[list[int]]
    a: Array
    b: Array
    errors: Array
    t: Array
    families: Mapping[str, StepDown]


class ComparedModels:
    """All about one score: the draws are made once, for everything."""

    def __init__(
        self,
        score: str,
        models: Sequence[MeasuredModel],
        targets: Targets,
        level: float,
        paired: bool,
    ) -> None:
        self._score = score
        self._models = models
        self._targets = targets
        self._level = level
        self._paired = paired
        self._df = min(m.df for m in models)
        self._pairs = [(i, j) for i in range(len(models)) for j in range(i + 1, len(models))]
        self._best = [m.best(score) for m in models]
        places = {"best": [[row] for row in self._best]}
        if len({m.layers for m in models}) == 1:
            places = {"layer": [list(range(len(m.layers))) for m in models]} | places
        self._places = [self._place(at, rows) for at, rows in places.items()]
        self._within = [self._contest([(m, h) for h in range(len(m.layers))]) for m in models]
        self._among = [
            (place, h, self._contest([(m, r[h]) for m, r in zip(models, place.rows, strict=True)]))
            for place in self._places
            for h in range(len(place.rows[0]))
        ]

    def _place(self, at: str, rows: list[list[int]]) -> _Place:
        parts = [
            m.deviations[self._score][:, own] for m, own in zip(self._models, rows, strict=True)
        ]
        values = [m.values[self._score][own] for m, own in zip(self._models, rows, strict=True)]
        a, b = (np.stack([values[pair[side]] for pair in self._pairs]) for side in (0, 1))
        if self._paired:
            squares = [np.square(parts[i] - parts[j]).sum(axis=0) for i, j in self._pairs]
        else:
            own = [np.square(part).sum(axis=0) for part in parts]
            squares = [own[i] + own[j] for i, j in self._pairs]
        errors = nan_without_error(np.sqrt(squares))
        t = (a - b) / errors
        kinds = dict.fromkeys(self._targets.by)
        families = {by: StepDown(t[..., self._targets.of(by)]) for by in kinds}
        return _Place(at, rows, a, b, errors, t, families)

    def _contest(self, entries: Sequence[tuple[MeasuredModel, int]]) -> Contest | None:
        """Of means over languages, where all of them are known."""
        values = np.array([m.values[self._score][h, 0] for m, h in entries])
        parts = [m.deviations[self._score][:, h, 0] for m, h in entries]
        if np.isnan(values).any() or any(np.isnan(part).any() for part in parts):
            return None
        own = self._paired or len({id(m) for m, _ in entries}) == 1
        return Contest(values, np.stack(parts, axis=1) if own else parts)

    def draw(self, seed: Sequence[int], n_draws: int) -> None:
        """Give the same draws to all tests, contests and ranks."""
        parts = [np.nan_to_num(m.deviations[self._score]) for m in self._models]
        for drawn in error_draws(
            parts, paired=self._paired, df=self._df, n_draws=n_draws, seed=seed
        ):
            for contest, errors in zip(self._within, drawn, strict=True):
                if contest is not None:
                    contest.add(errors[:, :, 0])
            for place, h, contest in self._among:
                if contest is not None:
                    at = [d[:, r[h], 0] for d, r in zip(drawn, place.rows, strict=True)]
                    contest.add(np.stack(at, axis=1))
            for place in self._places:
                self._add(place, drawn)

    def _add(self, place: _Place, drawn: Sequence[NDArray[np.float32]]) -> None:
        own = [d[:, rows] for d, rows in zip(drawn, place.rows, strict=True)]
        apart = np.stack([own[i] - own[j] for i, j in self._pairs], axis=1)
        t: NDArray[np.float32] = (apart / place.errors).astype(np.float32)
        for by, family in place.families.items():
            family.add(t[..., self._targets.of(by)])

    def curves(self) -> list[LayerValue]:
        found = []
        for m in self._models:
            low, high = m.mean_interval[self._score]
            means = m.values[self._score][:, 0]
            found += [
                LayerValue(self._score, m.name, layer, *_numbers(means[h], low[h], high[h]))
                for h, layer in enumerate(m.layers)
            ]
        return found

    def best_layers(self) -> list[BestLayer]:
        found = []
        for m, h, contest in zip(self._models, self._best, self._within, strict=True):
            low, high = m.mean_interval[self._score]
            if contest is None:
                continue
            value = m.values[self._score][h, 0]
            chosen = np.flatnonzero(contest.candidates(self._level))
            shown = _numbers(value, low[h], high[h])
            found.append(
                BestLayer(
                    self._score,
                    m.name,
                    m.layers[h],
                    shown[0],
                    shown[1],
                    shown[2],
                    candidates=tuple(m.layers[i] for i in chosen),
                    shares=tuple(float(share) for share in contest.shares()),
                )
            )
        return found

    def ranks(self) -> list[Rank]:
        found = []
        for place, h, contest in self._among:
            if contest is None:
                continue
            rows = [own[h] for own in place.rows]
            values = [
                float(m.values[self._score][row, 0])
                for m, row in zip(self._models, rows, strict=True)
            ]
            low, high = contest.ranks(self._level)
            for i, (m, row) in enumerate(zip(self._models, rows, strict=True)):
                rank = 1 + sum(value > values[i] for value in values)
                found.append(
                    Rank(
                        self._score, m.name, place.at, m.layers[row],
                        values[i], rank, int(low[i]), int(high[i]),
                    )
                )  # fmt: skip
        return found

    def differences(self) -> list[Difference]:
        return [d for place in self._places for d in self._differences(place)]

    def _differences(self, place: _Place) -> Iterator[Difference]:
        raw = two_sided_p(place.t, self._df)
        corrected = np.full(place.t.shape, np.nan)
        for by, family in place.families.items():
            corrected[..., self._targets.of(by)] = family.p()
        # Draws are counted, so that theirs may fall below the formula's by chance.
        corrected = np.maximum(corrected, raw)
        half = t_quantile((1 + self._level) / 2, self._df) * place.errors
        apart = place.a - place.b
        low, high = np.clip(apart - half, -1, 1), np.clip(apart + half, -1, 1)
        columns = (place.a, place.b, apart, place.errors, low, high, raw, corrected)
        numbers = np.stack(columns, axis=-1)
        for (pair, h, target), shown in zip(
            np.ndindex(place.t.shape), numbers.reshape(-1, len(columns)).tolist(), strict=True
        ):
            a, b = (self._models[i] for i in self._pairs[pair])
            row_a, row_b = (place.rows[i][h] for i in self._pairs[pair])
            yield Difference(
                self._score,
                a.name,
                b.name,
                place.at,
                a.layers[row_a],
                b.layers[row_b],
                self._targets.by[target],
                self._targets.group[target],
                self._targets.n_languages[target],
                *_numbers(*shown),
            )


def _numbers(*values: Any) -> list[float | None]:
    """As Python has them, None for NaN: JSON knows no NaN."""
    return [None if math.isnan(value) else float(value) for value in values]
