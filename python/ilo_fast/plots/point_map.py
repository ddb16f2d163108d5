"""Points in two dimensions, coloured by what they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.figure import Figure

from ilo_fast._util.messages import elide
from ilo_fast.plots.style import ShownFigure, draw_title, style, text_width

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Okabe and Ito's colours, and three more; they differ in their marks, too, for prints in grey.
_COLORS: Final = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7a5195", "#8c6d46",
)  # fmt: skip
_MARKS: Final = "osD^vPXd"
_REST: Final = "#b8bec5"
_SEED: Final = 0


@dataclass(frozen=True)
class PointMap:
    """What the figure shows.

    Attributes
    ----------
    positions : shape (points, 2)
    groups : int, shape (points,)
        Number of each point's name; what has no colour of its own is grey.
    names : tuple of str
        The largest first.
    title, subtitle : str
    """

    positions: NDArray[np.float32]
    groups: NDArray[np.int64]
    names: tuple[str, ...]
    title: str = ""
    subtitle: str = ""


def point_map_figure(points: PointMap) -> Figure:
    """The map on a figure of its own, 5 inches wide, its legend beside it."""
    shown = points.names[: len(_COLORS)]
    labels = [elide(name, 28) for name in shown]
    rest = len(points.names) > len(shown)
    # Sizes in inches.
    side, margin, top = 4.6, 0.15, 0.72 if points.title else 0.1
    legend = text_width([*labels, "others"], 8) + 0.45
    width = 2 * margin + side + legend
    if points.title:
        width = max(width, text_width([points.subtitle], 8) + 2 * margin)
    height = top + side + margin
    with style():
        figure = ShownFigure(figsize=(width, height))
        place = (margin / width, margin / height, side / width, side / height)
        ax = figure.add_axes(place)
        order = np.random.default_rng(_SEED).permutation(len(points.positions))
        size = float(np.clip(20000 / max(1, len(order)), 0.6, 14))
        own = np.minimum(points.groups, len(_COLORS))[order]
        x, y = points.positions[order].T
        if rest:
            grey = own == len(_COLORS)
            ax.scatter(x[grey], y[grey], s=size, c=_REST, lw=0, rasterized=True)
        # In turns, so that no group lies on top everywhere.
        for part in np.array_split(np.arange(len(order)), 12):
            for number in range(len(shown)):
                mine = part[own[part] == number]
                ax.scatter(
                    x[mine], y[mine], s=size, c=_COLORS[number], marker=_MARKS[number], lw=0,
                    rasterized=True,
                )  # fmt: skip
        ax.set_aspect("equal", adjustable="datalim")
        ax.set_xticks([])
        ax.set_yticks([])
        for spine in ax.spines.values():
            spine.set_alpha(0.3)
        _draw_legend(figure, labels, rest, (margin + side + 0.08) / width, 1 - top / height)
        if points.title:
            draw_title(figure, points.title, points.subtitle, margin / width, height)
    return figure


def _draw_legend(figure: Figure, labels: list[str], rest: bool, left: float, upper: float) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], lw=0, marker=_MARKS[i], color=_COLORS[i], ms=5, label=label)
        for i, label in enumerate(labels)
    ]
    if rest:
        handles.append(Line2D([], [], lw=0, marker="o", color=_REST, ms=5, label="others"))
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(left, upper), frameon=False, fontsize=8,
        borderaxespad=0, handletextpad=0.3,
    )  # fmt: skip
