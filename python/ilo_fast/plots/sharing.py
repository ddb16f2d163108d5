"""Curves over layers in panels below each other: sharing with its null, scores beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ilo_fast.plots.style import (
    INK,
    ShownFigure,
    draw_title,
    label_layers,
    plain_axes,
    style,
    text_width,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLORS: Final = {"shared": "#2a9d74", "null": "#7a7f87", "hidden": "#3a86c8", "features": "#e07a1f"}
"""Of translations, of shuffled pairs, of hidden states, of feature vectors."""


_LEAST_TOP: Final = 0.1
"""Of an axis: next to nothing shall look like it."""


@dataclass(frozen=True)
class SharingCurve:
    """One curve. Ends of the interval are NaN where there is none.

    Attributes
    ----------
    name : str
    values, low, high : float64, shape (layers,)
    color : str
    band : bool
        Whether the interval is a band; else error bars.
    dashed : bool
    """

    name: str
    values: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    color: str
    band: bool = False
    dashed: bool = False


@dataclass(frozen=True)
class SharingPanel:
    """Curves on one axis from 0 up.

    Attributes
    ----------
    label : str
        Of the axis; may have two lines.
    curves : tuple of SharingCurve
    chance : float64, shape (layers,), or None
    """

    label: str
    curves: tuple[SharingCurve, ...]
    chance: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class SharingCurves:
    """What the figure shows."""

    layers: tuple[int, ...]
    panels: tuple[SharingPanel, ...]
    title: str = ""
    subtitle: str = ""
    x_label: str = field(default="layer")


def sharing_figure(curves: SharingCurves) -> Figure:
    """One panel below the other, layers along x.

    Raises
    ------
    ValueError
        There is no panel.
    """
    if not curves.panels:
        raise ValueError("curves has no panel: wanted at least one")
    # Sizes in inches.
    width, margin, left, right = 7.4, 0.15, 0.82, 1.85
    tall, gap, top, bottom = 1.65, 0.26, 0.74, 0.5
    n = len(curves.panels)
    height = top + n * tall + (n - 1) * gap + bottom
    width = max(width, text_width([curves.subtitle], 8) + 2 * margin)
    inner = (width - left - right) / width
    with style():
        figure = ShownFigure(figsize=(width, height))
        for number, panel in enumerate(curves.panels):
            lower = height - top - (number + 1) * tall - number * gap
            ax = figure.add_axes((left / width, lower / height, inner, tall / height))
            _draw(ax, curves, panel)
            label_layers(
                ax, curves.layers, positions=curves.layers,
                room=int((width - left - right) / 0.28), embeddings=False,
            )  # fmt: skip
            ax.set_xlabel(curves.x_label if number == n - 1 else "", fontsize=8.5)
            if number < n - 1:
                ax.tick_params(labelbottom=False)
        draw_title(figure, curves.title, curves.subtitle, margin / width, height)
    return figure


def _draw(ax: Axes, curves: SharingCurves, panel: SharingPanel) -> None:
    layers = np.asarray(curves.layers)
    if panel.chance is not None:
        ax.plot(layers, panel.chance, color=INK, lw=1.0, dashes=(3, 2), label="chance", zorder=2)
    tops = [0.0]
    for curve in panel.curves:
        ends = np.stack([curve.low, curve.high])
        if curve.band and len(layers) > 1:
            ax.fill_between(layers, *ends, color=curve.color, alpha=0.3, lw=0)
        else:
            reach = np.clip([curve.values - curve.low, curve.high - curve.values], 0, None)
            ax.errorbar(
                layers, curve.values, yerr=reach, fmt="none", ecolor=curve.color, elinewidth=1.2,
                capsize=3, zorder=4,
            )  # fmt: skip
        ax.plot(
            layers, curve.values, color=curve.color, lw=1.8, marker="o", ms=3.6, label=curve.name,
            ls=(0, (4, 2)) if curve.dashed else "-", zorder=3,
        )  # fmt: skip
        shown = np.concatenate([ends.ravel(), curve.values])
        tops += shown[np.isfinite(shown)].tolist()
    top = max(_LEAST_TOP, *tops) if max(tops) > 0 else 1.0
    ax.set_ylim(-0.03 * top, 1.08 * top)
    pad = max(0.3, 0.012 * float(layers[-1] - layers[0]))
    ax.set_xlim(float(layers.min()) - pad, float(layers.max()) + pad)
    ax.set_ylabel(panel.label, fontsize=8.5)
    plain_axes(ax, "y")
    ax.tick_params(labelsize=8)
    ax.legend(
        loc="upper left", bbox_to_anchor=(1.01, 1.04), frameon=False, fontsize=7.8,
        handlelength=2.2, labelspacing=0.5, borderaxespad=0.2,
    )  # fmt: skip
