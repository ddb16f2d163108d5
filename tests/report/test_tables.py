"""The tables for the terminal."""

from __future__ import annotations

from helpers.scores import HOSTILE, overlap_scores

from ilo_fast.corpora.languages import NAMED_SETS
from ilo_fast.report.summary import best_layer_index, ranked_languages
from ilo_fast.report.tables import text_report


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


def test_intervals_limits_and_chances_stand_beside_the_means_of_every_layer() -> None:
    scores = overlap_scores(certain=True)
    text = text_report(scores)
    assert scores.intervals is not None and scores.limits is not None
    for h in range(3):
        for name, digits in (("ilo", 3), ("translation_share", 4)):
            low, high = scores.intervals.of_layer(h)[name]
            assert f"{low:.{digits}f} - {high:.{digits}f}" in text
    assert (
        f"mean of both; {scores.limits.ilo_under_mixing.mean():.3f} where neighbours are random"
        in text
    )
    assert "99 permutations" in text and "chance in graph" in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_mean_without_an_interval_says_none() -> None:
    scores = overlap_scores(certain=True).select(["eng_Latn", "fra_Latn"])
    assert text_report(scores).count("none") == 6


def test_text_that_is_not_parallel_has_one_table() -> None:
    text = text_report(overlap_scores(parallel=False, certain=True))
    assert "95 % interval" in text and "transl." not in text
