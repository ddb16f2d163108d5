"""A training run as tables and as a page: changes, escaping, divergence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.scores import HOSTILE, overlap_records, overlap_scores

from ilo_fast.corpora.languages import NAMED_SETS
from ilo_fast.report.training_tables import (
    language_changes,
    language_lines,
    layer_lines,
    most_changed,
)

FROZEN = {"layers": [0], "embeddings": True}


def card(**changes: Any) -> dict[str, Any]:
    return {
        "status": "finished",
        "settings": {"task": "causal-lm", "language": "eng_Latn", "seed": 0},
        "steps": 25,
        "frozen": FROZEN,
        "evaluations": [{"step": 0, "loss": 2.5, "perplexity": 12.2}],
        "parameters": {"total": 10, "trainable": 5},
        "versions": {"torch": "2.0"},
        **changes,
    }


def test_layers_have_their_values_changes_and_whether_they_were_frozen() -> None:
    before, after = overlap_scores(), overlap_scores(seed=8)
    lines = layer_lines(before, after, FROZEN)
    for h, line in enumerate(lines[2:5]):
        old, new = before.ilo[h].mean(), after.ilo[h].mean()
        assert line.split()[:4] == [str(h), f"{old:.3f}", f"{new:.3f}", f"{new - old:+.3f}"]
        assert line.endswith("frozen") == (h < 2)
    unparallel = layer_lines(overlap_scores(parallel=False), overlap_scores(parallel=False), None)
    assert "transl" not in "".join(unparallel)


def test_languages_are_those_of_the_layer_that_changed_most_largest_loss_first() -> None:
    before, after = overlap_scores(), overlap_scores(seed=8)
    h = int(np.abs(before.ilo.mean(axis=1) - after.ilo.mean(axis=1)).argmax())
    assert most_changed(before, after) == h
    changes = language_changes(before, after)
    assert [row.change for row in changes] == sorted(after.ilo[h] - before.ilo[h])
    lines = language_lines(before, after)
    assert f"layer {h}," in lines[0] and len(lines) == 3 + 4
    codes = NAMED_SETS["paper31"]
    many = language_lines(overlap_scores(codes=codes), overlap_scores(codes=codes, seed=8))
    assert len(many) == 3 + 11 and many[8] == "  …"
    assert max(map(len, many)) <= 100


def test_nothing_is_said_to_have_changed_where_nothing_did() -> None:
    same = overlap_scores()
    lines = language_lines(same, overlap_scores())
    assert lines[0] == "Languages at layer 0: ILO changed at no layer" and len(lines) == 3 + 4
    pytest.importorskip("matplotlib")
    from ilo_fast.report.training_page import training_page

    record = overlap_records()[0]
    text = training_page("my run", card(), [record, record])
    assert "At layer 0: ILO changed at no layer." in text and "changed most" not in text


def test_page_is_whole_and_asks_for_nothing() -> None:
    pytest.importorskip("matplotlib")
    from ilo_fast.report.training_page import training_page

    records = overlap_records(failed=(10,))
    text = training_page("my run", card(), records)
    assert "<h1>my run</h1>" in text and "12.2" in text and "exploded" not in text
    assert text.count("<svg") == 1 and "default-src 'none'" in text and "src=" not in text
    for row in language_changes(records[0].scores, records[-1].scores):  # type: ignore[arg-type]
        assert f"<td>{row.change:+.3f}</td>" in text


def test_page_of_a_run_that_diverged_says_so_first_and_escapes_everything() -> None:
    pytest.importorskip("matplotlib")
    from ilo_fast.report.training_page import training_page

    hostile = card(
        status="diverged",
        settings={"task": HOSTILE, "language": HOSTILE, HOSTILE: HOSTILE},
        evaluations=[{"step": 0, "loss": None}],
        versions={HOSTILE: HOSTILE},
    )
    text = training_page(HOSTILE, hostile, overlap_records())
    assert "exploded" in text
    assert "<script" not in text and "<img" not in text and "\x1b" not in text
