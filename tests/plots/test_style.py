"""Every figure: the same bytes each time, whatever style the caller uses, and nothing cut off."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from helpers.scores import HOSTILE, overlap_scores

mpl = pytest.importorskip("matplotlib")

from matplotlib.figure import Figure  # noqa: E402

from ilo_fast.corpora.languages import LANGUAGES  # noqa: E402
from ilo_fast.plots.curve import curve_figure  # noqa: E402
from ilo_fast.plots.heatmap import heatmap_figure  # noqa: E402
from ilo_fast.plots.style import label_layers, png_bytes, svg_text  # noqa: E402


def figures(n_layers: int = 3, n_languages: int = 4) -> list[Figure]:
    scores = overlap_scores(n_layers, tuple(LANGUAGES)[:n_languages])
    return [heatmap_figure(scores.layer_table()).figure, curve_figure(scores.layer_curves())]


def test_png_and_svg_of_the_same_scores_are_the_same_bytes() -> None:
    for first, second in zip(figures(), figures(), strict=True):
        assert svg_text(first) == svg_text(second)
        assert png_bytes(first, dpi=40) == png_bytes(second, dpi=40)
        assert "dc:date" not in svg_text(first)


def test_style_of_the_caller_neither_changes_nor_is_used() -> None:
    before = dict(mpl.rcParams)
    with mpl.rc_context({"font.size": 31, "axes.facecolor": "red"}):
        styled = [svg_text(figure) for figure in figures()]
    assert dict(mpl.rcParams) == before
    assert styled == [svg_text(figure) for figure in figures()]


@pytest.mark.parametrize(("n_layers", "n_languages"), [(1, 4), (7, 4), (33, 120)])
def test_text_of_any_size_stays_inside_the_figure(n_layers: int, n_languages: int) -> None:
    for figure in figures(n_layers, n_languages):
        figure.draw_without_rendering()
        box = figure.get_tightbbox()
        assert min(box.x0, box.y0) > -0.01
        assert box.x1 < figure.get_figwidth() + 0.01
        assert box.y1 < figure.get_figheight() + 0.01


def test_codes_with_odd_letters_are_drawn_as_they_are() -> None:
    scores = overlap_scores(codes=("$x^2$", "言語", "<b>", HOSTILE))
    svg = svg_text(heatmap_figure(scores.layer_table()).figure, inline=True)
    assert "$x^2$" in svg
    ET.fromstring(svg)


@pytest.mark.parametrize(
    ("n_layers", "room", "marked"),
    [
        (1, 5, [0]),
        (4, 5, [0, 1, 2, 3]),
        (13, 7, [0, 2, 4, 6, 8, 10, 12]),
        (26, 7, [0, 4, 8, 12, 16, 20, 25]),  # 24 makes way for the last
        (33, 3, [0, 20, 32]),
    ],
)
def test_layers_are_numbered_as_room_allows_and_the_last_always(
    n_layers: int, room: int, marked: list[int]
) -> None:
    ax = Figure().add_subplot()
    layers = range(n_layers)
    label_layers(ax, layers, positions=layers, room=room, embeddings=True)
    assert [int(tick.get_text()) for tick in ax.get_xticklabels()] == marked
    assert ax.get_xlabel() == "layer (0 = embeddings)"
