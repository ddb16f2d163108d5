"""Dose curves: what steering does at each strength, ways of steering as lines, pairs as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from ilo_fast.plots.style import INK, ShownFigure, draw_title, plain_axes, style, text_width

_COLORS: Final = {
    "substitution": "#c1443c", "suppression": "#3a86c8", "random": "#8a8f98",
    "random_suppression": "#b9bdc4", "mean_difference": "#2a9d74", "unembedding": "#9d5bb5",
}  # fmt: skip
_DASHES: Final = {"suppression": (4, 2), "random_suppression": (1.2, 1.6)}
_OTHER: Final = "#b8860b"


@dataclass(frozen=True)
class DoseCurve:
    """One way of steering in one panel.

    Attributes
    ----------
    mode : str
    values : (strengths,)
    low, high : (strengths,) or None
        An interval.
    chosen : float or None
        The strength that was chosen: marked.
    """

    mode: str
    values: NDArray[np.float64]
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None
    chosen: float | None = None


@dataclass(frozen=True)
class DoseTable:
    """What the figure shows.

    Attributes
    ----------
    strengths : (strengths,)
        Ascending, above 0.
    columns : tuple of str
        Pairs.
    rows : tuple of str
        Measures; one that begins with "share" has an axis from 0 to 1.
    panels : mapping
        (row, column) -> curves.
    unsteered : mapping
        (row, column) -> the value without steering.
    title, subtitle : str
    """

    strengths: NDArray[np.float64]
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    panels: Mapping[tuple[int, int], Sequence[DoseCurve]]
    unsteered: Mapping[tuple[int, int], float]
    title: str
    subtitle: str


def dose_figure(table: DoseTable) -> Figure:
    """Strength along x (each step alike), a measure along y; a dot at the chosen strength."""
    n_rows, n_columns = len(table.rows), len(table.columns)
    panel_height, gap = 1.3, 0.22
    left, right, top, bottom = 0.75, 0.15, 0.85, 1.1
    bold = 1.15  # how much wider a title is
    needed = max(text_width([table.subtitle], 8), bold * text_width([table.title], 12)) + 0.4
    width = max(left + n_columns * (1.75 + gap) - gap + right, needed, 4.8)
    panel_width = (width - left - right + gap) / n_columns - gap
    height = top + n_rows * (panel_height + gap) + bottom
    positions = np.arange(len(table.strengths))
    modes: list[str] = []
    with style():
        figure = ShownFigure(figsize=(width, height))
        for row, measure in enumerate(table.rows):
            shared: Axes | None = None
            for column, pair in enumerate(table.columns):
                below = bottom + (n_rows - 1 - row) * (panel_height + gap)
                box = (
                    (left + column * (panel_width + gap)) / width,
                    below / height,
                    panel_width / width,
                    panel_height / height,
                )
                ax = figure.add_axes(box, sharey=shared)
                shared = shared or ax
                plain_axes(ax, "y")
                if (row, column) in table.unsteered:
                    ax.axhline(table.unsteered[row, column], color=INK, lw=0.8, alpha=0.5)
                for curve in table.panels.get((row, column), ()):
                    _draw(ax, positions, table.strengths, curve)
                    if curve.mode not in modes:
                        modes.append(curve.mode)
                if measure.startswith("share"):
                    ax.set_ylim(-0.04, 1.04)
                ax.set_xticks(positions, [f"{s:g}" for s in table.strengths], fontsize=7)
                ax.tick_params(labelleft=column == 0, labelbottom=row == n_rows - 1)
                if row == 0:
                    ax.set_title(pair, fontsize=8.5, pad=4)
                if column == 0:
                    ax.set_ylabel(measure, fontsize=8)
                if row == n_rows - 1:
                    ax.set_xlabel("strength", fontsize=8)
        handles = [_handle(mode) for mode in modes]
        handles.append(Line2D([], [], color=INK, lw=0.8, alpha=0.5, label="unsteered"))
        figure.legend(
            handles=handles, loc="lower left", bbox_to_anchor=(0.15 / width, 0.06 / height),
            ncols=4 if width > 6 else 3, frameon=False, fontsize=7.5, handlelength=2.2,
        )  # fmt: skip
        draw_title(figure, table.title, table.subtitle, 0.15 / width, height)
    return figure


def _draw(
    ax: Axes, positions: NDArray[np.int64], strengths: NDArray[np.float64], curve: DoseCurve
) -> None:
    color = _COLORS.get(curve.mode, _OTHER)
    front = 3 if curve.low is not None else 2  # what it is about is not hidden by baselines
    if curve.low is not None and curve.high is not None:
        if len(positions) == 1:
            ax.vlines(positions, curve.low, curve.high, color=color, lw=1, alpha=0.5)
        ax.fill_between(positions, curve.low, curve.high, color=color, alpha=0.12, lw=0)
    (line,) = ax.plot(positions, curve.values, color=color, lw=1.4, zorder=front)
    if curve.mode in _DASHES:
        line.set_dashes(_DASHES[curve.mode])
    if curve.chosen is not None:
        at = int(np.flatnonzero(strengths == curve.chosen)[0])
        ax.plot([at], [curve.values[at]], "o", ms=4, color=color, zorder=front)


def _handle(mode: str) -> Line2D:
    line = Line2D([], [], color=_COLORS.get(mode, _OTHER), lw=1.4, label=mode.replace("_", " "))
    if mode in _DASHES:
        line.set_dashes(_DASHES[mode])
    return line
