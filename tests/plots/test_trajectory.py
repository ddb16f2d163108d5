"""Trajectories: the lines, and the names beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

from ilo_fast.plots import trajectory
from ilo_fast.plots.trajectory import TrajectoryPanel, trajectory_figure


def draw(values: np.ndarray[Any, Any], chance: float | None = None) -> Figure:
    """Two panels over steps 0, 10, 20, ... of (steps, layers)."""
    n_steps, n_layers = values.shape
    return trajectory_figure(
        range(0, 10 * n_steps, 10),
        range(n_layers),
        [TrajectoryPanel(values, "ILO"), TrajectoryPanel(values / 2, "translations", chance)],
        title="title",
        subtitle="subtitle",
    )


def layer_lines(ax: Any) -> dict[str, Any]:
    return {
        line.get_label(): line for line in ax.lines if str(line.get_label()).startswith("layer ")
    }


def test_every_layer_is_a_line_with_gaps_where_values_are_nan() -> None:
    values = np.random.default_rng(0).random((4, 3))
    values[1] = np.nan
    upper, lower = draw(values).axes
    assert list(layer_lines(upper)) == ["layer 0", "layer 1", "layer 2"]
    for h, line in enumerate(layer_lines(upper).values()):
        assert line.get_xdata().tolist() == [0, 10, 20, 30]
        np.testing.assert_array_equal(line.get_ydata(), values[:, h])
    assert (upper.get_ylabel(), lower.get_xlabel()) == ("ILO", "optimizer step")


def test_chance_is_a_named_line_on_an_axis_as_high_as_the_values() -> None:
    values = np.full((2, 1), 0.4)
    upper, lower = draw(values, chance=0.05).axes
    assert upper.get_ylim() == (-0.02, 1.02)
    assert lower.get_ylim()[1] == pytest.approx(0.22)
    assert "chance" in [text.get_text() for text in lower.texts]
    assert "chance" not in [text.get_text() for text in upper.texts]


@pytest.mark.parametrize(("n_layers", "named"), [(1, True), (14, True), (33, False)])
def test_layers_are_told_apart_by_names_if_few_and_by_a_bar_if_many(
    n_layers: int, named: bool
) -> None:
    figure = draw(np.random.default_rng(0).random((3, n_layers)))
    names = [text.get_text() for text in figure.axes[0].texts]
    numbers = sorted(int(name.removeprefix("layer ")) for name in names)
    assert numbers == (list(range(n_layers)) if named else [])
    assert len(figure.axes) == (2 if named else 3)
    if not named:
        assert figure.axes[2].get_ylabel() == "layer"
    lines = layer_lines(figure.axes[0]).values()
    assert len({line.get_color() for line in lines}) == n_layers
    # Lightness grows with depth, so that colour alone gives the order.
    light = [np.dot(line.get_color()[:3], (0.2126, 0.7152, 0.0722)) for line in lines]
    assert light == sorted(light)


def test_a_single_step_has_one_tick() -> None:
    assert draw(np.full((1, 3), 0.5)).axes[0].get_xticks().tolist() == [0]


def test_names_of_any_lines_stand_apart_and_in_the_order_of_the_lines() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        wanted = rng.random(rng.integers(1, 15)).round(1)
        places = trajectory._apart(wanted, 0.06, 0.0, 1.0)
        gaps = np.diff(np.sort(places))
        assert (gaps > 0.06 - 1e-9).all()
        assert places.min() > -1e-9 and places.max() < 1 + 1e-9
        order = np.argsort(wanted, kind="stable")
        assert (np.diff(places[order]) > 0).all()


def test_names_move_only_where_they_are_too_close() -> None:
    far = np.array([0.9, 0.1, 0.5])
    np.testing.assert_array_equal(trajectory._apart(far, 0.1, 0, 1), far)
    # More than there is room for: evenly over all of it.
    evenly = [0, 0.25, 0.5, 0.75, 1]
    np.testing.assert_allclose(trajectory._apart(np.zeros(5), 1.0, 0, 1), evenly)
