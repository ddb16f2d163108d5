"""Scores over training: a line for each layer against optimizer steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ilo_fast.plots.style import (
    INK,
    ShownFigure,
    draw_color_bar,
    draw_title,
    plain_axes,
    style,
    text_width,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NAMED_UP_TO = 14  # layers that are named at the ends of their lines; above, a colour bar
_DOTS_UP_TO = 40  # measurements that get a dot; above, dots hide the line


@dataclass(frozen=True)
class TrajectoryPanel:
    """What one panel shows.

    Attributes
    ----------
    values : float64, shape (steps, layers)
        NaN is a gap in the line.
    name : str
        What stands beside the axis.
    chance : float or None
        Drawn as a line of its own, on an axis as high as the values; None: an axis from 0 to 1.
    """

    values: NDArray[np.float64]
    name: str
    chance: float | None = None


def trajectory_figure(
    steps: Sequence[int],
    layers: Sequence[int],
    panels: Sequence[TrajectoryPanel],
    *,
    title: str,
    subtitle: str,
) -> Figure:
    """Panels below each other, over the same steps and of the same layers."""
    # Sizes in inches.
    heights = [2.7] + [2.0] * (len(panels) - 1)
    margin, left, gap, top, bottom = 0.15, 0.78, 0.3, 0.74, 0.5
    right = 0.95 if len(layers) <= _NAMED_UP_TO else 1.2
    width = max(7.4, text_width([subtitle], 8) + 2 * margin)
    height = top + sum(heights) + gap * (len(heights) - 1) + bottom
    with style():
        figure = ShownFigure(figsize=(width, height))
        inner = (width - left - right) / width
        axes: list[Axes] = []
        upper = top
        for panel, tall in zip(panels, heights, strict=True):
            box = (left / width, 1 - (upper + tall) / height, inner, tall / height)
            ax = figure.add_axes(box, sharex=axes[0] if axes else None)
            _draw(ax, np.asarray(steps), layers, panel)
            ax.tick_params(labelbottom=panel is panels[-1])
            axes.append(ax)
            upper += tall + gap
        axes[-1].set_xlabel("optimizer step", fontsize=8.5)
        if len(layers) > _NAMED_UP_TO:
            across = (width - right + 0.2) / width
            box = (across, 1 - (top + heights[0]) / height, 0.13 / width, heights[0] / height)
            _draw_layer_bar(figure, layers, box)
        draw_title(figure, title, subtitle, margin / width, height)
    return figure


def _draw(
    ax: Axes, steps: NDArray[np.int64], layers: Sequence[int], panel: TrajectoryPanel
) -> None:
    values, chance = panel.values, panel.chance
    colors = _colors(len(layers))
    dots = "o" if len(steps) <= _DOTS_UP_TO else ""
    thick = 1.7 if len(layers) <= _NAMED_UP_TO else 1.1
    for h, layer in enumerate(layers):
        ax.plot(
            steps, values[:, h], color=colors[h], lw=thick, marker=dots, ms=3.2, zorder=3 + h / 100,
            label=f"layer {layer}",
        )  # fmt: skip
    if chance is None:
        ax.set_ylim(-0.02, 1.02)
        ax.set_yticks([0, 0.25, 0.5, 0.75, 1.0])
    else:
        ax.axhline(chance, color=INK, lw=1.0, dashes=(3, 2), zorder=2.5)
        top = max(float(np.nanmax(values)), chance)
        ax.set_ylim(-0.03 * top, top * 1.1 if top > 0 else 1.0)
    ax.set_ylabel(panel.name, fontsize=8.5)
    plain_axes(ax, "y")
    ax.tick_params(labelsize=8)
    if len(set(steps)) == 1:
        ax.set_xticks([steps[0]])
    else:
        ax.xaxis.set_major_locator(MaxNLocator(nbins=10, steps=[1, 2, 2.5, 5, 10], integer=True))
    pad = max(0.5, 0.012 * float(steps.max() - steps.min()))
    ax.set_xlim(float(steps.min()) - pad, float(steps.max()) + pad)
    last = values[~np.isnan(values).any(axis=1)][-1]
    ends = [] if chance is None else [("chance", chance, INK)]
    if len(layers) <= _NAMED_UP_TO:
        words = {0, len(layers) - 1} if len(layers) > 2 else range(len(layers))
        for h, layer in enumerate(layers):
            ends.append((f"layer {layer}" if h in words else f"{layer}", float(last[h]), colors[h]))
    _name_lines(ax, ends)


def _colors(n: int) -> list[Any]:
    """From dark (the embeddings) to light, without the yellow that white swallows."""
    return [_map()(x) for x in np.linspace(0.0, 1.0, n)] if n > 1 else [_map()(0.35)]


def _map() -> Colormap:
    return ListedColormap(mpl.colormaps["viridis"](np.linspace(0.0, 0.84, 256)))


def _name_lines(ax: Axes, ends: Sequence[tuple[str, float, Any]]) -> None:
    """Names at the right ends of lines, moved apart where lines end together."""
    if not ends:
        return
    low, high = ax.get_ylim()
    per_inch = (high - low) / (ax.bbox.height / ax.figure.dpi)
    places = _apart(np.array([end for _, end, _ in ends]), 0.135 * per_inch, low, high)
    for (name, end, color), place in zip(ends, places, strict=True):
        ax.annotate(
            name,
            xy=(1.004, end),
            xytext=(1.03, float(place)),
            xycoords=ax.get_yaxis_transform(),
            textcoords=ax.get_yaxis_transform(),
            fontsize=7.8,
            va="center",
            color=color,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-", "color": color, "lw": 0.6, "alpha": 0.7,
                "shrinkA": 1.5, "shrinkB": 0, "relpos": (0, 0.5),
            },
        )  # fmt: skip


def _apart(
    wanted: NDArray[np.float64], distance: float, low: float, high: float
) -> NDArray[np.float64]:
    """Places near `wanted`, in its order, at least `distance` apart and within the limits.

    Too many for the room between the limits stand closer.
    """
    distance = min(distance, (high - low) / max(1, len(wanted) - 1))
    order = np.argsort(wanted, kind="stable")
    # Neighbours that are too close form a group, which stands about the mean of its wishes.
    groups: list[tuple[float, list[int]]] = []
    for index in order:
        centre, members = float(wanted[index]), [int(index)]
        while True:
            half = distance * (len(members) - 1) / 2
            centre = min(max(centre, low + half), high - half)
            if not groups:
                break
            other, others = groups[-1]
            if centre - half - (other + distance * (len(others) - 1) / 2) >= distance * (1 - 1e-9):
                break
            groups.pop()
            members = others + members
            centre = float(wanted[members].mean())
        groups.append((centre, members))
    places = np.empty(len(wanted))
    for centre, members in groups:
        for rank, index in enumerate(members):
            places[index] = centre + distance * (rank - (len(members) - 1) / 2)
    return places


def _draw_layer_bar(
    figure: Figure, layers: Sequence[int], box: tuple[float, float, float, float]
) -> None:
    """The colour of each layer, one step of the bar per layer."""
    n = len(layers)
    norm = BoundaryNorm(np.arange(n + 1) - 0.5, n)
    image = ScalarMappable(norm, ListedColormap(_colors(n)))
    bar = figure.add_axes(box)
    draw_color_bar(figure, image, bar)
    every = next(s for s in (1, 2, 4, 5, 8, 10, 20, 25, n) if n / s <= 9)
    marked = list(range(0, n, every))
    bar.set_yticks(marked, [str(layers[i]) for i in marked])
    bar.minorticks_off()
    bar.set_ylabel("layer", fontsize=8.5)
