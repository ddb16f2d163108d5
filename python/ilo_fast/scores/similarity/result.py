"""What a comparison of representations returns: one number, or a table of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.equality import same_fields
from ilo_fast._util.json_numbers import finite, nested

Array = NDArray[np.float64]

_COMPARED = ("name", "values", "chance", "z", "low", "high", "level", "n", "rows", "columns")


@dataclass(frozen=True, eq=False)
class Similarity:
    """A similarity of two sets of representations of the same sentences, or of many such pairs.

    Attributes
    ----------
    name : str
        Of the function that measured it: ``"cka"``.
    values : float64
        Shape ``()`` of two matrices, ``(layers of X, layers of Y)`` of two stacks, ``(layers,
        languages, languages)`` of one `Representations` (row: X, column: Y).
    chance : float64 or None
        Expected where the sentences of X and Y have nothing to do with each other; of a shape that
        fits `values`.
    z : float64 or None
        How many standard deviations of chance lie between `chance` and `values`.
    low, high : float64 or None
        Ends of the interval, of the shape of `values`. NaN where `reason` says why.
    level : float
        Of the interval.
    n : int
        Sentences, or points of the pool of two `Representations`.
    rows, columns : tuple or None
        What the last two axes are: languages or layers.
    layers : tuple of int or None
        What the first of three axes is.
    settings : mapping
        Keywords that the values depend on.
    reason : str
        Why there is no interval where one was asked for; "" where there is.
    """

    name: str
    values: Array
    chance: Array | None = None
    z: Array | None = None
    low: Array | None = None
    high: Array | None = None
    level: float = 0.95
    n: int = 0
    rows: tuple[Any, ...] | None = None
    columns: tuple[Any, ...] | None = None
    layers: tuple[int, ...] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""

    def __repr__(self) -> str:
        if self.values.ndim:
            shape = " x ".join(map(str, self.values.shape))
            return f"Similarity({self.name}, {shape}, mean {np.nanmean(self.values):.4f})"
        between = ""
        if self.low is not None and self.high is not None:
            between = f", {self.low:.4f} to {self.high:.4f}"
        chance = "" if self.chance is None else f", chance {float(self.chance):.4f}"
        return f"Similarity({self.name} {float(self.values):.4f}{between}{chance}, n={self.n})"

    def __float__(self) -> float:
        if self.values.ndim:
            raise TypeError(
                f"{self.name} of shape {self.values.shape} is not one number: use .values"
            )
        return float(self.values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Similarity) and same_fields(self, other, _COMPARED)

    def __hash__(self) -> int:
        return hash((self.name, self.values.shape, self.n))

    def rows_table(self) -> list[dict[str, Any]]:
        """One record for each value, with its layer and labels, chance, z and interval."""
        beside = {
            key: None if values is None else np.broadcast_to(values, self.values.shape)
            for key, values in _beside(self).items()
        }
        return [
            self._labels(at)
            | {"value": finite(self.values[at])}
            | {key: None if v is None else finite(v[at]) for key, v in beside.items()}
            for at in np.ndindex(self.values.shape)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON can hold it; NaN is None."""
        return {
            "name": self.name,
            "values": nested(self.values),
            **{key: None if v is None else nested(v) for key, v in _beside(self).items()},
            "level": self.level,
            "n": self.n,
            "rows": None if self.rows is None else list(self.rows),
            "columns": None if self.columns is None else list(self.columns),
            "layers": None if self.layers is None else list(self.layers),
            "settings": dict(self.settings),
            "reason": self.reason,
        }

    def _labels(self, at: tuple[int, ...]) -> dict[str, Any]:
        labels: dict[str, Any] = {"score": self.name}
        if self.layers is not None:
            labels["layer"] = self.layers[at[0]]
        if self.rows is not None and self.columns is not None:
            labels |= {"row": self.rows[at[-2]], "column": self.columns[at[-1]]}
        return labels


def _beside(found: Similarity) -> dict[str, Array | None]:
    return {"chance": found.chance, "z": found.z, "low": found.low, "high": found.high}
