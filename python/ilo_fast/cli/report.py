"""``ilo-fast report``: tables, figures and the HTML page again, from ``scores.json``."""

from __future__ import annotations

import argparse
from pathlib import Path

from ilo_fast.cli import flags
from ilo_fast.cli.output import show
from ilo_fast.cli.parser import Commands
from ilo_fast.errors import AccessError


def add_parser(commands: Commands) -> None:
    parser = flags.new_command(
        commands,
        "report",
        "rebuild tables, figures and the HTML report from scores.json",
        run,
        description="Rebuild the tables, the figures and report.html from scores.json, without a "
        "model.",
        examples=(
            "ilo-fast report results",
            "ilo-fast report results/scores.json -o figures",
            "ilo-fast report -q results",
        ),
    )
    parser.add_argument(
        "input", type=Path, metavar="INPUT", help="scores.json, or the folder that holds it"
    )
    flags.add_output_flags(parser, "the folder of INPUT")


def run(args: argparse.Namespace) -> int:
    from ilo_fast.report.files import check_can_draw, write_drawn, write_tables
    from ilo_fast.scores.result import SCORES_FILE, OverlapScores

    source: Path = args.input / SCORES_FILE if args.input.is_dir() else args.input
    if not source.is_file():
        raise AccessError(f"INPUT {source} does not exist; `ilo-fast run` writes it")
    check_can_draw()
    scores = OverlapScores.from_json(source)
    output: Path = args.output or source.parent
    other = output / SCORES_FILE
    if other.exists() and not other.samefile(source):
        raise FileExistsError(f"{output} holds scores of its own: choose another -o")
    show(scores, [*write_tables(scores, output), *write_drawn(scores, output)])
    return 0
