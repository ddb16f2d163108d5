"""The sentences beside the numbers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from helpers.scores import overlap_scores

from ilo_fast.report.notes import notes


def test_notes_say_what_the_run_met() -> None:
    info = {
        "backend": "exact",
        "layers": [{"certified_rows": 30, "widened_rows": 10}],
        "representations": {"special_tokens": "exclude", "truncated": {"eng_Latn": 2}},
    }
    text = "\n".join(notes(overlap_scores(info=info)))
    assert "noise scores near 1" in text
    assert "Special tokens do not count" in text
    assert "2 sentences in 1 language (eng_Latn 2)" in text
    assert "30 of 40 rows (75.00 %)" in text


@pytest.mark.parametrize(("share", "warns"), [(0.06, True), (0.6, False)])
def test_notes_warn_where_translations_are_hardly_more_than_chance(
    share: float, warns: bool
) -> None:
    scores = overlap_scores()
    scores = dataclasses.replace(scores, translation_share=np.full((3, 4), share))
    assert any("hardly by meaning" in note for note in notes(scores)) is warns


def test_notes_say_so_where_nothing_mixes() -> None:
    scores = overlap_scores()
    zero = np.zeros_like(scores.ilo)
    scores = dataclasses.replace(scores, ilo=zero, bridge=zero)
    text = "\n".join(notes(scores))
    assert "ILO is 0 at every layer: no sentence has 3 other languages among its 5" in text
    assert "by meaning" not in text.partition("translations.")[2]


def test_notes_of_an_approximate_graph_give_the_lowest_recall() -> None:
    layers = [{"recall": r, "recall_sample_rows": 100} for r in (0.99, 0.97)]
    found = notes(overlap_scores(info={"backend": "hnsw", "layers": layers}))
    assert any("recall 0.9700" in note and "100 random rows" in note for note in found)


def test_notes_say_where_the_wanted_recall_was_missed() -> None:
    layer = {"recall": 0.02, "recall_sample_rows": 9, "recall_wanted": 0.99, "is_reached": False}
    info = {"backend": "partitioned", "layers": [layer]}
    assert any(
        "A recall of 0.99 was wanted and is missed" in n for n in notes(overlap_scores(info=info))
    )
    layer["is_reached"] = True
    assert not any("is missed" in note for note in notes(overlap_scores(info=info)))


def test_notes_of_an_approximate_graph_that_was_answered_exactly_say_so_once() -> None:
    layer = {"recall": 1.0, "exact_because": "200 rows", "certified_rows": 9, "widened_rows": 1}
    found = notes(overlap_scores(info={"backend": "partitioned", "layers": [layer]}))
    (note,) = [note for note in found if "Neighbours are" in note]
    assert note == "Neighbours are exact, though not asked to be: 200 rows."


def test_notes_of_a_graph_from_tiles_count_rows_of_tiles_and_see_no_copies() -> None:
    layer = {"layer": 0, "rows": 10, "tiles": 3, "certified_rows": 30, "widened_rows": 10}
    text = "\n".join(notes(overlap_scores(info={"backend": "ray", "layers": [layer]})))
    assert "30 of 40 rows of tiles (75.00 %)" in text and "copies" not in text


def test_notes_name_the_layers_whose_rows_are_mostly_copies() -> None:
    layers = [{"layer": h, "rows": 100, "unique_rows": n} for h, n in enumerate((20, 99, 89))]
    text = "\n".join(notes(overlap_scores(info={"layers": layers})))
    assert "At layers 0, 2 many rows are copies" in text
    assert "copies" not in "\n".join(notes(overlap_scores(info={"layers": layers[1:2]})))


@pytest.mark.parametrize(
    ("pooling", "special", "said"),
    [
        ("mean", "include", "count in the mean over tokens, as in the published code."),
        ("mean", "exclude", "not count in the mean over tokens (the published code counts them)."),
        ("last", "include", "Special tokens count in the pooling (last)."),
        ("max", "exclude", "Special tokens do not count in the pooling (max)."),
    ],
)
def test_notes_speak_of_the_mean_where_one_was_taken(pooling: str, special: str, said: str) -> None:
    info = {"representations": {"special_tokens": special, "pooling": pooling}}
    assert said in "\n".join(notes(overlap_scores(info=info)))


def test_every_note_is_a_sentence() -> None:
    assert all(note.endswith(".") for note in notes(overlap_scores()))
