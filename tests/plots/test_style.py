"""Every figure: the same bytes each time, whatever style the caller uses, and nothing cut off."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from helpers.scores import HOSTILE, overlap_scores

mpl = pytest.importorskip("matplotlib")

from matplotlib.figure import Figure  # noqa: E402

from ilo_fast.corpora.languages import LANGUAGES, PAPER_31  # noqa: E402
from ilo_fast.plots.curve import curve_figure  # noqa: E402
from ilo_fast.plots.heatmap import heatmap_figure  # noqa: E402
from ilo_fast.plots.style import label_layers, language_colors, png_bytes, svg_text  # noqa: E402


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


def test_a_language_has_one_colour_whatever_others_are_shown() -> None:
    everything = language_colors(LANGUAGES)
    for code in LANGUAGES:
        assert language_colors([code]) == {code: everything[code]}
        assert re.fullmatch("#[0-9a-f]{6}", everything[code])
    assert len(set(everything.values())) > 0.97 * len(LANGUAGES)
    assert language_colors(["rus", "rus_Latn"])["rus"] == everything["rus_Cyrl"]
    assert language_colors(["rus_Latn"])["rus_Latn"] != everything["rus_Cyrl"]


def test_colours_of_the_languages_of_the_paper_are_far_apart_and_seen_on_white() -> None:
    lab = np.array([_oklab(color) for color in language_colors(PAPER_31).values()])
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=2)[np.triu_indices(len(lab), 1)]
    assert apart.min() > 0.075
    assert lab[:, 0].max() < 0.82


def _oklab(color: str) -> list[float]:
    """Perceptual coordinates (Ottosson, 2020): a step of 0.02 is just seen."""
    parts = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    cones = np.cbrt(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
        @ linear
    )
    mixed = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return list(mixed @ cones)
