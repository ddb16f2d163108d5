"""The pictures of the study, PNG and SVG."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ilo_fast._util.files import write_text
from ilo_fast.corpora.languages import describe_language
from ilo_fast.plots.style import language_colors, plain_axes, png_bytes, style, svg_text
from multilingual_clt.findings import Read
from multilingual_clt.plan import Plan
from multilingual_clt.report import mean_excess

KINDS = {"clt": "cross-layer", "plt": "per-layer"}
COLORS = {
    "equal": "#0072b2", "english50": "#e69f00", "english70": "#cc79a7", "english90": "#d55e00",
    "no-english": "#009e73", "romanised": "#56b4e9", "english-tokens": "#8c6d46",
    "random": "#7a828a",
}  # fmt: skip


def write_figures(plan: Plan, read: Read, folder: Path) -> list[Path]:
    """All that there are numbers for; the paths of the files."""
    paths = []
    for name, draw in {
        "sharing": sharing_figure,
        "language_features": language_figure,
        "probes": probe_figure,
        "vocabularies": vocabulary_figure,
    }.items():
        with style():
            figure = draw(plan, read)
        if figure is None:
            continue
        (folder / f"{name}.png").write_bytes(png_bytes(figure))
        write_text(folder / f"{name}.svg", svg_text(figure))
        paths += [folder / f"{name}.png", folder / f"{name}.svg"]
    return paths


def _mean(plan: Plan, get: Callable[[int], list[float] | None]) -> Any:
    """Over seeds; None where no seed has it."""
    rows = [row for row in map(get, plan.seeds) if row is not None]
    return np.mean(np.array(rows, dtype=float), axis=0) if rows else None


def sharing_figure(plan: Plan, read: Read) -> Figure | None:
    """Excess of shared features by layer beside what neighbourhoods say, a line per condition."""

    def excess(name: str, kind: str, part: int) -> Callable[[int], list[float] | None]:
        def get(seed: int) -> list[float] | None:
            piece = read(f"space-{name}-{seed}-{kind}")
            return None if piece is None else [row[part] for row in mean_excess(piece)]

        return get

    def score(name: str, which: str) -> Callable[[int], list[float] | None]:
        def get(seed: int) -> list[float] | None:
            piece = read(f"space-{name}-{seed}-clt")
            return None if piece is None else piece["space"]["scores"]["hidden"][which]["values"]

        return get

    figure = Figure(figsize=(9.2, 2.9), layout="constrained")
    axes = figure.subplots(1, 4)
    axes[1].sharey(axes[0])
    drawn = False
    for name in plan.conditions:
        for ax, kind in zip(axes, KINDS, strict=False):
            values = _mean(plan, excess(name, kind, 0))
            if values is None:
                continue
            drawn = True
            _line(ax, name, values)
            if name in ("equal", "random"):
                ends = [_mean(plan, excess(name, kind, part)) for part in (1, 2)]
                ax.fill_between(range(len(values)), *ends, color=COLORS[name], alpha=0.18, lw=0)
        for ax, which in zip(axes[2:], ("mutual_knn", "translation_share"), strict=True):
            values = _mean(plan, score(name, which))
            if values is not None:
                _line(ax, name, values)
    titles = [f"features shared, {kind}" for kind in KINDS.values()]
    titles += ["mutual k-NN, hidden states", "translations, hidden states"]
    for ax, title in zip(axes, titles, strict=True):
        _finish(ax, title)
    if not drawn:
        return None
    axes[0].set_ylabel("excess Jaccard over shuffled")
    axes[-1].legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def language_figure(plan: Plan, read: Read) -> Figure | None:
    """Features of single languages by layer and language, a panel per condition."""
    shown = [name for name in plan.conditions if _specific(plan, read, name)]
    if not shown:
        return None
    figure = Figure(figsize=(0.6 + 1.6 * len(shown), 2.6), layout="constrained")
    axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for ax, name in zip(axes, shown, strict=True):
        by_language = _specific(plan, read, name)
        colors = language_colors(by_language)
        below = np.zeros(len(next(iter(by_language.values()))))
        for code, values in by_language.items():
            label = str(describe_language(code)["name"])
            ax.bar(range(len(values)), values, bottom=below, color=colors[code], label=label)
            below = below + values
        _finish(ax, name)
    axes[0].set_ylabel("features of one language")
    axes[-1].legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
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

    figure = Figure(figsize=(3.6, 2.6), layout="constrained")
    ax = figure.subplots()
    for name in plan.conditions:
        values = _mean(plan, over(name))
        if values is not None:
            _line(ax, name, values)
    if not ax.lines:
        return None
    ax.axhline(0, color="#7a828a", lw=0.8)
    _finish(ax, "language from what MLPs read")
    ax.set_ylabel("accuracy less the token's own")
    ax.legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def vocabulary_figure(plan: Plan, read: Read) -> Figure | None:
    """Tokens beside English, by size of the vocabulary and share of English."""
    piece = read("vocabularies")
    if piece is None:
        return None
    figure = Figure(figsize=(5.4, 2.6), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    colors = language_colors(plan.languages)
    for ax, mixture in zip(axes, ("equal", "english90"), strict=True):
        own = {
            int(name.split()[1]): one
            for name, one in piece["statistics"].items()
            if name.split()[0] == mixture
        }
        for code in plan.languages:
            values = [
                one["values"][one["languages"].index(code)][one["statistics"].index("premium")]
                for one in own.values()
            ]
            ax.plot(list(own), values, marker="o", ms=3, color=colors[code],
                    label=str(describe_language(code)["name"]))  # fmt: skip
        ax.set_xscale("log", base=2)
        ax.set_xticks(list(own), [f"{size // 1024}k" for size in own])
        ax.set_xlabel("vocabulary")
        ax.set_title("equal shares" if mixture == "equal" else "90 % English", fontsize=8.5)
        plain_axes(ax, "y")
    axes[0].set_ylabel("tokens beside English")
    axes[-1].legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _line(ax: Axes, name: str, values: Any) -> None:
    dashed = name == "random"
    ax.plot(
        range(len(values)), values, color=COLORS[name], lw=1.4, label=name,
        ls=(0, (3, 1.5)) if dashed else "-",
    )  # fmt: skip


def _finish(ax: Axes, title: str) -> None:
    ax.set_title(title, fontsize=8.5)
    ax.set_xlabel("layer")
    plain_axes(ax, "y")
