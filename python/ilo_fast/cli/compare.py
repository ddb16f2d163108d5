"""``ilo-fast compare``: two or more measurements of the same corpus, side by side."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from ilo_fast._util.folders import made_folder
from ilo_fast._util.messages import listed
from ilo_fast.cli import flags
from ilo_fast.cli.console import emit
from ilo_fast.cli.named_runs import distinct_names, named_path
from ilo_fast.cli.output import OVERWRITE, RESULTS_FOLDER, folder_name
from ilo_fast.cli.parser import Commands, UsageError
from ilo_fast.errors import AccessError

if TYPE_CHECKING:
    from ilo_fast.scores.comparison.result import Comparison
    from ilo_fast.scores.result import OverlapScores

logger = logging.getLogger(__name__)


def add_parser(commands: Commands) -> None:
    parser = flags.new_command(
        commands,
        "compare",
        "compare models, checkpoints or poolings: differences, best layers, ranks",
        run,
        description="Compare two or more measurements of the same corpus: paired differences per "
        "layer, language and group of languages with intervals and corrected p, best layers with "
        "their uncertainty, ranks with intervals.",
        examples=(
            "ilo-fast compare results/one results/other",
            "ilo-fast compare before=results/one after=results/other -o before-after",
            "ilo-fast compare results/one results/other results/third --level 0.9",
        ),
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="RUN",
        help="two or more folders of run or score (of finetune and pretrain with --intervals), or "
        "their scores.json, with replicates.npz beside it; NAME=RUN names it (default: by its "
        "model)",
    )
    group = parser.add_argument_group("comparison")
    group.add_argument(
        "--level",
        type=_level,
        default=0.95,
        metavar="P",
        help="level of the intervals (default: 0.95)",
    )
    group.add_argument(
        "--unpaired",
        action="store_true",
        help="the runs are of different sentences, of equal number: variances add (default: of the "
        "same sentences, whose common effect cancels)",
    )
    group.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="of the draws that correct p, and decide on best layers and ranks (default: 0)",
    )
    flags.add_output_flags(
        parser,
        f"{RESULTS_FOLDER}/compare__NAME__NAME",
        "replace another comparison that OUT holds",
    )


def run(args: argparse.Namespace) -> int:
    from ilo_fast.report.comparison_tables import text_report
    from ilo_fast.scores.comparison.compare import compare

    if len(args.inputs) < 2:
        raise UsageError(f"a comparison needs two runs or more, got {listed(args.inputs)}")
    given = [named_path(word) for word in args.inputs]
    scores = [_read(path) for _, path in given]
    names = distinct_names(
        [
            name or one.model_name or path.name
            for (name, path), one in zip(given, scores, strict=True)
        ],
        [path for _, path in given],
    )
    comparison = compare(
        dict(zip(names, scores, strict=True)),
        level=args.level,
        paired=not args.unpaired,
        seed=args.seed,
    )
    folder = args.output or RESULTS_FOLDER / folder_name("compare", *names)
    with made_folder(folder, "-o"):
        _refuse_other(folder, comparison, overwrite=args.overwrite)
        written = _write(comparison, folder)
    emit(text_report(comparison))
    emit("\n" + "".join(f"{path}\n" for path in written))
    return 0


def _read(path: Path) -> OverlapScores:
    from ilo_fast.scores.certainty.replicates_file import REPLICATES_FILE, read_replicates
    from ilo_fast.scores.comparison.result import COMPARISON_FILE
    from ilo_fast.scores.result import SCORES_FILE, OverlapScores

    source = path / SCORES_FILE if path.is_dir() else path
    trained = path / "overlap_scores" / SCORES_FILE  # of finetune and pretrain with --intervals
    if not source.is_file() and trained.is_file():
        source = trained
    if not source.is_file() and (path / COMPARISON_FILE).is_file():
        raise UsageError(f"{path} holds a comparison, and no scores: give the runs it is of")
    if not source.is_file():
        raise AccessError(
            f"RUN {source} does not exist; `ilo-fast run` and `ilo-fast score` write it"
        )
    beside = source.parent / REPLICATES_FILE
    scores = OverlapScores.from_json(source)
    if scores.intervals is not None and scores.intervals.reason:
        raise AccessError(
            f"{source.parent} has no intervals, so that nothing can be compared: "
            f"{scores.intervals.reason}"
        )
    if not beside.is_file():
        command = scores.recorded("run").get("command")
        again = command if command in ("run", "score") else "run"
        raise AccessError(
            f"{source.parent} has scores without {REPLICATES_FILE}, of which intervals are made: "
            f"measure it again by `ilo-fast {again}` with --overwrite, without --quick"
        )
    if scores.replicates is None:
        read_replicates(beside, scores)  # says what is wrong with the file
    return scores


def _refuse_other(folder: Path, comparison: Comparison, *, overwrite: bool) -> None:
    from ilo_fast.scores.comparison.result import COMPARISON_FILE, Comparison

    file = folder / COMPARISON_FILE
    if overwrite or not file.exists():
        return
    try:
        same = Comparison.from_json(file) == comparison
    except ValueError as error:
        raise FileExistsError(f"{folder} cannot be read: {error}; {OVERWRITE}") from error
    if not same:
        raise FileExistsError(f"{folder} holds another comparison: {OVERWRITE}")


def _write(comparison: Comparison, folder: Path) -> list[Path]:
    """Write everything; without the libraries that draw, all but the figure, and say so."""
    from ilo_fast.report.comparison_files import write_comparison
    from ilo_fast.report.files import check_can_draw

    try:
        check_can_draw()
    except ImportError as error:
        logger.warning("no figure: %s", error)
        return write_comparison(comparison, folder, draw=False)
    return write_comparison(comparison, folder)


def _level(text: str) -> float:
    """A level between 0.5 and 1."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0.5 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0.5 and 1: 0.95 gives 95 %")
    return value
