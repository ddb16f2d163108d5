"""Features of single languages by layer, what probes read, what ablation costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ilo_fast.corpora.languages import describe_language
from ilo_fast.plots.ablation import AblationCells, ablation_figure
from ilo_fast.plots.style import language_colors
from multilingual_clt.figures.drawing import (
    COLORS,
    NAMES,
    counted,
    draw_legend,
    draw_line,
    finish,
    mean_over,
)
from multilingual_clt.findings import Read
from multilingual_clt.plan import Plan


def language_figure(plan: Plan, read: Read) -> Figure | None:
    """Features of single languages by layer and language, a panel per condition."""
    shown = [name for name in plan.conditions if _specific(plan, read, name)]
    if not shown:
        return None
    figure = Figure(figsize=(0.8 + 1.25 * len(shown), 2.5), layout="constrained")
    axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for ax, name in zip(axes, shown, strict=True):
        by_language = _specific(plan, read, name)
        colors = language_colors(by_language)
        below = np.zeros(len(next(iter(by_language.values()))))
        for code, values in by_language.items():
            label = str(describe_language(code)["name"])
            ax.bar(range(len(values)), values, bottom=below, color=colors[code], label=label)
            below = below + values
        finish(ax, NAMES[name])
    axes[0].set_ylabel("features of one language")
    draw_legend(axes[-1])
    return figure


def _specific(plan: Plan, read: Read, name: str) -> dict[str, Any]:
    pieces = [read(f"languages-{name}-{seed}-clt") for seed in plan.seeds]
    rates = [piece["rates"] for piece in pieces if piece is not None]
    if not rates:
        return {}
    return {
        code: np.mean([[row["specific_to"][code] for row in rows] for rows in rates], axis=0)
        for code in rates[0][0]["specific_to"]
    }


def probe_figure(plan: Plan, read: Read) -> Figure | None:
    """Accuracy of the probe on what each layer reads, less that of the token alone."""

    def over(name: str) -> Callable[[int], list[float] | None]:
        def get(seed: int) -> list[float] | None:
            piece = read(f"probes-{name}-{seed}-clt")
            if piece is None:
                return None
            return [p["over_unigram"] for p in piece["probes"] if p["kind"] == "x"]

        return get

    figure = Figure(figsize=(4.4, 2.6), layout="constrained")
    ax = figure.subplots()
    for name in plan.conditions:
        values = mean_over(plan.seeds, over(name))
        if values is not None:
            draw_line(ax, values, COLORS[name], NAMES[name],
                      (0, (3, 1.5)) if name == "random" else "-")  # fmt: skip
    if not ax.lines:
        return None
    ax.axhline(0, color="#7a828a", lw=0.8)
    finish(ax, "language told from what MLPs read")
    ax.set_ylabel("accuracy less the token's own")
    draw_legend(ax)
    return figure


def loss_figure(plan: Plan, read: Read) -> Figure | None:
    """Loss per language without the late features of each; frames where all seeds agree."""
    pieces = [read(f"ablation-equal-{seed}-clt") for seed in plan.seeds]
    known = [piece for piece in pieces if piece is not None]
    if not known:
        return None
    sets, languages = tuple(known[0]["sets"]), tuple(known[0]["languages"])
    cells = {
        key: np.array([[cell[key] for cell in piece["cells"]] for piece in known])
        .reshape(len(known), len(sets), len(languages))
        for key in ("change", "p_adjusted")
    }  # fmt: skip
    return ablation_figure(
        AblationCells(
            cells["change"].mean(axis=0), (cells["p_adjusted"] <= 0.05).all(axis=0),
            sets, languages,
            "frame: beyond 200 matched random sets in every seed (maxT over all cells, 5 %)",
            "Loss without a language's late features",
            f"nats per token, equal shares, {counted(len(known))}",
        )
    )  # fmt: skip
