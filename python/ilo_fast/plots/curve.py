"""Means over languages by layer: ILO with its spread, bridge, reach; translations below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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

_COLORS = {"ilo": "#3a86c8", "bridge": "#e07a1f", "reach": "#2a9d74"}
_DASHES = {"bridge": (4, 2), "reach": (1.2, 1.6)}
_TRANSLATIONS = "#9d5bb5"
_NAMES = {"ilo": "ILO", "bridge": "bridge", "reach": "reach", "translation_share": "translations"}


@dataclass(frozen=True)
class LayerCurves:
    """What the curves show.

    Attributes
    ----------
    ilo, bridge, reach : float64, shape (layers, languages)
    layers : tuple of int
    translation_share : float64, shape (layers, languages), or None
    translation_chance : float or None
        The mean share by chance; None where the text is not parallel.
    chance_given_graph : float64, shape (layers,), or None
        The same, given how many neighbours are in other languages.
    intervals : mapping
        Score -> lower and upper ends of the interval of its mean, each float64, shape (layers,).
    under_mixing : mapping
        Score -> its mean where neighbours are drawn at random.
    embeddings : bool
        Whether layer 0 is a model's embeddings.
    subtitle : str
    """

    ilo: NDArray[np.float64]
    bridge: NDArray[np.float64]
    reach: NDArray[np.float64]
    layers: tuple[int, ...]
    translation_share: NDArray[np.float64] | None = None
    translation_chance: float | None = None
    chance_given_graph: NDArray[np.float64] | None = None
    intervals: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = field(
        default_factory=dict
    )
    under_mixing: Mapping[str, float] = field(default_factory=dict)
    embeddings: bool = False
    subtitle: str = ""
    score: str | None = None


def draw_curve(ax: Axes, curves: LayerCurves) -> None:
    """Draw one panel on axes of the caller: ILO, bridge and reach, or the one score."""
    share, chance = curves.translation_share, curves.translation_chance
    if curves.score == "translation_share" and share is not None and chance is not None:
        _draw_translations(ax, curves, share, chance)
    else:
        _draw_overlap(ax, curves)
    _label_layers(ax, curves, room=12)


def curve_figure(curves: LayerCurves, *, titled: bool = True) -> Figure:
    """The curves on a figure of their own, two panels where the text is parallel.

    ``titled=False`` leaves title and settings to the page around it.
    """
    share, chance = curves.translation_share, curves.translation_chance
    parallel = share is not None and chance is not None and curves.score is None
    # Sizes in inches.
    width, margin, left, right = 7.4, 0.15, 0.78, 1.55
    upper, lower, gap, top, bottom = 2.7, 1.35, 0.34, 0.74 if titled else 0.1, 0.55
    height = top + upper + bottom + (gap + lower if parallel else 0.0)
    if titled:
        width = max(width, text_width([curves.subtitle], 8) + 2 * margin)

    with style():
        figure = ShownFigure(figsize=(width, height))
        inner = (width - left - right) / width
        ax = figure.add_axes((left / width, 1 - (top + upper) / height, inner, upper / height))
        draw_curve(ax, curves)
        lowest = ax
        if parallel and share is not None and chance is not None:
            below = (left / width, bottom / height, inner, lower / height)
            lowest = figure.add_axes(below, sharex=ax)
            _draw_translations(lowest, curves, share, chance)
            ax.tick_params(labelbottom=False)
            ax.set_xlabel("")
        _label_layers(lowest, curves, room=int((width - left - right) / 0.28))
        if titled:
            name = _NAMES.get(curves.score or "", "overlap")
            title = f"{name[0].upper()}{name[1:]} by layer"
            draw_title(figure, title, curves.subtitle, margin / width, height)
    return figure


def _label_layers(ax: Axes, curves: LayerCurves, *, room: int) -> None:
    layers = curves.layers
    label_layers(ax, layers, positions=layers, room=room, embeddings=curves.embeddings)


def _draw_overlap(ax: Axes, curves: LayerCurves) -> None:
    """One score with its spread; where all are asked for, ILO so and the others as lines."""
    layers = np.asarray(curves.layers)
    main = curves.score or "ilo"
    values, color, name = getattr(curves, main), _COLORS[main], _NAMES[main]
    of = f"{name}, " if curves.score is None else ""  # alone, it needs no name in the legend
    _draw_spread(ax, layers, values, color, of)
    if main in curves.under_mixing:
        ax.axhline(
            curves.under_mixing[main], color=color, lw=1.0, dashes=(3, 2),
            label=f"{of}under mixing", zorder=2.5,
        )  # fmt: skip
    for other in ("bridge", "reach") if curves.score is None else ():
        ax.plot(
            layers, getattr(curves, other).mean(axis=1), color=_COLORS[other], lw=1.4,
            dashes=_DASHES[other], marker="o", ms=2.6, label=f"{other}, mean", zorder=3,
        )  # fmt: skip
    ax.plot(
        layers, values.mean(axis=1), color=color, lw=2.2, marker="o", ms=4.2,
        label=f"{of}mean", zorder=4,
    )  # fmt: skip
    _draw_interval(ax, curves, main, color)
    ax.set_ylim(-0.02, 1.02)
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1.0])
    ax.set_ylabel("score" if curves.score is None else name, fontsize=8.5)
    _finish(ax, layers)


def _draw_spread(
    ax: Axes, layers: NDArray[np.int64], values: NDArray[np.float64], color: str, of: str
) -> None:
    if values.shape[1] < 2:
        return
    for low, high, alpha, label in ((0, 100, 0.13, "all languages"), (25, 75, 0.28, "middle half")):
        lower, upper = np.percentile(values, [low, high], axis=1)
        _band(ax, layers, lower, upper, color, alpha, f"{of}{label}")


def _draw_interval(ax: Axes, curves: LayerCurves, score: str, color: str) -> None:
    """Error bars of the mean: they stay visible where a band would be thinner than its line."""
    if score not in curves.intervals:
        return
    low, high = curves.intervals[score]
    mean = getattr(curves, score).mean(axis=1)
    ends = np.clip([mean - low, high - mean], 0, None)  # NaN: no interval, and none is drawn
    ax.errorbar(
        curves.layers, mean, yerr=ends, fmt="none", ecolor=color, elinewidth=1.3, capsize=3.5,
        label="interval of mean", zorder=5,
    )  # fmt: skip


def _draw_translations(
    ax: Axes, curves: LayerCurves, share: NDArray[np.float64], chance: float
) -> None:
    layers = np.asarray(curves.layers)
    ax.axhline(chance, color=INK, lw=1.0, dashes=(3, 2), label="chance", zorder=2.5)
    if curves.chance_given_graph is not None:
        ax.plot(
            layers, curves.chance_given_graph, color=INK, lw=1.0, dashes=(1.2, 1.6),
            label="chance in graph", zorder=2.5,
        )  # fmt: skip
    if share.shape[1] > 1:
        lower, upper = np.percentile(share, [25, 75], axis=1)
        _band(ax, layers, lower, upper, _TRANSLATIONS, 0.25, "middle half")
    mean = share.mean(axis=1)
    ax.plot(layers, mean, color=_TRANSLATIONS, lw=2.0, marker="o", ms=3.8, label="mean")
    _draw_interval(ax, curves, "translation_share", _TRANSLATIONS)
    top = max(float(np.percentile(share, 75, axis=1).max()), float(mean.max()), chance)
    if "translation_share" in curves.intervals:
        top = max(top, float(np.nan_to_num(curves.intervals["translation_share"][1]).max()))
    ax.set_ylim(-0.03 * top, top * 1.1 if top > 0 else 1.0)
    ax.set_ylabel("neighbours that\nare translations", fontsize=8.5)
    _finish(ax, layers)


def _band(
    ax: Axes,
    layers: NDArray[np.int64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    color: str,
    alpha: float,
    label: str,
) -> None:
    if len(layers) == 1:  # a band between one point and itself would not be seen
        ax.vlines(layers, lower, upper, color=color, alpha=alpha, lw=9, label=label)
    else:
        ax.fill_between(layers, lower, upper, color=color, alpha=alpha, lw=0, label=label)


def _finish(ax: Axes, layers: NDArray[np.int64]) -> None:
    plain_axes(ax, "y")
    pad = max(0.3, 0.012 * float(layers[-1] - layers[0]))
    ax.set_xlim(float(layers.min()) - pad, float(layers.max()) + pad)
    ax.tick_params(labelsize=8)
    ax.legend(
        loc="upper left", bbox_to_anchor=(1.01, 1.02), frameon=False, fontsize=7.8,
        handlelength=2.2, labelspacing=0.5, borderaxespad=0.2, reverse=True,
    )  # fmt: skip
