"""The curves and the heat map as wide as one column of a paper, whose caption is their title."""

from __future__ import annotations

import dataclasses
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ilo_fast._util.messages import elide
from ilo_fast.plots.curve import LayerCurves, draw_curve
from ilo_fast.plots.heatmap import LayerTable, draw_heatmap
from ilo_fast.plots.style import ShownFigure, draw_color_bar, label_layers, style, text_width

COLUMN: Final = 3.3  # inches
_FONT: Final = 6.5
_SMALL: Final = 5.8


def curve_column(curves: LayerCurves) -> Figure:
    """ILO, bridge and reach; translations below, where the text is parallel; legends at the foot.

    Lines differ in their dashes, so that they are told apart in grey, too.
    """
    parallel = curves.translation_share is not None and curves.translation_chance is not None
    parts = [curves]
    if parallel and curves.score is None:
        parts.append(dataclasses.replace(curves, score="translation_share"))
    # Sizes in inches.
    left, right, top, axis, key, talls = 0.42, 0.06, 0.05, 0.3, 0.105, (1.35, 0.8)
    with style():
        figure = ShownFigure(figsize=(COLUMN, 1))
        axes = [figure.add_axes((0, 0, 1, 1)) for _ in parts]
        for ax, part in zip(axes, parts, strict=True):
            draw_curve(ax, part)
            _thin(ax)
        if len(parts) > 1:
            axes[1].set_ylabel("translations")
        keys = [_legend(ax) for ax in axes]
        feet = [key * n + 0.08 for n in keys]
        height = top + sum(talls[: len(axes)]) + sum(feet) + axis * len(axes)
        figure.set_size_inches(COLUMN, height)
        y = top
        for ax, tall, foot in zip(axes, talls, feet, strict=False):
            ax.set_position(
                (left / COLUMN, 1 - (y + tall) / height, 1 - (left + right) / COLUMN, tall / height)
            )
            legend = ax.get_legend()
            if legend is not None:
                legend.set_bbox_to_anchor((-0.02, -axis / tall), transform=ax.transAxes)
            y += tall + axis + foot
        for ax in axes:
            _shrink(ax)
            label_layers(
                ax, curves.layers, positions=curves.layers, room=13, embeddings=curves.embeddings
            )
            _shrink(ax)
    return figure


def heatmap_column(table: LayerTable) -> Figure:
    """Layers by languages, names without codes."""
    n = len(table.languages)
    labels = tuple(elide(label.split("\N{EN SPACE}")[0], 28) for label in table.labels)
    font, row = (_SMALL, 0.095) if n <= 60 else (3.6, 0.052)
    # Sizes in inches.
    margin, bar_gap, bar_width, bar_labels, top, bottom = 0.03, 0.07, 0.07, 0.24, 0.05, 0.32
    left = margin + text_width(labels, font) + 0.07
    across = COLUMN - left - bar_gap - bar_width - bar_labels
    tall = max(row * n, 0.8)
    height = top + tall + bottom
    with style():
        figure = ShownFigure(figsize=(COLUMN, height))
        box = (left / COLUMN, bottom / height, across / COLUMN, tall / height)
        ax = figure.add_axes(box)
        draw_heatmap(ax, dataclasses.replace(table, labels=labels))
        _shrink(ax)
        ax.tick_params(axis="y", labelsize=font, pad=2)
        high = min(1.5, tall)
        bar = figure.add_axes(
            (
                (left + across + bar_gap) / COLUMN,
                1 - (top + high) / height,
                bar_width / COLUMN,
                high / height,
            )
        )
        draw_color_bar(figure, ax.images[0], bar)
        bar.tick_params(labelsize=_SMALL, length=1.5, pad=1)
    return figure


def _legend(ax: Axes) -> int:
    """The legend in two columns; how many lines it has."""
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(
        handles[::-1], labels[::-1], loc="upper left", ncols=2, frameon=False, fontsize=_SMALL,
        handlelength=2, columnspacing=1, labelspacing=0.25, borderaxespad=0, borderpad=0,
    )  # fmt: skip
    return -(-len(labels) // 2)


def _shrink(ax: Axes) -> None:
    ax.tick_params(labelsize=_FONT, length=2, pad=1.5)
    for label in (*ax.get_xticklabels(), *ax.get_yticklabels()):
        label.set_fontsize(_FONT)
    ax.xaxis.label.set_fontsize(_FONT + 0.5)
    ax.yaxis.label.set_fontsize(_FONT + 0.5)
    ax.xaxis.labelpad = 1.5


def _thin(ax: Axes) -> None:
    for line in ax.lines:
        line.set_linewidth(0.7 * line.get_linewidth())
        line.set_markersize(0.65 * line.get_markersize())
