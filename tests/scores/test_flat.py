"""Scores as flat numbers: the same as in the results, and nothing that is not finite."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ilo_fast import companions, overlap
from ilo_fast.scores.companions.entries import COMPANIONS
from ilo_fast.scores.flat import SCORES, WITHOUT_CHANCE, layer_means, of_languages

N = 24


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    meaning = rng.standard_normal((2, N, 8))
    return {
        code: (meaning + 0.8 * rng.standard_normal((2, N, 8))).astype(np.float32)
        for code in ("eng_Latn", "deu_Latn", "tha_Thai", "swh_Latn")
    }


def test_means_of_a_layer_are_those_of_the_results(arrays: dict[str, np.ndarray]) -> None:
    scores = overlap(arrays, parallel=True, intervals=True, neighbors=True)
    beside = companions(arrays, scores, intervals=True, directions=False)
    found = layer_means(scores, 1, beside)
    assert scores.intervals is not None and scores.limits is not None
    for name in SCORES:
        assert found[name] == scores.values(name)[1].mean()
        assert found[f"{name}_low"] == scores.intervals.mean_low[name][1]
        assert found[f"{name}_high"] == scores.intervals.mean_high[name][1]
        assert found[f"{name}_low"] <= found[name] <= found[f"{name}_high"]
    assert found["ilo_under_mixing"] == scores.limits.ilo_under_mixing.mean()
    for name in COMPANIONS:
        assert found[name] == beside[name].means[1]
        chance = beside[name].means_chance
        assert (chance is None) == (name in WITHOUT_CHANCE) == (f"{name}_chance" not in found)
    assert all(type(value) is float and math.isfinite(value) for value in found.values())


def test_languages_have_their_own_scores_and_ends(arrays: dict[str, np.ndarray]) -> None:
    scores = overlap(arrays, parallel=True, intervals=True)
    found = of_languages(scores, 0)
    assert list(found) == list(arrays)
    assert scores.intervals is not None
    for c, code in enumerate(arrays):
        assert found[code]["ilo"] == scores.ilo[0, c]
        assert found[code]["ilo_low"] == scores.intervals.low["ilo"][0, c]


def test_what_was_not_measured_is_not_there(arrays: dict[str, np.ndarray]) -> None:
    few = {code: array[:, :6] for code, array in arrays.items()}
    scores = overlap(few, parallel=True, intervals=True)
    found = layer_means(scores, 0)  # too few sentences for intervals
    assert "ilo" in found and "translation_share" in found and "ilo_low" not in found
    assert "ilo_low" not in of_languages(scores, 0)["eng_Latn"]
    scores = overlap(few)
    assert "translation_share" not in layer_means(scores, 0)
    assert set(of_languages(scores, 0)["eng_Latn"]) == {"ilo", "bridge", "reach"}
