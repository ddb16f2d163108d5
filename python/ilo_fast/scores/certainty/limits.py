"""What a score is where neighbours are drawn at random, and the most that it can be."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import share
from ilo_fast.scores.certainty import nulls


@dataclass(frozen=True, eq=False)
class Limits:
    """Marks to read the scores of each language against; each float64, shape (languages,).

    They follow from the sizes of the languages, k and t alone
    (`ilo_fast.scores.certainty.nulls`).

    Attributes
    ----------
    ilo_under_mixing, bridge_under_mixing, reach_under_mixing
        Expected where neighbours are drawn from all other points at random. More is possible, where
        translations attract each other.
    ilo_max, reach_max
        The most that so few points, neighbours and languages allow.
    translation_share_max
        A sentence has fewer translations than neighbours, where there are few languages.
    """

    ilo_under_mixing: NDArray[np.float64]
    bridge_under_mixing: NDArray[np.float64]
    reach_under_mixing: NDArray[np.float64]
    ilo_max: NDArray[np.float64]
    reach_max: NDArray[np.float64]
    translation_share_max: NDArray[np.float64]

    @classmethod
    def of(cls, sizes: Sequence[int], n_neighbors: int, threshold: int) -> Limits:
        """From the number of points of each language, k and t."""
        return cls(
            ilo_under_mixing=nulls.ilo_under_mixing(sizes, n_neighbors, threshold),
            bridge_under_mixing=nulls.bridge_under_mixing(sizes, n_neighbors, threshold),
            reach_under_mixing=nulls.reach_under_mixing(sizes, n_neighbors),
            ilo_max=nulls.ilo_max(sizes, n_neighbors),
            reach_max=nulls.reach_max(sizes, n_neighbors),
            translation_share_max=np.full(
                len(sizes), nulls.translation_share_max(len(sizes), n_neighbors)
            ),
        )

    @classmethod
    def of_rows(cls, rows: Sequence[Mapping[str, Any]]) -> Limits | None:
        """From the rows of a file, one per language; None where they have none."""
        names = [field.name for field in dataclasses.fields(cls)]
        if any(row[name] is None for row in rows for name in names):
            return None
        return cls(**{name: np.array([share(name, row[name]) for row in rows]) for name in names})

    def select(self, columns: Sequence[int]) -> Limits:
        """Those of some languages, as they are in the whole pool."""
        return Limits(**{name: values[list(columns)] for name, values in self._columns().items()})

    def row(self, column: int) -> dict[str, float]:
        """Those of one language."""
        return {name: float(values[column]) for name, values in self._columns().items()}

    def means(self) -> dict[str, float]:
        """Plain means over languages."""
        return {name: float(values.mean()) for name, values in self._columns().items()}

    def _columns(self) -> Mapping[str, Any]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
