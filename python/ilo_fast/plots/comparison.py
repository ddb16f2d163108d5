"""Models overlaid: curves over layers with their bands, differences to the first below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ilo_fast._util.messages import elide
from ilo_fast.plots.style import (
    INK,
    ShownFigure,
    draw_title,
    label_layers,
    plain_axes,
    style,
    text_width,
)

Numbers = tuple["float | None", ...]

# Okabe and Ito's colours, told apart also by the colour-blind; without the yellow that white
# swallows. Lines differ in their dashes and marks, too.
_COLORS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", INK)
_MARKS: Final = "osD^vPX"
_LOW: Final = 0.5  # curves that stay below this are drawn on an axis of their own height
_DASHES: Final = ((), (5, 2), (1.5, 1.5), (5, 1.5, 1.5, 1.5))


@dataclass(frozen=True)
class ComparedCurve:
    """A model's means over languages, with their interval; None is a gap."""

    name: str
    layers: tuple[int, ...]
    values: Numbers
    low: Numbers
    high: Numbers


@dataclass(frozen=True)
class ComparedDifference:
    """The first model minus another, the curve number `other`."""

    other: int
    layers: tuple[int, ...]
    values: Numbers
    low: Numbers
    high: Numbers
    p_corrected: Numbers


@dataclass(frozen=True)
class ComparedScore:
    """One column of the figure; without differences it has curves alone."""

    name: str
    curves: tuple[ComparedCurve, ...]
    differences: tuple[ComparedDifference, ...]
    level: float


def comparison_figure(scores: Sequence[ComparedScore], *, subtitle: str) -> Figure:
    """One column per score: curves above, differences below where there are any."""
    # Sizes in inches.
    margin, left, inner, between, right = 0.15, 1.0, 4.3, 1.0, 0.2
    upper, lower, gap, top, bottom = 2.7, 1.6, 0.34, 0.98, 0.78
    below = any(score.differences for score in scores)
    width = left + inner * len(scores) + between * (len(scores) - 1) + right
    width = max(width, text_width([subtitle], 8) + 2 * margin)
    height = top + upper + bottom + (gap + lower if below else 0.0)
    with style():
        figure = ShownFigure(figsize=(width, height))
        for number, score in enumerate(scores):
            x = (left + number * (inner + between)) / width
            ax = figure.add_axes((x, 1 - (top + upper) / height, inner / width, upper / height))
            _draw_curves(ax, score)
            ax.set_title(score.name, fontsize=9, loc="left")
            lowest = ax
            if score.differences:
                lowest = figure.add_axes(
                    (x, bottom / height, inner / width, lower / height), sharex=ax
                )
                _draw_differences(lowest, score)
                ax.tick_params(labelbottom=False)
            _label(lowest, score)
        _draw_legend(figure, scores, width, height)
        draw_title(figure, "Models compared", subtitle, margin / width, height)
    return figure


def _label(ax: Axes, score: ComparedScore) -> None:
    layers = sorted({layer for curve in score.curves for layer in curve.layers})
    label_layers(ax, layers, positions=layers, room=14, embeddings=False)
    pad = max(0.3, 0.02 * (layers[-1] - layers[0]))
    ax.set_xlim(layers[0] - pad, layers[-1] + pad)


def _draw_curves(ax: Axes, score: ComparedScore) -> None:
    for number, curve in enumerate(score.curves):
        _draw_band(ax, number, curve.layers, curve.values, curve.low, curve.high)
    shown = [_floats(part) for curve in score.curves for part in (curve.values, curve.high)]
    highest = float(np.nanmax(np.concatenate(shown)))
    if highest > _LOW:
        ax.set_ylim(-0.02, 1.02)
        ax.set_yticks([0, 0.25, 0.5, 0.75, 1.0])
    else:
        ax.set_ylim(-0.03 * highest, 1.1 * highest or 1.0)
    ax.set_ylabel("mean over languages", fontsize=8.5)
    plain_axes(ax, "y")
    ax.tick_params(labelsize=8)


def _draw_differences(ax: Axes, score: ComparedScore) -> None:
    ax.axhline(0, color=INK, lw=0.9)
    for one in score.differences:
        _draw_band(ax, one.other, one.layers, one.values, one.low, one.high, marked=False)
        beyond = np.array([p is not None and p < 1 - score.level for p in one.p_corrected])
        values, color = _floats(one.values), _color(one.other)
        for chosen, fill in ((beyond, color), (~beyond, "white")):
            ax.plot(
                np.asarray(one.layers)[chosen], values[chosen], lw=0, ms=4.6, zorder=4,
                marker=_mark(one.other), mec=color, mfc=fill,
            )  # fmt: skip
    alone = len(score.differences) == 1
    other = elide(score.curves[score.differences[0].other].name, 18) if alone else "other"
    ax.set_ylabel(f"{elide(score.curves[0].name, 18)}\nminus {other}", fontsize=8.5)
    ax.yaxis.set_major_locator(MaxNLocator(5))
    plain_axes(ax, "y")
    ax.tick_params(labelsize=8)


def _draw_band(
    ax: Axes,
    number: int,
    layers: Sequence[int],
    values: Numbers,
    low: Numbers,
    high: Numbers,
    *,
    marked: bool = True,
) -> None:
    color, at = _color(number), np.asarray(layers)
    lower, upper = _floats(low), _floats(high)
    if len(at) == 1:  # a band between one point and itself would not be seen
        ax.vlines(at, lower, upper, color=color, alpha=0.5, lw=3)
    else:
        ax.fill_between(at, lower, upper, color=color, alpha=0.22, lw=0)
    ax.plot(
        at, _floats(values), color=color, lw=1.7, dashes=_DASHES[number % len(_DASHES)],
        marker=_mark(number) if marked else "", ms=3.6, zorder=3,
    )  # fmt: skip


def _draw_legend(
    figure: Figure, scores: Sequence[ComparedScore], width: float, height: float
) -> None:
    """Names above the curves; what filled marks mean at the foot."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], color=_color(i), lw=1.7, dashes=_DASHES[i % len(_DASHES)],
            marker=_mark(i), ms=4, label=elide(curve.name, 32),
        )
        for i, curve in enumerate(scores[0].curves)
    ]  # fmt: skip
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.08 / width, 1 - 0.55 / height),
        ncols=max(1, int(width / 2.1)), frameon=False, fontsize=8, handlelength=3.2,
    )  # fmt: skip
    if any(score.differences for score in scores):
        alpha = 1 - scores[0].level
        text = (
            f"bands: {100 * scores[0].level:g} % intervals, each layer for itself; filled marks: "
            f"p < {alpha:.2g}, corrected for all layers and pairs"
        )
        figure.text(0.15 / width, 0.12 / height, text, fontsize=7.5, alpha=0.8)


def _color(number: int) -> str:
    return _COLORS[number % len(_COLORS)]


def _mark(number: int) -> str:
    return _MARKS[number % len(_MARKS)]


def _floats(values: Numbers) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], np.float64)
