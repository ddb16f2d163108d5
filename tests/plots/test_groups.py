"""The figure of groups: a point and an interval per group, one panel per grouping."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib")

import numpy as np

from ilo_fast.plots.groups import GroupRow, groups_figure
from ilo_fast.plots.style import png_bytes

ROWS = {
    "resource_class": [GroupRow("0", 2, 0.2, 0.1, 0.3), GroupRow("5", 3, 0.6, 0.5, 0.7)],
    "script": [GroupRow("Latn", 4, 0.5, 0.4, 0.6), GroupRow("Cyrl", 1, 0.4)],
    "family": [GroupRow("Indo-European", 5, 0.45, 0.4, 0.5)],
}


def draw(groupings=ROWS, title="t", subtitle="s", **about):
    return groups_figure(groupings, score="ILO", title=title, subtitle=subtitle, **about)


def test_every_group_is_a_point_with_its_interval_on_one_scale() -> None:
    axes = draw().axes
    assert [ax.get_title(loc="left") for ax in axes] == [
        "resource class (0 least to 5 most)", "script", "family",
    ]  # fmt: skip
    assert [label.get_text() for label in axes[1].get_yticklabels()] == ["Latn  (4)", "Cyrl  (1)"]
    (points,) = axes[0].lines
    np.testing.assert_array_equal(points.get_xdata(), [0.2, 0.6])
    assert axes[0].yaxis_inverted()
    assert len(axes[0].collections) == 2  # intervals
    assert len(axes[1].collections) == 1  # that of Cyrillic is not known
    assert len({ax.get_xlim() for ax in axes}) == 1


def test_all_languages_and_marks_are_lines_through_every_panel() -> None:
    figure = draw(
        overall=GroupRow("all", 5, 0.45, 0.43, 0.47), marks={"mixing": 0.9, "chance": 0.1}
    )
    for ax in figure.axes:
        at = [line.get_xdata()[0] for line in ax.lines[:-1]]
        assert at == [0.45, 0.9, 0.1]
        assert ax.get_xlim()[0] < 0.1 and ax.get_xlim()[1] > 0.9
    (legend,) = (t.get_text() for t in figure.texts if "interval" in t.get_text())
    assert legend.endswith("dashed: mixing; dotted: chance")


def test_long_and_hostile_names_are_cut_and_a_figure_needs_groups() -> None:
    row = GroupRow("x" * 200 + "\x1b[31m", 1, float("nan"), float("nan"), float("nan"))
    assert png_bytes(draw({"mine": [row]}), dpi=50)
    with pytest.raises(ValueError, match="groupings must name groups"):
        draw({"script": []})


def test_no_room_is_left_for_a_title_that_is_not_there() -> None:
    titled, bare = draw(), draw(title="", subtitle="")
    assert titled.get_size_inches()[1] - bare.get_size_inches()[1] == pytest.approx(0.8)
