"""Layer means and ranked languages."""

from __future__ import annotations

import pytest
from helpers.scores import overlap_scores

from ilo_fast.report.summary import best_layer_index, layer_means, ranked_languages


def test_layer_means_are_plain_means_and_the_best_layer_is_the_highest() -> None:
    scores = overlap_scores()
    means = layer_means(scores)
    assert [m.layer for m in means] == [0, 1, 2]
    assert means[1].ilo == pytest.approx(scores.ilo[1].mean())
    assert means[1].times_chance == pytest.approx(scores.translation_share[1].mean() / 0.05)
    assert best_layer_index(scores) == int(scores.ilo.mean(axis=1).argmax())


def test_languages_are_ranked_by_ilo_and_an_unknown_code_is_its_own_name() -> None:
    scores = overlap_scores(codes=("eng_Latn", "xx", "fra_Latn"))
    ranked = ranked_languages(scores, 0)
    assert [row["ilo"] for row in ranked] == sorted(scores.ilo[0], reverse=True)
    assert {row["language"]: row["name"] for row in ranked}["xx"] == "xx"
    assert {row["language"]: row["name"] for row in ranked}["fra_Latn"] == "French"
