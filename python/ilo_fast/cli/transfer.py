"""``ilo-fast transfer``: what a fine-tuned classifier gets right in every language."""

from __future__ import annotations

import argparse
import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ilo_fast._util.folders import refuse_other
from ilo_fast.cli import flags
from ilo_fast.cli.common import model_output, set_threads
from ilo_fast.cli.console import emit
from ilo_fast.cli.output import OVERWRITE, RESULTS_FOLDER, folder_name
from ilo_fast.cli.parser import Commands, UsageError
from ilo_fast.corpora.languages import GROUPINGS
from ilo_fast.errors import AccessError
from ilo_fast.models.folders import display_name

if TYPE_CHECKING:
    from ilo_fast.corpora.labelled.corpus import LabelledCorpus
    from ilo_fast.evaluation.result import TransferScores
    from ilo_fast.scores.result import OverlapScores

logger = logging.getLogger(__name__)


def add_parser(commands: Commands) -> None:
    parser = flags.new_command(
        commands,
        "transfer",
        "evaluate a fine-tuned classifier in every language: accuracy, macro-F1, groups",
        run,
        description="Evaluate a classifier in every language of a labelled set: accuracy (Wilson "
        "95 % interval) and macro-F1 (bootstrap), and their means over groups of languages "
        "without the one that was trained on.",
        examples=(
            "ilo-fast transfer ./my-classifier --data ./my-labelled",
            "ilo-fast transfer ./my-classifier --data ./my-labelled --split dev -o results/dev",
            "ilo-fast transfer ./my-run/model --data ./my-labelled --overlap "
            "./my-run/overlap.jsonl",
        ),
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="Hub name or folder of a model with a classification head, or of a PEFT adapter",
    )
    flags.add_hub_flags(parser)
    group = parser.add_argument_group("labelled text")
    group.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of <code>.jsonl, .csv, .tsv or .parquet files with text, label and split, or "
        "of <split>/<code>.jsonl",
    )
    flags.add_language_flags(group, "the data")
    group.add_argument("--split", default="test", help="what to evaluate on (default: test)")
    group.add_argument(
        "--source",
        default="eng_Latn",
        metavar="CODE",
        help="language that was trained on, left out of groups; none: leave none out "
        "(default: eng_Latn)",
    )
    group.add_argument(
        "--labels",
        type=_names,
        metavar="NAMES",
        help="the model's classes in the order of its scores, with commas between, where its "
        "configuration does not name them",
    )
    group = parser.add_argument_group("evaluation")
    flags.add_tokenizer_flag(group)
    flags.add_forward_flags(group)
    group.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the intervals' bootstraps (default: 0)"
    )
    flags.add_thread_flag(parser)
    group = parser.add_argument_group("overlap beside accuracy (one figure)")
    group.add_argument(
        "--overlap",
        type=Path,
        metavar="LOG",
        help="overlap.jsonl of the fine-tuning: its first and its last measurement",
    )
    group.add_argument(
        "--before", type=Path, metavar="SCORES", help="scores.json of the model before fine-tuning"
    )
    group.add_argument("--after", type=Path, metavar="SCORES", help="scores.json of the same after")
    group.add_argument(
        "--group-by",
        choices=GROUPINGS,
        metavar="WHAT",
        help=f"rows of the figure in groups: {', '.join(GROUPINGS)} (default: by accuracy alone)",
    )
    flags.add_output_flags(
        parser,
        f"{RESULTS_FOLDER}/transfer__MODEL__DATA",
        "evaluate anew and replace the transfer.json that OUT holds (default: keep one of the same "
        "settings and write the other files from it, refuse others)",
    )


def run(args: argparse.Namespace) -> int:
    from ilo_fast.corpora.labelled.corpus import LabelledCorpus

    before, after = _overlap_scores(args)
    data = LabelledCorpus.from_dir(args.data, args.languages, allow_unknown=args.allow_unknown)
    folder = args.output or RESULTS_FOLDER / folder_name("transfer", _name(args.model), data.name)
    settings = _settings(args, data)
    found = None if args.overwrite else _kept(folder, settings)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"-o {folder} is a file; give a folder")
    if before is not None and after is not None:
        from ilo_fast.scores.comparison.comparable import check_comparable

        having = [code for code in data.languages if args.split in data.splits_of(code)]
        check_comparable(before, after, having)  # before the long work
    if found is not None:
        weights = _weights_sha256(args)
        _refuse(folder, found, settings | {"weights_sha256": weights})
        logger.info("%s has these scores already; they are kept", folder)
    else:
        found = _evaluate(args, data)
        run_info = settings | {"weights_sha256": found.info["weights_sha256"]}
        found = dataclasses.replace(found, info={**found.info, "run": run_info})

    from ilo_fast.report.transfer_tables import text_report

    written = _write(found, folder, before, after, args)
    emit(text_report(found))
    if before is not None and after is not None:
        from ilo_fast.report.transfer_tables import overlap_table

        emit("\n" + overlap_table(before, after, found))
    emit("\n" + "".join(f"{path}\n" for path in written))
    return 0


