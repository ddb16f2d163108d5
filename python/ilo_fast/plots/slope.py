"""Shares before and after, a line each, with what chance would make of each behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator
from numpy.typing import NDArray

from ilo_fast.plots.style import INK, ShownFigure, draw_title, style, text_width

Floats = NDArray[np.float64]

_FONT: Final = 8.0
_LINE: Final = 0.15  # inches between labels at least
_GREY: Final = "#8c959f"


@dataclass(frozen=True)
class SlopeTable:
    """What the figure shows.

    Attributes
    ----------
    names : tuple of str
        One a line.
    before, after : float64, (lines,)
        Above 0; drawn on a logarithmic scale, so that equal slopes are equal ratios.
    bands : float64, (lines, 2), or None
        How far chance alone takes each, low and high.
    title, subtitle : str
    ends : (str, str)
        What is on the left, and on the right.
    colors : tuple of str or None
        One a line. None: from dark to light in the order of the lines where they are `ordered`,
        else those of matplotlib.
    ordered : bool
    """

    names: tuple[str, ...]
    before: Floats
    after: Floats
    bands: Floats | None
    title: str
    subtitle: str
    ends: tuple[str, str] = ("before", "after")
    colors: tuple[str, ...] | None = None
    ordered: bool = False


def slope_figure(table: SlopeTable) -> Figure:
    """A line for each name, from its share before to that after, both written beside it.

    A grey wedge opens from the left to where chance alone may lead. A line that ends outside of it
    is bold.

    Raises
    ------
    ValueError
        There is no line, or a share is not above 0.
    """
    before, after = (np.asarray(v, np.float64) for v in (table.before, table.after))
    n = len(table.names)
    if not n or not (before > 0).all() or not (after > 0).all():
        raise ValueError(f"names has {n} lines: wanted at least one, and shares above 0")
    left_texts = [f"{name}  {value:.1%}" for name, value in zip(table.names, before, strict=True)]
    right_texts = [f"{value:.1%}  {name}" for name, value in zip(table.names, after, strict=True)]
    low, high = _range(before, after, table.bands)
    margin, across, top, bottom, room = 0.15, 2.3, 0.98, 0.3, 0.12
    if table.bands is not None:
        bottom += 0.3
    left = margin + text_width(left_texts, _FONT) + room
    right = text_width(right_texts, _FONT) + room + margin
    width = max(left + across + right, text_width([table.title], 12) + 2 * margin + 0.2,
                text_width([table.subtitle], 8) + 2 * margin)  # fmt: skip
    across = width - left - right
    tall = max(2.2, _LINE * 1.25 * n)
    height = top + tall + bottom
    colors = table.colors or _colors(n, ordered=table.ordered)
    with style():
        figure = ShownFigure(figsize=(width, height))
        ax = figure.add_axes((left / width, bottom / height, across / width, tall / height))
        ax.set_yscale("log")
        ax.set_ylim(low, high)
        ax.set_xlim(0, 1)
        for at in range(n):
            band = None if table.bands is None else table.bands[at]
            beyond = band is not None and not band[0] <= after[at] <= band[1]
            if band is not None:
                ax.fill_between(
                    [0, 1], [before[at], band[0]], [before[at], band[1]],
                    color=_GREY, alpha=0.25, lw=0, zorder=1,
                )  # fmt: skip
            ax.plot(
                [0, 1], [before[at], after[at]], color=colors[at], lw=2.2 if beyond else 1.1,
                marker="o", ms=4 if beyond else 3, clip_on=False, zorder=3,
            )  # fmt: skip
        inches = tall / (np.log(high) - np.log(low))
        for texts, values, x, side in (
            (left_texts, before, -room / across, "right"), (right_texts, after, 1 + room / across,
                                                            "left"),
        ):  # fmt: skip
            places = np.log(low) + spread((np.log(values) - np.log(low)) * inches, _LINE) / inches
            for text, value, place, color in zip(texts, values, places, colors, strict=True):
                ax.text(x, np.exp(place), text, ha=side, va="center", fontsize=_FONT, color=INK,
                        clip_on=False)  # fmt: skip
                near = 0.25 * x if side == "right" else 1 + 0.25 * (x - 1)
                far = 0.8 * x if side == "right" else 1 + 0.8 * (x - 1)
                ax.plot([near, far], [value, np.exp(place)], color=color, lw=0.6, clip_on=False)
        ax.yaxis.set_major_locator(NullLocator())
        ax.yaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.set_xticks([])
        ax.spines[["top", "bottom"]].set_visible(False)
        ax.spines[["left", "right"]].set_alpha(0.4)
        for x, text, side in ((0, table.ends[0], "left"), (1, table.ends[1], "right")):
            ax.text(x, 1.02, text, transform=ax.transAxes, ha=side, fontsize=8.5, weight="bold")
        if table.bands is not None:
            ax.text(0, -0.2 / tall, "grey: what seeds alone change; bold: beyond that",
                    transform=ax.transAxes, va="top", fontsize=7.5, alpha=0.8)  # fmt: skip
        draw_title(figure, table.title, table.subtitle, margin / width, height)
    return figure


def spread(places: Floats, least: float) -> Floats:
    """The same places moved apart, by as little as may be, in their order."""
    order = np.argsort(places, kind="stable")
    # Least squares under x[i+1] - x[i] >= least: pool neighbours that are too near.
    shifted = places[order] - least * np.arange(len(places))
    groups: list[list[float]] = []
    for value in shifted.tolist():
        groups.append([value, 1])
        while len(groups) > 1 and groups[-2][0] > groups[-1][0]:
            (a, n), (b, m) = groups[-2:]
            groups[-2:] = [[(a * n + b * m) / (n + m), n + m]]
    flat = np.concatenate([np.full(int(m), value) for value, m in groups])
    out = np.empty(len(places))
    out[order] = flat + least * np.arange(len(places))
    return out


def _range(before: Floats, after: Floats, bands: Floats | None) -> tuple[float, float]:
    every = np.concatenate([before, after, [] if bands is None else bands.ravel()])
    every = every[every > 0]
    return float(every.min()) / 1.06, float(every.max()) * 1.06


def _colors(n: int, *, ordered: bool) -> tuple[str, ...]:
    if ordered:
        colors = mpl.colormaps["viridis"](np.linspace(0, 0.88, n))
    else:
        colors = mpl.colormaps["tab20"](np.arange(n) % 20)
    return tuple(map(mpl.colors.to_hex, colors))
