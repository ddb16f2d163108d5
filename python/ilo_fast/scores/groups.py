"""Means over groups of languages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast.scores.certainty.file import number
from ilo_fast.scores.certainty.intervals import deviations, mean_interval
from ilo_fast.scores.table import ScoreTable, positions


@dataclass(frozen=True, eq=False)
class OverlapGroup:
    """Languages that share something, and the means of their scores at every layer.

    Attributes
    ----------
    name : str
    languages : tuple of str
    layers : tuple of int
    bridge, reach, ilo : float64, shape (layers,)
        Plain means over the languages.
    translation_share : float64, shape (layers,), or None
    intervals : mapping
        Score -> lower and upper ends of the interval of its mean, each float64, shape (layers,).
        Empty where the scores were measured, or read, without their replicates.
    """

    name: str
    languages: tuple[str, ...]
    layers: tuple[int, ...]
    bridge: NDArray[np.float64]
    reach: NDArray[np.float64]
    ilo: NDArray[np.float64]
    translation_share: NDArray[np.float64] | None
    intervals: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = field(
        default_factory=dict
    )

    @classmethod
    def of(
        cls,
        scores: ScoreTable,
        name: str,
        codes: Sequence[str],
        deviations: Mapping[str, NDArray[np.float64]],
    ) -> OverlapGroup:
        """The group of these languages.

        `deviations` has those of each score that gets an interval, as `group_deviations` makes
        them.
        """
        columns = positions("languages", scores.languages, codes)
        share, replicates = scores.translation_share, scores.replicates
        intervals = {}
        if replicates is not None and scores.intervals is not None:
            level = scores.intervals.level
            for score, known in deviations.items():
                low, high = mean_interval(replicates, score, columns, level=level, known=known)
                if not np.isnan(low).any():
                    intervals[score] = low, high
        return cls(
            name=name,
            languages=tuple(codes),
            layers=scores.layers,
            bridge=scores.bridge[:, columns].mean(axis=1),
            reach=scores.reach[:, columns].mean(axis=1),
            ilo=scores.ilo[:, columns].mean(axis=1),
            translation_share=None if share is None else share[:, columns].mean(axis=1),
            intervals=intervals,
        )

    def rows(self, by: str) -> list[dict[str, Any]]:
        """One record for each layer, as in ``groups.csv``."""
        values = {"ilo": self.ilo, "bridge": self.bridge, "reach": self.reach}
        if self.translation_share is not None:
            values["translation_share"] = self.translation_share
        found = []
        for h, layer in enumerate(self.layers):
            row: dict[str, Any] = {"by": by, "group": self.name, "n_languages": len(self.languages)}
            row["layer"] = layer
            for score, value in values.items():
                low, high = self.intervals.get(score, (None, None))
                row[score] = number(value, h)
                row[f"{score}_low"], row[f"{score}_high"] = number(low, h), number(high, h)
            found.append(row)
        return found

    def __repr__(self) -> str:
        best = int(self.ilo.argmax())
        return (
            f"OverlapGroup({self.name!r}, {len(self.languages)} languages; mean ILO is highest at "
            f"layer {self.layers[best]}: {self.ilo[best]:.3f})"
        )


def group_deviations(scores: ScoreTable) -> dict[str, NDArray[np.float64]]:
    """By score, what intervals of all groups are made of; empty where there can be none."""
    if scores.replicates is None or scores.intervals is None:
        return {}
    return {score: deviations(scores.replicates, score) for score in scores.intervals.low}
