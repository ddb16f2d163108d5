"""The two pictures: scores by layer and language, and means over languages by layer.

Drawn on :class:`matplotlib.figure.Figure`, never through pyplot: no window, no current figure, no
backend is chosen for the caller. Rendering runs under matplotlib's defaults whatever style the
caller uses, and the same scores give the same bytes (for one version of matplotlib).
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from ilo_fast._util.messages import elide, plain
from ilo_fast.report.summary import describe_language, starts_at_embeddings, subtitle

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ilo_fast.scores.overlap import OverlapScores

INK = "#24292f"
"""Colour of all text and lines that are not data; the HTML page replaces it by its own."""

_COLORS = {
    "ilo": "#3a86c8",
    "bridge": "#e07a1f",
    "reach": "#2a9d74",
    "translation_share": "#9d5bb5",
}
_TITLES = {
    "ilo": "Interlingual Local Overlap",
    "bridge": "Bridge",
    "reach": "Reach",
    "translation_share": "Share of neighbours that are translations",
}
_MISSING_GLYPH = "Glyph .* missing from font"
_ANNOTATE_UP_TO = 14  # layers; above, two decimals do not fit a cell


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


def heatmap(scores: OverlapScores, score: str = "ilo", ax: Axes | None = None) -> Axes:
    """Layers by languages, languages from highest to lowest mean score.

    Parameters
    ----------
    scores
        What to draw.
    score
        ``"ilo"``, ``"bridge"``, ``"reach"`` or ``"translation_share"``.
    ax
        Axes to draw in. None: a new figure sized for the number of languages, in as many columns
        as they need.

    Returns
    -------
    matplotlib.axes.Axes
        ``ax``, or the first Axes of the new figure (``.figure.savefig(...)`` saves it).
    """
    if ax is not None:
        values = _values(scores, score)
        order = _language_order(scores, values)
        _draw_cells(ax, scores, values, order, annotate=False, font=8.0)
        return ax
    return heatmap_figure(scores, score).figure.axes[0]


def curve(scores: OverlapScores, ax: Axes | None = None) -> Axes:
    """Means over languages by layer: ILO with its spread, bridge, reach; translations below.

    Parameters
    ----------
    scores
        What to draw.
    ax
        Axes for the upper panel alone. None: a new figure, with a second panel for the share of
        neighbours that are translations, beside its chance level, where the text is parallel.

    Returns
    -------
    matplotlib.axes.Axes
        ``ax``, or the upper Axes of the new figure.
    """
    if ax is not None:
        _draw_overlap_curve(ax, scores)
        _label_layers(ax, scores, positions=scores.layers, room=12)
        return ax
    return curve_figure(scores).axes[0]


def heatmap_figure(
    scores: OverlapScores,
    score: str = "ilo",
    *,
    titled: bool = True,
    max_rows: int = 72,
) -> HeatmapFigure:
    """The heat map on a figure of its own, sized so that every language's name can be read.

    ``titled=False`` leaves title and settings to the page around it. ``max_rows`` is how many
    languages stand below each other before another column of them is started.
    """
    values = _values(scores, score)
    order = _language_order(scores, values)
    n_layers, n_languages = len(scores.layers), len(order)
    n_panels = math.ceil(n_languages / max_rows)
    per_panel = math.ceil(n_languages / n_panels)
    blocks = [order[start : start + per_panel] for start in range(0, n_languages, per_panel)]

    dense = n_languages > 48
    font, row = (6.6, 0.132) if dense else (8.0, 0.185)
    cell = min(0.42, max(0.09, (3.0 if n_panels > 1 else 4.6) / n_layers))
    cells_width = max(cell * n_layers, 0.8)
    row = max(row, 0.9 / per_panel)  # room for the colour bar beside a few languages
    cells_height = row * per_panel
    labels_width = _text_width([_label(code) for code in scores.languages], font) + 0.12
    panel_width = labels_width + cells_width
    gap, bar_gap, bar_width, bar_labels = 0.22, 0.18, 0.13, 0.45
    margin, top, bottom = 0.15, 0.72 if titled else 0.1, 0.55
    both_ends = per_panel > 100  # layers are named above and below what is more than a screen high
    top += 0.25 if both_ends else 0.0
    width = 2 * margin + len(blocks) * panel_width + (len(blocks) - 1) * gap
    width += bar_gap + bar_width + bar_labels
    if titled:
        title_width = max(_text_width([_TITLES[score]], 12), _text_width([subtitle(scores)], 8))
        width = max(width, title_width + 2 * margin)
    height = top + cells_height + bottom

    with _style():
        figure = Figure(figsize=(width, height))
        panels = []
        image = None
        for number, block in enumerate(blocks):
            left = margin + labels_width + number * (panel_width + gap)
            block_height = row * len(block)
            box = (
                left / width,
                1.0 - (top + block_height) / height,
                cells_width / width,
                block_height / height,
            )
            ax = figure.add_axes(box)
            annotate = n_layers <= _ANNOTATE_UP_TO and not dense and cell > 0.3
            image = _draw_cells(ax, scores, values, block, annotate=annotate, font=font)
            ax.tick_params(labeltop=both_ends)
            codes = tuple(scores.languages[i] for i in block)
            panels.append(HeatmapPanel(box[0], top / height, box[2], box[3], codes))
        assert image is not None  # OverlapScores holds at least one language
        bar_left = margin + len(blocks) * panel_width + (len(blocks) - 1) * gap + bar_gap
        bar_height = min(2.2, cells_height)
        bar = figure.add_axes(
            (
                bar_left / width,
                1 - (top + bar_height) / height,
                bar_width / width,
                bar_height / height,
            )
        )
        _draw_color_bar(figure, image, bar)
        if titled:
            _draw_title(figure, _TITLES[score], subtitle(scores), margin / width, height)
    return HeatmapFigure(figure, tuple(panels))


def curve_figure(scores: OverlapScores, *, titled: bool = True) -> Figure:
    """The layer curve on a figure of its own, two panels where the text is parallel.

    ``titled=False`` leaves title and settings to the page around it.
    """
    parallel = scores.translation_share is not None and scores.translation_chance is not None
    width, margin, left, right = 7.4, 0.15, 0.78, 1.55
    upper, lower, gap, top, bottom = 2.7, 1.35, 0.34, 0.74 if titled else 0.1, 0.55
    height = top + upper + bottom + (gap + lower if parallel else 0.0)
    if titled:
        width = max(width, _text_width([subtitle(scores)], 8) + 2 * margin)

    with _style():
        figure = Figure(figsize=(width, height))
        inner = (width - left - right) / width
        box = (left / width, 1 - (top + upper) / height, inner, upper / height)
        ax = figure.add_axes(box)
        _draw_overlap_curve(ax, scores)
        lowest = ax
        if parallel:
            below = (left / width, bottom / height, inner, lower / height)
            lowest = figure.add_axes(below, sharex=ax)
            _draw_translation_curve(lowest, scores)
            ax.tick_params(labelbottom=False)
            ax.set_xlabel("")
        room = int((width - left - right) / 0.28)
        _label_layers(lowest, scores, positions=scores.layers, room=room)
        if titled:
            _draw_title(figure, "Overlap by layer", subtitle(scores), margin / width, height)
    return figure


def png_bytes(figure: Figure, dpi: int = 200) -> bytes:
    """``figure`` as PNG on white."""
    return _render(figure, "png", dpi=dpi, facecolor="white")


def svg_text(figure: Figure, *, inline: bool = False) -> str:
    """``figure`` as SVG on white, letters as outlines so that it looks the same everywhere.

    ``inline`` is for a page: no background, and letters as text that can be searched and takes
    the page's font.
    """
    return _render(figure, "svg", inline=inline, facecolor="none" if inline else "white").decode()


def write_figures(scores: OverlapScores, folder: Path) -> list[Path]:
    """Write ``heatmap.png``, ``heatmap.svg``, ``curve.png`` and ``curve.svg`` into ``folder``."""
    written = []
    for name, figure in (
        ("heatmap", heatmap_figure(scores).figure),
        ("curve", curve_figure(scores)),
    ):
        png, svg = folder / f"{name}.png", folder / f"{name}.svg"
        png.write_bytes(png_bytes(figure))
        svg.write_text(svg_text(figure), encoding="utf-8")
        written += [png, svg]
    return written


def _render(
    figure: Figure, kind: str, *, facecolor: str, dpi: int = 200, inline: bool = False
) -> bytes:
    stream = io.BytesIO()
    # Without a date and with a fixed salt for its ids, an SVG depends on the scores alone.
    metadata = {"Date": None} if kind == "svg" else {}
    settings = {"svg.hashsalt": "ilo_fast", "svg.fonttype": "none" if inline else "path"}
    with _style(settings), warnings.catch_warnings():
        # A code of the user's own may hold letters that the font lacks; a box stands for them.
        warnings.filterwarnings("ignore", message=_MISSING_GLYPH, category=UserWarning)
        figure.savefig(stream, format=kind, dpi=dpi, facecolor=facecolor, metadata=metadata)
    return stream.getvalue()


@contextmanager
def _style(extra: dict[str, Any] | None = None) -> Iterator[None]:
    """Matplotlib's defaults with our sizes, for the time of a ``with``; then the caller's again."""
    ours: dict[str, Any] = {
        "font.family": ["DejaVu Sans"],
        "font.size": 8.0,
        "text.color": INK,
        "text.parse_math": False,
        "axes.facecolor": "none",
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "axes.linewidth": 0.6,
        "xtick.color": INK,
        "ytick.color": INK,
    }
    # "backend" is left alone: setting it would close the figures of a caller who uses pyplot.
    defaults: dict[str, Any] = {}
    defaults.update((k, v) for k, v in mpl.rcParamsDefault.items() if k != "backend")
    settings: Any = {**defaults, **ours, **(extra or {})}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mpl.MatplotlibDeprecationWarning)
        with mpl.rc_context(rc=settings):
            yield


def _values(scores: OverlapScores, score: str) -> NDArray[np.float64]:
    if score not in _TITLES:
        raise ValueError(f"score={score!r} is not known; use one of {', '.join(_TITLES)}")
    values: NDArray[np.float64] | None = getattr(scores, score)
    if values is None:
        raise ValueError(f"score={score!r} is not in these scores: their text is not parallel")
    return values


def _language_order(scores: OverlapScores, values: NDArray[np.float64]) -> list[int]:
    """Columns from the highest mean over layers to the lowest, equals by code."""
    means = values.mean(axis=0)
    return sorted(range(len(scores.languages)), key=lambda i: (-means[i], scores.languages[i]))


def _label(code: str) -> str:
    """What stands beside a row: name and code, the code alone where the name is not known."""
    name = describe_language(code)["name"]
    shown = elide(plain(code), 24)
    return shown if name == code else f"{elide(plain(name), 36)}\N{EN SPACE}{shown}"


def _draw_cells(
    ax: Axes,
    scores: OverlapScores,
    values: NDArray[np.float64],
    rows: Sequence[int],
    *,
    annotate: bool,
    font: float,
) -> Any:
    cells = values[:, list(rows)].T
    top = 1.0 if values is not scores.translation_share else max(float(values.max()), 1e-9)
    image = ax.imshow(
        cells, aspect="auto", cmap="viridis", vmin=0.0, vmax=top, interpolation="nearest"
    )
    ax.set_yticks(range(len(rows)), [_label(scores.languages[i]) for i in rows], fontsize=font)
    ax.tick_params(length=0, pad=3)
    for spine in ax.spines.values():
        spine.set_visible(False)
    room = max(1, int(ax.bbox.width / ax.figure.dpi / 0.22))
    _label_layers(ax, scores, positions=range(len(scores.layers)), room=room)
    if annotate:
        for y, row in enumerate(cells):
            for x, value in enumerate(row):
                # Light cells of the map are its upper part: dark digits there, white elsewhere.
                color = "#1b1b1b" if value > 0.62 * top else "#f2f2f2"
                text = f"{value:.2f}".removeprefix("0") if value < 0.995 else "1.0"
                ax.text(x, y, text, ha="center", va="center", fontsize=6.4, color=color)
    return image


def _label_layers(ax: Axes, scores: OverlapScores, *, positions: Sequence[int], room: int) -> None:
    """Layer numbers along x: all of them where there is room, else every 2nd, 4th, 5th, 10th."""
    layers = scores.layers
    step = next((s for s in (1, 2, 4, 5, 8, 10, 20, 25) if len(layers) / s <= room), len(layers))
    marked = list(range(0, len(layers), step))
    last = len(layers) - 1
    if marked[-1] != last:
        # The last layer is named always; a neighbour closer than half a step makes way for it.
        if last - marked[-1] < max(1, step / 2):
            marked.pop()
        marked.append(last)
    ax.set_xticks([positions[i] for i in marked], [str(layers[i]) for i in marked], fontsize=8)
    named = "layer (0 = embeddings)" if starts_at_embeddings(scores) else "layer"
    ax.set_xlabel(named, fontsize=8.5)


def _draw_overlap_curve(ax: Axes, scores: OverlapScores) -> None:
    layers = np.asarray(scores.layers)
    ilo = scores.ilo
    if len(scores.languages) > 1:
        for low, high, alpha, label in (
            (0, 100, 0.13, "all languages"),
            (25, 75, 0.28, "middle half"),
        ):
            lower, upper = np.percentile(ilo, [low, high], axis=1)
            _band(ax, layers, lower, upper, _COLORS["ilo"], alpha, f"ILO, {label}")
    for key, dashes in (("bridge", (4, 2)), ("reach", (1.2, 1.6))):
        mean = getattr(scores, key).mean(axis=1)
        ax.plot(
            layers,
            mean,
            color=_COLORS[key],
            lw=1.4,
            dashes=dashes,
            marker="o",
            ms=2.6,
            label=f"{key}, mean",
            zorder=3,
        )
    ax.plot(
        layers,
        ilo.mean(axis=1),
        color=_COLORS["ilo"],
        lw=2.2,
        marker="o",
        ms=4.2,
        label="ILO, mean",
        zorder=4,
    )
    ax.set_ylim(-0.02, 1.02)
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1.0])
    ax.set_ylabel("score", fontsize=8.5)
    _finish_curve(ax, layers)


def _draw_translation_curve(ax: Axes, scores: OverlapScores) -> None:
    assert scores.translation_share is not None and scores.translation_chance is not None
    layers = np.asarray(scores.layers)
    color = _COLORS["translation_share"]
    share = scores.translation_share
    chance = float(scores.translation_chance.mean())
    ax.axhline(chance, color=INK, lw=1.0, dashes=(3, 2), label="chance", zorder=2.5)
    if len(scores.languages) > 1:
        lower, upper = np.percentile(share, [25, 75], axis=1)
        _band(ax, layers, lower, upper, color, 0.25, "middle half")
    ax.plot(layers, share.mean(axis=1), color=color, lw=2.0, marker="o", ms=3.8, label="mean")
    top = max(
        float(np.percentile(share, 75, axis=1).max()), float(share.mean(axis=1).max()), chance
    )
    ax.set_ylim(-0.03 * top, top * 1.1 if top > 0 else 1.0)
    ax.set_ylabel("neighbours that\nare translations", fontsize=8.5)
    _finish_curve(ax, layers)


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


def _finish_curve(ax: Axes, layers: NDArray[np.int64]) -> None:
    ax.set_axisbelow(True)
    ax.grid(axis="y", color=INK, alpha=0.15, lw=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    pad = max(0.3, 0.012 * float(layers[-1] - layers[0]))
    ax.set_xlim(float(layers.min()) - pad, float(layers.max()) + pad)
    ax.tick_params(labelsize=8, length=2.5, width=0.6)
    ax.legend(
        loc="upper left",
        bbox_to_anchor=(1.01, 1.02),
        frameon=False,
        fontsize=7.8,
        handlelength=2.2,
        labelspacing=0.5,
        borderaxespad=0.2,
        reverse=True,
    )


def _draw_color_bar(figure: Figure, image: Any, bar: Axes) -> None:
    colors = figure.colorbar(image, cax=bar)
    colors.outline.set_visible(False)
    bar.tick_params(labelsize=8, length=2.5, width=0.6)


def _draw_title(figure: Figure, title: str, below: str, left: float, height: float) -> None:
    figure.text(left, 1 - 0.16 / height, title, fontsize=12, weight="bold", va="top")
    figure.text(left, 1 - 0.42 / height, below, fontsize=8, va="top", alpha=0.8)


def _text_width(texts: Sequence[str], size: float) -> float:
    """Width in inches of the widest of ``texts`` in our font at ``size`` points."""
    with _style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=_MISSING_GLYPH, category=UserWarning)
        canvas: Any = FigureCanvasAgg(Figure(dpi=72))
        renderer = canvas.get_renderer()
        font = FontProperties(family="DejaVu Sans", size=size)
        widths = (renderer.get_text_width_height_descent(t, font, False)[0] for t in texts if t)
        return float(max(widths, default=0.0)) / 72.0
