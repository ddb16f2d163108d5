"""Means over groups of languages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
    """

    name: str
    languages: tuple[str, ...]
    layers: tuple[int, ...]
    bridge: NDArray[np.float64]
    reach: NDArray[np.float64]
    ilo: NDArray[np.float64]
    translation_share: NDArray[np.float64] | None

    def __repr__(self) -> str:
        best = int(self.ilo.argmax())
        return (
            f"OverlapGroup({self.name!r}, {len(self.languages)} languages; mean ILO is highest at "
            f"layer {self.layers[best]}: {self.ilo[best]:.3f})"
        )
