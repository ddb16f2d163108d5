"""The heat map: which rows and layers stand where."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.scores import overlap_scores

pytest.importorskip("matplotlib")

from ilo_fast.corpora.languages import LANGUAGES
from ilo_fast.plots.heatmap import LayerTable, heatmap_figure


@pytest.mark.parametrize("n_layers", [1, 7, 33])
@pytest.mark.parametrize("n_languages", [1, 31, 204])
def test_every_language_has_one_row_and_both_ends_of_the_layers_are_numbered(
    n_layers: int, n_languages: int
) -> None:
    scores = overlap_scores(n_layers, tuple(LANGUAGES)[:n_languages])
    drawn = heatmap_figure(scores.layer_table())
    labels = [t.get_text() for ax in drawn.figure.axes for t in ax.get_yticklabels()]
    named = [code for code in scores.languages if any(lab.endswith(code) for lab in labels)]
    assert len(named) == n_languages
    assert sorted(c for panel in drawn.panels for c in panel.languages) == sorted(scores.languages)
    ticks = [t.get_text() for t in drawn.figure.axes[0].get_xticklabels()]
    assert (ticks[0], ticks[-1]) == ("0", str(n_layers - 1))
    assert all(np.isfinite(ax.get_position().bounds).all() for ax in drawn.figure.axes)


def test_rows_go_from_the_highest_mean_to_the_lowest_and_equals_by_code() -> None:
    values = np.array([[0.2, 0.9, 0.5, 0.5], [0.2, 0.7, 0.5, 0.5]])
    table = LayerTable(values, (3, 4), ("a", "b", "d", "c"), ("A", "B", "D", "C"))
    drawn = heatmap_figure(table)
    assert drawn.panels[0].languages == ("b", "c", "d", "a")
    ax = drawn.figure.axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["B", "C", "D", "A"]
    np.testing.assert_array_equal(ax.images[0].get_array(), values[:, [1, 3, 2, 0]].T)
    assert [text.get_text() for text in ax.texts][:2] == [".90", ".70"]
    assert ax.get_xlabel() == "layer"


def test_languages_beyond_max_rows_stand_in_further_columns() -> None:
    scores = overlap_scores(codes=tuple(LANGUAGES)[:7])
    drawn = heatmap_figure(scores.layer_table(), max_rows=3)
    assert [len(panel.languages) for panel in drawn.panels] == [3, 3, 1]
    lefts = [panel.left for panel in drawn.panels]
    assert lefts == sorted(lefts) and len({panel.top for panel in drawn.panels}) == 1
