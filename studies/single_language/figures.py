"""The pictures of the study, PNG and SVG."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .analysis import ACCURACIES, Group
from .plan import slug
from .report import TITLES, heading
from .stats import interval

INK = "#24292f"
COLORS = {
    "none": "#c8553d",
    "embeddings": "#8d8741",
    "first": "#3a86c8",
    "last": "#9d5bb5",
    "random": "#2a9d74",
    "head": "#6b7280",
}
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.hashsalt": "ilo_fast",
    "svg.fonttype": "path",
}


SHOWN = ("ilo", "translation_share", "retrieval_p1")  # by layer; the others are in the table


def write_figures(found: Sequence[Group], folder: Path) -> list[Path]:
    """All figures; the paths of the files. What shows differences needs conditions beside none."""
    paths = []
    with mpl.rc_context({**mpl.rcParamsDefault, "backend": "agg", **STYLE}):
        for group in found:
            name = f"layers_{group.task}_{slug(group.label)}"
            paths += _save(layer_figure(group), folder, name)
        labelled = [group for group in found if group.correct and group.contrasts]
        if labelled:
            paths += _save(forest_figure(labelled), folder, "accuracy_differences")
            paths += _save(language_figure(labelled), folder, "accuracy_by_language")
    return paths


def layer_figure(group: Group) -> Figure:
    """Scores by layer, before and after, a column a condition."""
    n = len(group.conditions)
    figure = Figure(figsize=(1.2 + 1.75 * n, 0.7 + 1.8 * len(SHOWN)), layout="constrained")
    grid = figure.subplots(len(SHOWN), n, sharex=True, sharey="row", squeeze=False)
    x = np.array(group.layers)
    for column, condition in enumerate(group.conditions):
        for ax, score in zip(grid[:, column], SHOWN, strict=True):
            _shade(ax, group, condition)
            before = group.before[score].mean(axis=0)
            change = group.change(condition, score)
            found = [interval(change[..., i]) for i in range(len(x))]
            after = before + np.array([f.mean for f in found])
            color = COLORS[condition]
            if len(group.seeds) > 1:
                low = before + np.array([f.lower for f in found])
                high = before + np.array([f.upper for f in found])
                ax.fill_between(x, low, high, color=color, alpha=0.25, lw=0)
            ax.plot(x, before, color=INK, lw=1.1, ls=(0, (3, 2)), label="before")
            ax.plot(x, after, color=color, lw=1.8, marker="o", ms=3, label="after")
            _plain(ax)
            ax.set_xticks(x if len(x) <= 9 else x[:: -(-len(x) // 8)])
            if column == 0:
                ax.set_ylabel(TITLES[score])
        grid[0, column].set_title(_what(group, condition), fontsize=8.5, color=color)
        grid[-1, column].set_xlabel("layer")
    for row in grid:
        # No score is above 1; an interval over two seeds may be.
        row[0].set_ylim(0, 1.07 * min(1.0, max(ax.dataLim.y1 for ax in row)))
    figure.suptitle(heading(group), x=0.01, ha="left", fontsize=11, weight="bold")
    figure.supxlabel(
        f"Dashed: before training. Line: after (mean of {len(group.seeds)} seeds, "
        f"{len(group.languages)} languages); band: 95 % interval of the change.\n"
        "Shaded: outputs of frozen blocks. Layer 0: embedding output.",
        x=0.01,
        ha="left",
        fontsize=7.5,
    )
    return figure


def forest_figure(found: Sequence[Group]) -> Figure:
    """Differences in accuracy with their intervals, a panel a model."""
    rows = max(len(group.contrasts) for group in found)
    figure = Figure(figsize=(1.6 + 3.3 * len(found), 1.5 + 0.36 * rows), layout="constrained")
    axes = figure.subplots(1, len(found), squeeze=False, sharex=True)[0]
    for ax, group in zip(axes, found, strict=True):
        pairs = group.contrasts
        for row, (condition, other) in enumerate(pairs):
            for where, shift, face in zip(
                ACCURACIES, (-0.13, 0.17), (COLORS[condition], "white"), strict=True
            ):
                x = group.answers(condition, where) - group.answers(other, where)
                got = interval(x)
                y = row + shift
                if not np.isnan(got.lower):
                    ax.plot((got.lower, got.upper), (y, y), color=COLORS[condition], lw=1.4)
                ax.plot(
                    got.mean, y, marker="o", ms=5, mfc=face, mec=COLORS[condition], ls="", mew=1.2
                )
        ax.axvline(0, color=INK, lw=0.8)
        compared = sum(other == "none" for _, other in pairs)
        if 0 < compared < len(pairs):
            ax.axhline(compared - 0.5, color=INK, lw=0.5, alpha=0.4)
        ax.set_yticks(range(len(pairs)), [f"{a} - {b}" for a, b in pairs])
        ax.set_ylim(len(pairs) - 0.5, -0.5)
        ax.set_title(group.label.replace(" at ", "\nat "), fontsize=9)
        ax.set_xlabel("difference in accuracy")
        _plain(ax, axis="x")
    figure.suptitle("Accuracy, paired differences", x=0.01, ha="left", fontsize=11, weight="bold")
    figure.supxlabel(
        "Filled: zero-shot, mean over the other languages. Hollow: English.\n"
        "Lines: 95 % intervals over seeds, languages, sentences.",
        x=0.01,
        ha="left",
        fontsize=7.5,
    )
    return figure


def language_figure(found: Sequence[Group]) -> Figure:
    """Accuracy without freezing, and what each condition adds to it, language by language."""
    columns = sum(len(group.conditions) for group in found)
    languages = max(len(group.languages) for group in found)
    figure = Figure(
        figsize=(1.5 + 0.62 * columns + 0.6 * len(found), 1.6 + 0.19 * languages),
        layout="constrained",
    )
    widths = [len(group.conditions) for group in found]
    axes = figure.subplots(1, len(found), squeeze=False, width_ratios=widths)[0]
    # One order for all panels, by accuracy without freezing.
    level = {c: 0.0 for group in found for c in group.languages}
    for group in found:
        for code, right in zip(
            group.languages, group.correct["none"].mean(axis=(0, 2)), strict=True
        ):
            level[code] += float(right)
    order = sorted(level, key=lambda code: -level[code])
    tables = {id(group): _by_language(group, order) for group in found}
    span = max(0.02, max(float(np.nanmax(np.abs(t[:, 1:]))) for t in tables.values()))
    image = None
    for ax, group in zip(axes, found, strict=True):
        cells = tables[id(group)]
        shown = cells.copy()
        shown[:, 0] = np.nan
        image = ax.imshow(shown, cmap="RdBu", vmin=-span, vmax=span, aspect="auto")
        for (row, column), value in np.ndenumerate(cells):
            if np.isnan(value):
                continue
            text = f"{value:.2f}" if column == 0 else f"{100 * value:+.0f}"
            strong = column > 0 and abs(value) > 0.65 * span
            color = "white" if strong else INK
            ax.text(column, row, text, ha="center", va="center", fontsize=6.8, color=color)
        names = ["none\n(accuracy)", *(f"{c}\n- none" for c in group.conditions if c != "none")]
        ax.set_xticks(range(len(names)), names, fontsize=7.5)
        ax.set_yticks(range(len(order)), order if ax is axes[0] else [], fontsize=7.5)
        ax.tick_params(length=0)
        ax.set_title(group.label.replace(" at ", "\nat "), fontsize=9)
        for side in ax.spines.values():
            side.set_visible(False)
    bar = figure.colorbar(image, ax=list(axes), shrink=0.5, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_formatter(lambda v, _: f"{100 * v:+.0f}")
    bar.set_label("difference, percentage points")
    figure.suptitle(
        "Accuracy in each language (trained on English)",
        x=0.01,
        ha="left",
        fontsize=11,
        weight="bold",
    )
    return figure


def _by_language(group: Group, order: Sequence[str]) -> np.ndarray:
    """(languages, conditions): accuracy without freezing, then differences to it."""
    base = group.correct["none"].mean(axis=(0, 2))
    columns = [base] + [
        group.correct[c].mean(axis=(0, 2)) - base for c in group.conditions if c != "none"
    ]
    where = {code: i for i, code in enumerate(group.languages)}
    cells = np.full((len(order), len(columns)), np.nan)
    for row, code in enumerate(order):
        if code in where:
            cells[row] = [column[where[code]] for column in columns]
    return cells


def _shade(ax: Axes, group: Group, condition: str) -> None:
    frozen = [set(f["layers"]) if f else set() for f in group.frozen[condition]]
    if any(blocks != frozen[0] for blocks in frozen):
        return  # another set for every seed
    for block in frozen[0]:
        ax.axvspan(block + 0.5, block + 1.5, color=INK, alpha=0.07, lw=0)
    if frozen[0] or condition == "embeddings":
        ax.axvspan(-0.5, 0.5, color=INK, alpha=0.07, lw=0)


def _what(group: Group, condition: str) -> str:
    n = group.freeze_n
    return {
        "none": "none frozen",
        "embeddings": "embeddings frozen",
        "first": f"first {n} frozen",
        "last": f"last {n} frozen",
        "random": f"{n} at random frozen",
        "head": "only task head trained",
    }[condition]


def _plain(ax: Axes, axis: str = "y") -> None:
    ax.set_axisbelow(True)
    ax.grid(axis=axis, color=INK, alpha=0.15, lw=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=7.5, length=2.5, width=0.6)


def _save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Both formats, each whole or not at all."""
    paths = []
    for suffix in ("png", "svg"):
        path = folder / f"{name}.{suffix}"
        partial = path.with_name(f".{name}.{os.getpid()}.{suffix}")
        metadata = {"Date": None} if suffix == "svg" else {"Software": None}
        try:
            figure.savefig(partial, dpi=160, facecolor="white", metadata=metadata)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        paths.append(path)
    return paths
