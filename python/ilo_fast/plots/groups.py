"""Means over groups of languages: a point with its interval per group, one panel per grouping."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ilo_fast._util.messages import elide, plain
from ilo_fast.plots.style import (
    INK,
    ShownFigure,
    draw_title,
    plain_axes,
    style,
    text_width,
)

_COLOR: Final = "#0072b2"
_HEADS: Final = {
    "resource_class": "resource class (0 least to 5 most)",
    "family": "family",
    "region": "region",
    "script": "script",
    "word_order": "order of subject, object and verb (WALS 81A)",
}
_LABEL = 26  # letters of a group's name at most


@dataclass(frozen=True)
class GroupRow:
    """A group's mean; `low` and `high` are None (or NaN) where it has no interval."""

    name: str
    n_languages: int
    value: float
    low: float | None = None
    high: float | None = None


def groups_figure(
    groupings: Mapping[str, Sequence[GroupRow]],
    *,
    score: str,
    title: str,
    subtitle: str,
    overall: GroupRow | None = None,
    marks: Mapping[str, float] | None = None,
) -> Figure:
    """One panel per grouping, two beside each other, on one scale.

    Parameters
    ----------
    groupings
        ``"resource_class"``, ``"family"``, ``"region"``, ``"script"`` or any name -> its groups
        from top to bottom.
    score
        What stands below the axis.
    overall
        The mean over all languages: a line through every panel, its interval a band.
    marks
        Name -> value: dashed lines, as of chance or of random neighbours.

    Raises
    ------
    ValueError
        No grouping, or one without groups.
    """
    if not groupings or not all(groupings.values()):
        raise ValueError("groupings must name groups: got none, or a grouping without any")
    # Sizes in inches.
    margin, row, head, bottom = 0.15, 0.2, 0.3, 0.34
    top = 0.8 if title or subtitle else 0.0
    inner, right, between = 3.0, 0.15, 0.25
    labels = {by: [_label(r) for r in rows] for by, rows in groupings.items()}
    left = max(text_width(names, 8) for names in labels.values()) + margin + 0.1
    names = list(groupings)
    n_columns = min(2, len(names))
    lines = [names[i : i + n_columns] for i in range(0, len(names), n_columns)]
    talls = [row * max(len(groupings[by]) for by in line) + head + bottom for line in lines]
    foot = 0.3
    width = n_columns * (left + inner) + (n_columns - 1) * between + right
    width = max(width, text_width([subtitle], 8) + 2 * margin)
    height = top + sum(talls) + foot
    limits = _limits(groupings, overall, marks or {})
    with style():
        figure = ShownFigure(figsize=(width, height))
        y = top
        for line, tall in zip(lines, talls, strict=True):
            for number, by in enumerate(line):
                x = number * (left + inner + between) + left
                own = row * len(groupings[by])
                box = (x / width, 1 - (y + head + own) / height, inner / width, own / height)
                ax = figure.add_axes(box)
                _draw(ax, groupings[by], labels[by], overall, marks or {})
                ax.set_xlim(*limits)
                ax.set_title(_HEADS.get(by, by), fontsize=8.5, loc="left", pad=4)
            y += tall
        figure.text(margin / width, 0.1 / height, _legend(score, overall, marks or {}),
                    fontsize=7.5, alpha=0.8)  # fmt: skip
        draw_title(figure, title, subtitle, margin / width, height)
    return figure


def _draw(
    ax: Axes,
    rows: Sequence[GroupRow],
    labels: Sequence[str],
    overall: GroupRow | None,
    marks: Mapping[str, float],
) -> None:
    places = range(len(rows))
    if overall is not None:
        if _known(overall):
            ax.axvspan(overall.low or 0.0, overall.high or 0.0, color=INK, alpha=0.1, lw=0)
        ax.axvline(overall.value, color=INK, lw=0.8, alpha=0.7, zorder=1.5)
    for number, value in enumerate(marks.values()):
        ax.axvline(value, color=INK, lw=0.9, dashes=((3, 2), (1, 1.5))[number % 2], zorder=1.5)
    for place, row in zip(places, rows, strict=True):
        if _known(row):
            ax.hlines(place, row.low or 0.0, row.high or 0.0, color=_COLOR, lw=1.8, zorder=3)
    ax.plot(
        [row.value for row in rows], places, lw=0, marker="o", ms=4.6, mfc=_COLOR, mec="white",
        mew=0.6, zorder=4,
    )  # fmt: skip
    ax.set_yticks(places, labels, fontsize=8)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    plain_axes(ax, "x")
    ax.tick_params(axis="y", length=0)
    ax.tick_params(axis="x", labelsize=7.5)


def _known(row: GroupRow) -> bool:
    """Whether there is an interval."""
    return all(end is not None and not math.isnan(end) for end in (row.low, row.high))


def _label(row: GroupRow) -> str:
    return f"{elide(plain(row.name), _LABEL)}  ({row.n_languages})"


def _limits(
    groupings: Mapping[str, Sequence[GroupRow]],
    overall: GroupRow | None,
    marks: Mapping[str, float],
) -> tuple[float, float]:
    """All that is drawn, within 0 and 1 and a little more."""
    rows = [row for rows in groupings.values() for row in rows]
    rows += [] if overall is None else [overall]
    ends = [end for row in rows for end in (row.low, row.value, row.high)]
    shown = [end for end in [*ends, *marks.values()] if end is not None and not math.isnan(end)]
    low, high = min(shown, default=0.0), max(shown, default=1.0)
    room = max(0.06 * (high - low), 0.01)
    return max(-0.02, low - room), min(1.02, high + room)


def _legend(score: str, overall: GroupRow | None, marks: Mapping[str, float]) -> str:
    parts = [f"{score}: mean over the languages of a group (their number), with its interval"]
    if overall is not None:
        parts.append("line and grey band: all languages")
    dashes = ("dashed", "dotted")
    parts += [f"{dashes[number % 2]}: {name}" for number, name in enumerate(marks)]
    return "; ".join(parts)
