"""Tables, figures and the HTML page, for one layer or many, one language or all."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ilo_fast._util.messages import elide, plain
from ilo_fast.corpora.languages import LANGUAGES, NAMED_SETS
from ilo_fast.report import files
from ilo_fast.report.notes import notes
from ilo_fast.report.summary import best_layer_index, language_scores, layer_means
from ilo_fast.report.tables import CSV_COLUMNS, text_report, write_csv
from ilo_fast.scores.overlap import OverlapScores

HOSTILE = "<script>alert('x')</script><img src=http://example.org/x>\x1b[31m"


def make_scores(
    n_layers: int = 3,
    codes: tuple[str, ...] = ("eng_Latn", "fra_Latn", "zho_Hans", "ceb_Latn"),
    *,
    parallel: bool = True,
    info: dict[str, Any] | None = None,
) -> OverlapScores:
    rng = np.random.default_rng(7)
    shape = (n_layers, len(codes))
    bridge, reach = rng.random(shape), rng.random(shape)
    return OverlapScores(
        bridge=bridge,
        reach=reach,
        ilo=2 * bridge * reach / (bridge + reach),
        layers=tuple(range(n_layers)),
        languages=codes,
        n_sentences=(10,) * len(codes),
        n_neighbors=5,
        threshold=3,
        metric="cosine",
        translation_share=rng.random(shape) * 0.5 if parallel else None,
        translation_chance=np.full(len(codes), 0.05) if parallel else None,
        info={"run": {"model_name": "org/model", "corpus_name": "text"}} if info is None else info,
    )


# --- summaries and tables


def test_layer_means_are_plain_means_and_the_best_layer_is_the_highest() -> None:
    scores = make_scores()
    means = layer_means(scores)
    assert [m.layer for m in means] == [0, 1, 2]
    assert means[1].ilo == pytest.approx(scores.ilo[1].mean())
    assert means[1].times_chance == pytest.approx(scores.translation_share[1].mean() / 0.05)
    assert best_layer_index(scores) == int(scores.ilo.mean(axis=1).argmax())


def test_languages_are_ranked_and_an_unknown_code_stands_for_itself() -> None:
    scores = make_scores(codes=("eng_Latn", "xx", "fra_Latn"))
    ranked = language_scores(scores, 0)
    assert [row.ilo for row in ranked] == sorted(scores.ilo[0], reverse=True)
    assert {row.code: row.name for row in ranked}["xx"] == "xx"
    assert {row.code: row.name for row in ranked}["fra_Latn"] == "French"


def test_csv_has_a_row_a_layer_and_language_in_full_precision() -> None:
    scores = make_scores()
    stream = io.StringIO()
    write_csv(scores, stream)
    rows = list(csv.DictReader(io.StringIO(stream.getvalue())))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert len(rows) == 12
    assert float(rows[5]["ilo"]) == scores.ilo[1, 1]
    assert (rows[5]["layer"], rows[5]["language"], rows[5]["name"]) == ("1", "fra_Latn", "French")


def test_csv_leaves_unknown_fields_empty() -> None:
    stream = io.StringIO()
    write_csv(make_scores(codes=("aa", "bb"), parallel=False), stream)
    row = next(csv.DictReader(io.StringIO(stream.getvalue())))
    assert row["translation_share"] == row["resource_class"] == row["family"] == ""


def test_text_shows_layers_and_only_the_extremes_of_many_languages() -> None:
    scores = make_scores(codes=NAMED_SETS["paper31"])
    text = text_report(scores)
    ranked = language_scores(scores, best_layer_index(scores))
    for row in (*ranked[:5], *ranked[-5:]):
        assert f"  {row.code}  " in text
    assert f"  {ranked[15].code}  " not in text
    assert "unstructured\n  noise scores near 1" in text
    assert max(map(len, text.splitlines())) <= 100


def test_text_of_few_languages_lists_them_all_once() -> None:
    text = text_report(make_scores())
    assert "Top and bottom" not in text
    assert text.count("eng_Latn") == 1


def test_names_cannot_send_escape_sequences_to_the_terminal() -> None:
    scores = make_scores(codes=("eng_Latn", "a\x1b[2Jb\nc"), info={"run": {"model_name": HOSTILE}})
    text = text_report(scores)
    assert "\x1b" not in text
    assert plain("a\x1b[2Jb\nc\u202e") == "a [2Jb c"


def test_elide_keeps_both_ends() -> None:
    assert elide("short", 10) == "short"
    assert elide("abcdefghijkl", 7) == "abc…jkl"
    assert len(elide("abcdefghijkl", 8)) == 8


# --- notes


def test_notes_tell_what_the_run_met() -> None:
    info = {
        "backend": "exact",
        "layers": [{"certified_rows": 30, "widened_rows": 10}],
        "representations": {"special_tokens": "exclude", "truncated": {"eng_Latn": 2}},
    }
    text = "\n".join(notes(make_scores(info=info)))
    assert "noise scores near 1" in text
    assert "Special tokens do not count" in text
    assert "2 sentences in 1 language (eng_Latn 2)" in text
    assert "30 of 40 rows (75.00 %)" in text


def test_notes_warn_where_mixing_is_not_by_meaning() -> None:
    scores = make_scores()
    object.__setattr__(scores, "translation_share", np.full((3, 4), 0.06))
    assert any("hardly by meaning" in note for note in notes(scores))
    object.__setattr__(scores, "translation_share", np.full((3, 4), 0.6))
    assert not any("hardly by meaning" in note for note in notes(scores))


def test_notes_report_the_recall_of_an_approximate_graph() -> None:
    layers = [{"recall": r, "recall_sample_rows": 100} for r in (0.99, 0.97)]
    found = notes(make_scores(info={"backend": "hnsw", "layers": layers}))
    assert any("recall 0.9700" in note and "100 random rows" in note for note in found)


# --- figures

mpl = pytest.importorskip("matplotlib")
from ilo_fast.plots import figures  # noqa: E402


@pytest.mark.parametrize("n_layers", [1, 7, 33])
@pytest.mark.parametrize("n_languages", [1, 31, 204])
def test_every_language_is_named_once_and_layers_fit(n_layers: int, n_languages: int) -> None:
    scores = make_scores(n_layers, tuple(LANGUAGES)[:n_languages])
    drawn = figures.heatmap_figure(scores)
    labels = [t.get_text() for ax in drawn.figure.axes for t in ax.get_yticklabels()]
    named = [code for code in scores.languages if any(lab.endswith(code) for lab in labels)]
    assert len(named) == n_languages
    assert sorted(c for panel in drawn.panels for c in panel.languages) == sorted(scores.languages)
    ticks = [t.get_text() for t in drawn.figure.axes[0].get_xticklabels()]
    assert ticks[0] == "0"
    assert ticks[-1] == str(n_layers - 1)
    assert all(np.isfinite(ax.get_position().bounds).all() for ax in drawn.figure.axes)


def test_text_of_the_figures_stays_inside_them() -> None:
    for scores in (make_scores(1), make_scores(33, tuple(LANGUAGES)[:120]), make_scores(7)):
        for figure in (figures.heatmap_figure(scores).figure, figures.curve_figure(scores)):
            figure.draw_without_rendering()
            box = figure.get_tightbbox()
            assert box.x0 > -0.01
            assert box.y0 > -0.01
            assert box.x1 < figure.get_figwidth() + 0.01
            assert box.y1 < figure.get_figheight() + 0.01


def test_figures_are_the_same_bytes_every_time() -> None:
    scores = make_scores()
    for make in (
        lambda: figures.heatmap_figure(scores).figure,
        lambda: figures.curve_figure(scores),
    ):
        assert figures.svg_text(make()) == figures.svg_text(make())
        assert figures.png_bytes(make(), dpi=40) == figures.png_bytes(make(), dpi=40)
    assert "dc:date" not in figures.svg_text(figures.curve_figure(scores))


def test_figures_leave_matplotlib_as_it_was() -> None:
    before = dict(mpl.rcParams)
    with mpl.rc_context({"font.size": 31, "axes.facecolor": "red"}):
        styled = figures.svg_text(figures.curve_figure(make_scores()))
    figures.png_bytes(figures.heatmap_figure(make_scores()).figure, dpi=40)
    assert dict(mpl.rcParams) == before
    # The caller's style is not in our pictures either.
    assert styled == figures.svg_text(figures.curve_figure(make_scores()))


def test_plot_draws_on_axes_of_the_caller_and_on_its_own() -> None:
    scores = make_scores()
    for kind in ("heatmap", "curve"):
        own = mpl.figure.Figure().add_subplot()
        assert scores.plot(kind, ax=own) is own
        assert scores.plot(kind).figure is not None
    with pytest.raises(ValueError, match=r"bogus.*use one of ilo, bridge"):
        scores.plot(score="bogus")
    with pytest.raises(ValueError, match="not parallel"):
        make_scores(parallel=False).plot(score="translation_share")


def test_a_code_with_odd_letters_is_drawn_as_it_is() -> None:
    scores = make_scores(codes=("$x^2$", "言語", "<b>", HOSTILE))
    svg = figures.svg_text(figures.heatmap_figure(scores).figure, inline=True)
    assert "$x^2$" in svg
    ET.fromstring(svg)


def test_curve_has_a_panel_for_translations_only_with_parallel_text() -> None:
    assert len(figures.curve_figure(make_scores()).axes) == 2
    assert len(figures.curve_figure(make_scores(parallel=False)).axes) == 1


# --- the HTML page

pytest.importorskip("jinja2")
from ilo_fast.report.html import html_report  # noqa: E402


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
    text = html_report(make_scores())
    page = Page(text)
    assert all(a.startswith(("#", "data:")) for a in page.addresses)
    assert len(page.ids) == len(set(page.ids))
    assert page.elements.count("svg") == 2
    assert "default-src 'none'" in text
    for reference in re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text):
        assert (reference[0] or reference[1]) in page.ids


def test_page_escapes_names_from_outside() -> None:
    info = {
        "run": {"model_name": HOSTILE, "corpus_name": HOSTILE, HOSTILE: HOSTILE},
        "representations": {"truncated": {HOSTILE: 3}, "versions": {HOSTILE: HOSTILE}},
        "other": HOSTILE,
    }
    scores = make_scores(codes=("eng_Latn", HOSTILE, "</script><!--"), info=info)
    harmless = make_scores(codes=("eng_Latn", "aa", "bb"))
    text = html_report(scores)
    page, plain_page = Page(text), Page(html_report(harmless))
    assert page.elements.count("script") == plain_page.elements.count("script")
    assert "img" not in page.elements
    assert "\x1b" not in text


def test_page_data_holds_the_scores() -> None:
    scores = make_scores()
    text = html_report(scores)
    match = re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)
    assert match is not None
    data = json.loads(match[1])
    assert np.allclose(data["ilo"], scores.ilo, atol=1e-5)
    assert [entry["code"] for entry in data["languages"]] == list(scores.languages)
    assert sorted(data["panels"][0]["languages"]) == [0, 1, 2, 3]


@pytest.mark.parametrize("parallel", [True, False])
def test_page_of_one_layer_and_of_text_that_is_not_parallel(parallel: bool) -> None:
    text = html_report(make_scores(1, parallel=parallel))
    assert ("times chance" in text) is parallel
    assert "nan" not in re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL).lower().split()


def test_versions_are_those_of_the_run_not_of_today() -> None:
    info = {"versions": {"ilo_fast": "0.0.old"}}
    assert "0.0.old" in html_report(make_scores(info=info))


# --- files


def test_new_scores_remove_the_figures_of_old_ones(tmp_path: Path) -> None:
    first = make_scores(2, ("eng_Latn", "fra_Latn"))
    files.write_scores(first, tmp_path)
    files.write_table(first, tmp_path)
    files.write_drawn(first, tmp_path)
    expected = {files.SCORES_FILE, files.TABLE_FILE, *files.DRAWN_FILES}
    assert {p.name for p in tmp_path.iterdir()} == expected
    (tmp_path / "mine.txt").write_text("kept")
    files.write_scores(make_scores(2), tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {files.SCORES_FILE, "mine.txt"}


def test_a_failure_while_drawing_leaves_the_folder_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in files.DRAWN_FILES:
        (tmp_path / name).write_text("of before")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def fail(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ilo_fast.report.html.html_report", fail)
    with pytest.raises(OSError, match="No space left"):
        files.write_drawn(make_scores(2), tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_without_matplotlib_the_message_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(files.ReportDependencyError, match=r"pip install 'ilo_fast\[report\]'"):
        files.write_drawn(make_scores(), tmp_path)
    assert list(tmp_path.iterdir()) == []
