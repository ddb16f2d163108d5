"""``ilo-fast clt eval``: whether a transcoder is any good, by layer and by language."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from ilo_fast.cli import flags
from ilo_fast.cli.clt_flags import add_device_flags, add_model_flags
from ilo_fast.cli.common import model_output, set_threads
from ilo_fast.cli.console import emit
from ilo_fast.cli.named_runs import distinct_names, named_path
from ilo_fast.cli.parser import Commands

if TYPE_CHECKING:
    from ilo_fast.transcoders.evaluation.result import TranscoderScores

logger = logging.getLogger(__name__)


def add_parser(commands: Commands) -> None:
    parser = flags.new_command(
        commands,
        "eval",
        "tell whether a transcoder is any good, by layer and by language",
        run,
        description="Evaluate transcoders on text that their training held out: explained "
        "variance, active features, dead ones, and what the model predicts where its MLPs are "
        "replaced. Several are set side by side. Writes metrics.json beside each.",
        examples=(
            "ilo-fast clt eval results/mine",
            "ilo-fast clt eval results/mine --windows 20 --json",
        ),
        when_interrupted=lambda args: "What was evaluated before is kept.",
    )
    parser.add_argument(
        "folders", nargs="*", default=["demo", "demo-per-layer"], metavar="[NAME=]FOLDER",
        help="folder of a `clt train` run, or of a transcoder; several are compared (default: demo "
        "and demo-per-layer, the embedded ones, on the demo corpus)",
    )  # fmt: skip
    add_model_flags(parser.add_argument_group("model"))
    group = parser.add_argument_group("text")
    group.add_argument(
        "--text", type=Path, nargs="+", metavar="DIR|FILE",
        help="as for `clt train`; of the text of the training held-out lines alone are used, of "
        "another all (default: where that of the training lies)",
    )  # fmt: skip
    flags.add_language_flags(group, "the text")
    group.add_argument("--language", metavar="CODE", help="that of one plain text file")
    group.add_argument(
        "--windows", type=flags.positive_int, default=128, metavar="N",
        help="at most so many, drawn in equal shares of the languages (default: 128); more take "
        "longer and tell more",
    )  # fmt: skip
    group.add_argument(
        "--seed", type=int, default=0, metavar="N",
        help="of what is drawn, and of the intervals' bootstrap (default: 0)",
    )  # fmt: skip
    group = parser.add_argument_group("evaluation")
    add_device_flags(group)
    group.add_argument(
        "--batch-tokens", type=flags.positive_int, metavar="N",
        help="tokens in a batch (default: as many as 100 MB of logits hold)",
    )  # fmt: skip
    flags.add_thread_flag(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    from ilo_fast.transcoders.evaluation.result import SCORES_FILE
    from ilo_fast.transcoders.evaluation.tables import comparison_table, text_report
    from ilo_fast.transcoders.files.folder import is_demo, transcoder_path
    from ilo_fast.transcoders.files.opening import transcoder_name

    wanted = [("", word) if is_demo(word) else named_path(word) for word in args.folders]
    given = [name or transcoder_name(path) for name, path in wanted]
    names = distinct_names(given, [Path(path) for _, path in wanted])
    set_threads(args)
    files = [transcoder_path(path) / SCORES_FILE for _, path in wanted if not is_demo(path)]
    before = [_changed(file) for file in files]
    found: dict[str, TranscoderScores] = {}
    for name, (_, path) in zip(names, wanted, strict=True):
        logger.info("transcoder: %s", name)
        found[name] = _evaluate(args, path)
        if not args.json:
            emit(text_report(found[name], legend=len(found) == len(names)) + "\n")
    if args.json:
        every = {name: scores.to_dict() for name, scores in found.items()}
        value = every if len(every) > 1 else next(iter(every.values()))
        emit(json.dumps(value, ensure_ascii=False, indent=1) + "\n")
        return 0
    if len(found) > 1:
        emit(f"Side by side\n{comparison_table(found)}\n")
    written = [file for file, then in zip(files, before, strict=True) if _changed(file) != then]
    emit("".join(f"{file}\n" for file in written))
    return 0


def _changed(file: Path) -> tuple[int, int] | None:
    """Tells whether a file was replaced."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _evaluate(args: argparse.Namespace, place: str | Path) -> TranscoderScores:
    from ilo_fast.transcoders.evaluation.folder import evaluate_folder

    text = args.text
    with model_output(args.quiet):
        return evaluate_folder(
            place,
            model=args.model,
            text=text[0] if text is not None and len(text) == 1 else text,
            languages=args.languages,
            language=args.language,
            allow_unknown=args.allow_unknown,
            windows=args.windows,
            seed=args.seed,
            batch_tokens=args.batch_tokens,
            allow_other_weights=args.allow_other_weights,
            device=args.device,
            dtype=args.dtype,
            revision=args.revision,
            trust_remote_code=args.trust_remote_code,
            progress=not args.quiet,
        )
