"""Bars and lines: what is shown where, and what the time left follows."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from ilo_fast._util import progress
from ilo_fast._util.progress import cost_bar, lines_for_bars, share_bar


def test_time_left_follows_the_cost_and_not_the_number() -> None:
    with cost_bar(True, "extract", cost=100.0, items=10, unit="sentence") as bar:
        tqdm = bar._bar
        bar.advance(40.0, 1, free=True)  # was there already: says nothing of the speed
        bar.advance(30.0, 2)
        shown = tqdm.format_dict
        assert (shown["n"], shown["initial"], shown["total"]) == (70.0, 40.0, 100.0)
        assert shown["rate"] is None and tqdm.smoothing == 0  # the mean speed is taken
        assert tqdm.desc == "extract 3/10 sentences"


def test_lines_stand_for_bars_where_they_are_wanted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = iter([0.0, 10.0, 40.0, 50.0, 60.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    stderr = io.StringIO()
    monkeypatch.setattr("sys.stderr", stderr)
    with (
        caplog.at_level(logging.INFO, logger="ilo_fast"),
        lines_for_bars(True),
        cost_bar(True, "extract", cost=100.0, items=10, unit="sentence") as bar,
    ):
        for cost, items in ((10.0, 1), (30.0, 1), (10.0, 1), (50.0, 7)):
            bar.advance(cost, items)
    assert caplog.messages == ["extract 2/10 sentences: 40 %, about 60 s left"]
    assert stderr.getvalue() == ""


def test_lines_stand_for_bars_where_tqdm_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    done = []
    with share_bar(True, "overlap") as update:
        assert update is not None
        for share in (0.5, 0.4, 1.0):
            update(share)
            done.append(share)
    with cost_bar(True, "extract", cost=2.0, items=2, unit="sentence") as bar:
        bar.advance(1.0, 1)
    assert done == [0.5, 0.4, 1.0]


def test_nothing_is_shown_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with cost_bar(False, "extract", cost=1.0, items=1, unit="sentence") as bar:
        bar.advance(1.0, 1)
    with share_bar(False, "overlap") as update:
        assert update is None
    assert capsys.readouterr() == ("", "")
