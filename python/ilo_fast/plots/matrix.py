"""Language by language: how many neighbours in each other language, over chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from matplotlib.figure import Figure

from ilo_fast._util.messages import elide
from ilo_fast.plots.style import (
    INK,
    ShownFigure,
    draw_color_bar,
    draw_title,
    style,
    text_width,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_REACH: Final = 4.0  # log2: from a sixteenth of chance to sixteen times


@dataclass(frozen=True)
class LanguageMatrix:
    """What the figure shows.

    Attributes
    ----------
    log_ratio : float64, shape (languages, languages)
        log2 of links over chance, from the row's language to the column's; NaN is left grey.
    labels : tuple of str
        What stands beside each row.
    codes : tuple of str
        What stands above each column.
    """

    log_ratio: NDArray[np.float64]
    labels: tuple[str, ...]
    codes: tuple[str, ...]


def matrix_figure(matrix: LanguageMatrix, *, title: str = "", subtitle: str = "") -> Figure:
    """The matrix on a figure of its own: brighter is more, so that it can be read in grey."""
    n = len(matrix.labels)
    font, cell = (8.0, 0.17) if n <= 48 else (5.0, 0.085)
    # Sizes in inches.
    margin, bar_gap, bar_width, bar_labels, bottom = 0.15, 0.18, 0.13, 0.62, 0.15
    codes = tuple(elide(code, 14) for code in matrix.codes)
    left = margin + text_width(matrix.labels, font) + 0.12
    top = text_width(codes, font) + 0.2 + (0.62 if title else 0.0)
    cells = max(cell * n, 1.2)
    width = left + cells + bar_gap + bar_width + bar_labels
    if title:
        width = max(width, text_width([subtitle], 8) + 2 * margin)
    height = top + cells + bottom
    with style():
        figure = ShownFigure(figsize=(width, height))
        ax = figure.add_axes((left / width, bottom / height, cells / width, cells / height))
        ax.set_facecolor("#b0b0b0")
        image = ax.imshow(
            matrix.log_ratio, cmap="viridis", vmin=-_REACH, vmax=_REACH, interpolation="nearest"
        )
        ax.set_yticks(range(n), matrix.labels, fontsize=font)
        ax.set_xticks(range(n), codes, fontsize=font, rotation=90)
        ax.tick_params(length=0, pad=3, labeltop=True, labelbottom=False)
        for spine in ax.spines.values():
            spine.set_visible(False)
        tall = min(2.2, cells)
        bar = figure.add_axes(
            (
                (left + cells + bar_gap) / width,
                1 - (top + tall) / height,
                bar_width / width,
                tall / height,
            )
        )
        draw_color_bar(figure, image, bar)
        bar.set_yticks([-4, -2, 0, 2, 4], ["1/16", "1/4", "chance", "4", "16"])
        bar.axhline(0, color=INK, lw=0.8)
        if title:
            draw_title(figure, title, subtitle, margin / width, height)
    return figure
