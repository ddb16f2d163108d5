"""Overlap before and after fine-tuning beside what transferred: one figure.

Each row is a language, each column of a heat map a layer; the bars of the last panel belong to the
same rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ilo_fast.plots.style import (
    INK,
    ShownFigure,
    draw_color_bar,
    draw_title,
    label_layers,
    plain_axes,
    style,
    text_width,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PANELS = ("before", "after", "change")
_BARS = {"source": "#c9ced4", "language": "#7fb3dc", "mean": "#3a86c8"}
_ROW = 0.185  # inches; also the height of a gap between blocks of rows
_FONT = 8.0


@dataclass(frozen=True)
class TransferRow:
    """A language, or the mean over languages.

    Attributes
    ----------
    label : str
    kind : {"source", "language", "mean"}
        The language that was trained on, any other, or the mean.
    overlap : float64, shape (3, layers)
        Before, after, and the change.
    accuracy : float
    interval : (low, high)
        Of the accuracy.
    majority : float
        Accuracy of always giving the most frequent class.
    """

    label: str
    kind: Literal["source", "language", "mean"]
    overlap: NDArray[np.float64]
    accuracy: float
    interval: tuple[float, float]
    majority: float


@dataclass(frozen=True)
class TransferTable:
    """What the figure shows, from top to bottom.

    Attributes
    ----------
    rows : tuple of TransferRow or None
        None is a gap.
    groups : tuple of (first row, last row, name)
        Named beside their rows.
    layers : tuple of int
    embeddings : bool
        Whether layer 0 is a model's embeddings.
    title, subtitle : str
    """

    rows: tuple[TransferRow | None, ...]
    groups: tuple[tuple[int, int, str], ...]
    layers: tuple[int, ...]
    embeddings: bool
    title: str
    subtitle: str


def transfer_figure(table: TransferTable) -> Figure:
    """Overlap before, after and its change, by language and layer, beside accuracy."""
    rows = table.rows
    n_layers = len(table.layers)
    # Sizes in inches.
    cell = min(0.3, max(0.085, 2.9 / n_layers))
    cells = max(cell * n_layers, 0.9)
    labels = text_width([row.label for row in rows if row is not None], _FONT) + 0.12
    groups = 0.2 + text_width([name for *_, name in table.groups], _FONT) if table.groups else 0.0
    margin, gap, bar_gap, bar, bar_labels, bars = 0.15, 0.16, 0.09, 0.1, 0.42, 2.3
    top, bottom = 0.94, 0.55
    # labels | before | after | its colours | change | its colours | accuracy | groups
    scale = bar_gap + bar + bar_labels
    lefts = [margin + labels]
    lefts.append(lefts[0] + cells + gap)
    lefts.append(lefts[1] + cells + scale + 0.1)
    lefts.append(lefts[2] + cells + scale + 0.1)
    width = lefts[3] + bars + groups + margin
    width = max(width, text_width([table.subtitle], 8) + 2 * margin)
    tall = _ROW * len(rows)
    height = top + tall + bottom

    def box(left: float, across: float, high: float) -> tuple[float, float, float, float]:
        return left / width, 1 - (top + high) / height, across / width, high / height

    shown = _cells(rows, n_layers)
    limit = max(0.05, float(np.nanmax(np.abs(shown[2]))))
    limit = math.ceil(limit * 20) / 20
    with style():
        figure = ShownFigure(figsize=(width, height))
        for number, title in enumerate(_PANELS):
            ax = figure.add_axes(box(lefts[number], cells, tall))
            change = number == 2
            image = ax.imshow(
                shown[number],
                aspect="auto",
                interpolation="nearest",
                cmap="RdBu" if change else "viridis",
                vmin=-limit if change else 0.0,
                vmax=limit if change else 1.0,
            )
            _finish_map(ax, table, title, cells)
            if number == 0:
                _label_rows(ax, rows)
            else:
                ax.set_yticks([])
                beside = lefts[number] + cells + bar_gap
                draw_color_bar(figure, image, figure.add_axes(box(beside, bar, min(2.2, tall))))
        ax = figure.add_axes(box(lefts[3], bars, tall))
        _draw_bars(ax, rows)
        _name_groups(ax, table.groups, bars)
        draw_title(figure, table.title, table.subtitle, margin / width, height)
    return figure


def _cells(rows: Sequence[TransferRow | None], n_layers: int) -> NDArray[np.float64]:
    """(3, rows, layers); gaps are not a number, which is drawn as nothing."""
    gap = np.full((3, n_layers), np.nan)
    return np.stack([gap if row is None else row.overlap for row in rows], axis=1)


def _finish_map(ax: Axes, table: TransferTable, title: str, width: float) -> None:
    ax.tick_params(length=0, pad=3)
    for spine in ax.spines.values():
        spine.set_visible(False)
    room = max(1, int(width / 0.22))
    positions = range(len(table.layers))
    label_layers(ax, table.layers, positions=positions, room=room, embeddings=table.embeddings)
    if width < 1.4:  # the whole name does not fit below a few layers
        ax.set_xlabel("layer", fontsize=8.5)
    ax.set_title(title, fontsize=9, loc="left", pad=4)


def _label_rows(ax: Axes, rows: Sequence[TransferRow | None]) -> None:
    named = [(i, row) for i, row in enumerate(rows) if row is not None]
    ax.set_yticks([i for i, _ in named], [row.label for _, row in named])
    for label, (_, row) in zip(ax.get_yticklabels(), named, strict=True):
        label.set_fontsize(_FONT)
        if row.kind != "language":
            label.set_fontweight("bold")


def _draw_bars(ax: Axes, rows: Sequence[TransferRow | None]) -> None:
    for place, row in enumerate(rows):
        if row is None:
            continue
        ax.barh(place, row.accuracy, height=0.74, color=_BARS[row.kind], lw=0)
        ax.hlines(place, *row.interval, color=INK, lw=0.9)
        ax.vlines(
            row.majority, place - 0.37, place + 0.37, color=INK, lw=0.9, linestyles=(0, (1, 1))
        )
        ax.text(
            1.0, place, f"{row.accuracy:.2f}", transform=ax.get_yaxis_transform(), ha="right",
            va="center", fontsize=7,
        )  # fmt: skip
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlim(0, 1.14)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1.0], ["0", ".25", ".5", ".75", "1"], fontsize=8)
    ax.set_yticks([])
    plain_axes(ax, "x")
    ax.spines["left"].set_visible(False)
    ax.set_xlabel("accuracy", fontsize=8.5)
    ax.set_title("accuracy (dotted: majority class)", fontsize=9, loc="left", pad=4)


def _name_groups(ax: Axes, groups: Sequence[tuple[int, int, str]], width: float) -> None:
    """A line beside the rows of each group, and its name beside the line."""
    beside = ax.get_yaxis_transform()
    for first, last, name in groups:
        ends = (first - 0.37, last + 0.37)
        line = 1 + 0.08 / width
        ax.plot((line, line), ends, transform=beside, color=INK, lw=0.9, clip_on=False)
        place = 1 + 0.15 / width, (first + last) / 2
        ax.text(*place, name, transform=beside, va="center", fontsize=_FONT)
