"""The figure of a comparison: a curve and a band per model, differences with marks below."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.colors import to_hex

from ilo_fast.plots.comparison import (
    ComparedCurve,
    ComparedDifference,
    ComparedScore,
    comparison_figure,
)
from ilo_fast.plots.style import png_bytes, svg_text


def compared(n_models: int = 3, n_layers: int = 5, differences: bool = True) -> ComparedScore:
    rng = np.random.default_rng(0)
    layers = tuple(range(n_layers))

    def row(offset: float = 0.0) -> tuple[float, ...]:
        return tuple((0.5 + offset + 0.05 * rng.standard_normal(n_layers)).tolist())

    curves = [
        ComparedCurve(f"model {i}", layers, row(), row(-0.1), row(0.1)) for i in range(n_models)
    ]
    apart = [
        ComparedDifference(i, layers, row(), row(-0.1), row(0.1), (0.01, None, 0.2, 0.04, 0.5))
        for i in range(1, n_models)
    ]
    return ComparedScore("ILO", tuple(curves), tuple(apart) if differences else (), 0.95)


def test_every_model_is_a_curve_with_a_band_of_its_own_colour_dash_and_mark() -> None:
    figure = comparison_figure([compared()], subtitle="s")
    upper, lower = figure.axes
    assert len(upper.collections) == 3 and len(lower.collections) == 2
    curves = [line for line in upper.lines if len(line.get_xdata()) == 5]
    looks = {(to_hex(c.get_color()), c.get_marker(), str(c._dash_pattern)) for c in curves}
    assert len(looks) == len({look[0] for look in looks}) == 3
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["model 0", "model 1", "model 2"]
    assert "minus other" in lower.get_ylabel()
    assert [to_hex(band.get_facecolor()[0]) for band in lower.collections] == [
        to_hex(band.get_facecolor()[0]) for band in upper.collections[1:]
    ]


def test_marks_are_filled_where_the_corrected_p_is_below_the_level() -> None:
    figure = comparison_figure([compared(2)], subtitle="s")
    lower = figure.axes[1]
    assert lower.get_ylabel() == "model 0\nminus model 1"
    marks = [line for line in lower.lines if line.get_marker() not in ("None", "", None)]
    filled = {to_hex(m.get_markerfacecolor()): m.get_xdata().tolist() for m in marks}
    assert filled.pop("#ffffff") == [1, 2, 4]
    assert list(filled.values()) == [[0, 3]]


def test_models_of_other_layers_have_curves_alone_on_one_axis() -> None:
    deep, shallow = compared(1, 9, False), compared(1, 4, False)
    both = ComparedScore("ILO", deep.curves + shallow.curves, (), 0.95)
    figure = comparison_figure([both], subtitle="s")
    assert len(figure.axes) == 1
    assert figure.axes[0].get_xticks().tolist() == list(range(9))


def test_scores_stand_side_by_side_and_gaps_and_single_layers_are_drawn() -> None:
    gap = ComparedCurve("a", (0, 1, 2), (0.1, None, 0.3), (0.0, None, None), (0.2, None, None))
    one = ComparedCurve("b", (1,), (0.4,), (0.3,), (0.5,))
    score = ComparedScore("x", (gap, one), (), 0.9)
    figure = comparison_figure([score, compared()], subtitle="s")
    assert len(figure.axes) == 3
    assert png_bytes(figure) == png_bytes(figure)
    assert "<svg" in svg_text(figure)
