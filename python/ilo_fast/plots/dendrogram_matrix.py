"""Which language neighbours which: a matrix of links over chance, ordered by its dendrogram."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ilo_fast._util.messages import elide
from ilo_fast.plots.style import INK, ShownFigure, draw_color_bar, draw_title, style, text_width

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LOWEST: Final = -3.0  # of the colours: an eighth of what chance gives
_LONGEST_LABEL: Final = 22
_LEAST_FONT: Final = 3.5
NARROW: Final = 5.0  # inches; below, a figure is one column of a paper, whose caption is its title


@dataclass(frozen=True)
class DendrogramMatrix:
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
    plain : str
        Where it is not empty, what the cells are instead of a log ratio: 0 by chance, 1 at most.
        Their colours begin at 0 or the lowest, and distances of merges are 1 less the cells.
    """

    log_ratio: NDArray[np.float64]
    linkage: NDArray[np.float64]
    order: NDArray[np.int64]
    labels: tuple[str, ...]
    title: str = ""
    subtitle: str = ""
    plain: str = ""


def dendrogram_matrix_figure(matrix: DendrogramMatrix, *, width: float = 6.3) -> Figure:
    """The matrix with its dendrogram on the left, languages named on the right.

    Parameters
    ----------
    width : float
        In inches: 3.3 is one column of a paper, 6.3 two.
    """
    n = len(matrix.labels)
    labels = [elide(matrix.labels[i], _LONGEST_LABEL) for i in matrix.order]
    narrow = width < NARROW
    margin, bar, tree = 0.12, 0.0 if narrow else 0.62, 0.14 * width
    font = 8.0
    for _ in range(3):  # letters as high as a row, rows as wide as the letters leave
        names = text_width(labels, font) + 0.06
        side = width - 2 * margin - tree - names - bar
        font = min(8.0, 0.9 * 72 * side / n)
    if font < _LEAST_FONT:  # names could not be read
        labels = [""] * n
        side = width - 2 * margin - tree - bar
    titled = bool(matrix.title) and not narrow
    top, below = 0.62 if titled else 0.06, 0.42 if narrow else names + 0.1
    height = top + side + below
    with style():
        figure = ShownFigure(figsize=(width, height))

        def axes(left: float, across: float, lower: float = 0.0, tall: float = side) -> Axes:
            """Inches; `lower` is below the upper edge of the matrix."""
            return figure.add_axes(
                (
                    left / width,
                    1 - (top + lower + tall) / height,
                    across / width,
                    tall / height,
                )
            )

        _draw_tree(axes(margin, tree - 0.03), matrix)
        ax = axes(margin + tree, side)
        cells = matrix.log_ratio[np.ix_(matrix.order, matrix.order)]
        lowest, highest = _scale(cells, plain=bool(matrix.plain))
        image = ax.imshow(
            cells, cmap="cividis", vmin=lowest, vmax=highest, aspect="auto",
            interpolation="nearest",
        )  # fmt: skip
        ax.yaxis.tick_right()
        ax.set_yticks(range(n), labels, fontsize=font)
        ax.set_xticks(range(n), [""] * n if narrow else labels, fontsize=font, rotation=90)
        ax.tick_params(length=0, pad=2)
        ax.spines[:].set_visible(False)
        ticks = list(range(int(_LOWEST), int(highest) + 1, 1 if highest < 3 else 2))
        if narrow:
            colors = axes(margin + tree, side, side + 0.1, 0.07)
            scale = figure.colorbar(image, cax=colors, orientation="horizontal")
            scale.outline.set_visible(False)
            if not matrix.plain:
                scale.set_ticks(ticks, labels=[_times(t) for t in ticks])
            colors.tick_params(labelsize=5.5, length=2, width=0.5, pad=1)
            colors.set_xlabel(matrix.plain or "links over chance", fontsize=5.5, labelpad=1)
        else:
            colors = axes(width - margin - bar + 0.2, 0.1, 0.0, min(side, 1.6))
            draw_color_bar(figure, image, colors)
            if matrix.plain:
                colors.tick_params(labelsize=6.5)
            else:
                colors.set_yticks(ticks, [_times(t) for t in ticks], fontsize=6.5)
                colors.set_title("of chance", fontsize=6.5, loc="center", pad=4)
        if titled:
            draw_title(figure, matrix.title, matrix.subtitle, margin / width, height)
    return figure


def _scale(cells: NDArray[np.float64], *, plain: bool) -> tuple[float, float]:
    """Ends of the colours."""
    if plain:
        return min(0.0, float(np.nanmin(cells))), max(1e-3, float(np.nanmax(cells)))
    return _LOWEST, max(1.0, float(np.nanpercentile(cells, 99.5)))


def _times(power: int) -> str:
    """``"4"`` times as many, ``"1/8"`` as many."""
    return f"{2**power:g}" if power >= 0 else f"1/{2**-power:g}"


def _draw_tree(ax: Axes, matrix: DendrogramMatrix) -> None:
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
    ax.set_ylim(n - 0.5, -0.5)
    ax.set_yticks([])
    chance = 1.0 if matrix.plain else 0.5
    if matrix.plain:  # from the nearest merge to chance
        merges = matrix.linkage[:, 2]
        low, high = float(merges.min()), max(1.0, float(merges.max()))
        ax.set_xlim(high + 0.03 * (high - low), low - 0.3 * (high - low) - 1e-6)
        ax.set_xticks([1.0], ["chance"], fontsize=5.5, ha="left")
    else:
        ax.set_xlim(1.02, 0)
        ax.set_xticks([0.5, 1], ["chance", ""], fontsize=5.5)
    ax.axvline(chance, color=INK, lw=0.5, dashes=(2, 2), alpha=0.6)
    ax.tick_params(length=2, width=0.5, pad=1)
    ax.spines[["top", "left", "right"]].set_visible(False)
