"""A folder of results: what is in it, and how it is replaced without ever being half new.

``scores.json`` is the truth, written first; everything else is drawn from it and can be rebuilt by
``ilo-fast report``. Files are written in a folder aside and renamed into place together, so a full
disk or an interruption leaves the results as they were.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ilo_fast.report.tables import write_csv

if TYPE_CHECKING:
    from ilo_fast.scores.overlap import OverlapScores

SCORES_FILE = "scores.json"
TABLE_FILE = "scores.csv"
DRAWN_FILES = ("heatmap.png", "heatmap.svg", "curve.png", "curve.svg", "report.html")


class ReportDependencyError(ImportError):
    """A library that draws is not installed; the message says how to get it."""


def check_can_draw() -> None:
    """Raise where figures and the HTML page cannot be made.

    Raises
    ------
    ReportDependencyError
        Naming what is missing.
    """
    missing = [n for n in ("matplotlib", "jinja2") if importlib.util.find_spec(n) is None]
    if missing:
        raise ReportDependencyError(
            f"figures and the HTML report need {' and '.join(missing)}: "
            "pip install 'ilo_fast[report]'"
        )


def write_scores(scores: OverlapScores, folder: Path) -> Path:
    """Write ``scores.json``; what was made from earlier scores in the folder is removed."""
    with _staged(folder) as aside:
        scores.to_json(aside / SCORES_FILE)
        # Gone before the new scores are there: a figure is never older than the scores beside it.
        for name in (TABLE_FILE, *DRAWN_FILES):
            (folder / name).unlink(missing_ok=True)
    return folder / SCORES_FILE


def write_table(scores: OverlapScores, folder: Path) -> Path:
    """Write ``scores.csv``."""
    table = io.StringIO()
    write_csv(scores, table)
    with _staged(folder) as aside:
        (aside / TABLE_FILE).write_text(table.getvalue(), encoding="utf-8")
    return folder / TABLE_FILE


def write_drawn(scores: OverlapScores, folder: Path) -> list[Path]:
    """Write the figures and ``report.html``.

    Raises
    ------
    ReportDependencyError
        Where matplotlib or jinja2 is missing.
    """
    check_can_draw()
    from ilo_fast.plots.figures import write_figures
    from ilo_fast.report.html import html_report

    with _staged(folder) as aside:
        write_figures(scores, aside)
        (aside / "report.html").write_text(html_report(scores), encoding="utf-8")
    return [folder / name for name in DRAWN_FILES]


@contextlib.contextmanager
def _staged(folder: Path) -> Iterator[Path]:
    """A folder aside whose files are moved into ``folder`` if the block ends well."""
    folder.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder))
    try:
        yield aside
        for path in sorted(aside.iterdir()):
            os.replace(path, folder / path.name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
