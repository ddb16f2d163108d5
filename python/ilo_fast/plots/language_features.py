"""Features of single languages: how many in which layer, in the colours of the languages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

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

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class LanguageFeatureCounts:
    """What the bars show.

    Attributes
    ----------
    counts : (layers, languages) float64
    chance : (layers,) float64
        By chance, of all languages together.
    languages : tuple of str
        Codes.
    labels : tuple of str
        Their names.
    title, subtitle : str
    """

    counts: NDArray[np.float64]
    chance: NDArray[np.float64]
    languages: tuple[str, ...]
    labels: tuple[str, ...]
    title: str = ""
    subtitle: str = ""


def language_features_figure(table: LanguageFeatureCounts, *, titled: bool = True) -> Figure:
    """A bar for each layer, the languages stacked; a line for what chance gives."""
    colors = language_colors(table.languages)
    shown = [at for at in range(len(table.languages)) if table.counts[:, at].sum() > 0]
    names = [table.labels[at] for at in shown]
    margin, left = 0.15, 0.62
    per_column = 16
    columns = max(1, -(-len(shown) // per_column))
    right = columns * (text_width(names or [""], 7.5) + 0.42) + 0.2
    top, bottom, tall = 0.74 if titled else 0.12, 0.55, 2.6
    inner = max(2.6, 0.42 * len(table.counts))
    width, height = left + inner + right, top + tall + bottom
    if titled:
        width = max(width, text_width([table.subtitle], 8) + 2 * margin)
        inner = width - left - right
    layers = range(len(table.counts))
    with style():
        figure = ShownFigure(figsize=(width, height))
        ax = figure.add_axes((left / width, bottom / height, inner / width, tall / height))
        under = np.zeros(len(table.counts))
        for at in shown:
            ax.bar(
                layers, table.counts[:, at], bottom=under, width=0.78, lw=0.3, ec="white",
                color=colors[table.languages[at]], label=table.labels[at],
            )  # fmt: skip
            under = under + table.counts[:, at]
        ax.plot(layers, table.chance, "_", color=INK, ms=14, mew=1.4, label="by chance")
        plain_axes(ax, "y")
        ax.set_ylabel("features of one language", fontsize=8.5)
        ax.tick_params(labelsize=8)
        label_layers(ax, layers, positions=layers, room=int(inner / 0.22), embeddings=False)
        ax.legend(
            loc="upper left", bbox_to_anchor=(1.02, 1.02), frameon=False, fontsize=7.5,
            borderaxespad=0.0, ncols=columns, handlelength=1.0, columnspacing=0.9,
        )  # fmt: skip
        if titled:
            draw_title(figure, table.title, table.subtitle, margin / width, height)
    return figure
