"""Both notions of sharing in one picture: features above, neighbourhoods below, by layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ilo_fast.plots.style import INK
from multilingual_clt.figures.drawing import (
    KINDS,
    NAMES,
    draw_band,
    draw_legend,
    draw_line,
    finish,
    mean_over,
)
from multilingual_clt.findings import Read
from multilingual_clt.plan import Plan
from multilingual_clt.tables import mean_excess

_FEATURES: Final = {"clt": "#0072b2", "plt": "#d55e00", "influence": "#009e73"}
_SCORES: Final = {
    "ilo": ("ILO", "#0072b2"), "mutual_knn": ("mutual k-NN", "#009e73"),
    "translation_share": ("translations", "#d55e00"),
}  # fmt: skip


def sharing_figure(plan: Plan, read: Read) -> Figure | None:
    """A column per condition; bands are mean ends of 95 % intervals over the seeds."""
    shown = [
        name
        for name in plan.conditions
        if any(read(f"space-{name}-{seed}-clt") is not None for seed in plan.seeds)
    ]
    if not shown:
        return None
    figure = Figure(figsize=(1.4 + 1.25 * len(shown), 5.2), layout="constrained")
    axes = figure.subplots(3, len(shown), sharex=True, sharey="row", squeeze=False)
    for column, name in enumerate(shown):
        _features(axes[0, column], plan, read, name)
        _scores(axes[1, column], plan, read, name, "hidden")
        _scores(axes[2, column], plan, read, name, "features")
        for row, title in enumerate((NAMES[name], "", "")):
            finish(axes[row, column], title, "layer" if row == 2 else "")
    for row, label in enumerate(
        ("excess Jaccard of\ntranslations' features", "hidden states",
         "feature vectors\n(cross-layer)")
    ):  # fmt: skip
        axes[row, 0].set_ylabel(label)
    draw_legend(axes[0, -1])
    draw_legend(axes[1, -1])
    return figure


def _features(ax: Axes, plan: Plan, read: Read, name: str) -> None:
    ways = {kind: f"space-{name}-{{}}-{kind}" for kind in KINDS}
    ways["influence"] = f"influence-{name}-{{}}-clt"
    labels = {**KINDS, "influence": "by influence"}
    for way, form in ways.items():
        values, *ends = (mean_over(plan.seeds, _excess(read, form, part)) for part in range(3))
        if values is not None:
            draw_band(ax, ends, _FEATURES[way])
            draw_line(ax, values, _FEATURES[way], labels[way])
    ax.axhline(0, color=INK, lw=0.8, alpha=0.5)


def _excess(read: Read, form: str, part: int) -> Callable[[int], list[float] | None]:
    def get(seed: int) -> list[float] | None:
        piece = read(form.format(seed))
        if piece is None:
            return None
        sharing = piece["space"]["sharing"] if "space" in piece else piece
        return [row[part] for row in mean_excess(sharing)]

    return get


def _scores(ax: Axes, plan: Plan, read: Read, name: str, source: str) -> None:
    for score, (label, color) in _SCORES.items():

        def part(which: str, score: str = score) -> Any:
            def get(seed: int) -> Any:
                piece = read(f"space-{name}-{seed}-clt")
                if piece is None:
                    return None
                values = piece["space"]["scores"][source][score][which]
                return None if None in values else values

            return mean_over(plan.seeds, get)

        values, low, high, chance = map(part, ("values", "low", "high", "chance"))
        if values is None:
            continue
        # The interval of a score of next to nothing is that of a count of none: wide, and no news.
        if low is not None and high is not None and values.max() > 0.01:
            draw_band(ax, (low, high), color)
        if chance is not None:
            ax.plot(range(len(chance)), chance, color=color, lw=0.8, ls=":")
        draw_line(ax, values, color, label)
