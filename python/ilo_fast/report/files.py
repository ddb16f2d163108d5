"""A folder of results: what is in it, and how it is replaced.

``scores.json`` is the truth; everything else is drawn from it and can be rebuilt by ``ilo-fast
report``. Everything is rendered before the first file is written, and each file appears whole or
not at all.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ilo_fast._util.csv_text import csv_text
from ilo_fast._util.files import replace_atomically
from ilo_fast._util.messages import elide, plain
from ilo_fast._util.optional import require
from ilo_fast._util.progress import share_bar
from ilo_fast.report.groups import group_rows, overlap_by_group
from ilo_fast.report.reading import POSITIONS_FILE
from ilo_fast.report.summary import most_shared_layer_index
from ilo_fast.scores.certainty.replicates_file import REPLICATES_FILE, replicates_bytes
from ilo_fast.scores.companions.result import COMPANIONS_FILE
from ilo_fast.scores.neighbors_file import NEIGHBORS_FILE, write_neighbors
from ilo_fast.scores.result import SCORES_FILE
from ilo_fast.scores.structure.file import LABELS_FILE, STRUCTURE_FILE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ilo_fast.report.run_data import RunData
    from ilo_fast.scores.result import OverlapScores

logger = logging.getLogger(__name__)

TABLE_FILE = "scores.csv"
REPORT_FILE = "report.html"
GROUPS_FILE = "groups.csv"
_KINDS = ("png", "svg", "pdf")
_WIDE = 6.3  # inches; two columns of a paper
_ALWAYS_DRAWN = ("heatmap", "curve", "groups")
_DRAWN_IF_KNOWN = ("components", "matrix", "map")
DRAWN_FILES = (*(f"{name}.{kind}" for name in _ALWAYS_DRAWN for kind in _KINDS), REPORT_FILE)
"""What is drawn of any scores."""
BESIDE = (COMPANIONS_FILE, STRUCTURE_FILE, LABELS_FILE, POSITIONS_FILE)
"""What else is measured of a run, and shown in its page; new scores remove it."""
MORE_DRAWN_FILES = tuple(f"{name}.{kind}" for name in _DRAWN_IF_KNOWN for kind in _KINDS)
"""What is drawn beside it where the structure of the graph, or a map of it, is known."""


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
    stale = (
        TABLE_FILE, GROUPS_FILE, REPLICATES_FILE, NEIGHBORS_FILE, *BESIDE,
        *DRAWN_FILES, *MORE_DRAWN_FILES,
    )  # fmt: skip
    written = write_files(folder, contents, stale=stale)
    graph = write_neighbors(scores, folder)
    return written if graph is None else [*written, graph]


def write_tables(scores: OverlapScores, folder: Path) -> list[Path]:
    """Write ``scores.csv``, of every layer and language, and ``groups.csv``, of groups of these."""
    groups = csv_text(group_rows(scores))
    return write_files(folder, {TABLE_FILE: scores.to_csv().encode(), GROUPS_FILE: groups.encode()})


def write_drawn(run: RunData, folder: Path, *, progress: bool = False) -> list[Path]:
    """Write the figures and ``report.html``; what the run lacks is left out.

    Raises
    ------
    ImportError
        Where matplotlib or jinja2 is missing.
    """
    check_can_draw()
    from ilo_fast.plots.column import curve_column, heatmap_column
    from ilo_fast.plots.curve import curve_figure
    from ilo_fast.plots.heatmap import heatmap_figure
    from ilo_fast.report.html import report_of_runs

    scores, structure, positions = run.scores, run.structure, run.positions
    table, curves = scores.layer_table(), scores.layer_curves()
    figures: dict[str, Callable[[], tuple[Figure, ...]]] = {
        "heatmap": lambda: (heatmap_figure(table).figure, heatmap_column(table)),
        "curve": lambda: (curve_figure(curves), curve_column(curves)),
        "groups": lambda: (overlap_by_group(scores),),
    }
    if structure is not None:
        layer = scores.layers[most_shared_layer_index(scores)]
        figures["components"] = _at_both_widths(lambda w: structure.plot("components", width=w))
        figures["matrix"] = _at_both_widths(
            lambda w: structure.plot("languages", layer=layer, width=w)
        )
        if positions is not None:
            figures["map"] = _at_both_widths(lambda w: structure.plot_map(positions, width=w))
    contents: dict[str, bytes] = {}
    with share_bar(progress, "figures") as update:
        for number, (name, made) in enumerate(figures.items()):
            contents |= rendered(name, *made())
            if update:
                update((number + 1) / len(figures))
    contents[REPORT_FILE] = report_of_runs([run], progress=progress).encode("utf-8", "replace")
    return write_files(folder, contents, stale=MORE_DRAWN_FILES)


def _at_both_widths(draw: Callable[[float], Figure]) -> Callable[[], tuple[Figure, ...]]:
    from ilo_fast.plots.column import COLUMN

    return lambda: (draw(_WIDE), draw(COLUMN))


def rendered(name: str, figure: Figure, column: Figure | None = None) -> dict[str, bytes]:
    """``name.png``, ``name.svg`` and ``name.pdf``, and what they hold.

    The PDF is for papers: it is `column`, where there is one, as wide as a column of a paper.
    """
    from ilo_fast.plots.style import pdf_bytes, png_bytes, svg_text

    return {
        f"{name}.png": png_bytes(figure),
        f"{name}.svg": svg_text(figure).encode(),
        f"{name}.pdf": pdf_bytes(column or figure),
    }


def write_figures(folder: Path, draw: Callable[[], Mapping[str, Figure]]) -> list[Path]:
    """Draw and write figures, each in three formats; without matplotlib none, and a warning."""
    try:
        check_can_draw()
    except ImportError as error:
        logger.warning("no figures: %s", error)
        return []
    contents: dict[str, bytes] = {}
    for name, figure in draw().items():
        contents |= rendered(name, figure)
    return write_files(folder, contents)


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
