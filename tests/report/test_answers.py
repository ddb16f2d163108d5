"""The three answers: the layer, the languages outside, and whether chance gives the same."""

from __future__ import annotations

import dataclasses

import numpy as np
from helpers.runs import measured
from helpers.scores import overlap_scores

from ilo_fast.report.answers import Answer, answers
from ilo_fast.report.explorer import run_record
from ilo_fast.report.packing import packed
from ilo_fast.report.run_data import RunData
from ilo_fast.report.summary import layer_means, most_shared_layer_index
from ilo_fast.report.tables import text_report
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


def test_languages_outside_are_told_by_what_chance_gives() -> None:
    scores = overlap_scores(1, certain=True)
    assert scores.limits is not None

    def outside(bridge: list[float], under_mixing: float) -> Answer:
        limits = dataclasses.replace(
            scores.limits, bridge_under_mixing=np.full(len(scores.languages), under_mixing)
        )
        found = dataclasses.replace(scores, bridge=np.array([bridge]), limits=limits)
        return answers(found)[1]

    likely = outside([0.9, 0.3, 0.1, 0.8], 0.99)
    assert likely.short == "2 of 4" and "mix at random, 99 % would" in likely.text
    rare = outside([0.4, 0.3, 0.1, 0.3], 0.4)  # even mixing leaves most outside
    assert rare.short == "1 of 4" and "Of every other language at least 20 % do" in rare.text
    assert outside([0.0, 0.0, 0.0, 0.0], 0.0).short == "Cannot be told"


def test_layers_are_counted_to_the_last_of_the_model() -> None:
    scores = overlap_scores(2, info={"representations": {"n_blocks": 12}})
    where = answers(scores)[0]
    assert where.short.endswith(" of 12") and "the most of the 2 layers measured" in where.text
    for blocks in (0, None, "12"):  # what no model of these layers has
        odd = overlap_scores(2, info={"representations": {"n_blocks": blocks}})
        assert answers(odd)[0].short.endswith(f" of {odd.layers[-1]}")


def test_chance_is_ruled_out_by_translations_alone() -> None:
    scores = overlap_scores(1, certain=True)
    test = scores.mixing_test
    assert test is not None
    chance = np.full(len(scores.languages), 0.01)
    share = np.full_like(scores.ilo, 0.5)
    sure = dataclasses.replace(test, p_translation_mean=np.array([0.0005]))
    base = dataclasses.replace(
        scores, translation_chance=chance, translation_share=share, mixing_test=sure
    )
    found = answers(base)[2]
    assert found.short == "No" and "50.0 times as many (permutations: p < 0.001)" in found.text
    unsure = dataclasses.replace(test, p_translation_mean=np.array([0.4]))
    assert answers(dataclasses.replace(base, mixing_test=unsure))[2].short == "It might"
    for times, short in ((2.0, "Nearly"), (0.5, "It would give more")):
        near = dataclasses.replace(base, translation_share=np.full_like(share, 0.01 * times))
        assert answers(near)[2].short == short
    none = dataclasses.replace(base, translation_chance_given_graph=share * 0)
    assert answers(none)[2].short == "Cannot be told"


def test_times_chance_is_one_number_on_the_page_and_in_the_terminal() -> None:
    scores = overlap_scores(certain=True)
    here = layer_means(scores)[most_shared_layer_index(scores)]
    assert f"{here.times_chance:.1f} times as many" in answers(scores)[2].text
    assert f"{here.times_chance:.1f}x" in text_report(scores)
    explored = {one["name"]: one for one in run_record(RunData("run", scores))["scores"]}
    chance = np.broadcast_to(scores.translation_chance, scores.ilo.shape)
    assert explored["translation_share"]["chance"] == packed(chance)


def test_with_structure_the_core_decides_who_is_outside() -> None:
    scores = measured()
    found = structure(scores)
    at = int(np.argmax(scores.translation_share.mean(axis=1)))
    outside = answers(scores, found)[1]
    n_outside = int((found.language_core_share[at] < 0.5).sum())
    n = len(scores.languages)
    wanted = {0: "None", n: "All of them"}.get(n_outside, f"{n_outside} of {n}")
    assert outside.short == wanted
    assert "lie in the shared core" in outside.text
    needed = found.settings["languages_needed"]
    assert f"The core: sentences of {needed} or more languages, tied together by" in outside.text
    assert "Were languages exchanged at random, " in outside.text


def test_a_core_that_chance_does_not_make_says_nothing_of_who_is_outside() -> None:
    scores = measured()
    found = structure(scores)
    rare = [dataclasses.replace(parts, core_under_mixing=1.0) for parts in found.components]
    outside = answers(scores, dataclasses.replace(found, components=rare))[1]
    assert "core" not in outside.text
    assert outside == answers(scores)[1]
