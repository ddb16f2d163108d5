"""Features of a transcoder by layer and language: whose each is, and how many are one's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ilo_fast.plots.style import ShownFigure, draw_color_bar, draw_title, style, text_width

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class FeatureMap:
    """What the map shows.

    Attributes
    ----------
    share : float64, shape (languages, columns)
        Of each feature's rates, how much is in each language; NaN: not shown.
    effective_languages : float64, shape (columns,)
    layer : int64, shape (columns,)
    specific : int64, shape (layers, languages)
        How many features are specific to each language.
    languages : tuple of str
        What stands beside the rows.
    title, subtitle : str
    """

    share: NDArray[np.float64]
    effective_languages: NDArray[np.float64]
    layer: NDArray[np.int64]
    specific: NDArray[np.int64]
    languages: tuple[str, ...]
    title: str = ""
    subtitle: str = ""


def feature_order(shown: FeatureMap, layer: int) -> NDArray[np.int64]:
    """Columns of a layer as drawn: by dominant language, in each the most selective first."""
    columns = np.flatnonzero((shown.layer == layer) & ~np.isnan(shown.share).any(axis=0))
    dominant = shown.share[:, columns].argmax(axis=0)
    found: NDArray[np.int64] = columns[np.lexsort((shown.effective_languages[columns], dominant))]
    return found


def feature_map_figure(shown: FeatureMap) -> Figure:
    """A panel for each layer, a column for each feature; on the right how many are specific.

    Languages are rows, the same in all panels.
    """
    n_layers, n_languages = shown.specific.shape
    # Sizes in inches.
    row = 0.15 if n_languages > 12 else 0.22
    font = 7.0 if n_languages > 12 else 8.0
    labels = text_width(shown.languages, font) + 0.12
    panel, gap = min(1.15, max(0.3, 6.5 / n_layers)), 0.06
    cell = 0.26
    margin, top, bottom, bar_gap, bar_width, bar_labels, space = (
        0.15,
        0.95,
        0.55,
        0.1,
        0.1,
        0.4,
        0.3,
    )
    tall = max(row * n_languages, 0.9)
    maps = n_layers * (panel + gap) - gap
    right = margin + labels + maps + bar_gap + bar_width + bar_labels + space
    width = right + n_layers * cell + margin
    width = max(width, text_width([shown.title], 12) + 0.3, text_width([shown.subtitle], 8) + 0.3)
    height = top + tall + bottom

    def box(left: float, across: float) -> tuple[float, float, float, float]:
        return left / width, bottom / height, across / width, tall / height

    with style():
        figure = ShownFigure(figsize=(width, height))
        draw_title(figure, shown.title, shown.subtitle, margin / width, height)
        image: Any = None
        for layer in range(n_layers):
            ax = figure.add_axes(box(margin + labels + layer * (panel + gap), panel))
            image = _draw_layer(ax, shown, layer)
            if layer == 0:
                ax.set_yticks(range(n_languages), shown.languages, fontsize=font)
            else:
                ax.set_yticks([])
        figure.text(
            (margin + labels) / width, 1 - 0.79 / height, "share of the rates, feature by feature",
            fontsize=8.5, va="center",
        )  # fmt: skip
        at = margin + labels + maps + bar_gap
        draw_color_bar(figure, image, figure.add_axes(box(at, bar_width)))
        _draw_counts(figure.add_axes(box(right, n_layers * cell)), shown)
        figure.text(
            right / width, 1 - 0.79 / height, "specific features", fontsize=8.5, va="center"
        )
    return figure


def _draw_layer(ax: Axes, shown: FeatureMap, layer: int) -> Any:
    order = feature_order(shown, layer)
    cells = shown.share[:, order] if len(order) else np.full((len(shown.languages), 1), np.nan)
    image = ax.imshow(
        cells, cmap="magma_r", vmin=0, vmax=1, aspect="auto", interpolation="antialiased"
    )
    ax.set_xticks([])
    ax.set_xlabel(f"layer {layer}\n{len(order)}", fontsize=8)
    ax.tick_params(length=0)
    return image


def _draw_counts(ax: Axes, shown: FeatureMap) -> None:
    counts = shown.specific.T
    most = max(1, int(counts.max(initial=0)))
    # The darkest cell is not so dark that its number cannot be read.
    ax.imshow(counts, cmap="Greys", vmin=0, vmax=2 * most, aspect="auto")
    for (language, layer), count in np.ndenumerate(counts):
        if count:
            ax.text(layer, language, str(count), ha="center", va="center", fontsize=6.5)
    n_layers = counts.shape[1]
    ax.set_xticks(range(n_layers), [str(layer) for layer in range(n_layers)], fontsize=8)
    ax.set_xlabel("layer", fontsize=8)
    ax.set_yticks([])
    ax.tick_params(length=0)
