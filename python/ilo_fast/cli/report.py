"""``ilo-fast report``: tables, figures and the page again, or several runs on one page."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ilo_fast._util.folders import made_folder
from ilo_fast.cli import flags
from ilo_fast.cli.console import emit
from ilo_fast.cli.named_runs import distinct_names, named_path
from ilo_fast.cli.output import RESULTS_FOLDER, folder_name, show
from ilo_fast.cli.parser import Commands
from ilo_fast.errors import AccessError

if TYPE_CHECKING:
    from ilo_fast.report.run_data import RunData
    from ilo_fast.scores.comparison.result import Comparison

logger = logging.getLogger(__name__)


def add_parser(commands: Commands) -> None:
    parser = flags.new_command(
        commands,
        "report",
        "rebuild tables, figures and the HTML report from scores.json; several runs on one page",
        run,
        description="Rebuild the tables, the figures and report.html from what a folder of results "
        "holds, without a model. Of several folders: one report.html with all of them side by "
        "side, and their differences where they can be compared.",
        examples=(
            "ilo-fast report results",
            "ilo-fast report results/scores.json -o figures",
            "ilo-fast report small=results/one large=results/other -o both",
        ),
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="scores.json, or the folder that holds it; NAME=INPUT names it (default: by its "
        "model)",
    )
    flags.add_text_flag(parser)
    flags.add_output_flags(
        parser, f"the folder of INPUT; of several {RESULTS_FOLDER}/report__NAME__NAME"
    )


def run(args: argparse.Namespace) -> int:
    from ilo_fast.report.files import check_can_draw

    given = [(name, _source(path)) for name, path in map(named_path, args.inputs)]
    check_can_draw()
    runs = _read(given, with_texts=not args.no_text)
    if len(runs) == 1:
        _write_one(runs[0], given[0][1], args.output, progress=not args.quiet)
    else:
        names = [one.name for one in runs]
        folder = args.output or RESULTS_FOLDER / folder_name("report", *names)
        _write_several(runs, folder, progress=not args.quiet)
    return 0


def _source(path: Path) -> Path:
    from ilo_fast.scores.result import SCORES_FILE

    source = path / SCORES_FILE if path.is_dir() else path
    if not source.is_file():
        raise AccessError(f"INPUT {source} does not exist; `ilo-fast run` writes it")
    return source


def _read(given: Sequence[tuple[str, Path]], *, with_texts: bool) -> list[RunData]:
    import dataclasses

    from ilo_fast.report.reading import read_run

    runs = [read_run(source, name=name, with_texts=with_texts) for name, source in given]
    names = distinct_names([one.name for one in runs], [source for _, source in given])
    return [dataclasses.replace(one, name=name) for one, name in zip(runs, names, strict=True)]


def _write_one(one: RunData, source: Path, output: Path | None, *, progress: bool) -> None:
    from ilo_fast.report.files import write_drawn, write_tables
    from ilo_fast.scores.result import SCORES_FILE

    folder = output or source.parent
    other = folder / SCORES_FILE
    if other.exists() and not other.samefile(source):
        raise FileExistsError(f"{folder} holds scores of its own: choose another -o")
    drawn = write_drawn(one, folder, progress=progress)
    show(one.scores, [*write_tables(one.scores, folder), *drawn])


def _write_several(runs: Sequence[RunData], folder: Path, *, progress: bool) -> None:
    from ilo_fast.report.files import REPORT_FILE, write_files
    from ilo_fast.report.html import report_of_runs
    from ilo_fast.scores.result import SCORES_FILE

    if (folder / SCORES_FILE).exists():
        raise FileExistsError(f"{folder} holds scores of its own: choose another -o")
    comparison, reason = _compared(runs)
    if reason:
        logger.warning("no differences with intervals: %s", reason)
    page = report_of_runs(runs, comparison, reason, progress=progress)
    with made_folder(folder, "-o"):
        written = write_files(folder, {REPORT_FILE: page.encode("utf-8", "replace")})
    emit("".join(f"{path}\n" for path in written))


def _compared(runs: Sequence[RunData]) -> tuple[Comparison | None, str]:
    """Differences of the runs, or why there are none."""
    from ilo_fast.scores.comparison.compare import compare

    try:
        return compare({one.name: one.scores for one in runs}), ""
    except ValueError as error:
        return None, str(error)
