"""What tokenizers give each language: a row per language, a panel per statistic, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from ilo_fast._util.messages import elide, plain
from ilo_fast.plots.style import INK, ShownFigure, draw_title, plain_axes, style, text_width

# Okabe and Ito, without yellow, which is not seen on white; then grey.
_COLORS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
_OTHER: Final = "#8c959f"
_LOG_FROM: Final = 4.0  # largest over smallest: from here on the axis is logarithmic


@dataclass(frozen=True, eq=False)
class TokenPanel:
    """One statistic.

    Attributes
    ----------
    title : str
    values : (series, rows) float64
        NaN: none.
    intervals : (series, rows, 2) float64
    mark : float or None
        Where a dashed line stands.
    percent : bool
        Values are shares, from 0 to 1.
    """

    title: str
    values: NDArray[np.float64]
    intervals: NDArray[np.float64]
    mark: float | None = None
    percent: bool = False


def tokens_figure(
    labels: Sequence[str],
    groups: Sequence[str],
    panels: Sequence[TokenPanel],
    series: Sequence[str],
    *,
    title: str,
    subtitle: str,
) -> Figure:
    """A dot for each language and statistic, with its interval.

    Parameters
    ----------
    labels, groups
        Of each row from top to bottom, and what it belongs to, such as its script.
    panels
        Side by side.
    series
        Names of tokenizers. Colours are those of `series` where there are several, else of
        `groups`.

    Raises
    ------
    ValueError
        No row, no panel, or a panel of another size.
    """
    shape = (len(series), len(labels))
    if not labels or not panels or not series or len(groups) != len(labels):
        raise ValueError(
            f"labels has {len(labels)} rows, groups {len(groups)}, panels {len(panels)}, series "
            f"{len(series)}: wanted at least one of each, and as many groups as labels"
        )
    for panel in panels:
        if panel.values.shape != shape or panel.intervals.shape != (*shape, 2):
            raise ValueError(
                f"{panel.title!r} has values of shape {panel.values.shape} and intervals "
                f"{panel.intervals.shape}, wanted {shape} and {(*shape, 2)}"
            )
    names = list(dict.fromkeys(series if len(series) > 1 else groups))
    colors = _colors(names if len(series) > 1 else _by_size(groups))
    shown = [elide(plain(label), 30) for label in labels]
    # Sizes in inches.
    margin, inner, gap, row = 0.15, 2.2, 0.34, 0.17 + 0.05 * (len(series) - 1)
    left = text_width(shown, 8) + margin + 0.1
    top, foot = 0.98, 0.62
    width = left + len(panels) * inner + (len(panels) - 1) * gap + margin
    width = max(width, text_width([subtitle], 8) + 2 * margin, text_width([title], 13) + 2 * margin)
    tall = row * len(labels)
    height = top + tall + foot
    with style():
        figure = ShownFigure(figsize=(width, height))
        for number, panel in enumerate(panels):
            x = left + number * (inner + gap)
            ax = figure.add_axes((x / width, foot / height, inner / width, tall / height))
            if len(series) > 1:
                dots = [[colors[name]] * len(labels) for name in series]
            else:
                dots = [[colors[group] for group in groups]]
            _draw(ax, panel, dots)
            ax.set_yticks(range(len(labels)), shown if number == 0 else [], fontsize=8)
        _legend(figure, colors, names, margin / width, 0.06 / height)
        draw_title(figure, title, subtitle, margin / width, height)
    return figure


def _draw(ax: Axes, panel: TokenPanel, colors: Sequence[Sequence[str]]) -> None:
    n_series, n_rows = panel.values.shape
    for at in range(n_series):
        # Side by side within a row.
        shift = 0.0 if n_series == 1 else 0.62 * (at / (n_series - 1) - 0.5)
        for place in range(n_rows):
            value, (low, high) = panel.values[at, place], panel.intervals[at, place]
            if np.isnan(value):
                continue
            if np.isfinite(low) and np.isfinite(high):
                ax.hlines(place + shift, low, high, color=colors[at][place], lw=1.4, zorder=3)
            ax.plot(
                value, place + shift, marker="o", ms=3.8, lw=0, mfc=colors[at][place], mec="white",
                mew=0.4, zorder=4,
            )  # fmt: skip
    if panel.mark is not None:
        ax.axvline(panel.mark, color=INK, lw=0.9, dashes=(3, 2), zorder=1.5)
    known = panel.values[np.isfinite(panel.values)]
    wide = len(known) > 0 and known.min() > 0 and known.max() / known.min() >= _LOG_FROM
    if wide and not panel.percent:
        _logarithmic(ax, panel)
    if panel.percent:
        ticks = [tick for tick in ax.get_xticks() if -1e-9 <= tick <= 1 + 1e-9]
        ax.set_xticks(ticks, [f"{100 * tick:g} %" for tick in ticks])
    ax.set_ylim(n_rows - 0.4, -0.6)
    plain_axes(ax, "x")
    ax.tick_params(axis="y", length=0)
    ax.tick_params(axis="x", labelsize=7.5)
    ax.set_title(panel.title, fontsize=8.5, loc="left", pad=4)


def _logarithmic(ax: Axes, panel: TokenPanel) -> None:
    ax.set_xscale("log")
    ends = np.concatenate([panel.values.ravel(), panel.intervals.ravel()])
    ends = ends[np.isfinite(ends) & (ends > 0)]
    low, high = float(ends.min()) / 1.12, float(ends.max()) * 1.12
    steps = (1, 2, 5) if high / low > 8 else (1, 1.5, 2, 3, 5, 7)
    ticks = [s * 10.0**e for e in range(-3, 5) for s in steps if low <= s * 10.0**e <= high]
    ax.set_xlim(low, high)
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_xticks([], minor=True)


def _by_size(groups: Sequence[str]) -> list[str]:
    """The largest first: it has the first colour."""
    return sorted(dict.fromkeys(groups), key=lambda group: -groups.count(group))


def _colors(names: Sequence[str]) -> Mapping[str, str]:
    return {name: _COLORS[at] if at < len(_COLORS) else _OTHER for at, name in enumerate(names)}


def _legend(
    figure: Figure, colors: Mapping[str, str], names: Sequence[str], x: float, y: float
) -> None:
    own = [name for name in colors if colors[name] != _OTHER]
    handles = [
        Line2D([], [], marker="o", ms=4.5, lw=0, mfc=colors[name], mec="white", label=plain(name))
        for name in own
    ]
    if len(own) < len(names):
        handles.append(
            Line2D([], [], marker="o", ms=4.5, lw=0, mfc=_OTHER, mec="white", label="others")
        )
    figure.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(x, y), ncols=len(handles), fontsize=7.5,
        frameon=False, handletextpad=0.1, columnspacing=1.0, borderaxespad=0.0,
    )  # fmt: skip
