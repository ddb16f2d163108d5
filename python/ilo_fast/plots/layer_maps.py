"""Maps of the points in the plane, one panel per layer, coloured by groups of languages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from ilo_fast._util.messages import elide
from ilo_fast.plots.dendrogram_matrix import NARROW
from ilo_fast.plots.style import INK, ShownFigure, draw_title, style

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Okabe and Ito's colours without the black; groups beyond them are grey. In grey they differ
# little, so that clusters are named where they lie.
GROUP_COLORS: Final = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#b8a800",
)  # fmt: skip
OTHER_COLOR: Final = "#8a949e"
_LONGEST_NAME: Final = 20


@dataclass(frozen=True)
class LayerMaps:
    """What the maps show.

    Attributes
    ----------
    positions : float32, shape (layers, N, 2)
    layers : tuple of int
        Names of the panels.
    language_of_point : int64, shape (N,)
    languages : tuple of str
        Short names, written where most of a language's points lie together.
    group_of_language : tuple of str
        What gives the colour: a family, a script, a region.
    title, subtitle : str
    """

    positions: NDArray[np.float32]
    layers: tuple[int, ...]
    language_of_point: NDArray[np.int64]
    languages: tuple[str, ...]
    group_of_language: tuple[str, ...]
    title: str = ""
    subtitle: str = ""


def group_colors(groups: Sequence[str]) -> dict[str, str]:
    """Group -> colour: those of the most languages first, equals by name; the rest grey."""
    count = {group: list(groups).count(group) for group in groups}
    ranked = sorted(count, key=lambda group: (-count[group], group))
    return {
        group: GROUP_COLORS[i] if i < len(GROUP_COLORS) else OTHER_COLOR
        for i, group in enumerate(ranked)
    }


def layer_maps_figure(shown: LayerMaps, *, width: float = 6.3, columns: int = 3) -> Figure:
    """A square panel per layer, the legend of the groups below.

    Parameters
    ----------
    width : float
        In inches: 3.3 is one column of a paper, 6.3 two.
    columns : int
        Panels side by side.
    """
    colors = group_colors(shown.group_of_language)
    columns = min(columns, len(shown.layers))
    lines = math.ceil(len(shown.layers) / columns)
    margin, gap, head = 0.08, 0.08, 0.2
    side = (width - 2 * margin - (columns - 1) * gap) / columns
    names = [*_legend_names(colors)]
    per_line = max(1, int((width - 2 * margin) / 1.35))
    foot = 0.16 * math.ceil(len(names) / per_line) + 0.1
    titled = bool(shown.title) and width >= NARROW
    top = 0.6 if titled else 0.03
    height = top + lines * (side + head) + (lines - 1) * gap + foot
    with style():
        figure = ShownFigure(figsize=(width, height))
        for i, layer in enumerate(shown.layers):
            line, column = divmod(i, columns)
            left = margin + column * (side + gap)
            below = height - top - line * (side + head + gap) - head - side
            ax = figure.add_axes((left / width, below / height, side / width, side / height))
            ax.set_title(f"layer {layer}", fontsize=7.5, pad=3)
            _draw_points(ax, shown, i, colors, side)
        for i, (name, color) in enumerate(names):
            line, column = divmod(i, per_line)
            x, y = margin + 1.35 * column, foot - 0.14 - 0.16 * line
            figure.text(x / width, y / height, "\N{BLACK CIRCLE}", color=color, fontsize=8)
            figure.text((x + 0.13) / width, y / height, elide(name, _LONGEST_NAME), fontsize=7)
        if titled:
            draw_title(figure, shown.title, shown.subtitle, margin / width, height)
    return figure


def _legend_names(colors: dict[str, str]) -> list[tuple[str, str]]:
    named = [(group, color) for group, color in colors.items() if color != OTHER_COLOR]
    return named + ([("others", OTHER_COLOR)] if len(named) < len(colors) else [])


def _draw_points(ax: Axes, shown: LayerMaps, h: int, colors: dict[str, str], side: float) -> None:
    at, of = shown.positions[h], shown.language_of_point
    of_language = np.array([colors[group] for group in shown.group_of_language], object)
    # In a fixed random order: else the last language hides the others where they mix.
    order = np.random.default_rng(0).permutation(len(at))
    size = min(6.0, max(0.12, 2500 * side**2 / len(at) / 4))
    ax.scatter(
        at[order, 0], at[order, 1], s=size, c=of_language[of[order]].tolist(), lw=0,
        rasterized=True,
    )  # fmt: skip
    reach = 1.04 * float(np.quantile(np.abs(at), 0.998))
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[])
    ax.spines[:].set(color=INK, alpha=0.25, linewidth=0.5)
    _name_clusters(ax, shown, at, reach)


def _name_clusters(ax: Axes, shown: LayerMaps, at: NDArray[np.float32], reach: float) -> None:
    """Languages of which half of the points lie together, unless a name is there already."""
    placed: list[tuple[float, float]] = []
    for c, name in enumerate(shown.languages):
        own = at[shown.language_of_point == c]
        middle = np.median(own, axis=0)
        spread = float(np.median(np.abs(own - middle).sum(axis=1)))
        near = any(abs(middle[0] - x) < 0.17 * reach and abs(middle[1] - y) < 0.085 * reach
                   for x, y in placed)  # fmt: skip
        if spread < 0.3 * reach and not near:
            placed.append((float(middle[0]), float(middle[1])))
            text = ax.text(*placed[-1], name, fontsize=5, ha="center", va="center", color="black")
            text.set_path_effects([withStroke(linewidth=1.2, foreground="white")])
