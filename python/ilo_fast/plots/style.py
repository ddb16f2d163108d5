"""What all figures share: fonts and sizes, files, titles, the axis of layers.

Figures are drawn on :class:`matplotlib.figure.Figure`, never through pyplot: no window, no current
figure, no backend is chosen for the caller. Rendering runs under matplotlib's defaults whatever
style the caller uses, and the same arrays give the same bytes (for one version of matplotlib).
"""

from __future__ import annotations

import colorsys
import io
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

INK = "#24292f"
"""Colour of all text and lines that are not data; the HTML page replaces it by its own."""

_LANGUAGE_COLORS: Final = {
    "eng_Latn": "#0072b2",
    "deu_Latn": "#e69f00",
    "fra_Latn": "#009e73",
    "rus_Cyrl": "#d55e00",
    "hin_Deva": "#cc79a7",
    "spa_Latn": "#56b4e9",
    "zho_Hans": "#680068",
    "arb_Arab": "#504000",
    "jpn_Jpan": "#880018",
    "swh_Latn": "#98d050",
    "ben_Beng": "#8858c8",
    "pol_Latn": "#302890",
    "ind_Latn": "#b0b8a0",
    "tel_Telu": "#705870",
    "urd_Arab": "#888000",
    "ukr_Cyrl": "#006800",
    "ces_Latn": "#004858",
    "tha_Thai": "#00d8c8",
    "nld_Latn": "#b8a0f8",
    "tgl_Latn": "#a83070",
    "swe_Latn": "#f8a090",
    "jav_Latn": "#a88068",
    "dan_Latn": "#608890",
    "ita_Latn": "#6888f8",
    "srp_Cyrl": "#904800",
    "sin_Sinh": "#602840",
    "por_Latn": "#e05868",
    "slv_Latn": "#386850",
    "yue_Hant": "#f890e8",
    "gle_Latn": "#8880b8",
    "sun_Latn": "#489008",
    "ban_Latn": "#403868",
    "bjn_Latn": "#d0b0d0",
    "min_Latn": "#30c880",
    "kor_Hang": "#c070d8",
    "tur_Latn": "#5858a0",
    "vie_Latn": "#804088",
    "pes_Arab": "#b0a800",
    "ell_Grek": "#a85860",
    "heb_Hebr": "#00a8b0",
    "fin_Latn": "#80a868",
    "hun_Latn": "#786840",
    "ron_Latn": "#004888",
    "tam_Taml": "#682800",
}
"""Six colours of Okabe and Ito, then each as far from those before it as OKLab allows on white."""

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


def language_colors(codes: Iterable[str]) -> dict[str, str]:
    """Language -> colour (``#rrggbb``), the same in every figure whatever others are in it.

    Common languages have colours that are far from each other. A language of theirs in another
    script (``rus_Latn``, as for a romanised control) has a lighter tint of it. Any other code has a
    colour made from its letters, which may be near to another.
    """
    return {code: _language_color(code) for code in codes}


def _language_color(code: str) -> str:
    if code in _LANGUAGE_COLORS:
        return _LANGUAGE_COLORS[code]
    language, _, script = code.partition("_")
    known = {name.partition("_")[0]: color for name, color in _LANGUAGE_COLORS.items()}
    if language in known and not script:
        return known[language]
    if language in known:
        parts = [int(known[language][at : at + 2], 16) for at in (1, 3, 5)]
        return _hex([1 - 0.5 * (1 - part / 255) for part in parts])
    number = zlib.crc32(code.encode())
    hue, lightness, saturation = (
        number % 997 / 997,
        number // 997 % 29 / 28,
        number // 28913 % 7 / 6,
    )
    return _hex(colorsys.hls_to_rgb(hue, 0.3 + 0.28 * lightness, 0.45 + 0.35 * saturation))


def _hex(rgb: Iterable[float]) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in rgb)


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
