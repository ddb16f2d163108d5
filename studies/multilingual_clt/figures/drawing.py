"""What the pictures share: colours and names of conditions, means over seeds, bands, axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ilo_fast.plots.style import plain_axes

KINDS: Final = {"clt": "cross-layer", "plt": "per-layer"}
COLORS: Final = {
    "equal": "#0072b2", "english50": "#e69f00", "english70": "#cc79a7", "english90": "#d55e00",
    "no-english": "#009e73", "romanised": "#56b4e9", "english-tokens": "#8c6d46",
    "random": "#7a828a",
}  # fmt: skip
NAMES: Final = {
    "equal": "equal shares", "english50": "50 % English", "english70": "70 % English",
    "english90": "90 % English", "no-english": "no English", "romanised": "romanised",
    "english-tokens": "English tokenizer", "random": "random",
}  # fmt: skip


def mean_over(seeds: Sequence[int], get: Callable[[int], Any]) -> Any:
    """Of what there is; None where no seed has it."""
    rows = [row for row in map(get, seeds) if row is not None]
    return np.mean(np.array(rows, dtype=float), axis=0) if rows else None


def counted(seeds: int) -> str:
    """How many seeds a mean is of."""
    return f"mean of {seeds} seeds" if seeds > 1 else "one seed"


def draw_line(ax: Axes, values: Any, color: str, label: str, dashes: Any = "-") -> None:
    """Of values by layer."""
    ax.plot(range(len(values)), values, color=color, lw=1.4, label=label, ls=dashes)


def draw_band(ax: Axes, ends: Any, color: str) -> None:
    """Between two rows of values by layer."""
    ax.fill_between(range(len(ends[0])), *ends, color=color, alpha=0.18, lw=0)


def finish(ax: Axes, title: str, below: str = "layer") -> None:
    """Title, name of the axis of layers, grid."""
    ax.set_title(title, fontsize=8.5)
    ax.set_xlabel(below)
    ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    plain_axes(ax, "y")


def draw_legend(ax: Axes) -> None:
    """Right of the last panel."""
    ax.legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
