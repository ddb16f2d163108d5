"""One score by layer and language, as a heat map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ilo_fast.plots.style import (
    ShownFigure,
    draw_color_bar,
    draw_title,
    label_layers,
    style,
    text_width,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ANNOTATE_UP_TO = 14  # layers; above, two decimals do not fit a cell


@dataclass(frozen=True)
class LayerTable:
    """What a heat map shows, and the words around it.

    Attributes
    ----------
    values : float64, shape (layers, languages)
    layers : tuple of int
    languages : tuple of str
        Codes; of two languages with the same mean, the earlier code stands above.
    labels : tuple of str
        What stands beside the row of each language.
    highest : float
        The value of the lightest colour; the darkest is 0.
    embeddings : bool
        Whether layer 0 is a model's embeddings.
    title, subtitle : str
    """

    values: NDArray[np.float64]
    layers: tuple[int, ...]
    languages: tuple[str, ...]
    labels: tuple[str, ...]
    highest: float = 1.0
    embeddings: bool = False
    title: str = ""
    subtitle: str = ""


@dataclass(frozen=True)
class HeatmapPanel:
    """One block of rows: where its cells lie, as shares of the figure from its top left."""

    left: float
    top: float
    width: float
    height: float
    languages: tuple[str, ...]


@dataclass(frozen=True)
class HeatmapFigure:
    """A heat map and the geometry that a page needs to tell which cell the pointer is on."""

    figure: Figure
    panels: tuple[HeatmapPanel, ...]


def draw_heatmap(ax: Axes, table: LayerTable) -> None:
    """Draw on axes of the caller: layers by languages, from the highest mean score down."""
    _draw_cells(ax, table, _language_order(table), annotate=False, font=8.0)


def heatmap_figure(table: LayerTable, *, titled: bool = True, max_rows: int = 72) -> HeatmapFigure:
    """The heat map on a figure of its own, sized so that every language's name can be read.

    ``titled=False`` leaves title and settings to the page around it. ``max_rows`` is how many
    languages stand below each other before another column of them is started.
    """
    order = _language_order(table)
    n_layers, n_languages = len(table.layers), len(order)
    n_panels = math.ceil(n_languages / max_rows)
    per_panel = math.ceil(n_languages / n_panels)
    blocks = [order[start : start + per_panel] for start in range(0, n_languages, per_panel)]

    # Sizes in inches.
    dense = n_languages > 48
    font, row = (6.6, 0.132) if dense else (8.0, 0.185)
    cell = min(0.42, max(0.09, (3.0 if n_panels > 1 else 4.6) / n_layers))
    cells_width = max(cell * n_layers, 0.8)
    row = max(row, 0.9 / per_panel)  # room for the colour bar beside a few languages
    cells_height = row * per_panel
    labels_width = text_width(table.labels, font) + 0.12
    panel_width = labels_width + cells_width
    gap, bar_gap, bar_width, bar_labels = 0.22, 0.18, 0.13, 0.45
    margin, top, bottom = 0.15, 0.72 if titled else 0.1, 0.55
    both_ends = per_panel > 100  # layers are named above and below what is more than a screen high
    top += 0.25 if both_ends else 0.0
    width = 2 * margin + len(blocks) * panel_width + (len(blocks) - 1) * gap
    width += bar_gap + bar_width + bar_labels
    if titled:
        title_width = max(text_width([table.title], 12), text_width([table.subtitle], 8))
        width = max(width, title_width + 2 * margin)
    height = top + cells_height + bottom

    def box(left: float, across: float, tall: float) -> tuple[float, float, float, float]:
        return left / width, 1.0 - (top + tall) / height, across / width, tall / height

    with style():
        figure = ShownFigure(figsize=(width, height))
        panels = []
        image = None
        for number, block in enumerate(blocks):
            left = margin + labels_width + number * (panel_width + gap)
            place = box(left, cells_width, row * len(block))
            ax = figure.add_axes(place)
            annotate = n_layers <= _ANNOTATE_UP_TO and not dense and cell > 0.3
            image = _draw_cells(ax, table, block, annotate=annotate, font=font)
            ax.tick_params(labeltop=both_ends)
            codes = tuple(table.languages[i] for i in block)
            panels.append(HeatmapPanel(place[0], top / height, place[2], place[3], codes))
        bar_left = margin + len(blocks) * panel_width + (len(blocks) - 1) * gap + bar_gap
        bar = figure.add_axes(box(bar_left, bar_width, min(2.2, cells_height)))
        draw_color_bar(figure, image, bar)
        if titled:
            draw_title(figure, table.title, table.subtitle, margin / width, height)
    return HeatmapFigure(figure, tuple(panels))


def _language_order(table: LayerTable) -> list[int]:
    """Columns from the highest mean over layers to the lowest, equals by code."""
    means = table.values.mean(axis=0)
    return sorted(range(len(table.languages)), key=lambda i: (-means[i], table.languages[i]))


def _draw_cells(
    ax: Axes, table: LayerTable, rows: Sequence[int], *, annotate: bool, font: float
) -> Any:
    cells = table.values[:, list(rows)].T
    top = table.highest
    image = ax.imshow(
        cells, aspect="auto", cmap="viridis", vmin=0.0, vmax=top, interpolation="nearest"
    )
    ax.set_yticks(range(len(rows)), [table.labels[i] for i in rows], fontsize=font)
    ax.tick_params(length=0, pad=3)
    for spine in ax.spines.values():
        spine.set_visible(False)
    n_layers = len(table.layers)
    room = max(1, int(ax.bbox.width / ax.figure.dpi / 0.22))
    label_layers(
        ax, table.layers, positions=range(n_layers), room=room, embeddings=table.embeddings
    )
    if annotate:
        for y, row in enumerate(cells):
            for x, value in enumerate(row):
                # Light cells of the map are its upper part: dark digits there, white elsewhere.
                color = "#1b1b1b" if value > 0.62 * top else "#f2f2f2"
                text = f"{value:.2f}".removeprefix("0") if value < 0.995 else "1.0"
                ax.text(x, y, text, ha="center", va="center", fontsize=6.4, color=color)
    return image
