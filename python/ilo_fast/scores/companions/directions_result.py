"""What `directions_removed` returns, and how files hold it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import whole_number
from ilo_fast._util.equality import same_fields
from ilo_fast._util.json_numbers import nested
from ilo_fast._util.schema import number_table, whole_numbers

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DirectionsRemoved:
    """ILO and translation share after the directions that tell languages apart are removed.

    Attributes
    ----------
    layers : tuple of int
    ranks : tuple of int
        Directions removed; -1 is nothing at all, 0 the mean of each language.
    ilo, translation_share : float64, shape (ranks, layers)
        Means over languages, of the half of the sentences that the directions were not fitted on.
        NaN under cosine where of a sentence nothing is left that has a direction: so the means take
        all where a language's rows are the same, as first tokens before the first layer are.
    n_fitted, n_scored : int
        Sentences of the two halves.
    """

    layers: tuple[int, ...]
    ranks: tuple[int, ...]
    ilo: Array
    translation_share: Array
    n_fitted: int
    n_scored: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DirectionsRemoved) and same_fields(
            self, other, (f.name for f in fields(self))
        )

    def __hash__(self) -> int:
        return hash((self.layers, self.ranks))


def removed_object(removed: DirectionsRemoved) -> dict[str, Any]:
    """As JSON can hold it."""
    return {
        "layers": list(removed.layers),
        "ranks": list(removed.ranks),
        "ilo": nested(removed.ilo),
        "translation_share": nested(removed.translation_share),
        "n_fitted": removed.n_fitted,
        "n_scored": removed.n_scored,
    }


def read_removed(data: Mapping[str, Any]) -> DirectionsRemoved:
    """The inverse of `removed_object`; ValueError or TypeError for what no measurement gives."""
    layers = whole_numbers("removed.layers", data["layers"], distinct=True)
    ranks = whole_numbers("removed.ranks", data["ranks"], least=-1, distinct=True)
    shape = (len(ranks), len(layers))
    return DirectionsRemoved(
        layers=layers,
        ranks=ranks,
        ilo=number_table("removed.ilo", data["ilo"], shape),
        translation_share=number_table(
            "removed.translation_share", data["translation_share"], shape
        ),
        n_fitted=whole_number("n_fitted", data["n_fitted"]),
        n_scored=whole_number("n_scored", data["n_scored"]),
    )
