"""The HTML page: self-contained, escaped, with the numbers of the scores."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from helpers.scores import HOSTILE, overlap_scores

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from ilo_fast.report.html import html_report


class Page(HTMLParser):
    """The elements of a page, and every address that it would ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
                self.addresses.append(value or "")


def test_page_asks_for_nothing_outside_itself_and_ids_are_unique() -> None:
    text = html_report(overlap_scores())
    page = Page(text)
    assert all(a.startswith(("#", "data:")) for a in page.addresses)
    assert len(page.ids) == len(set(page.ids))
    assert page.elements.count("svg") == 3
    assert "default-src 'none'" in text
    for reference in re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text):
        assert (reference[0] or reference[1]) in page.ids


def test_names_from_outside_are_escaped() -> None:
    info = {
        "run": {"model_name": HOSTILE, "corpus_name": HOSTILE, HOSTILE: HOSTILE},
        "representations": {"truncated": {HOSTILE: 3}, "versions": {HOSTILE: HOSTILE}},
        "other": HOSTILE,
    }
    scores = overlap_scores(codes=("eng_Latn", HOSTILE, "</script><!--"), info=info)
    harmless = overlap_scores(codes=("eng_Latn", "aa", "bb"))
    text = html_report(scores)
    page, plain_page = Page(text), Page(html_report(harmless))
    assert page.elements.count("script") == plain_page.elements.count("script")
    assert "img" not in page.elements
    assert "\x1b" not in text


def test_page_data_holds_the_scores() -> None:
    scores = overlap_scores()
    text = html_report(scores)
    match = re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)
    assert match is not None
    data = json.loads(match[1])
    assert np.allclose(data["ilo"], scores.ilo, atol=1e-5)
    assert [entry["code"] for entry in data["languages"]] == list(scores.languages)
    assert sorted(data["panels"][0]["languages"]) == [0, 1, 2, 3]


@pytest.mark.parametrize("parallel", [True, False])
def test_page_of_one_layer_speaks_of_translations_only_if_text_is_parallel(parallel: bool) -> None:
    text = html_report(overlap_scores(1, parallel=parallel))
    assert ("times chance" in text) is parallel
    assert "nan" not in re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL).lower().split()


def test_versions_on_the_page_are_those_of_the_run() -> None:
    info = {"versions": {"ilo_fast": "0.0.old"}}
    assert "0.0.old" in html_report(overlap_scores(info=info))


def test_intervals_and_p_values_stand_in_both_tables_and_in_the_data() -> None:
    scores = overlap_scores(certain=True)
    assert scores.intervals is not None and scores.mixing_test is not None
    scores.intervals.low["ilo"][0, 1] = np.nan
    text = html_report(scores)
    low, high = scores.intervals.of_layer(1)["ilo"]
    assert f"{low:.3f} \N{EN DASH} {high:.3f}" in text
    assert "ILO under perfect mixing" in text and "Given the graph" in text
    assert f"{scores.mixing_test.p_mixing_mean[2]:.3f}" in text
    match = re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)
    assert match is not None
    data = json.loads(match[1])
    assert data["ends"][0][1] is None
    assert data["ends"][2][3] == pytest.approx(
        [scores.intervals.low["ilo"][2, 3], scores.intervals.high["ilo"][2, 3]], abs=1e-5
    )
    assert "under perfect mixing" not in html_report(overlap_scores())
