"""Tables of a comparison in the terminal."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.replicates import from_marks
from helpers.scores import HOSTILE

from ilo_fast.report.comparison_tables import text_report
from ilo_fast.scores.comparison.compare import compare
from ilo_fast.scores.comparison.result import Comparison


def compared(names: tuple[str, ...] = ("a", "b"), **about) -> Comparison:
    rng = np.random.default_rng(0)
    runs = {
        name: from_marks(rng.random((3, 30, 4)) < 0.3 + 0.2 * i, units_sha256="a" * 64)
        for i, name in enumerate(names)
    }
    if about.pop("shallow", False):
        runs[names[-1]] = runs[names[-1]].select(layers=[0, 1])
    return compare(runs, n_draws=99, **about)


def flat(text: str) -> str:
    return " ".join(text.split())


def test_every_number_of_the_table_is_that_of_the_comparison() -> None:
    found = compared()
    text = text_report(found)
    for d in found.select(score="ilo", by="mean"):
        place = f"{d.layer_a}" if d.at == "layer" else f"best {d.layer_a}"
        if d.at == "best" and d.layer_a != d.layer_b:
            place += f", {d.layer_b}"
        line = next(row for row in text.splitlines() if row.strip().startswith(f"{place}  "))
        assert f"{d.value_a:.3f}   {d.value_b:.3f}  {d.difference:+.3f} [{d.low:+.3f}, " in line
    for best in found.best_layers:
        if best.score == "ilo":
            assert f"{best.value:.3f} [{best.low:.3f}, {best.high:.3f}]" in text
    assert "resource class 5" in text and "script Cyrl" in text
    assert max(map(len, text.splitlines())) <= 100


def test_of_three_models_the_first_is_compared_with_each_other_one() -> None:
    text = text_report(compared(("a", "b", "c")))
    heads = [line for line in text.splitlines() if line.startswith("Mean ILO:")]
    assert heads == ["Mean ILO: a minus b", "Mean ILO: a minus c"]
    assert "ILO of groups" not in text


@pytest.mark.parametrize(
    ("about", "note"),
    [
        ({"shallow": True}, "different layers (a: 0-2, b: 0-1), whose numbers mean different"),
        ({"paired": False}, "samples of 30 sentences each"),
    ],
)
def test_what_a_reader_must_know_is_said(about, note: str) -> None:
    text = flat(text_report(compared(**about)))
    assert note in text
    assert "taken on trust" not in text


def test_unknown_text_and_differences_that_nothing_moves_are_said() -> None:
    one = from_marks(np.random.default_rng(0).random((1, 20, 4)) < 0.5)
    text = flat(text_report(compare({"a": one, "b": one}, n_draws=99)))
    assert "that their sentences are the same, in the same order, was taken on trust" in text
    assert "no sentence moves the difference" in text


def test_names_from_outside_cannot_reach_the_terminal() -> None:
    text = text_report(compared((HOSTILE, "b")))
    assert "\x1b" not in text
