"""Scores as an xarray Dataset: what each number is a number of stands beside it."""

from __future__ import annotations

from typing import Any

from ilo_fast._util.optional import xarray_dataset
from ilo_fast.corpora.languages import language_coordinates
from ilo_fast.scores.table import LIMITS, SCORE_TITLES, ScoreTable

_BOTH = ("layer", "language")


def score_dataset(scores: ScoreTable) -> Any:
    """What `ilo_fast.OverlapScores.to_xarray` returns."""
    intervals, test, limits = scores.intervals, scores.mixing_test, scores.limits
    variables: dict[str, tuple[Any, ...]] = {}
    for name, title in SCORE_TITLES.items():
        low, high = (None, None) if intervals is None else intervals.ends(name)
        variables[name] = (_BOTH, getattr(scores, name), {"long_name": title})
        variables[f"{name}_low"], variables[f"{name}_high"] = (_BOTH, low), (_BOTH, high)
        if intervals is not None and name in intervals.mean_low:
            variables[f"{name}_mean_low"] = ("layer", intervals.mean_low[name])
            variables[f"{name}_mean_high"] = ("layer", intervals.mean_high[name])
    variables["translation_chance"] = ("language", scores.translation_chance)
    variables["translation_chance_given_graph"] = (_BOTH, scores.translation_chance_given_graph)
    if limits is not None:
        variables |= {name: ("language", getattr(limits, name)) for name in LIMITS}
    if test is not None:
        variables |= {
            "p_mixing": (_BOTH, test.p_mixing),
            "p_translation": (_BOTH, test.p_translation),
            "ilo_permuted_mean": (_BOTH, test.ilo_mean),
            "ilo_permuted_sd": (_BOTH, test.ilo_sd),
            "p_mixing_mean": ("layer", test.p_mixing_mean),
            "p_translation_mean": ("layer", test.p_translation_mean),
        }
    coordinates = {
        "layer": list(scores.layers),
        **language_coordinates(scores.languages),
        "n_sentences": ("language", list(scores.n_sentences)),
    }
    return xarray_dataset(variables, coordinates, _attributes(scores))


def _attributes(scores: ScoreTable) -> dict[str, Any]:
    """How it was measured: text and numbers alone, which is all that NetCDF holds."""
    found: dict[str, Any] = {
        "model": scores.model_name,
        "corpus": scores.corpus_name,
        "n_neighbors": scores.n_neighbors,
        "threshold": scores.threshold,
        "metric": scores.metric,
    }
    if scores.intervals is not None:
        found["interval_level"] = scores.intervals.level
        found["interval_unit"] = scores.intervals.unit
    if scores.mixing_test is not None:
        found["n_permutations"] = scores.mixing_test.n_permutations
        found["shuffled_within"] = scores.mixing_test.shuffled_within
    return found