def _evaluate(args: argparse.Namespace, data: LabelledCorpus) -> TransferScores:
    from ilo_fast.evaluation.transfer import transfer

    set_threads(args)
    logger.info("model: %s", _name(args.model))
    with model_output(args.quiet):
        return transfer(
            args.model,
            data,
            split=args.split,
            languages=list(data.languages) if args.languages else None,
            source=None if args.source.lower() == "none" else args.source,
            labels=args.labels,
            tokenizer_languages=args.tokenizer_languages,
            batch_tokens=args.batch_tokens,
            max_length=args.max_length,
            device=args.device,
            dtype=args.dtype,
            revision=args.revision,
            trust_remote_code=args.trust_remote_code,
            seed=args.seed,
            progress=not args.quiet,
        )


def _write(
    found: TransferScores,
    folder: Path,
    before: OverlapScores | None,
    after: OverlapScores | None,
    args: argparse.Namespace,
) -> list[Path]:
    """Write everything; without the libraries that draw, scores alone, and say so."""
    from ilo_fast.report.files import check_can_draw
    from ilo_fast.report.transfer_files import write_transfer

    if before is not None:
        try:
            check_can_draw()
        except ImportError as error:
            logger.warning("no figure: %s", error)
            before = after = None
    return write_transfer(found, folder, before=before, after=after, by=args.group_by)


def _overlap_scores(args: argparse.Namespace) -> tuple[OverlapScores | None, OverlapScores | None]:
    """What --overlap, or --before and --after, name; read before the long work.

    Raises
    ------
    AccessError
        There is no such file.
    ValueError
        Flags that do not go together, or a file that holds something else.
    """
    for name in ("overlap", "before", "after"):
        path = getattr(args, name)
        if path is not None and not path.is_file():
            raise AccessError(f"--{name}: there is no file {str(path)!r}")
    if args.overlap is not None:
        return _first_and_last(args)
    if (args.before is None) != (args.after is None):
        raise UsageError("--before and --after are drawn together: give both, or neither")
    if args.before is None:
        if args.group_by is not None:
            raise UsageError(
                "--group-by orders the figure: give --before and --after, or --overlap"
            )
        return None, None
    from ilo_fast.scores.result import OverlapScores

    return OverlapScores.from_json(args.before), OverlapScores.from_json(args.after)


def _first_and_last(args: argparse.Namespace) -> tuple[OverlapScores, OverlapScores]:
    from ilo_fast.training.records import read_overlap_log

    if args.before is not None or args.after is not None:
        raise UsageError("--overlap stands for --before and --after: leave these out")
    scores = [r.scores for r in read_overlap_log(args.overlap) if r.scores is not None]
    if len(scores) < 2:
        raise ValueError(
            f"--overlap {args.overlap} holds {len(scores)} measurement(s): before and after need 2"
        )
    return scores[0], scores[-1]


def _settings(args: argparse.Namespace, data: LabelledCorpus) -> dict[str, Any]:
    """What the scores depend on, as far as it is known before the model is loaded."""
    return {
        "model_name": _name(args.model),
        "model_revision": args.revision,
        "data_sha256": data.fingerprint(),
        "languages": args.languages and list(data.languages),
        "split": args.split,
        "source": args.source,
        "labels": args.labels and list(args.labels),
        "dtype": args.dtype or "default",
        "max_length": args.max_length,
        "tokenizer_languages": args.tokenizer_languages,
        "seed": args.seed,
    }


def _kept(folder: Path, settings: dict[str, Any]) -> TransferScores | None:
    """The scores in the folder, where they are of these settings.

    Raises
    ------
    FileExistsError
        They cannot be read, or do not say how they were made.
    ValueError
        They are of other settings.
    """
    from ilo_fast.evaluation.result import TRANSFER_FILE, TransferScores

    file = folder / TRANSFER_FILE
    if not file.exists():
        return None
    try:
        found = TransferScores.from_json(file)
    except (ValueError, TypeError, KeyError) as error:
        raise FileExistsError(f"{file} cannot be read ({error}): {OVERWRITE}") from error
    _refuse(folder, found, settings)
    return found


def _refuse(folder: Path, found: TransferScores, settings: dict[str, Any]) -> None:
    recorded = found.info.get("run")
    if not isinstance(recorded, dict) or not recorded:
        raise FileExistsError(f"{folder} does not say how its scores were made: {OVERWRITE}")
    before = {name: recorded.get(name) for name in settings}
    refuse_other(folder, before, settings, holds="scores", remedy=OVERWRITE)


def _weights_sha256(args: argparse.Namespace) -> str:
    """Of the model as it is now: a folder of the same name may hold another."""
    from ilo_fast.evaluation.classifiers import open_classifier
    from ilo_fast.models.identity import hash_state

    with model_output(args.quiet):
        classifier = open_classifier(
            args.model,
            tokenizer=None,
            progress=False,
            labels=args.labels,
            device=args.device,
            dtype=args.dtype,
            revision=args.revision,
            trust_remote_code=args.trust_remote_code,
        )
    return hash_state(classifier.module)


def _name(model: str) -> str:
    """A model's name for folders: of a folder its last part, or the last two of ``run/model``."""
    name, path = display_name(model), Path(model).expanduser()
    if path.is_dir() and name in ("model", "adapter"):
        return f"{path.resolve().parent.name}/{name}"
    return name


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
