"""What features at a word's last piece tell of the word, by layer, beside its controls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ilo_fast.plots.style import (
    INK,
    ShownFigure,
    draw_title,
    label_layers,
    language_colors,
    plain_axes,
    style,
    text_width,
)

Floats = NDArray[np.float64]

_PIECES: Final = "#0072b2"
_CONTEXT: Final = "#d55e00"


@dataclass(frozen=True, eq=False)
class Curve:
    """A value for each layer, with its interval.

    Attributes
    ----------
    values : (layers,) float64
    interval : (layers, 2) float64 or None
    """

    values: Floats
    interval: Floats | None = None


@dataclass(frozen=True, eq=False)
class WordCurves:
    """What the figure shows.

    Attributes
    ----------
    accuracy : Curve
        Of all languages.
    by_language : dict of str to (layers,) float64
    majority : float
    accuracy_null : (layers, 2) float64
        Band of permuted words.
    as_inserted, as_original : Curve or None
        Of swapped text.
    information, of_pieces, of_context : Curve
        In bits, the interval of each its null; the last two None without swaps.
    """

    accuracy: Curve
    majority: float
    accuracy_null: Floats
    information: Curve
    by_language: Mapping[str, Floats] = field(default_factory=dict)
    as_inserted: Curve | None = None
    as_original: Curve | None = None
    of_pieces: Curve | None = None
    of_context: Curve | None = None


def words_figure(curves: WordCurves, *, title: str, subtitle: str) -> Figure:
    """Words told by layer; in swapped text; information of the features that tell most.

    Raises
    ------
    ValueError
        No layer.
    """
    n_layers = len(curves.accuracy.values)
    if not n_layers:
        raise ValueError("accuracy has no layer")
    # Sizes in inches.
    margin, left, inner, gap, tall, top, foot = 0.15, 0.55, 2.5, 0.62, 2.3, 0.98, 0.9
    n_panels = 2 if curves.as_inserted is None else 3
    width = left + n_panels * inner + (n_panels - 1) * gap + margin
    width = max(width, text_width([subtitle], 8) + 2 * margin)
    height = top + tall + foot
    layers = range(n_layers)
    with style():
        figure = ShownFigure(figsize=(width, height))
        panels = []
        for number in range(n_panels):
            x = left + number * (inner + gap)
            panels.append(figure.add_axes((x / width, foot / height, inner / width, tall / height)))
        _accuracy(panels[0], curves)
        if curves.as_inserted is not None and curves.as_original is not None:
            _line(panels[1], curves.as_inserted, _PIECES, "the word put in (pieces)")
            _line(panels[1], curves.as_original, _CONTEXT, "the word replaced (context)")
            panels[1].set_title("share told where pieces are swapped", fontsize=8.5, loc="left")
        _information(panels[-1], curves)
        for ax in panels:
            plain_axes(ax, "y")
            ax.tick_params(labelsize=7.5)
            room = max(1, int(inner / 0.22))
            label_layers(ax, layers, positions=layers, room=room, embeddings=False)
            ax.set_xlim(-0.4, n_layers - 0.6)
            handles, _ = ax.get_legend_handles_labels()
            ax.legend(
                handles=handles, loc="upper left", bbox_to_anchor=(-0.1, -0.2), fontsize=7,
                frameon=False, ncols=1 if len(handles) < 4 else 3, handlelength=1.4,
                columnspacing=0.9, borderaxespad=0.0, labelspacing=0.25,
            )  # fmt: skip
        draw_title(figure, title, subtitle, margin / width, height)
    return figure


def _accuracy(ax: Axes, curves: WordCurves) -> None:
    colors = language_colors(curves.by_language)
    for code, values in curves.by_language.items():
        ax.plot(values, color=colors[code], lw=0.9, alpha=0.9, label=code)
    _line(ax, curves.accuracy, INK, "all", width=2.0)
    places = np.arange(len(curves.accuracy.values))
    low, high = curves.accuracy_null.T
    ax.fill_between(places, low, high, color=INK, alpha=0.25, lw=0, label="words permuted")
    ax.axhline(curves.majority, color=INK, lw=0.9, dashes=(3, 2), label="last piece alone")
    ax.set_title("share of words told", fontsize=8.5, loc="left")


def _information(ax: Axes, curves: WordCurves) -> None:
    for curve, color, name in (
        (curves.information, INK, "in the text as it stands"),
        (curves.of_pieces, _PIECES, "swapped: of the pieces"),
        (curves.of_context, _CONTEXT, "swapped: of the context"),
    ):
        if curve is None:
            continue
        places = np.arange(len(curve.values))
        if curve.interval is not None:
            low, high = curve.interval.T
            ax.fill_between(places, low, high, color=color, alpha=0.2, lw=0)
        ax.plot(curve.values, color=color, lw=1.4, marker="o", ms=3.2, label=name)
    ax.axhline(0, color=INK, lw=0.6, alpha=0.6)
    ax.set_title("bits of the best features (bands: chance)", fontsize=8.5, loc="left")


def _line(ax: Axes, curve: Curve, color: str, name: str, width: float = 1.4) -> None:
    places = np.arange(len(curve.values))
    if curve.interval is not None:
        low, high = curve.interval.T
        ax.fill_between(places, low, high, color=color, alpha=0.18, lw=0)
    ax.plot(places, curve.values, color=color, lw=width, marker="o", ms=3.2, label=name)
