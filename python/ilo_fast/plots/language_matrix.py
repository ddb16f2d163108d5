"""Which language neighbours which: a matrix of links over chance, ordered by its dendrogram."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ilo_fast._util.messages import elide
from ilo_fast.plots.style import INK, ShownFigure, draw_color_bar, draw_title, style, text_width

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LOWEST: Final = -3.0  # of the colours: an eighth of what chance gives
_LONGEST_LABEL: Final = 22


@dataclass(frozen=True)
class LanguageMatrix:
    """What the matrix shows, of one layer.

    Attributes
    ----------
    log_ratio : float64, shape (languages, languages)
        log2 of the links over those by chance; row = the language whose neighbours they are.
    linkage : float64, shape (languages - 1, 4)
        As SciPy writes it.
    order : int64, shape (languages,)
        The leaves of the dendrogram from top to bottom.
    labels : tuple of str
    title, subtitle : str
    """

    log_ratio: NDArray[np.float64]
    linkage: NDArray[np.float64]
    order: NDArray[np.int64]
    labels: tuple[str, ...]
    title: str = ""
    subtitle: str = ""


def language_matrix_figure(matrix: LanguageMatrix, *, width: float = 6.3) -> Figure:
    """The matrix with its dendrogram on the left, languages named on the right and below.

    Parameters
    ----------
    width : float
        In inches: 3.3 is one column of a paper, 6.3 two.
    """
    n = len(matrix.labels)
    labels = [elide(matrix.labels[i], _LONGEST_LABEL) for i in matrix.order]
    margin, bar = 0.12, 0.62
    tree = 0.16 * width
    font = 8.0
    for _ in range(3):  # letters as high as a row, rows as wide as the letters leave
        names = text_width(labels, font) + 0.06
        side = width - 2 * margin - tree - names - bar
        font = min(8.0, 0.88 * 72 * side / n)
    below = names if font >= 4 else 0.05
    named = bool(matrix.title)
    top = 0.62 if named else 0.08
    height = top + side + below + 0.08
    with style():
        figure = ShownFigure(figsize=(width, height))

        def axes(left: float, across: float) -> Axes:
            return figure.add_axes(
                (left / width, 1 - (top + side) / height, across / width, side / height)
            )

        _draw_tree(axes(margin, tree - 0.03), matrix)
        ax = axes(margin + tree, side)
        cells = matrix.log_ratio[np.ix_(matrix.order, matrix.order)]
        highest = max(1.0, float(np.nanpercentile(cells, 99.5)))
        image = ax.imshow(
            cells, cmap="cividis", vmin=_LOWEST, vmax=highest, aspect="auto",
            interpolation="nearest",
        )  # fmt: skip
        ax.yaxis.tick_right()
        shown = labels if font >= 4 else [""] * n  # below, a name could not be read
        ax.set_yticks(range(n), shown, fontsize=font)
        ax.set_xticks(range(n), shown, fontsize=font, rotation=90)
        ax.tick_params(length=0, pad=2)
        ax.spines[:].set_visible(False)
        colors = figure.add_axes(
            (
                (width - margin - bar + 0.2) / width,
                1 - (top + min(side, 1.6)) / height,
                0.1 / width,
                min(side, 1.6) / height,
            )
        )
        draw_color_bar(figure, image, colors)
        colors.yaxis.set_major_formatter(FuncFormatter(_times))
        colors.set_yticks(range(int(_LOWEST), int(highest) + 1, 1 if highest < 3 else 2))
        colors.tick_params(labelsize=6.5)
        colors.set_title("of chance", fontsize=6.5, loc="center", pad=4)
        if named:
            draw_title(figure, matrix.title, matrix.subtitle, margin / width, height)
    return figure


def _times(power: float, _: object = None) -> str:
    """``"4"`` times as many, ``"1/8"`` as many."""
    return f"{2**power:g}" if power >= 0 else f"1/{2**-power:g}"


def _draw_tree(ax: Axes, matrix: LanguageMatrix) -> None:
    """Merges at their distance, leaves on the right."""
    n = len(matrix.labels)
    place = {int(leaf): float(y) for y, leaf in enumerate(matrix.order)}
    height = dict.fromkeys(range(n), 0.0)
    for step, (a, b, distance, _) in enumerate(matrix.linkage):
        ends = sorted((int(a), int(b)), key=place.__getitem__)
        y = [place[ends[0]], place[ends[0]], place[ends[1]], place[ends[1]]]
        x = [height[ends[0]], distance, distance, height[ends[1]]]
        ax.plot(x, y, color=INK, lw=0.7, solid_joinstyle="miter")
        place[n + step], height[n + step] = (y[0] + y[2]) / 2, float(distance)
    ax.set_xlim(1.02, 0)
    ax.set_ylim(n - 0.5, -0.5)
    ax.set_yticks([])
    ax.set_xticks([0.5, 1], ["chance", "never"], fontsize=5.5, ha="center")
    ax.axvline(0.5, color=INK, lw=0.5, dashes=(2, 2), alpha=0.6)
    ax.tick_params(length=2, width=0.5, pad=1)
    ax.spines[["top", "left", "right"]].set_visible(False)
