"""Clicks, keys and widths in a real browser; skipped where there is none."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from helpers.browser import Browser
from helpers.runs import CODES, full_run, measured
from helpers.scores import overlap_scores

from ilo_fast.report.html import report_of_runs
from ilo_fast.report.leaderboard.page import leaderboard_page
from ilo_fast.report.leaderboard.record import Result
from ilo_fast.report.run_data import RunData
from ilo_fast.scores.comparison.compare import compare

TEXT = "document.getElementById('{}').textContent"
ROWS = "[...document.querySelectorAll('#tables tbody tr')].map(r => r.cells[0].textContent)"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(report_of_runs([full_run()]), encoding="utf-8")
    return path


@pytest.fixture
def opened(browser: Browser, page: Path) -> Iterator[Browser]:
    browser.open(page)
    yield browser
    assert browser.complaints == []
    assert [a for a in browser.addresses if not a.startswith("file:")] == []


def _text(browser: Browser, name: str) -> str:
    return str(browser.run(TEXT.format(name)))


def _choose(browser: Browser, name: str, value: str) -> None:
    browser.run(
        f"(e => {{ e.value = {value!r}; e.dispatchEvent(new Event('change')); }})"
        f"(document.getElementById({name!r}))"
    )


def test_slider_drives_figures_and_table(opened: Browser) -> None:
    assert _text(opened, "layer-name") == "2"  # the layer that shares most
    before = opened.run("document.querySelector('#heat canvas').toDataURL()")
    opened.run(
        "(s => { s.value = 0; s.dispatchEvent(new Event('input')); })"
        "(document.getElementById('layer'))"
    )
    assert _text(opened, "layer-name") == _text(opened, "table-layer") == "0"
    assert opened.run("document.querySelector('#heat canvas').toDataURL()") != before
    assert "layer 0" in opened.run("document.querySelector('.sentences').textContent")


def test_keys_go_through_the_layers_and_stop_at_the_ends(opened: Browser) -> None:
    for key, layer in (("]", "2"), ("[", "1"), ("[", "0"), ("[", "0"), ("]", "1")):
        opened.run(f"document.dispatchEvent(new KeyboardEvent('keydown', {{key: {key!r}}}))")
        assert _text(opened, "layer-name") == layer


def test_arrows_and_enter_pick_a_language_and_escape_lets_it_go(opened: Browser) -> None:
    press = (
        "document.querySelector('#heat canvas').dispatchEvent("
        "new KeyboardEvent('keydown', {{key: {!r}, bubbles: true}}))"
    )
    opened.run("document.querySelector('#heat canvas').focus()")
    for key in ("ArrowRight", "ArrowDown"):
        opened.run(press.format(key))
    assert not opened.run("document.getElementById('tip').hidden")
    said = _text(opened, "tip").split(",")[0]
    opened.run(press.format("Enter"))
    assert said in _text(opened, "curve-keys")
    assert opened.run("document.querySelectorAll('#tables tr.best').length") == 1
    opened.run(press.format("Escape"))
    assert said not in _text(opened, "curve-keys")


def test_columns_sort_and_say_so(opened: Browser) -> None:
    header = "[...document.querySelectorAll('#tables th button')].find(b => b.textContent === {!r})"
    names = opened.run(ROWS)
    opened.run(header.format("Language") + ".click()")
    assert opened.run(ROWS) == sorted(names)
    opened.run(header.format("Language") + ".click()")
    assert opened.run(ROWS) == sorted(names, reverse=True)
    sort = header.format("Language") + ".parentElement.getAttribute('aria-sort')"
    assert opened.run(sort) == "descending"


def test_every_score_and_matrix_can_be_chosen(opened: Browser) -> None:
    for name in ("score", "matrix-choice", "by", "order", "colours"):
        values = opened.run(f"[...document.getElementById({name!r}).options].map(o => o.value)")
        assert len(values) > 1
        for value in values:
            _choose(opened, name, value)
            assert opened.run(f"document.getElementById({name!r}).value") == value


def test_filter_and_search_leave_what_was_asked_for(opened: Browser) -> None:
    _choose(opened, "only", "Indo-European")
    assert sorted(opened.run(ROWS)) == ["English", "French", "Russian"]
    opened.run(
        "(f => { f.value = 'cyrl'; f.dispatchEvent(new Event('input')); })"
        "(document.getElementById('find'))"
    )
    assert opened.run(ROWS) == ["Russian"]


def test_a_click_on_a_neighbour_walks_to_it(opened: Browser) -> None:
    # Points are unpacked behind the first picture.
    while not opened.run("document.querySelectorAll('.sentences li').length"):
        pass
    name = opened.run("document.querySelector('.sentences .link').textContent")
    text = opened.run("document.querySelector('.sentences li .text').textContent")
    opened.run("document.querySelector('.sentences .link').click()")
    assert opened.run("document.querySelector('.sentences blockquote').textContent") == text
    assert opened.run("(s => s.selectedOptions[0].textContent)(document.querySelector('.card select'))") == name  # fmt: skip  # noqa: E501


@pytest.mark.parametrize("width", [400, 800, 1400])
def test_no_page_is_wider_than_its_window(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width=width)
    wide, window = browser.run("[document.documentElement.scrollWidth, innerWidth]")
    assert window <= width and wide <= window
    assert browser.complaints == []


def test_several_runs_of_other_depths_share_a_slider(browser: Browser, tmp_path: Path) -> None:
    runs = [full_run("small", n_layers=3), full_run("large", n_layers=5, seed=2)]
    (tmp_path / "report.html").write_text(report_of_runs(runs, None, "none"), encoding="utf-8")
    browser.open(tmp_path / "report.html")
    browser.run(
        "(s => { s.value = 2; s.dispatchEvent(new Event('input')); })"
        "(document.getElementById('layer'))"
    )
    assert _text(browser, "layer-name") == "1 / 2"
    assert browser.run("document.querySelectorAll('#heat canvas').length") == 2
    assert browser.complaints == []


def test_a_colour_means_the_same_in_every_run(browser: Browser, tmp_path: Path) -> None:
    """The same cell in two runs, of which the other has a far larger value elsewhere."""
    low = measured(n_layers=2)
    high = dataclasses.replace(low, translation_share=low.translation_share.copy())
    high.translation_share[0, 1:] = 1.0
    page = report_of_runs([RunData("a", low), RunData("b", high)], None, "none")
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    browser.open(tmp_path / "report.html", width=1400)
    _choose(browser, "score", "translation_share")
    _choose(browser, "order", "name")  # Chinese, English: the first rows
    pixel = (
        "[...document.querySelectorAll('#heat canvas')].map(c => { const s = c.width / "
        "parseFloat(c.style.width); return [...c.getContext('2d').getImageData("
        "(parseFloat(c.style.width) - 30) * s, 48 * s, 1, 1).data].join(); })"
    )
    first, second = browser.run(pixel)
    assert first == second


def test_differences_are_drawn_where_runs_can_be_compared(browser: Browser, tmp_path: Path) -> None:
    scores = {name: measured(seed=seed, intervals=True) for name, seed in (("a", 1), ("b", 2))}
    runs = [RunData(name, one) for name, one in scores.items()]
    page = report_of_runs(runs, compare(scores, n_draws=99))
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    browser.open(tmp_path / "report.html")
    assert browser.run("document.querySelectorAll('#differences .band').length") == 1
    assert browser.complaints == []


@pytest.mark.parametrize("parallel", [True, False])
def test_scores_alone_still_give_a_page(browser: Browser, tmp_path: Path, parallel: bool) -> None:
    scores = overlap_scores(1, parallel=parallel)
    page = report_of_runs([RunData("run", scores)])
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    browser.open(tmp_path / "report.html")
    assert browser.run("document.getElementById('map-part').hidden") is True
    assert len(browser.run(ROWS)) == len(scores.languages) != len(CODES)
    assert browser.complaints == []


def test_a_leaderboard_sorts_and_filters_its_rows(browser: Browser, tmp_path: Path) -> None:
    scores = {name: overlap_scores(seed=seed) for name, seed in (("a", 1), ("b", 2), ("c", 3))}
    results = [
        Result.of_scores(
            one, None, model=name, revision="1", corpus=f"text {name}", experiment={}, settings={}
        )
        for name, one in scores.items()
    ]
    (tmp_path / "leaderboard.html").write_text(leaderboard_page(results), encoding="utf-8")
    browser.open(tmp_path / "leaderboard.html", width=400)
    rows = (
        "[...document.querySelectorAll('#board tbody tr')].filter(r => !r.hidden)"
        ".map(r => r.cells[0].dataset.value)"
    )
    click = "document.querySelectorAll('#board th button')[{}].click()"
    by_ilo = sorted(results, key=lambda one: -one.row()["ilo"])
    browser.run(click.format(6))
    assert browser.run(rows) == [one.model for one in by_ilo]
    browser.run(click.format(6))
    assert browser.run(rows) == [one.model for one in reversed(by_ilo)]
    browser.run(click.format(0))
    assert browser.run(rows) == ["a", "b", "c"]
    _choose(browser, "corpus", "text b")
    assert browser.run(rows) == ["b"]
    wide, window = browser.run("[document.documentElement.scrollWidth, innerWidth]")
    assert wide <= window
    assert browser.complaints == []
