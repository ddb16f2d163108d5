"""How well each layer tells languages apart: accuracy of probes, beside what is trivial."""

from __future__ import annotations

from collections.abc import Mapping
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

_COLORS: Final = {"x": "#3a86c8", "a": "#e07a1f"}
_NAMES: Final = {"x": "what the MLP reads", "a": "its active features"}
_DASHES: Final = ((3, 2), (1.2, 1.6), (5, 1.5, 1.2, 1.5))


@dataclass(frozen=True)
class ProbeCurves:
    """What the figure shows.

    Attributes
    ----------
    layers : tuple of int
    accuracy : mapping
        ``"x"`` and ``"a"`` -> (3, layers): accuracy and the ends of its interval.
    embedding : (accuracy, low, high), or None
        Of the probe on token embeddings.
    shuffled : (2, layers)
        Lowest and highest accuracy with permuted labels, of either kind.
    baselines : mapping
        Name -> accuracy of what needs no model.
    title, subtitle : str
    """

    layers: tuple[int, ...]
    accuracy: Mapping[str, NDArray[np.float64]]
    shuffled: NDArray[np.float64]
    embedding: tuple[float, float, float] | None = None
    baselines: Mapping[str, float] = field(default_factory=dict)
    title: str = ""
    subtitle: str = ""


def draw_probes(ax: Axes, curves: ProbeCurves) -> None:
    """Draw on axes of the caller."""
    layers = np.array(curves.layers)
    ax.fill_between(layers, *curves.shuffled, color=INK, alpha=0.18, lw=0, label="labels permuted")
    for (name, value), dashes in zip(curves.baselines.items(), _DASHES * 2, strict=False):
        ax.axhline(value, color=INK, lw=1.0, dashes=dashes, label=name, zorder=2)
    if curves.embedding is not None:
        value, low, high = curves.embedding
        ends = [[max(0.0, value - low)], [max(0.0, high - value)]]
        ax.errorbar(
            [layers[0] - 0.7], [value], yerr=ends, fmt="s", ms=4, color="#2a9d74", capsize=2.5,
            elinewidth=1.1, label="token embeddings",
        )  # fmt: skip
    for kind, values in curves.accuracy.items():
        place = layers + (0.05 if kind == "a" else -0.05)  # intervals beside each other
        ends = np.clip([values[0] - values[1], values[2] - values[0]], 0, None)
        ax.errorbar(
            place, values[0], yerr=ends, color=_COLORS[kind], lw=1.8, marker="o", ms=4,
            capsize=2.5, elinewidth=1.1, label=_NAMES[kind], zorder=4,
        )  # fmt: skip
    plain_axes(ax, "y")
    ax.set_xlim(layers[0] - (1.1 if curves.embedding is not None else 0.4), layers[-1] + 0.4)
    ax.set_ylim(-0.02, 1.03)
    ax.set_ylabel("accuracy, tokens of other documents", fontsize=8.5)
    ax.tick_params(labelsize=8)
    label_layers(ax, curves.layers, positions=curves.layers, room=16, embeddings=False)
    ax.legend(
        loc="upper left", bbox_to_anchor=(1.01, 1.02), frameon=False, fontsize=7.8,
        borderaxespad=0.0, handlelength=2.2,
    )  # fmt: skip


def probes_figure(curves: ProbeCurves, *, titled: bool = True) -> Figure:
    """The curves on a figure of their own."""
    margin, left = 0.15, 0.7
    named = [*curves.baselines, *_NAMES.values(), "token embeddings"]
    right = text_width(named, 7.8) + 0.62
    top, bottom, tall = 0.74 if titled else 0.12, 0.55, 2.9
    width = left + 4.6 + right
    if titled:
        width = max(width, text_width([curves.subtitle], 8) + 2 * margin)
    height = top + tall + bottom
    with style():
        figure = ShownFigure(figsize=(width, height))
        place = (left / width, bottom / height, (width - left - right) / width, tall / height)
        draw_probes(figure.add_axes(place), curves)
        if titled:
            draw_title(figure, curves.title, curves.subtitle, margin / width, height)
    return figure
