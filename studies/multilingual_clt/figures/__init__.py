"""The pictures of the study, PNG and SVG."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

from ilo_fast._util.files import write_text
from ilo_fast.plots.style import png_bytes, style, svg_text
from multilingual_clt.figures.languages import language_figure, loss_figure, probe_figure
from multilingual_clt.figures.sharing import sharing_figure
from multilingual_clt.figures.steering import steering_figure, strength_figure
from multilingual_clt.figures.tuning import tuning_figure
from multilingual_clt.figures.vocabularies import vocabulary_figure
from multilingual_clt.findings import Read
from multilingual_clt.plan import Plan

FIGURES: Final[dict[str, Callable[[Plan, Read], Figure | None]]] = {
    "sharing": sharing_figure,
    "language_features": language_figure,
    "probes": probe_figure,
    "ablation": loss_figure,
    "swap": steering_figure,
    "strengths": strength_figure,
    "tuning": tuning_figure,
    "vocabularies": vocabulary_figure,
}


def write_figures(plan: Plan, read: Read, folder: Path) -> list[Path]:
    """All that there are numbers for; the paths of the files."""
    paths = []
    for name, draw in FIGURES.items():
        with style():
            figure = draw(plan, read)
        if figure is None:
            continue
        (folder / f"{name}.png").write_bytes(png_bytes(figure))
        write_text(folder / f"{name}.svg", svg_text(figure))
        paths += [folder / f"{name}.png", folder / f"{name}.svg"]
    return paths
