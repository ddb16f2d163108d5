"""Differences between runs: curves for the script, rows for the table, or why there are none."""

from __future__ import annotations

import pytest
from helpers.runs import measured

from ilo_fast.report.differences import difference_curves, difference_table
from ilo_fast.scores.comparison.compare import compare


def test_curves_and_rows_are_of_the_first_run_minus_the_others() -> None:
    scores = {name: measured(seed=seed, intervals=True) for name, seed in (("a", 1), ("b", 2))}
    found = compare(scores, n_draws=99)
    curves = difference_curves(found)
    assert {curve["score"] for curve in curves} == set(found.scores)
    ilo = next(curve for curve in curves if curve["score"] == "ilo")
    means = [scores[name].ilo.mean(axis=1) for name in "ab"]
    assert ilo["values"] == pytest.approx((means[0] - means[1]).tolist())
    assert (ilo["b"], ilo["other"], ilo["layers"]) == ("b", 1, [0, 1, 2])
    rows = difference_table(found, "")["rows"]
    assert len(rows) == 6  # two scores, three layers
    assert rows[0]["names"] == "a \N{MINUS SIGN} b" and rows[0]["layer"] == "0"


def test_runs_of_other_depths_have_rows_of_their_best_layers_and_no_curves() -> None:
    scores = {"a": measured(intervals=True), "b": measured(n_layers=2, intervals=True)}
    found = compare(scores, n_draws=99)
    assert difference_curves(found) == []
    assert len(difference_table(found, "")["rows"]) == 2


def test_the_reason_is_said_where_nothing_can_be_compared() -> None:
    assert difference_table(None, "other\ncorpus")["reason"] == (
        "No differences with intervals: other corpus."
    )
