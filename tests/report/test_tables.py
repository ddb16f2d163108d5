"""CSV, and the tables for the terminal."""

from __future__ import annotations

import csv
import io

from helpers.scores import HOSTILE, overlap_scores

from ilo_fast.corpora.languages import NAMED_SETS
from ilo_fast.report.summary import best_layer_index, ranked_languages
from ilo_fast.report.tables import CSV_COLUMNS, text_report, write_csv


def test_csv_has_a_row_per_layer_and_language_in_full_precision() -> None:
    scores = overlap_scores()
    stream = io.StringIO()
    write_csv(scores, stream)
    rows = list(csv.DictReader(io.StringIO(stream.getvalue())))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert len(rows) == 12
    assert float(rows[5]["ilo"]) == scores.ilo[1, 1]
    assert (rows[5]["layer"], rows[5]["language"], rows[5]["name"]) == ("1", "fra_Latn", "French")


def test_csv_of_unknown_languages_leaves_their_fields_empty() -> None:
    stream = io.StringIO()
    write_csv(overlap_scores(codes=("aa", "bb"), parallel=False), stream)
    row = next(csv.DictReader(io.StringIO(stream.getvalue())))
    assert row["translation_share"] == row["resource_class"] == row["family"] == ""


def test_text_of_many_languages_shows_the_extremes_only() -> None:
    scores = overlap_scores(codes=NAMED_SETS["paper31"])
    text = text_report(scores)
    ranked = ranked_languages(scores, best_layer_index(scores))
    for row in (*ranked[:5], *ranked[-5:]):
        assert f"  {row['language']}  " in text
    assert f"  {ranked[15]['language']}  " not in text
    assert "unstructured\n  noise scores near 1" in text
    assert max(map(len, text.splitlines())) <= 100


def test_text_of_few_languages_shows_each_once() -> None:
    text = text_report(overlap_scores())
    assert "Top and bottom" not in text
    assert text.count("eng_Latn") == 1


def test_names_with_escape_sequences_do_not_reach_the_terminal() -> None:
    scores = overlap_scores(
        codes=("eng_Latn", "a\x1b[2Jb\nc"), info={"run": {"model_name": HOSTILE}}
    )
    text = text_report(scores)
    assert "\x1b" not in text
