"""What is compared: each model's scores of languages and groups, and what units do to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ilo_fast.corpora.grouping import group_languages
from ilo_fast.corpora.languages import GROUPINGS
from ilo_fast.scores.certainty.intervals import (
    MIN_UNITS,
    combined,
    degrees_of_freedom,
    deviations,
    mean_interval,
    too_few_units,
)
from ilo_fast.scores.comparison.records import LANGUAGE, MEAN
from ilo_fast.scores.result import OverlapScores
from ilo_fast.scores.table import SCORE_TITLES

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Targets:
    """What is compared: combinations of languages, by the rows of `weights`."""

    by: tuple[str, ...]
    group: tuple[str, ...]
    n_languages: tuple[int, ...]
    weights: Array

    def of(self, by: str) -> list[int]:
        return [i for i, own in enumerate(self.by) if own == by]


@dataclass(frozen=True)
class MeasuredModel:
    """A model's scores of every target.

    Values are of shape (layers, targets), deviations (replicates, layers, targets); intervals of
    the mean over languages (layers,).
    """

    name: str
    layers: tuple[int, ...]
    values: Mapping[str, Array]
    deviations: Mapping[str, Array]
    mean_interval: Mapping[str, tuple[Array, Array]]
    df: int
    n_units: int
    text_known: bool

    def best(self, score: str) -> int:
        """Row of the layer with the highest mean; the mean is the first target."""
        means = self.values[score][:, 0]
        return int(np.nan_to_num(means, nan=-1.0).argmax())


def targets_of(languages: Sequence[str], *, by_language: bool) -> Targets:
    parts: list[tuple[str, str, Sequence[str]]] = [(MEAN, "all", languages)]
    if by_language:
        parts += [(LANGUAGE, code, [code]) for code in languages]
    for by in GROUPINGS:
        parts += [(by, name, codes) for name, codes in group_languages(languages, by).items()]
    weights = np.zeros((len(parts), len(languages)))
    for row, (_, _, codes) in zip(weights, parts, strict=True):
        row[[languages.index(code) for code in codes]] = 1 / len(codes)
    return Targets(
        by=tuple(by for by, _, _ in parts),
        group=tuple(name for _, name, _ in parts),
        n_languages=tuple(len(codes) for _, _, codes in parts),
        weights=weights,
    )


def measured(
    name: str, scores: OverlapScores, languages: Sequence[str], targets: Targets, level: float
) -> MeasuredModel:
    replicates = scores.replicates
    assert replicates is not None  # check_alike refuses
    if replicates.n_units < MIN_UNITS:
        raise ValueError(
            f"scores[{name!r}] is of {replicates.n_units} {replicates.unit}s: a comparison needs "
            f"at least {MIN_UNITS}"
        )
    order = [scores.languages.index(code) for code in languages]
    values, apart, interval = {}, {}, {}
    by_column = np.empty_like(targets.weights)
    by_column[:, order] = targets.weights  # in the order of the replicates
    few = too_few_units(replicates, by_column.T)
    for score in SCORE_TITLES:
        if score == "translation_share" and scores.translation_share is None:
            continue
        values[score] = combined(scores.values(score)[:, order], targets.weights.T)
        apart[score] = combined(deviations(replicates, score)[..., order], targets.weights.T)
        apart[score][..., few] = np.nan
        interval[score] = mean_interval(replicates, score, order, level=level)
    return MeasuredModel(
        name, scores.layers, values, apart, interval,
        degrees_of_freedom(replicates), replicates.n_units, replicates.units_sha256 is not None,
    )  # fmt: skip
