"""Dose curves and the swap matrix: what is drawn, and that it fits."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ilo_fast.plots.dose import DoseCurve, DoseTable, dose_figure
from ilo_fast.plots.style import svg_text
from ilo_fast.plots.swap import SwapTable, swap_figure


def dose_table(n_columns: int) -> DoseTable:
    strengths = np.array([0.5, 1.0, 2.0])
    rows = ("share in target", "loss (nats)")
    panels = {
        (row, column): [
            DoseCurve("substitution", np.array([0, 0.5, 1]), np.zeros(3), np.ones(3), 2.0),
            DoseCurve("something", np.array([0, np.nan, 1])),
        ]
        for row in range(2)
        for column in range(n_columns)
    }
    names = tuple(f"eng_Latn > deu_Latn {n}" for n in range(n_columns))
    unsteered = dict.fromkeys(panels, 0.2)
    return DoseTable(strengths, names, rows, panels, unsteered, "a model: " + "x" * 60, "below")


@pytest.mark.parametrize("n_columns", [1, 4])
def test_dose_curves_have_a_panel_for_each_measure_and_pair(n_columns: int) -> None:
    figure = dose_figure(dose_table(n_columns))
    assert len(figure.axes) == 2 * n_columns
    first = figure.axes[0]
    marks = [line for line in first.lines if line.get_marker() == "o"]
    assert [list(line.get_xdata()) for line in marks] == [[2]]
    assert first.get_ylim() == (-0.04, 1.04)
    assert figure.axes[n_columns].get_ylim() != (-0.04, 1.04)
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == ["substitution", "something", "unsteered"]
    inside(figure)
    assert svg_text(figure) == svg_text(dose_figure(dose_table(n_columns)))


@pytest.mark.parametrize("languages", [2, 7])
def test_the_swap_matrix_says_every_number_that_there_is(languages: int) -> None:
    codes = tuple(f"{'abcdefgh'[n] * 3}_Latn" for n in range(languages))
    success = np.linspace(0, 1, languages**2).reshape(languages, languages)
    np.fill_diagonal(success, np.nan)
    figure = swap_figure(SwapTable(codes, success, success - 0.5, "a model", "below"))
    left, bar, right, _ = figure.axes
    assert len(left.texts) == len(right.texts) == languages * (languages - 1)
    assert left.texts[0].get_text() == f"{success[0, 1]:.2f}"
    assert right.texts[0].get_text() == f"{success[0, 1] - 0.5:+.2f}"
    assert left.get_ylabel() == "source" and right.get_xlabel() == "target"
    assert bar.get_position().x0 > left.get_position().x1
    inside(figure)


def inside(figure: Figure) -> None:
    """No text leaves the figure."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    for text in figure.texts:
        extent = text.get_window_extent(renderer)
        assert extent.x0 >= -1 and extent.x1 <= figure.bbox.x1 + 1, text.get_text()
