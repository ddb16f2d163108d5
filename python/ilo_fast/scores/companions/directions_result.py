"""What `directions_removed` returns, and how files hold it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import whole_number
from ilo_fast._util.equality import same_fields
from ilo_fast._util.messages import listed
from ilo_fast.scores.similarity.result import nested

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
    layers = layer_list(data["layers"])
    ranks = tuple(whole_number("ranks", rank, least=-1) for rank in data["ranks"])
    shape = (len(ranks), len(layers))
    return DirectionsRemoved(
        layers=layers,
        ranks=ranks,
        ilo=table_of("removed.ilo", data["ilo"], shape),
        translation_share=table_of("removed.translation_share", data["translation_share"], shape),
        n_fitted=whole_number("n_fitted", data["n_fitted"]),
        n_scored=whole_number("n_scored", data["n_scored"]),
    )


def layer_list(numbers: Any) -> tuple[int, ...]:
    """Numbers of layers, each once."""
    layers = tuple(whole_number("layers", number, least=0) for number in numbers)
    if len(set(layers)) < len(layers):
        raise ValueError(f"layers names one twice: {listed(layers)}")
    return layers


def table_of(name: str, values: Any, shape: tuple[int, ...]) -> Array:
    """Nested lists as an array of this shape; None is NaN."""
    try:
        found = np.array(values, dtype=np.float64)  # None becomes NaN
    except (TypeError, ValueError):
        raise ValueError(f"{name} is no table of numbers") from None
    if found.shape != shape or np.isinf(found).any():
        raise ValueError(f"{name} has shape {found.shape}, wanted {shape} of finite numbers")
    return found
