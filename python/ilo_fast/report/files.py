"""A folder of results: what is in it, and how it is replaced.

``scores.json`` is the truth; everything else is drawn from it and can be rebuilt by ``ilo-fast
report``. Everything is rendered before the first file is written, and each file appears whole or
not at all.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ilo_fast._util.csv_text import csv_text
from ilo_fast._util.files import replace_atomically
from ilo_fast._util.messages import elide, plain
from ilo_fast._util.optional import require
from ilo_fast.report.groups import group_rows, overlap_by_group
from ilo_fast.scores.neighbors_file import NEIGHBORS_FILE, write_neighbors
from ilo_fast.scores.replicates_file import REPLICATES_FILE, replicates_bytes
from ilo_fast.scores.result import SCORES_FILE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ilo_fast.scores.result import OverlapScores

TABLE_FILE = "scores.csv"
REPORT_FILE = "report.html"
GROUPS_FILE = "groups.csv"
DRAWN_FILES = (
    "heatmap.png", "heatmap.svg", "curve.png", "curve.svg", "groups.png", "groups.svg", REPORT_FILE,
)  # fmt: skip


def check_can_draw() -> None:
    """Raise where figures and the HTML page cannot be made.

    Raises
    ------
    ImportError
        Naming what is missing, and how to install it; or what keeps it from starting.
    """
    for package in ("matplotlib", "jinja2"):
        require(package, "report")
    try:
        import matplotlib  # noqa: F401
    except ValueError as error:  # its settings are read then
        said = elide(plain(error), 80)
        raise ImportError(f"matplotlib cannot start ({said}): correct MPLBACKEND") from error


def write_scores(scores: OverlapScores, folder: Path) -> list[Path]:
    """Write ``scores.json``, and ``replicates.npz`` and ``neighbors.npz`` where there are any.

    What was made from earlier scores in the folder is removed.
    """
    contents = {SCORES_FILE: scores.to_json().encode()}
    if scores.replicates is not None:
        contents[REPLICATES_FILE] = replicates_bytes(scores)
    stale = (TABLE_FILE, GROUPS_FILE, REPLICATES_FILE, NEIGHBORS_FILE, *DRAWN_FILES)
    written = write_files(folder, contents, stale=stale)
    graph = write_neighbors(scores, folder)
    return written if graph is None else [*written, graph]


def write_tables(scores: OverlapScores, folder: Path) -> list[Path]:
    """Write ``scores.csv``, of every layer and language, and ``groups.csv``, of groups of these."""
    groups = csv_text(group_rows(scores))
    return write_files(folder, {TABLE_FILE: scores.to_csv().encode(), GROUPS_FILE: groups.encode()})


def write_drawn(scores: OverlapScores, folder: Path) -> list[Path]:
    """Write the figures and ``report.html``.

    Raises
    ------
    ImportError
        Where matplotlib or jinja2 is missing.
    """
    check_can_draw()
    from ilo_fast.plots.curve import curve_figure
    from ilo_fast.plots.heatmap import heatmap_figure
    from ilo_fast.report.html import html_report

    contents = {
        **rendered("heatmap", heatmap_figure(scores.layer_table()).figure),
        **rendered("curve", curve_figure(scores.layer_curves())),
        **rendered("groups", overlap_by_group(scores)),
        REPORT_FILE: html_report(scores).encode(),
    }
    return write_files(folder, contents)


def rendered(name: str, figure: Figure) -> dict[str, bytes]:
    """``name.png`` and ``name.svg``, and what they hold."""
    from ilo_fast.plots.style import png_bytes, svg_text

    return {f"{name}.png": png_bytes(figure), f"{name}.svg": svg_text(figure).encode()}


def write_files(
    folder: Path, contents: Mapping[str, bytes], *, stale: Sequence[str] = ()
) -> list[Path]:
    """Write files into ``folder``, each whole; a full disk leaves all as they were.

    Parameters
    ----------
    folder
        Made where it does not exist.
    contents
        Name of each file, and what it shall hold.
    stale
        Files that are removed before the new ones appear: a figure is never older than the scores
        beside it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        for name, content in contents.items():
            file = stack.enter_context(replace_atomically(folder / name, len(content)))
            file.write(content)
            file.flush()
        for name in stale:
            (folder / name).unlink(missing_ok=True)
    return [folder / name for name in contents]
