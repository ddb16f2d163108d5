"""What tokenizers of several sizes and mixtures give each language."""

from __future__ import annotations

from matplotlib.figure import Figure

from ilo_fast.corpora.languages import describe_language
from ilo_fast.plots.style import language_colors, plain_axes
from multilingual_clt.figures.drawing import draw_legend
from multilingual_clt.findings import Read
from multilingual_clt.plan import Plan


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
    draw_legend(axes[-1])
    return figure
