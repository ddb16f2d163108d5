"""Tables of a zero-shot evaluation."""

from __future__ import annotations

from helpers.scores import overlap_scores, transfer_scores

from ilo_fast.report.transfer_tables import overlap_table, text_report

ACCURACY = {"eng_Latn": 0.9, "deu_Latn": 0.8, "tha_Thai": 0.3}


def test_languages_stand_from_best_to_worst_with_their_mean_last() -> None:
    text = text_report(transfer_scores(ACCURACY))
    lines = [line.split()[:2] for line in text.splitlines()[3:8]]
    assert [line[0].lstrip("*") or line[1] for line in lines[1:4]] == ["English", "German", "Thai"]
    assert lines[4] == ["mean", "of"]
    assert "* eng_Latn was trained on, and is in no group." in text


def test_overlap_table_leaves_the_source_out() -> None:
    before, after = (overlap_scores(codes=tuple(ACCURACY), seed=seed) for seed in (1, 2))
    text = overlap_table(before, after, transfer_scores(ACCURACY))
    assert text.startswith("mean ILO of 2 languages\n")
    means = before.ilo[1, 1:].mean(), after.ilo[1, 1:].mean()
    shown = f"{means[0]:7.3f} {means[1]:7.3f} {means[1] - means[0]:+7.3f}"
    assert shown in text.splitlines()[3]
