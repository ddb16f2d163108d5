"""Scores by resource class, family, region, script and word order: a table and a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ilo_fast.corpora.languages import GROUPINGS
from ilo_fast.report.summary import best_layer_index, layer_means

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ilo_fast.scores.groups import OverlapGroup
    from ilo_fast.scores.result import OverlapScores


def group_rows(scores: OverlapScores) -> list[dict[str, Any]]:
    """One record for each grouping, group and layer, with intervals where there are any."""
    return [row for by in GROUPINGS for group in scores.groups(by) for row in group.rows(by)]


def overlap_by_group(scores: OverlapScores, *, titled: bool = True) -> Figure:
    """Mean ILO of every group at the layer where the mean over all languages is highest.

    Needs matplotlib. ``titled=False`` leaves title and settings to the page around it.
    """
    from ilo_fast.plots.groups import GroupRow, groups_figure

    best = best_layer_index(scores)

    def row(group: OverlapGroup) -> GroupRow:
        ends = group.intervals.get("ilo")
        low, high = (None, None) if ends is None else (float(ends[0][best]), float(ends[1][best]))
        return GroupRow(group.name, len(group.languages), float(group.ilo[best]), low, high)

    means = layer_means(scores)[best]
    low, high = means.intervals.get("ilo", (None, None))
    mixing = None if scores.limits is None else scores.limits.means()["ilo_under_mixing"]
    return groups_figure(
        {by: [row(group) for group in scores.groups(by)] for by in GROUPINGS},
        score="ILO",
        title=f"ILO by group of languages, layer {means.layer}" if titled else "",
        subtitle=scores.subtitle if titled else "",
        overall=GroupRow("all", len(scores.languages), means.ilo, low, high),
        marks={} if mixing is None else {"under mixing": mixing},
    )
