"""The HTML page: self-contained, escaped, with the numbers of the scores."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import numpy as np
import pytest
from helpers.html import Page
from helpers.runs import CODES, full_run, measured, texts_of
from helpers.scores import HOSTILE, overlap_scores

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from ilo_fast.report.html import report_of_runs
from ilo_fast.report.page import explorer_script, read_template
from ilo_fast.report.run_data import RunData
from ilo_fast.scores.result import OverlapScores


def _data(text: str) -> dict[str, Any]:
    """What the page's script reads."""
    match = re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)
    assert match is not None
    found: dict[str, Any] = json.loads(match[1])
    return found


def page_of(scores: OverlapScores) -> str:
    return report_of_runs([RunData(scores.model_name or "a run", scores)])


@pytest.fixture(scope="module")
def full_page() -> str:
    return report_of_runs([full_run("one"), full_run("other", seed=2)], None, "not comparable")


def test_page_asks_for_nothing_outside_itself_and_ids_are_unique(full_page: str) -> None:
    for text, figures in ((page_of(overlap_scores()), 3), (full_page, 12)):
        page = Page(text)
        assert all(a.startswith(("#", "data:")) for a in page.addresses)
        assert len(page.ids) == len(set(page.ids))
        assert page.elements.count("svg") == figures
        assert "default-src 'none'" in text
        for reference in re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text):
            assert (reference[0] or reference[1]) in page.ids


def test_every_heading_and_control_that_is_named_is_there(full_page: str) -> None:
    page = Page(full_page)
    named = re.findall(r'(?:aria-labelledby|for)="([^"]+)"', full_page)
    assert set(named) <= set(page.ids)
    assert len(named) > 10


def test_names_from_outside_are_escaped() -> None:
    info = {
        "run": {"model_name": HOSTILE, "corpus_name": HOSTILE, HOSTILE: HOSTILE},
        "representations": {"truncated": {HOSTILE: 3}, "versions": {HOSTILE: HOSTILE}},
        "other": HOSTILE,
    }
    scores = overlap_scores(codes=("eng_Latn", HOSTILE, "</script><!--"), info=info)
    harmless = overlap_scores(codes=("eng_Latn", "aa", "bb"))
    text = page_of(scores)
    page, plain_page = Page(text), Page(page_of(harmless))
    assert page.elements.count("script") == plain_page.elements.count("script")
    assert "img" not in page.elements
    assert "\x1b" not in text


def test_sentences_are_never_markup_and_the_page_can_be_encoded() -> None:
    run = full_run()
    hostile = ["</script><img src=http://example.org/x>", "\u2028\u202e\0", "lone \ud800"]
    texts = {code: (hostile * len(found))[: len(found)] for code, found in run.texts.items()}
    text = report_of_runs([dataclasses.replace(run, texts=texts)])
    assert len(text.encode()) > 100_000
    page = Page(text)
    assert page.elements.count("script") == 2 and "img" not in page.elements
    assert "example.org" not in text
    assert not set(text) & set("\u2028\u202e\0")


def test_page_without_texts_holds_none_of_them() -> None:
    run = full_run()
    without = report_of_runs([dataclasses.replace(run, texts=None)])
    assert _data(without)["runs"][0]["points"]["texts"] is None
    assert _data(report_of_runs([run]))["runs"][0]["points"]["texts"]["data"]


def test_style_and_script_take_less_than_100_kilobytes() -> None:
    assert len(explorer_script()) + len(read_template("report.css")) < 100_000


def test_page_stays_within_its_size_by_leaving_sentences_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scores = measured(n_layers=4, codes=CODES[:4], n_sentences=300)
    run = RunData("model", scores, texts=texts_of(scores))
    whole = len(report_of_runs([run]))
    wanted = whole - 20_000
    monkeypatch.setattr("ilo_fast.report.html.PAGE_BYTES", wanted)
    text = report_of_runs([run])
    assert len(text) <= wanted
    assert _data(text)["runs"][0]["points"]["stride"] > 1


def test_page_data_holds_the_scores() -> None:
    scores = overlap_scores()
    [run] = _data(page_of(scores))["runs"]
    assert [one["name"] for one in run["scores"]] == ["ilo", "bridge", "reach", "translation_share"]
    assert run["scores"][0]["values"]["shape"] == list(scores.ilo.shape)
    assert [entry["code"] for entry in run["languages"]] == list(scores.languages)
    assert run["points"] is None and run["matrices"] == [] and run["tree"] is None


@pytest.mark.parametrize("parallel", [True, False])
def test_page_of_one_layer_speaks_of_translations_only_if_text_is_parallel(parallel: bool) -> None:
    text = page_of(overlap_scores(1, parallel=parallel))
    assert ("times chance" in text) is parallel
    shown = re.sub(r"<(svg|script).*?</\1>", "", text, flags=re.DOTALL)
    assert "nan" not in shown.lower().split()


def test_versions_on_the_page_are_those_of_the_run() -> None:
    info = {"versions": {"ilo_fast": "0.0.old"}}
    assert "0.0.old" in page_of(overlap_scores(info=info))


def test_intervals_and_p_values_stand_in_both_tables_and_in_the_data() -> None:
    scores = overlap_scores(certain=True)
    assert scores.intervals is not None and scores.mixing_test is not None
    scores.intervals.low["ilo"][0, 1] = np.nan
    text = page_of(scores)
    low, high = scores.intervals.of_layer(1)["ilo"]
    assert f"{low:.3f} \N{EN DASH} {high:.3f}" in text
    assert "drawn at random, as in noise, ILO is" in text and "Given the graph" in text
    assert f"{scores.mixing_test.p_mixing_mean[2]:.3f}" in text
    ilo = _data(text)["runs"][0]["scores"][0]
    assert ilo["low"] and ilo["high"] and ilo["chance"] and ilo["p"]
    assert "drawn at random, as in noise" not in page_of(overlap_scores())


def test_page_without_script_still_has_figures_and_tables(full_page: str) -> None:
    page = Page(full_page)
    assert page.elements.count("table") >= 4
    assert 'id="explore" hidden' in full_page  # what needs the script shows itself by it
    assert "not comparable" in full_page
