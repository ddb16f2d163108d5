"""The files of a comparison: everything as JSON, the differences as a table, and the figure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ilo_fast.report.files import check_can_draw, rendered, write_files
from ilo_fast.scores.comparison.result import COMPARISON_FILE

if TYPE_CHECKING:
    from ilo_fast.scores.comparison.result import Comparison

TABLE_FILE = "comparison.csv"
FIGURE_FILES = ("comparison.png", "comparison.svg", "comparison.pdf")
_DRAWN = ("ilo", "translation_share")


def write_comparison(comparison: Comparison, folder: Path, *, draw: bool = True) -> list[Path]:
    """Write ``comparison.json``, ``comparison.csv`` and, to draw, the figure.

    Parameters
    ----------
    folder
        Made where it does not exist. Everything is rendered before the first file is written; the
        figure of an earlier comparison is removed.

    Raises
    ------
    ImportError
        A figure, where matplotlib is missing.
    """
    contents = {
        COMPARISON_FILE: comparison.to_json().encode(),
        TABLE_FILE: comparison.to_csv().encode(),
    }
    if draw:
        check_can_draw()
        from ilo_fast.plots.comparison import comparison_figure

        shown = [comparison.drawn(score) for score in _DRAWN if score in comparison.scores]
        figure = comparison_figure(shown, subtitle=comparison.subtitle)
        contents |= rendered("comparison", figure)
    return write_files(folder, contents, stale=FIGURE_FILES)
