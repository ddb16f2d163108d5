"""The figures of tokens and of words: what is drawn, and hostile input."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from ilo_fast.plots.style import png_bytes
from ilo_fast.plots.tokens import TokenPanel, tokens_figure
from ilo_fast.plots.words import Curve, WordCurves, words_figure


def panel(n_series: int = 1, **about) -> TokenPanel:
    values = np.linspace(1, 9, n_series * 3).reshape(n_series, 3)
    values[0, 1] = np.nan
    spans = np.stack([values - 0.1, values + 0.1], axis=-1)
    return TokenPanel("premium", values, spans, **about)


def test_every_language_is_a_dot_with_its_interval_where_it_has_a_value() -> None:
    figure = tokens_figure(
        ["a", "b", "c"], ["Latn", "Cyrl", "Latn"], [panel(mark=1.0), panel()], ["t"],
        title="title", subtitle="below",
    )  # fmt: skip
    first, second = figure.axes
    assert [label.get_text() for label in first.get_yticklabels()] == ["a", "b", "c"]
    assert len(first.collections) == 2 and len(second.collections) == 2
    assert first.get_xscale() == "log"
    dots = [line for line in second.lines if line.get_marker() == "o"]
    assert [float(dot.get_xdata()[0]) for dot in dots] == [1.0, 9.0]
    assert dots[0].get_markerfacecolor() == dots[1].get_markerfacecolor()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["Latn", "Cyrl"]
    assert first.yaxis_inverted()


def test_several_tokenizers_have_colours_of_their_own() -> None:
    figure = tokens_figure(
        ["a", "b", "c"], ["Latn"] * 3, [panel(2)], ["one", "two"], title="t", subtitle="s"
    )
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert len({str(dot.get_markerfacecolor()) for dot in dots}) == 2 and len(dots) == 5
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "two"]


def test_more_scripts_than_colours_and_hostile_names_are_drawn() -> None:
    n = 12
    values = np.full((1, n), 0.5)
    own = TokenPanel("share", values, np.full((1, n, 2), np.nan), percent=True)
    figure = tokens_figure(
        ["x" * 90 + "\x1b[31m"] * n, [str(at) for at in range(n)], [own], ["$t$"], title="t",
        subtitle="s",
    )  # fmt: skip
    assert png_bytes(figure, dpi=50)
    assert figure.legends[0].get_texts()[-1].get_text() == "others"
    with pytest.raises(ValueError, match="labels has 0 rows"):
        tokens_figure([], [], [own], ["t"], title="t", subtitle="s")
    with pytest.raises(ValueError, match="wanted \\(1, 1\\)"):
        tokens_figure(["a"], ["b"], [own], ["t"], title="t", subtitle="s")


def test_words_are_curves_with_bands_and_swaps_a_panel_of_their_own() -> None:
    values, span = np.array([0.2, 0.6, 0.4]), np.array([[0.1, 0.3], [0.5, 0.7], [0.3, 0.5]])
    curve = Curve(values, span)
    plain = WordCurves(curve, 0.3, span, curve, {"eng_Latn": values})
    assert len(words_figure(plain, title="t", subtitle="s").axes) == 2
    swapped = WordCurves(
        curve, 0.3, span, curve, {"eng_Latn": values}, curve, curve, curve, Curve(values)
    )
    figure = words_figure(swapped, title="t", subtitle="s")
    assert [len(ax.lines) for ax in figure.axes] == [3, 2, 4]
    assert png_bytes(figure, dpi=50)
    nothing = Curve(np.zeros(0))
    with pytest.raises(ValueError, match="no layer"):
        words_figure(WordCurves(nothing, 0.0, span, nothing), title="t", subtitle="s")
