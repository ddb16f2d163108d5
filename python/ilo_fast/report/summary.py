"""Summaries of overlap scores: layer means, ranked languages.

The tables and the HTML page take their numbers from these functions, so a number is computed in one
place however often it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ilo_fast.scores.result import OverlapScores


@dataclass(frozen=True)
class LayerMeans:
    """Plain means over languages of one layer's scores.

    What is None was not measured: of translations, where the text is not parallel; p-values, where
    nothing was permuted. ``intervals`` has the ends of the interval of each score, where there is
    one.
    """

    layer: int
    bridge: float
    reach: float
    ilo: float
    translation_share: float | None
    translation_chance: float | None
    translation_chance_given_graph: float | None = None
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    p_mixing: float | None = None
    p_translation: float | None = None

    @property
    def times_chance(self) -> float | None:
        """How many times chance the translation share is; None where there is no chance."""
        if self.translation_share is None or not self.translation_chance:
            return None
        return self.translation_share / self.translation_chance


def layer_means(scores: OverlapScores) -> list[LayerMeans]:
    """Means over languages, one entry per layer, in the order of ``scores.layers``."""
    return [_layer_means(scores, index) for index in range(len(scores.layers))]


def _layer_means(scores: OverlapScores, index: int) -> LayerMeans:
    share, chance = scores.translation_share, scores.translation_chance
    given_graph, test = scores.translation_chance_given_graph, scores.mixing_test
    return LayerMeans(
        layer=int(scores.layers[index]),
        bridge=float(scores.bridge[index].mean()),
        reach=float(scores.reach[index].mean()),
        ilo=float(scores.ilo[index].mean()),
        translation_share=None if share is None else float(share[index].mean()),
        translation_chance=None if chance is None else float(chance.mean()),
        translation_chance_given_graph=(
            None if given_graph is None else float(given_graph[index].mean())
        ),
        intervals={} if scores.intervals is None else scores.intervals.of_layer(index),
        p_mixing=None if test is None else float(test.p_mixing_mean[index]),
        p_translation=(
            None
            if test is None or test.p_translation_mean is None
            else float(test.p_translation_mean[index])
        ),
    )


def best_layer_index(scores: OverlapScores) -> int:
    """Index into ``scores.layers`` of the highest mean ILO; the first of equals."""
    return int(np.argmax(scores.ilo.mean(axis=1)))


def ranked_languages(scores: OverlapScores, layer_index: int) -> list[dict[str, Any]]:
    """`OverlapScores.rows` of one layer, highest ILO first, equals by code."""
    layer = scores.layers[layer_index]
    rows = [row for row in scores.rows() if row["layer"] == layer]
    return sorted(rows, key=lambda row: (-row["ilo"], row["language"]))


def most_shared_layer_index(scores: OverlapScores) -> int:
    """Index into ``scores.layers`` of the layer that shares most meaning.

    The highest mean share of translations among neighbours; of text that is not parallel, where
    nothing asks for meaning, the highest mean ILO.
    """
    if scores.translation_share is None:
        return best_layer_index(scores)
    return int(np.argmax(scores.translation_share.mean(axis=1)))
