"""The swap matrix: how often substitution ends in the target's language, by source and target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ilo_fast.plots.style import ShownFigure, draw_color_bar, draw_title, style, text_width

_CELL: Final = 0.42  # inches
_FONT: Final = 8.0


@dataclass(frozen=True)
class SwapTable:
    """What the figure shows.

    Attributes
    ----------
    languages : tuple of str
    success : (languages, languages)
        Share of the target's language, source by row; NaN: no result.
    difference : (languages, languages)
        The same minus the best baseline's, -1 to 1.
    title, subtitle : str
    """

    languages: tuple[str, ...]
    success: NDArray[np.float64]
    difference: NDArray[np.float64]
    title: str
    subtitle: str


def swap_figure(table: SwapTable) -> Figure:
    """Two matrices side by side: success, and success minus the best baseline's."""
    side = max(_CELL * len(table.languages), 1.5)
    labels = text_width(table.languages, _FONT) + 0.15
    margin, bar_gap, bar, bar_labels, gap = 0.15, 0.09, 0.1, 0.45, 0.35
    top, bottom = 0.85, labels + 0.3
    lefts = [margin + labels + 0.15, margin + labels + 0.15 + side + bar_gap + bar + bar_labels]
    lefts[1] += gap
    width = lefts[1] + side + bar_gap + bar + bar_labels + margin
    title = 1.15 * text_width([table.title], 12)  # it is bold
    width = max(width, max(text_width([table.subtitle], 8), title) + 2 * margin)
    height = top + side + bottom
    panels = (
        ("in the target's language", table.success, "viridis", 0.0),
        ("minus the best baseline", table.difference, "RdBu", -1.0),
    )
    with style():
        figure = ShownFigure(figsize=(width, height))
        for left, (above, values, colors, low) in zip(lefts, panels, strict=True):
            box = (left / width, bottom / height, side / width, side / height)
            ax = figure.add_axes(box)
            image = ax.imshow(
                values, aspect="auto", interpolation="nearest", cmap=colors, vmin=low, vmax=1.0
            )
            ticks = range(len(table.languages))
            ax.set_xticks(ticks, table.languages, fontsize=_FONT, rotation=90)
            ax.set_yticks(ticks, table.languages if left == lefts[0] else [""] * len(ticks))
            ax.tick_params(length=0, pad=3, labelsize=_FONT)
            ax.spines[:].set_visible(False)
            ax.set_xlabel("target", fontsize=8.5)
            if left == lefts[0]:
                ax.set_ylabel("source", fontsize=8.5)
            ax.set_title(above, fontsize=9, loc="left", pad=4)
            for (row, column), value in np.ndenumerate(values):
                if np.isfinite(value):
                    dark = value < 0.55 if low == 0 else abs(value) > 0.6
                    text = f"{value:.2f}" if low == 0 else f"{value:+.2f}"
                    ax.text(
                        column, row, text, ha="center", va="center", fontsize=6.5,
                        color="white" if dark else "black",
                    )  # fmt: skip
            beside = ((left + side + bar_gap) / width, box[1], bar / width, box[3])
            draw_color_bar(figure, image, figure.add_axes(beside))
        draw_title(figure, table.title, table.subtitle, margin / width, height)
    return figure
