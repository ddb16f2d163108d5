"""Figures of structure: matrix with dendrogram, components and their flows, maps of layers."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib")

import numpy as np
from matplotlib.figure import Figure

from ilo_fast.graph.knn import knn_graph
from ilo_fast.plots.components import FRAGMENT_COLORS, OTHER_COLOR, fragment_colors
from ilo_fast.plots.layer_maps import group_colors
from ilo_fast.plots.style import png_bytes, svg_text
from ilo_fast.scores.structure.result import Structure
from ilo_fast.scores.structure.structure import structure

CODES = ("eng_Latn", "deu_Latn", "rus_Cyrl", "hin_Deva", "bjn_Latn", "x" * 60)
N = 30


@pytest.fixture(scope="module")
def found() -> Structure:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3, N * len(CODES), 3))
    rows[0] += np.repeat(40 * rng.normal(size=(len(CODES), 3)), N, axis=0)
    rows[1, 3 * N :] += 50
    return structure(
        knn_graph(rows, 5, metric="euclidean"), np.repeat(CODES, N).tolist(), layers=(0, 2, 4)
    )


def texts(figure: Figure) -> list[str]:
    axes = [t.get_text() for ax in figure.axes for t in (*ax.texts, *ax.get_yticklabels())]
    return [*axes, *(t.get_text() for t in figure.texts)]


def assert_inside(figure: Figure) -> None:
    """No text leaves the figure, by more than a hair."""
    canvas = figure.canvas
    figure.draw_without_rendering()
    width, height = canvas.get_width_height()
    every = [*figure.texts]
    for ax in figure.axes:
        every += [*ax.texts, *ax.get_yticklabels(), *ax.get_xticklabels(), ax.xaxis.label]
    for text in every:
        if text.get_text() and text.get_visible():
            box = text.get_window_extent()
            assert box.x0 > -1 and box.x1 < width + 1, text.get_text()
            assert box.y0 > -1 and box.y1 < height + 1, text.get_text()


@pytest.mark.parametrize("width", [3.3, 6.3])
def test_a_bar_per_layer_and_a_ribbon_per_flow(found: Structure, width: float) -> None:
    figure = found.plot("components", width=width)
    (ax,) = figure.axes
    parts = sum(2 + len(layer.fragments) for layer in found.components)
    assert sum(len(bar) for bar in ax.containers) == parts
    ribbons = [len(between.get_paths()) for between in ax.collections]
    assert ribbons == [len(flows) for flows in found.flows]
    assert len(ax.lines) == 3  # the core under mixing
    assert {"core", "core under mixing", "neither"} <= set(texts(figure))
    assert figure.get_size_inches()[0] == width
    assert_inside(figure)


@pytest.mark.parametrize("width", [3.3, 6.3])
def test_the_matrix_is_in_the_order_of_its_tree(found: Structure, width: float) -> None:
    figure = found.plot("languages", layer=2, width=width)
    tree, ax = figure.axes[:2]
    order = found.orders[1]
    assert len(tree.lines) == len(CODES)  # a merge less than languages, and the line of chance
    np.testing.assert_array_equal(
        ax.images[0].get_array(), found.log_ratio[1][np.ix_(order, order)]
    )
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names.index("English") == list(order).index(0)
    assert "Banjar" in names  # its script goes without saying
    assert all(len(name) <= 22 for name in names)
    assert_inside(figure)


@pytest.mark.parametrize("width", [3.3, 6.3])
def test_a_panel_per_layer_with_all_points(found: Structure, width: float) -> None:
    at = np.random.default_rng(1).normal(size=(3, N * len(CODES), 2)).astype(np.float32)
    figure = found.plot_map(at, layers=(0, 4), by="script", width=width)
    assert [ax.get_title() for ax in figure.axes] == ["layer 0", "layer 4"]
    assert all(len(ax.collections[0].get_offsets()) == N * len(CODES) for ax in figure.axes)
    assert "Latn" in texts(figure)
    with pytest.raises(ValueError, match="positions has shape"):
        found.plot_map(at[:2])
    with pytest.raises(ValueError, match="layer holds 1"):
        found.plot_map(at, layers=(1,))


def test_titles_are_left_to_the_caption_where_a_figure_is_one_column(found: Structure) -> None:
    for kind in ("components", "languages"):
        wide, narrow = (texts(found.plot(kind, width=width)) for width in (6.3, 3.3))
        assert any(text.startswith(("The shared core", "Neighbours")) for text in wide)
        assert not any(text.startswith(("The shared core", "Neighbours")) for text in narrow)


def test_the_same_structure_gives_the_same_bytes(found: Structure) -> None:
    for kind in ("components", "languages"):
        assert svg_text(found.plot(kind)) == svg_text(found.plot(kind))
        assert png_bytes(found.plot(kind), dpi=40)
    with pytest.raises(ValueError, match="kind='tree' is not known"):
        found.plot("tree")


def test_many_languages_and_layers_fit() -> None:
    rng = np.random.default_rng(3)
    codes = np.repeat([f"l{i:03d}_Latn" for i in range(120)], 2).tolist()
    graph = knn_graph(rng.normal(size=(5, 240, 4)), 3)
    many = structure(graph, codes)
    for kind, width in (("components", 3.3), ("components", 6.3), ("languages", 6.3)):
        assert_inside(many.plot(kind, width=width))


def test_fragments_share_a_colour_only_where_they_never_meet() -> None:
    meeting = [{0: 5, -1: 2, **{label: 100 - label for label in range(1, 9)}}]
    colors = fragment_colors(meeting)
    assert [colors[label] for label in range(1, 7)] == list(FRAGMENT_COLORS)
    assert colors[7] == colors[8] == OTHER_COLOR
    apart = fragment_colors([{1: 10}, {2: 9}])
    assert apart[1] == apart[2] == FRAGMENT_COLORS[0]


def test_groups_of_most_languages_have_a_colour() -> None:
    colors = group_colors(["a", "b", "b", *"cdefghi"])
    assert list(colors)[:2] == ["b", "a"]
    assert colors["i"] == colors["h"]  # grey
    assert len(set(colors.values())) == 8
