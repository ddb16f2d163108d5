"""Figures of sharing: what is drawn is what was given, and nothing leaves the figure."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from helpers.line_tables import planted
from matplotlib.figure import Figure

from ilo_fast.plots.dendrogram_matrix import dendrogram_matrix_figure
from ilo_fast.plots.sharing import SharingCurve, SharingCurves, SharingPanel, sharing_figure
from ilo_fast.plots.style import png_bytes
from ilo_fast.transcoders.multilingual.sharing.sharing import feature_sharing
from ilo_fast.transcoders.multilingual.sharing.sharing_curves import sharing_matrix


def curve(values: np.ndarray, *, band: bool = False) -> SharingCurve:
    return SharingCurve("a curve", values, values - 0.1, values + 0.1, "#3a86c8", band=band)


def assert_inside(figure: Figure) -> None:
    figure.draw_without_rendering()
    box = figure.get_tightbbox()
    assert min(box.x0, box.y0) > -0.01
    assert box.x1 < figure.get_figwidth() + 0.01 and box.y1 < figure.get_figheight() + 0.01


@pytest.mark.parametrize("n_layers", [1, 6, 40])
def test_panels_share_layers_and_stay_inside(n_layers: int) -> None:
    values = np.linspace(0.2, 0.6, n_layers)
    unknown = SharingCurve("no interval", values, values * np.nan, values * np.nan, "#e07a1f")
    shown = SharingCurves(
        tuple(range(n_layers)),
        (
            SharingPanel("features\nin common", (curve(values), curve(values / 2, band=True))),
            SharingPanel("ILO", (unknown,), chance=np.full(n_layers, 0.1)),
        ),
        "Title",
        "a subtitle " * 12,
    )
    figure = sharing_figure(shown)
    assert_inside(figure)
    assert len(figure.axes) == 2
    drawn = figure.axes[0].lines[-2 if n_layers > 1 else -1].get_ydata()
    assert np.allclose(np.asarray(drawn, float), values) or n_layers == 1
    assert png_bytes(figure, dpi=40) == png_bytes(sharing_figure(shown), dpi=40)
    with pytest.raises(ValueError, match="no panel"):
        sharing_figure(SharingCurves((0,), ()))


def test_a_matrix_of_sharing_beyond_chance_puts_those_who_share_together() -> None:
    shared = np.array(
        [[1, 0.6, 0.2, 0.2], [0.6, 1, 0.2, 0.2], [0.2, 0.2, 1, 0.5], [0.2, 0.2, 0.5, 1]]
    )
    null = np.full((4, 4), 0.2)
    np.fill_diagonal(shared, np.nan)
    np.fill_diagonal(null, np.nan)
    codes = ("eng_Latn", "deu_Latn", "rus_Cyrl", "x" * 60)
    matrix = sharing_matrix(shared, null, codes, title="Title", subtitle="below")
    assert matrix.log_ratio[0, 1] == pytest.approx(0.5)
    assert matrix.log_ratio[0, 2] == pytest.approx(0.0)
    order = matrix.order.tolist()
    assert {frozenset(order[:2]), frozenset(order[2:])} == {frozenset({0, 1}), frozenset({2, 3})}
    assert matrix.linkage[:, 2] == pytest.approx([0.5, 0.625, 1.0])
    for width in (6.3, 3.3):
        assert_inside(dendrogram_matrix_figure(matrix, width=width))


def test_results_draw_themselves() -> None:
    found = feature_sharing(planted((0.2, 0.6), np.random.default_rng()), n_shuffles=3,
                            n_bootstrap=100)  # fmt: skip
    assert_inside(found.plot("cosine"))
    assert_inside(found.plot_pairs(layer=1))
    with pytest.raises(ValueError, match="layer=2, wanted one of 0 to 1"):
        found.plot_pairs(layer=2)
    with pytest.raises(ValueError, match="measure="):
        found.plot("beauty")
