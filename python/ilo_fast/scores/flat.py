"""Scores of a layer as flat numbers, as harnesses and leaderboards take them."""

from __future__ import annotations

import math
from typing import Any, Final

from ilo_fast.scores.companions.result import Companions
from ilo_fast.scores.result import OverlapScores

SCORES: Final = ("ilo", "bridge", "reach", "translation_share")

WITHOUT_CHANCE: Final = ("isoscore", "partition")
"""The companions that chance says nothing of."""


def layer_means(
    scores: OverlapScores, row: int, companions: Companions | None = None
) -> dict[str, float]:
    """Means over languages of one layer, with the ends of their intervals and what chance gives.

    Parameters
    ----------
    scores
        Of parallel text or not.
    row
        Number of the layer among those of `scores`.
    companions
        Of the same layers.

    Returns
    -------
    dict
        ``ilo``, ``ilo_low``, ``ilo_high``, ``bridge``, ...; ``translation_chance`` and
        ``translation_chance_given_graph``; ``ilo_under_mixing`` and the other limits; of a
        companion ``retrieval_p1``, ``_low``, ``_high`` and ``_chance``. What was not measured, or
        is not finite, is not there.
    """
    found: dict[str, Any] = {}
    ends = {} if scores.intervals is None else scores.intervals.of_layer(row)
    for name in SCORES:
        if name == "translation_share" and scores.translation_share is None:
            continue
        found[name] = scores.values(name)[row].mean()
        if name in ends:
            found[f"{name}_low"], found[f"{name}_high"] = ends[name]
    if scores.translation_chance is not None:
        found["translation_chance"] = scores.translation_chance.mean()
    if scores.translation_chance_given_graph is not None:
        found["translation_chance_given_graph"] = scores.translation_chance_given_graph[row].mean()
    if scores.limits is not None:
        found |= scores.limits.means()
    for one in () if companions is None else companions.scores:
        for end, values in (
            ("", one.means),
            ("_low", one.means_low),
            ("_high", one.means_high),
            ("_chance", one.means_chance),
        ):
            if values is not None:
                found[f"{one.name}{end}"] = values[row]
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def of_languages(scores: OverlapScores, row: int) -> dict[str, dict[str, float]]:
    """Language -> its four scores with the ends of their intervals, of one layer."""
    found: dict[str, dict[str, float]] = {}
    for c, code in enumerate(scores.languages):
        one: dict[str, Any] = {}
        for name in SCORES:
            if name == "translation_share" and scores.translation_share is None:
                continue
            one[name] = scores.values(name)[row, c]
            low, high = (None, None) if scores.intervals is None else scores.intervals.ends(name)
            if low is not None and high is not None:
                one[f"{name}_low"], one[f"{name}_high"] = low[row, c], high[row, c]
        found[code] = {name: float(value) for name, value in one.items() if math.isfinite(value)}
    return found
