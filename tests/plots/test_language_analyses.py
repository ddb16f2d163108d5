"""Figures of language features, probes and ablation: what is drawn is what was given."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from ilo_fast.plots.ablation import AblationCells, ablation_figure
from ilo_fast.plots.language_features import LanguageFeatureCounts, language_features_figure
from ilo_fast.plots.language_probes import ProbeCurves, probes_figure
from ilo_fast.plots.style import png_bytes

CODES = ("deu_Latn", "eng_Latn", "rus_Cyrl")


def test_bars_stack_to_what_was_counted() -> None:
    counts = np.array([[1, 0, 2], [4, 0, 3.0]])
    table = LanguageFeatureCounts(counts, np.array([0.5, 0]), CODES, ("de", "en", "ru"), "T", "S")
    figure = language_features_figure(table)
    (ax,) = figure.axes
    tops = [bar.get_y() + bar.get_height() for bar in ax.patches]
    assert max(tops) == 7 and len(ax.patches) == 4  # English has none
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["by chance", "de", "ru"]
    assert png_bytes(figure, dpi=50)


@pytest.mark.parametrize("n", [1, 6])
def test_curves_lie_where_the_accuracies_are(n: int) -> None:
    accuracy = {kind: np.linspace(0.2, 0.9, 3 * n).reshape(3, n)[[1, 0, 2]] for kind in ("x", "a")}
    curves = ProbeCurves(
        tuple(range(n)), accuracy, np.tile([[0.2], [0.25]], n), (0.6, 0.5, 0.7),
        {"counts": 0.4}, "T", "S",
    )  # fmt: skip
    figure = probes_figure(curves)
    (ax,) = figure.axes
    drawn = [line.get_ydata() for line in ax.lines]
    assert any(np.array_equal(line, accuracy["x"][0]) for line in drawn)
    names = {text.get_text() for text in ax.get_legend().get_texts()}
    assert {"labels permuted", "counts", "token embeddings"} <= names
    assert png_bytes(figure, dpi=50)


@pytest.mark.parametrize("n", [2, 31])
def test_the_matrix_frames_what_survives(n: int) -> None:
    change = np.diag(np.linspace(0.02, 0.3, n)) - 0.001
    labels = tuple(f"language {at}" for at in range(n))
    figure = ablation_figure(AblationCells(change, change > 0.1, labels, labels, "m", "T", "S"))
    ax = figure.axes[0]
    assert len(ax.patches) == (change > 0.1).sum()
    assert np.array_equal(ax.images[0].get_array(), change)
    assert (len(ax.texts) > 0) == (n == 2)
    assert png_bytes(figure, dpi=50)
