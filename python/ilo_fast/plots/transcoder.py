"""Explained variance and L0 of a transcoder: two heat maps, layers by languages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ilo_fast.plots.style import (
    ShownFigure,
    draw_color_bar,
    draw_title,
    label_layers,
    style,
    text_width,
)

Box: TypeAlias = tuple[float, float, float, float]

_ROW = 0.2  # inches
_FONT = 8.0
_DARK = 0.55  # of the range of colours: below it letters are white


@dataclass(frozen=True)
class TranscoderTable:
    """What the figure shows.

    Attributes
    ----------
    groups : tuple of str
        Rows: all text together first, then languages.
    explained_variance, l0 : float64, (groups, layers)
    title, subtitle : str
    """

    groups: tuple[str, ...]
    explained_variance: NDArray[np.float64]
    l0: NDArray[np.float64]
    title: str
    subtitle: str


def transcoder_figure(table: TranscoderTable) -> Figure:
    """Explained variance beside L0: a row for all text, and below it the languages."""
    n_layers = table.l0.shape[1]
    cell = min(0.42, max(0.1, 3.6 / n_layers))
    cells = max(cell * n_layers, 1.2)
    labels = text_width(table.groups, _FONT) + 0.12
    margin, gap, bar_gap, bar, bar_labels = 0.15, 0.25, 0.09, 0.1, 0.42
    top, bottom, under = 0.94, 0.5, 0.5 * _ROW  # a gap under the row of all text
    scale = bar_gap + bar + bar_labels
    lefts = [margin + labels, margin + labels + cells + scale + gap]
    width = lefts[1] + cells + scale + margin
    width = max(width, text_width([table.subtitle], 8) + 2 * margin, 4.2)
    others = len(table.groups) - 1
    height = top + _ROW + under + max(others, 1) * _ROW + bottom

    def box(left: float, across: float, above: float, high: float) -> Box:
        return left / width, 1 - (top + above + high) / height, across / width, high / height

    panels = (
        ("explained variance", table.explained_variance, "viridis", 0.0, 1.0, "{:.2f}"),
        ("active features (L0)", table.l0, "magma", 0.0, _most(table.l0), "{:.0f}"),
    )
    with style():
        figure = ShownFigure(figsize=(width, height))
        for left, (title, values, colors, low, high, text) in zip(lefts, panels, strict=True):
            parts = [(0, 1, 0.0)] + ([(1, others + 1, _ROW + under)] if others else [])
            for first, last, above in parts:
                ax = figure.add_axes(box(left, cells, above, _ROW * (last - first)))
                shown = values[first:last]
                image = ax.imshow(
                    shown, aspect="auto", interpolation="nearest", cmap=colors, vmin=low, vmax=high
                )
                ax.tick_params(length=0, pad=3)
                ax.spines[:].set_visible(False)
                ax.set_xticks([])
                ax.set_yticks([])
                if left == lefts[0]:
                    ax.set_yticks(range(last - first), table.groups[first:last], fontsize=_FONT)
                if cell >= 0.28:
                    _write_values(ax, shown, low, high, text)
                if first == 0:
                    ax.set_title(title, fontsize=9, loc="left", pad=4)
            room = max(1, int(cells / 0.22))
            layers = range(n_layers)
            label_layers(ax, layers, positions=layers, room=room, embeddings=False)
            tall = _ROW + under + others * _ROW if others else _ROW
            beside = box(left + cells + bar_gap, bar, 0.0, min(2.2, tall))
            draw_color_bar(figure, image, figure.add_axes(beside))
        draw_title(figure, table.title, table.subtitle, margin / width, height)
    return figure


def _most(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return max(1.0, float(known.max())) if known.size else 1.0


def _write_values(
    ax: Axes, values: NDArray[np.float64], low: float, high: float, text: str
) -> None:
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            dark = (value - low) / (high - low) < _DARK
            ax.text(
                column, row, text.format(value), ha="center", va="center", fontsize=6.5,
                color="white" if dark else "black",
            )  # fmt: skip
