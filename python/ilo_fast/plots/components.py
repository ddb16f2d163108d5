"""The core, its fragments and the rest by layer, and how points move between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.path import Path

from ilo_fast._util.messages import elide
from ilo_fast.plots.dendrogram_matrix import NARROW
from ilo_fast.plots.style import INK, ShownFigure, draw_title, label_layers, style, text_width

CORE, REST = 0, -1

# Okabe and Ito's colours, told apart also by the colour-blind. The core is the darkest, what is in
# neither the lightest, so that both are seen in grey; fragments are named beside their bars, too.
CORE_COLOR: Final = "#003f5c"
REST_COLOR: Final = "#dfe3e6"
FRAGMENT_COLORS: Final = ("#e69f00", "#56b4e9", "#009e73", "#d55e00", "#cc79a7", "#f0e442")
OTHER_COLOR: Final = "#a9b1b8"
_BAR: Final = 0.34  # of the distance between layers
_NUMBERED: Final = 0.035  # of all points: a smaller part has no room for its number
_LEAST_FLOW: Final = 0.001  # of all points: less would not be seen
_MOST_COLORED: Final = 10  # fragments; the legend has room for no more
_MOST_NUMBERED: Final = 20  # layers; of more, bars are too narrow
_TOP: Final = 0.68  # inches above the bars, with a title
_MIXING: Final = "core under mixing"
_DASHES: Final = (1.6, 1)


@dataclass(frozen=True)
class ComponentFlows:
    """What the figure shows.

    Attributes
    ----------
    layers : tuple of int
    sizes : tuple of mapping
        Of each layer: label -> points; 0 the core, -1 neither core nor fragment.
    flows : tuple of tuple of (int, int, int)
        Between each layer and the next: a label there, a label here, points.
    names : mapping
        Label -> name.
    under_mixing : tuple of float
        Of each layer, the points of the core where languages are exchanged at random.
    title, subtitle : str
    embeddings : bool
    """

    layers: tuple[int, ...]
    sizes: tuple[Mapping[int, int], ...]
    flows: tuple[tuple[tuple[int, int, int], ...], ...]
    names: Mapping[int, str]
    under_mixing: tuple[float, ...]
    title: str = ""
    subtitle: str = ""
    embeddings: bool = False


def fragment_colors(sizes: Sequence[Mapping[int, int]]) -> dict[int, str]:
    """Label -> colour: the fragments with the most points have one of their own, the others grey.

    A colour is used again only where its fragments are at no layer together.
    """
    points: dict[int, int] = {}
    for layer in sizes:
        for label, size in layer.items():
            points[label] = points.get(label, 0) + size
    colors = {CORE: CORE_COLOR, REST: REST_COLOR}
    taken: list[set[int]] = [set() for _ in FRAGMENT_COLORS]
    ranked = sorted(set(points) - set(colors), key=lambda label: (-points[label], label))
    colors |= dict.fromkeys(ranked, OTHER_COLOR)
    for label in ranked[:_MOST_COLORED]:
        at = {h for h, layer in enumerate(sizes) if layer.get(label)}
        free = next((i for i, used in enumerate(taken) if not used & at), None)
        if free is not None:
            colors[label] = FRAGMENT_COLORS[free]
            taken[free] |= at
    return colors


def components_figure(shown: ComponentFlows, *, width: float = 6.3) -> Figure:
    """A bar per layer, the core at the bottom; ribbons show where its points go in the next layer.

    Parameters
    ----------
    width : float
        In inches: 3.3 is one column of a paper, 6.3 two.
    """
    narrow = width < NARROW
    font = 6.0 if narrow else 7.0
    colors = fragment_colors(shown.sizes)
    entries = _entries(shown, colors, longest=22 if narrow else 38)
    legend = text_width([name for _, name in entries], font) + 0.4
    right, lines = (0.05, -(-len(entries) // 2)) if narrow else (legend, 0)
    titled = bool(shown.title) and not narrow
    left, top, inner = 0.52, _TOP if titled else 0.12, max(1.9, 0.45 * width)
    step = 1.75 * font / 72
    bottom = 0.4 + lines * step
    height = top + inner + bottom
    with style():
        figure = ShownFigure(figsize=(width, height))
        ax = figure.add_axes(
            (left / width, bottom / height, (width - left - right) / width, inner / height)
        )
        spans = [_spans(layer) for layer in shown.sizes]
        for h, flows in enumerate(shown.flows):
            _draw_ribbons(ax, h, flows, spans[h], spans[h + 1], colors)
        _draw_bars(ax, shown, spans, colors, font)
        if narrow:
            _draw_legend(figure, entries[:lines], 0.1, lines * step, font)
            _draw_legend(figure, entries[lines:], 0.5 * width, lines * step, font)
        else:
            _draw_legend(figure, entries, width - right + 0.05, height - top, font)
        n, last = sum(shown.sizes[0].values()), len(shown.layers) - 1
        ax.set_ylim(0, n)
        ax.set_xlim(-0.5, last + 0.25)
        ax.set_yticks([0, 0.5 * n, n], ["0", "50", "100 %"], fontsize=font)
        ax.set_ylabel("points", fontsize=font, labelpad=0)
        label_layers(
            ax, shown.layers, positions=range(last + 1), room=int(5 * (width - left - right)),
            embeddings=shown.embeddings,
        )  # fmt: skip
        ax.tick_params(length=2, width=0.5, labelsize=font)
        ax.xaxis.label.set_fontsize(font)
        ax.spines[["top", "right", "bottom"]].set_visible(False)
        if titled:
            draw_title(figure, shown.title, shown.subtitle, 0.12 / width, height)
    return figure


Spans = dict[int, tuple[float, float]]


def _spans(layer: Mapping[int, int]) -> Spans:
    """Where each part of a bar begins and ends: the core, fragments by label, the rest on top."""
    spans, start = {}, 0.0
    for label in sorted(layer, key=lambda label: (label == REST, label)):
        spans[label] = (start, start + layer[label])
        start += layer[label]
    return spans


def _draw_bars(
    ax: Axes,
    shown: ComponentFlows,
    spans: Sequence[Spans],
    colors: Mapping[int, str],
    font: float,
) -> None:
    large = _NUMBERED * sum(shown.sizes[0].values())
    numbered = set(_coloured(colors)) if len(shown.layers) <= _MOST_NUMBERED else set()
    for h, parts in enumerate(spans):
        low, high = np.array(list(parts.values())).T
        ax.bar(
            [h] * len(parts), high - low, _BAR, bottom=low, edgecolor="white", lw=0.4,
            color=[colors[label] for label in parts],
        )  # fmt: skip
        for label, (low, high) in parts.items():
            if label in numbered and high - low >= large:
                ax.text(
                    h, (low + high) / 2, str(label), fontsize=font - 1.5, ha="center", va="center",
                    color="black",
                )  # fmt: skip
        ax.plot(
            [h - 0.7 * _BAR, h + 0.7 * _BAR], [shown.under_mixing[h]] * 2, color=INK, lw=1.1,
            dashes=_DASHES, zorder=5,
        )  # fmt: skip


def _draw_ribbons(
    ax: Axes,
    h: int,
    flows: Sequence[tuple[int, int, int]],
    here: Spans,
    there: Spans,
    colors: Mapping[int, str],
) -> None:
    """Each flow as a band, as high at both ends as it has points; hairs are left out."""
    curve = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
    outlines, faces = [], []
    least = _LEAST_FLOW * sum(points for _, _, points in flows)
    start = {label: low for label, (low, _) in here.items()}
    end = {label: low for label, (low, _) in there.items()}

    def rank(label: int) -> tuple[bool, int]:
        return label == REST, label

    for a, b, points in sorted(flows, key=lambda flow: (rank(flow[0]), rank(flow[1]))):
        low, high = start[a], end[b]
        start[a] += points
        end[b] += points
        if points < least:
            continue
        x0, x1 = h + _BAR / 2, h + 1 - _BAR / 2
        middle = (x0 + x1) / 2
        ends = [
            (x0, low), (middle, low), (middle, high), (x1, high),
            (x1, high + points), (middle, high + points), (middle, low + points),
            (x0, low + points), (x0, low),
        ]  # fmt: skip
        outlines.append(Path(ends, curve))
        faces.append(colors[a] if a not in (CORE, REST) else colors[b])
    ax.add_collection(PathCollection(outlines, facecolors=faces, edgecolors="none", alpha=0.4))


def _entries(
    shown: ComponentFlows, colors: Mapping[int, str], longest: int
) -> list[tuple[str, str]]:
    """Colour and name from the top of a bar: fragments by number; last the mark of mixing."""
    others = any(color == OTHER_COLOR for color in colors.values())
    return [
        (REST_COLOR, "neither"),
        *([(OTHER_COLOR, "other fragments")] if others else []),
        *(
            (colors[label], f"{label}  {elide(shown.names[label], longest)}")
            for label in sorted(_coloured(colors), reverse=True)
        ),
        (CORE_COLOR, "core"),
        (INK, _MIXING),
    ]


def _draw_legend(
    figure: Figure, entries: Sequence[tuple[str, str]], left: float, upper: float, font: float
) -> None:
    """From `upper` downwards, in inches."""
    width, height = figure.get_size_inches()
    step = 1.75 * font / 72
    for i, (color, name) in enumerate(entries):
        y = upper - (i + 0.5) * step
        if name == _MIXING:
            line = Line2D(
                [left / width, (left + 0.1) / width], [y / height] * 2, color=color, lw=1.1,
                dashes=_DASHES, transform=figure.transFigure, figure=figure,
            )  # fmt: skip
            figure.lines.append(line)
        else:
            patch = Rectangle(
                (left / width, (y - 0.32 * step) / height), 0.1 / width, 0.64 * step / height,
                fc=color, ec="none", transform=figure.transFigure, figure=figure,
            )  # fmt: skip
            figure.patches.append(patch)
        figure.text((left + 0.15) / width, y / height, name, fontsize=font, va="center")


def _coloured(colors: Mapping[int, str]) -> list[int]:
    return [label for label, color in colors.items() if color in FRAGMENT_COLORS]
