"""Summaries of overlap scores: layer means, ranked languages.

The tables and the HTML page take their numbers from these functions, so a number is computed in one
place however often it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ilo_fast.scores.result import OverlapScores


@dataclass(frozen=True)
class LayerMeans:
    """Plain means over languages of one layer's scores.

    ``translation_share`` and ``translation_chance`` are None where the text is not parallel.
    """

    layer: int
    bridge: float
    reach: float
    ilo: float
    translation_share: float | None
    translation_chance: float | None

    @property
    def times_chance(self) -> float | None:
        """How many times chance the translation share is; None where there is no chance."""
        if self.translation_share is None or not self.translation_chance:
            return None
        return self.translation_share / self.translation_chance


def layer_means(scores: OverlapScores) -> list[LayerMeans]:
    """Means over languages, one entry per layer, in the order of ``scores.layers``."""
    share, chance = scores.translation_share, scores.translation_chance
    return [
        LayerMeans(
            layer=int(layer),
            bridge=float(scores.bridge[index].mean()),
            reach=float(scores.reach[index].mean()),
            ilo=float(scores.ilo[index].mean()),
            translation_share=None if share is None else float(share[index].mean()),
            translation_chance=None if chance is None else float(chance.mean()),
        )
        for index, layer in enumerate(scores.layers)
    ]


def best_layer_index(scores: OverlapScores) -> int:
    """Index into ``scores.layers`` of the highest mean ILO; the first of equals."""
    return int(np.argmax(scores.ilo.mean(axis=1)))


def ranked_languages(scores: OverlapScores, layer_index: int) -> list[dict[str, Any]]:
    """`OverlapScores.rows` of one layer, highest ILO first, equals by code."""
    layer = scores.layers[layer_index]
    rows = [row for row in scores.rows() if row["layer"] == layer]
    return sorted(rows, key=lambda row: (-row["ilo"], row["language"]))
