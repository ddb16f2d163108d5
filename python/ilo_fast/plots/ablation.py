"""What switching off the features of one language does to the loss in others, as a matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ilo_fast.plots.style import INK, ShownFigure, draw_color_bar, draw_title, style, text_width

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class AblationCells:
    """What the matrix shows.

    Attributes
    ----------
    change : (sets, languages) float64
        Nats per token.
    marked : (sets, languages) bool
        Cells with a frame: those that survive.
    sets, languages : tuple of str
        Labels of rows and columns.
    mark : str
        What a frame says.
    title, subtitle : str
    """

    change: NDArray[np.float64]
    marked: NDArray[np.bool_]
    sets: tuple[str, ...]
    languages: tuple[str, ...]
    mark: str = ""
    title: str = ""
    subtitle: str = ""


def ablation_figure(cells: AblationCells, *, titled: bool = True) -> Figure:
    """Rows are the sets that are switched off, columns the languages of the text."""
    n_rows, n_columns = cells.change.shape
    font, side = 8.0, min(0.55, max(0.2, 5.0 / n_columns))
    digits = side >= 0.4
    labels = text_width(cells.sets, font) + 0.3
    named = text_width(cells.languages, font) + 0.12
    margin, bar_gap, bar, bar_labels = 0.15, 0.15, 0.12, 0.62
    top, below = 0.72 if titled else 0.12, named + 0.5
    width = margin + labels + side * n_columns + bar_gap + bar + bar_labels
    if titled:
        width = max(
            width,
            1.15 * text_width([cells.title], 12) + 2 * margin,  # it is bold
            text_width([cells.subtitle], 8) + 2 * margin,
        )
    width = max(width, text_width([cells.mark], 7) + 2 * margin)
    height = top + side * n_rows + below
    most = max(float(np.abs(cells.change).max()), 1e-6)
    with style():
        figure = ShownFigure(figsize=(width, height))

        def box(left: float, across: float, tall: float) -> tuple[float, float, float, float]:
            return left / width, 1 - (top + tall) / height, across / width, tall / height

        ax = figure.add_axes(box(margin + labels, side * n_columns, side * n_rows))
        image = ax.imshow(
            cells.change, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto",
            interpolation="nearest",
        )  # fmt: skip
        ax.set_yticks(range(n_rows), cells.sets, fontsize=font)
        ax.set_xticks(range(n_columns), cells.languages, fontsize=font, rotation=90)
        ax.tick_params(length=0, pad=3)
        ax.spines[:].set_visible(False)
        ax.set_ylabel("features switched off", fontsize=8.5)
        ax.set_xlabel("language of the text", fontsize=8.5)
        for (row, column), value in np.ndenumerate(cells.change):
            if digits:
                pale = abs(value) < 0.6 * most
                ax.text(
                    column, row, _short(float(value)), ha="center", va="center", fontsize=6.6,
                    color="#1b1b1b" if pale else "#f7f7f7",
                )  # fmt: skip
            if cells.marked[row, column]:
                ax.add_patch(_frame(row, column))
        colors = figure.add_axes(
            box(margin + labels + side * n_columns + bar_gap, bar, min(2.2, side * n_rows))
        )
        draw_color_bar(figure, image, colors)
        colors.set_title("nats", fontsize=7, loc="left", pad=4)
        if cells.mark:
            figure.text(margin / width, 0.08 / height, cells.mark, fontsize=7, alpha=0.85)
        if titled:
            draw_title(figure, cells.title, cells.subtitle, margin / width, height)
    return figure


def _frame(row: int, column: int) -> Rectangle:
    return Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, fill=False, ec=INK, lw=1.6)


def _short(value: float) -> str:
    text = f"{value:+.3f}" if abs(value) < 0.1 else f"{value:+.2f}"
    return text.replace("0.", ".", 1) if float(text) else "0"
