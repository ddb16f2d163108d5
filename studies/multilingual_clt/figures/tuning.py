"""What fine-tuning on one language changed, beside what seeds alone change."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ilo_fast.plots.style import INK, plain_axes
from multilingual_clt.findings import Read
from multilingual_clt.plan import Plan

_COLOR, _CONTROL = "#d55e00", "#8a8f98"


def tuning_figure(plan: Plan, read: Read) -> Figure | None:
    """A panel per claim: the tuned model with its interval, controls as grey dots, per seed."""
    pieces = {
        (way, method, seed): piece
        for way in ("reused", "refitted", "fresh")
        for method in ("full", "lora")
        for seed in plan.seeds
        if (piece := read(f"diff-{method}-{way}-{seed}")) is not None
    }
    if not pieces:
        return None
    names = [claim["name"] for claim in next(iter(pieces.values()))["claims"]]
    figure = Figure(figsize=(8.4, 0.9 + 0.2 * len(pieces)), layout="constrained")
    axes = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for ax, name in zip(axes, names, strict=True):
        for at, piece in enumerate(pieces.values()):
            claim = next((one for one in piece["claims"] if one["name"] == name), None)
            if claim is None or claim["tuned"]["value"] is None:
                continue
            controls = [c["value"] for c in claim["controls"] if c["value"] is not None]
            ax.plot(controls, [at] * len(controls), "|", color=_CONTROL, ms=9, mew=1.6)
            tuned = claim["tuned"]
            ends = [tuned["low"], tuned["high"]]
            if None not in ends:
                ax.plot(ends, [at, at], color=_COLOR, lw=1.4)
            ax.plot([tuned["value"]], [at], "o", color=_COLOR, ms=4)
        ax.axvline(0, color=INK, lw=0.8, alpha=0.5)
        plain_axes(ax, "x")
        ax.set_title(name, fontsize=8.5)
        ax.set_xlabel("log2 ratio")
    axes[0].set_yticks(
        np.arange(len(pieces)),
        [f"{method}, {way}, seed {seed}" for way, method, seed in pieces],
    )
    axes[0].set_ylim(len(pieces) - 0.4, -0.6)
    return figure
