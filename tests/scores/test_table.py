"""Scores as tables: equality, rows, selections, groups, notebooks."""

from __future__ import annotations

import csv
import dataclasses
import io
import json

import numpy as np
import pytest
from helpers.scores import HOSTILE, overlap_records, overlap_scores

from ilo_fast import OverlapScores

KNOWN = ("name", "script", "family", "region", "resource_class")


def test_equal_results_are_equal_and_have_one_hash() -> None:
    one, other = overlap_scores(), overlap_scores(info={"seconds": 2})
    assert one == other and hash(one) == hash(other) and len({one, other}) == 1
    assert one != overlap_scores(seed=8) and one != overlap_scores(parallel=False)
    assert one != "scores"
    changed = dataclasses.replace(one, ilo=one.ilo[:, :2])
    assert one != changed
    first, second = overlap_records(), overlap_records()
    assert first == second and hash(first[0]) == hash(second[0])


def test_rows_frame_and_csv_hold_the_same_with_the_model_first(tmp_path) -> None:
    scores = overlap_scores()
    path = tmp_path / "scores.csv"
    text = scores.to_csv(path)
    assert path.read_text() == text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0])[:3] == ["model", "layer", "language"]
    assert list(rows[0]) == list(scores.rows()[0]) and set(KNOWN) < set(rows[0])
    assert len(rows) == 12
    assert float(rows[5]["ilo"]) == scores.ilo[1, 1]
    wanted = ("org/model", "1", "fra_Latn", "French")
    assert tuple(rows[5][name] for name in ("model", "layer", "language", "name")) == wanted
    pytest.importorskip("pandas")
    assert list(scores.to_dataframe().columns) == list(rows[0])


def test_csv_of_unknown_languages_leaves_their_fields_empty() -> None:
    text = overlap_scores(codes=("aa", "bb", "cc", "dd"), parallel=False).to_csv()
    row = next(csv.DictReader(io.StringIO(text)))
    assert row["translation_share"] == row["resource_class"] == row["family"] == ""


def test_selection_keeps_values_and_says_of_what_it_is_one() -> None:
    scores = overlap_scores(info={"layers": [{"layer": h} for h in range(3)]})
    part = scores.select(languages=["zho_Hans", "eng_Latn"], layers=[-1])
    assert part.languages == ("zho_Hans", "eng_Latn") and part.layers == (2,)
    np.testing.assert_array_equal(part.ilo, scores.ilo[2:, [2, 0]])
    assert part.info["selected_from"]["languages"] == list(scores.languages)
    assert OverlapScores.from_json(part.to_json()) == part
    assert part.select(layers=2).info["selected_from"]["layers"] == [0, 1, 2]
    assert scores.select("eng_Latn").ilo.shape == (3, 1)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"languages": ["deu_Latn"]}, "languages holds deu_Latn, but these scores have eng_Latn"),
        ({"layers": [3]}, "layers holds 3, but"),
        ({"layers": [-4]}, "layers holds -4, but"),
        ({"layers": []}, "layers holds nothing"),
        ({"layers": [0, -3]}, "layers names one twice"),
    ],
)
def test_selection_of_what_is_not_there_is_refused(options, problem) -> None:
    with pytest.raises(ValueError, match=problem):
        overlap_scores().select(**options)


def test_groups_are_means_over_their_languages() -> None:
    scores = overlap_scores()
    latin, han = scores.groups("script")
    assert (latin.name, latin.languages) == ("Latn", ("eng_Latn", "fra_Latn", "ceb_Latn"))
    np.testing.assert_allclose(latin.ilo, scores.ilo[:, [0, 1, 3]].mean(axis=1))
    np.testing.assert_allclose(han.translation_share, scores.translation_share[:, 2])
    assert "3 languages" in repr(latin)
    with pytest.raises(ValueError, match="by='genus' is not known"):
        scores.groups("genus")


def test_notebook_shows_a_short_table_with_names_escaped() -> None:
    html = overlap_scores(info={"run": {"model_name": HOSTILE}})._repr_html_()
    assert html.count("<tr>") == 4 and "<script" not in html and "\x1b" not in html


def test_file_has_the_same_keys_as_before() -> None:
    row = json.loads(overlap_scores().to_json())["rows"][0]
    assert "model" not in row and "family" not in row
