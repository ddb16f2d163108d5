"""The feature map: which features and counts stand where."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from helpers.firings import FIVE, drawn

from ilo_fast.plots.feature_map import FeatureMap, feature_map_figure, feature_order
from ilo_fast.transcoders import language_rates


def test_features_stand_by_dominant_language_the_most_selective_first() -> None:
    share = np.array([[0.9, 0.2, 0.6, np.nan], [0.1, 0.8, 0.4, np.nan]])
    shown = FeatureMap(
        share, np.array([1.4, 1.7, 1.9, np.nan]), np.zeros(4, np.int64), np.array([[1, 0]]),
        ("aa", "bb"),
    )  # fmt: skip
    assert feature_order(shown, 0).tolist() == [0, 2, 1]
    figure = feature_map_figure(shown)
    first, _, counts = figure.axes
    np.testing.assert_array_equal(first.images[0].get_array(), share[:, [0, 2, 1]])
    assert first.get_xlabel() == "layer 0\n3"
    assert [text.get_text() for text in counts.texts] == ["1"]


@pytest.mark.parametrize("n_layers", [1, 2, 20])
def test_rates_are_drawn_with_a_panel_for_each_layer(n_layers: int) -> None:
    rates = np.full((5, 20), 0.02)
    rates[:, 0] = (0.05, 0, 0, 0, 0)
    rates[:, -1] = 0  # silent
    found = language_rates(
        drawn(np.random.default_rng(1), rates, 40, n_layers=n_layers), n_permutations=99
    )
    figure = feature_map_figure(found.feature_map("A title"))
    assert len(figure.axes) == n_layers + 2
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(FIVE)
    assert figure.axes[-1].texts[0].get_text() == "1"
    assert figure.texts[0].get_text() == "A title"
    for ax in figure.axes:
        left, low, across, tall = ax.get_position().bounds
        assert left >= 0 and low >= 0 and left + across <= 1.001 and low + tall <= 1
