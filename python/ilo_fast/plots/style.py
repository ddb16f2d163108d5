"""What all figures share: fonts and sizes, files, titles, the axis of layers.

Figures are drawn on :class:`matplotlib.figure.Figure`, never through pyplot: no window, no current
figure, no backend is chosen for the caller. Rendering runs under matplotlib's defaults whatever
style the caller uses, and the same arrays give the same bytes (for one version of matplotlib).
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

INK = "#24292f"
"""Colour of all text and lines that are not data; the HTML page replaces it by its own."""

_PAGE_DPI = 110  # of clouds of points in a page, which has to stay small
_MISSING_GLYPH = "Glyph .* missing from font"


class ShownFigure(Figure):
    """A figure that a notebook shows although pyplot does not know it."""

    def _repr_png_(self) -> bytes:
        return png_bytes(self, dpi=110)


@contextmanager
def style(extra: dict[str, Any] | None = None) -> Iterator[None]:
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


def png_bytes(figure: Figure, dpi: int = 200) -> bytes:
    """``figure`` as PNG on white."""
    return _render(figure, "png", dpi=dpi, facecolor="white")


def svg_text(figure: Figure, *, inline: bool = False) -> str:
    """``figure`` as SVG on white, letters as outlines so that it looks the same everywhere.

    ``inline`` is for a page: no background, and letters as text that can be searched and takes
    the page's font.
    """
    ground, dpi = ("none", _PAGE_DPI) if inline else ("white", 200)
    return _render(figure, "svg", dpi=dpi, inline=inline, facecolor=ground).decode()


def pdf_bytes(figure: Figure) -> bytes:
    """``figure`` as PDF on white, letters as TrueType fonts that can be searched."""
    return _render(figure, "pdf", facecolor="white")


def text_width(texts: Sequence[str], size: float) -> float:
    """Width in inches of the widest of ``texts`` in our font at ``size`` points."""
    with style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=_MISSING_GLYPH, category=UserWarning)
        canvas: Any = FigureCanvasAgg(Figure(dpi=72))
        renderer = canvas.get_renderer()
        font = FontProperties(family="DejaVu Sans", size=size)
        widths = (renderer.get_text_width_height_descent(t, font, False)[0] for t in texts if t)
        return float(max(widths, default=0.0)) / 72.0


def draw_title(figure: Figure, title: str, below: str, left: float, height: float) -> None:
    """Title and subtitle at the top; ``left`` as a share of the figure, ``height`` in inches."""
    figure.text(left, 1 - 0.16 / height, title, fontsize=12, weight="bold", va="top")
    figure.text(left, 1 - 0.42 / height, below, fontsize=8, va="top", alpha=0.8)


def draw_color_bar(figure: Figure, image: Any, bar: Axes) -> None:
    """The colours of ``image`` and their values, in the axes ``bar``."""
    colors = figure.colorbar(image, cax=bar)
    colors.outline.set_visible(False)
    bar.tick_params(labelsize=8, length=2.5, width=0.6)


def plain_axes(ax: Axes, grid: Literal["x", "y"]) -> None:
    """Faint lines across along the axis ``grid``, no frame on top and on the right."""
    ax.set_axisbelow(True)
    ax.grid(axis=grid, color=INK, alpha=0.15, lw=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(length=2.5, width=0.6)


def label_layers(
    ax: Axes, layers: Sequence[int], *, positions: Sequence[int], room: int, embeddings: bool
) -> None:
    """Number the layers at their positions along x: all where ``room`` has place for so many.

    Else every 2nd, 4th, 5th, 10th. ``embeddings``: layer 0 is the embeddings, and the axis says so.
    """
    step = next((s for s in (1, 2, 4, 5, 8, 10, 20, 25) if len(layers) / s <= room), len(layers))
    marked = list(range(0, len(layers), step))
    last = len(layers) - 1
    if marked[-1] != last:
        # The last layer is named always; a neighbour half a step or less away makes way for it.
        if step > 1 and last - marked[-1] <= step / 2:
            marked.pop()
        marked.append(last)
    ax.set_xticks([positions[i] for i in marked], [str(layers[i]) for i in marked], fontsize=8)
    ax.set_xlabel("layer (0 = embeddings)" if embeddings else "layer", fontsize=8.5)


def _render(
    figure: Figure, kind: str, *, facecolor: str, dpi: int = 200, inline: bool = False
) -> bytes:
    stream = io.BytesIO()
    # Without a date and with a fixed salt for its ids, an SVG depends on the arrays alone.
    dated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    metadata: dict[str, Any] = dated.get(kind, {})
    settings = {
        "svg.hashsalt": "ilo_fast",
        "svg.fonttype": "none" if inline else "path",
        "pdf.fonttype": 42,
    }
    with style(settings), warnings.catch_warnings():
        # A code of the user's own may hold letters that the font lacks; they become boxes.
        warnings.filterwarnings("ignore", message=_MISSING_GLYPH, category=UserWarning)
        figure.savefig(stream, format=kind, dpi=dpi, facecolor=facecolor, metadata=metadata)
    return stream.getvalue()
