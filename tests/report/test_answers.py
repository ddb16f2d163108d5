"""The three answers: the layer, the languages outside, and whether chance gives the same."""

from __future__ import annotations

import dataclasses

import numpy as np
from helpers.runs import measured
from helpers.scores import overlap_scores

from ilo_fast.report.answers import answers
from ilo_fast.scores.structure.structure import structure


def test_most_shared_layer_is_that_of_meaning_and_ilo_stands_beside_it() -> None:
    scores = overlap_scores(4)
    share = np.full_like(scores.ilo, 0.1)
    share[1] = 0.4
    ilo = np.full_like(scores.ilo, 0.2)
    ilo[3] = 0.9
    where = answers(dataclasses.replace(scores, translation_share=share, ilo=ilo))[0]
    assert where.short == "Layer 1 of 3"
    assert "40 %" in where.text and "highest at layer 3: 0.900, and 0.200 here" in where.text


def test_text_that_is_not_parallel_says_what_cannot_be_said() -> None:
    where, _, chance = answers(overlap_scores(parallel=False))
    assert "not parallel" in where.text
    assert chance.short == "Cannot be told"


def test_languages_outside_are_named_the_farthest_first() -> None:
    scores = overlap_scores(1)
    bridge = np.array([[0.9, 0.2, 0.1, 0.8]])
    outside = answers(dataclasses.replace(scores, bridge=bridge))[1]
    assert outside.short == "2 of 4"
    assert outside.text.index("Chinese") < outside.text.index("French")
    inside = answers(dataclasses.replace(scores, bridge=bridge / 2 + 0.5))[1]
    assert inside.short == "None" and "Chinese (Simplified) the fewest, 55 %" in inside.text
    assert answers(dataclasses.replace(scores, bridge=bridge / 9))[1].short == "All of them"


def test_chance_is_ruled_out_by_translations_alone() -> None:
    scores = overlap_scores(1, certain=True)
    test = scores.mixing_test
    assert test is not None
    given = np.full_like(scores.ilo, 0.01)
    share = np.full_like(scores.ilo, 0.5)
    sure = dataclasses.replace(test, p_translation_mean=np.array([0.0005]))
    base = dataclasses.replace(
        scores, translation_chance_given_graph=given, translation_share=share, mixing_test=sure
    )
    found = answers(base)[2]
    assert found.short == "No" and "50 times as many (permutations: p < 0.001)" in found.text
    unsure = dataclasses.replace(test, p_translation_mean=np.array([0.4]))
    assert answers(dataclasses.replace(base, mixing_test=unsure))[2].short == "It might"
    near = dataclasses.replace(base, translation_share=given * 2)
    assert answers(near)[2].short == "Nearly"
    none = dataclasses.replace(base, translation_chance_given_graph=given * 0)
    assert answers(none)[2].short == "Cannot be told"


def test_with_structure_the_core_decides_who_is_outside() -> None:
    scores = measured()
    found = structure(scores)
    at = int(np.argmax(scores.translation_share.mean(axis=1)))
    outside = answers(scores, found)[1]
    n_outside = int((found.language_core_share[at] < 0.5).sum())
    n = len(scores.languages)
    wanted = {0: "None", n: "All of them"}.get(n_outside, f"{n_outside} of {n}")
    assert outside.short == wanted
    assert "core" in outside.text
