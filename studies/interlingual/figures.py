"""The pictures of the study, PNG and SVG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ilo_fast._util.files import write_text
from ilo_fast.corpora.languages import describe_language
from ilo_fast.plots.style import plain_axes, png_bytes, style, svg_text

from .findings import best_row, companion_ranks

ILO, SHARE, CORE = "#c8553d", "#2a6f97", "#2a9d74"  # told apart in grey by their lines, too
LINES = {ILO: "-", SHARE: (0, (5, 1.5)), CORE: (0, (1.2, 1.2))}


def write_figures(measured: Mapping[str, Any], folder: Path) -> list[Path]:
    """All figures; the paths of the files."""
    drawn = {
        "layers": layer_figure,
        "languages": language_figure,
        "companions": companion_figure,
        "sizes": size_figure,
    }
    paths = []
    for name, draw in drawn.items():
        with style():
            figure = draw(measured)
        (folder / f"{name}.png").write_bytes(png_bytes(figure))
        write_text(folder / f"{name}.svg", svg_text(figure))
        paths += [folder / f"{name}.png", folder / f"{name}.svg"]
    return paths


def layer_figure(measured: Mapping[str, Any]) -> Figure:
    """ILO, translation share and core by layer, a column per model."""
    figure = Figure(figsize=(0.4 + 2.5 * len(measured), 2.9), layout="constrained")
    axes = figure.subplots(1, len(measured), sharey=True, squeeze=False)[0]
    for ax, (name, one) in zip(axes, measured.items(), strict=True):
        scores = one.scores
        x = np.array(scores.layers)
        ends = scores.intervals.of_means()
        for score, color in (("ilo", ILO), ("translation_share", SHARE)):
            ax.fill_between(x, *ends[score], color=color, alpha=0.25, lw=0)
        _line(ax, x, scores.ilo.mean(axis=1), ILO, "ILO")
        _line(ax, x, scores.translation_share.mean(axis=1), SHARE, "translation share")
        _line(ax, x, one.structure.core_share, CORE, "points in the core")
        ax.axhline(
            scores.limits.means()["ilo_under_mixing"], color=ILO, lw=0.8, alpha=0.6,
            label="ILO under mixing",
        )  # fmt: skip
        ax.set_title(name, fontsize=8.5)
        ax.set_xlabel("layer (0 = embeddings)")
        ax.set_xticks(x if len(x) <= 7 else x[::2])
        ax.set_ylim(-0.02, 1.05)
        plain_axes(ax, "y")
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False
    )
    return figure


def language_figure(measured: Mapping[str, Any]) -> Figure:
    """Translation share of every language at each best layer, and whether the core holds it."""
    first = next(iter(measured.values())).scores
    rows = {name: best_row(one.scores, "translation_share") for name, one in measured.items()}
    order = np.argsort(
        np.mean([m.scores.translation_share[rows[n]] for n, m in measured.items()], axis=0)
    )
    figure = Figure(
        figsize=(1.6 + 2.1 * len(measured), 0.8 + 0.16 * len(order)), layout="constrained"
    )
    axes = figure.subplots(1, len(measured), sharey=True, squeeze=False)[0]
    y = np.arange(len(order))
    for ax, (name, one) in zip(axes, measured.items(), strict=True):
        h, scores = rows[name], one.scores
        low, high = scores.intervals.ends("translation_share")
        held = one.structure.language_core_share[h][order] >= 0.5
        ax.hlines(y, low[h][order], high[h][order], color=SHARE, lw=1.0, alpha=0.7)
        value = scores.translation_share[h][order]
        ax.plot(value[held], y[held], "o", ms=4, color=SHARE, label="held by the core")
        ax.plot(value[~held], y[~held], "o", ms=4, mfc="white", mec=SHARE, label="outside the core")
        ax.set_title(f"{name}, layer {scores.layers[h]}", fontsize=8.5)
        ax.set_xlabel("translation share")
        ax.set_xlim(-0.02, 1.02)
        ax.set_ylim(-0.7, len(order) - 0.3)
        plain_axes(ax, "x")
    names = [describe_language(first.languages[c]) for c in order]
    labels = [
        known["name"] if "script" in known["name"] else f"{known['name']} ({known['script']})"
        for known in names
    ]
    axes[0].set_yticks(y, labels, fontsize=7)
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False
    )
    return figure


def companion_figure(measured: Mapping[str, Any]) -> Figure:
    """How each companion orders the layers beside ILO (left) and the translation share (right)."""
    ranks = {n: companion_ranks(one.scores, one.companions) for n, one in measured.items()}
    names = [row["score"] for row in next(iter(ranks.values()))]
    figure = Figure(figsize=(6.6, 0.9 + 0.2 * len(names)), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for ax, with_score, title in zip(
        axes, ("with_ilo", "with_translation_share"), ("ILO", "translation share"), strict=True
    ):
        table = np.array(
            [
                [np.nan if r[with_score] is None else r[with_score] for r in x]
                for x in ranks.values()
            ]
        ).T
        image = ax.imshow(table, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
        for i, j in np.ndindex(*table.shape):
            if np.isfinite(table[i, j]):
                dark = abs(table[i, j]) > 0.6
                ax.text(
                    j, i, f"{table[i, j]:+.2f}", ha="center", va="center", fontsize=6.5,
                    color="white" if dark else "black",
                )  # fmt: skip
        ax.set_xticks(range(len(ranks)), list(ranks), fontsize=7, rotation=20, ha="right")
        ax.set_title(f"order of layers, with {title}", fontsize=8.5)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    axes[0].set_yticks(range(len(names)), [n.replace("_", " ") for n in names], fontsize=7)
    figure.colorbar(image, ax=axes, shrink=0.5, label="Spearman's correlation over layers")
    return figure


def size_figure(measured: Mapping[str, Any]) -> Figure:
    """ILO and translation share of an eighth to all of the sentences."""
    figure = Figure(figsize=(0.4 + 2.5 * len(measured), 2.6), layout="constrained")
    axes = figure.subplots(1, len(measured), sharey=True, squeeze=False)[0]
    for ax, (name, one) in zip(axes, measured.items(), strict=True):
        h = best_row(one.scores, "translation_share")
        for score, color, label in (
            ("ilo", ILO, "ILO"),
            ("translation_share", SHARE, "translation share"),
        ):
            means = one.curve.means[score][:, h].mean(axis=1)
            _line(ax, np.array(one.curve.sizes), means, color, label)
        ax.set_xscale("log", base=2)
        ax.set_xticks(one.curve.sizes, [f"{size:.0f}" for size in one.curve.sizes])
        ax.minorticks_off()
        ax.set_title(f"{name}, layer {one.scores.layers[h]}", fontsize=8.5)
        ax.set_xlabel("sentences per language")
        ax.set_ylim(-0.02, 1.05)
        plain_axes(ax, "y")
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False
    )
    return figure


def _line(ax: Axes, x: Any, y: Any, color: str, label: str) -> None:
    ax.plot(x, y, color=color, ls=LINES[color], lw=1.6, marker="o", ms=2.5, label=label)
