"""Figures as wide as one column of a paper: they fit, and nothing in them is cut off."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib")

from helpers.scores import overlap_scores
from matplotlib.backends.backend_agg import FigureCanvasAgg

from ilo_fast.plots.column import COLUMN, curve_column, heatmap_column
from ilo_fast.plots.style import pdf_bytes

MANY = tuple(f"language_number_{i}" for i in range(90))


@pytest.mark.parametrize(
    ("codes", "n_layers", "parallel"),
    [
        (("eng_Latn", "fra_Latn", "min_Latn", "zho_Hans"), 13, True),
        (MANY, 33, True),
        (MANY[:5], 1, False),
    ],
)
def test_figures_fit_a_column(codes: tuple[str, ...], n_layers: int, parallel: bool) -> None:
    scores = overlap_scores(n_layers, codes, parallel=parallel, certain=True)
    for figure in (curve_column(scores.layer_curves()), heatmap_column(scores.layer_table())):
        assert figure.get_figwidth() == COLUMN
        figure.set_dpi(72)
        renderer = FigureCanvasAgg(figure).get_renderer()
        box = figure.get_tightbbox(renderer)
        assert box.x0 > -0.02 and box.x1 < COLUMN + 0.05
        assert box.y0 > -0.02 and box.y1 < figure.get_figheight() + 0.02


def test_pdf_is_the_same_each_time() -> None:
    scores = overlap_scores()
    first, second = (pdf_bytes(curve_column(scores.layer_curves())) for _ in range(2))
    assert first == second and first.startswith(b"%PDF")
