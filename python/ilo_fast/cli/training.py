"""What ``finetune`` and ``pretrain`` share: flags, keywords, what is written and said."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ilo_fast.cli import flags

if TYPE_CHECKING:
    from ilo_fast.training.measuring import OverlapOptions
    from ilo_fast.training.records import OverlapRecord
    from ilo_fast.training.trained import Trained

logger = logging.getLogger(__name__)


def add_measuring_flags(parser: argparse.ArgumentParser, *, beside_text: bool = False) -> None:
    """The corpus that is measured on, and how."""
    flags.add_corpus_flags(parser, beside_text=beside_text)
    flags.add_layers_flag(parser, "layers to measure")
    if not beside_text:  # a tokenizer that is trained here marks no language
        flags.add_tokenizer_flag(parser)
    flags.add_overlap_flags(parser)
    parser.add_argument(
        "--intervals",
        action="store_true",
        help="also intervals at every measurement, and what `ilo-fast compare` needs of the last",
    )


def add_loop_flags(
    group: argparse._ArgumentGroup, *, batch_size: int, weight_decay: float, warmup_steps: float
) -> None:
    """Of the loop itself."""
    count: dict[str, Any] = {"type": flags.positive_int, "metavar": "N"}
    group.add_argument("--batch-size", **count, default=batch_size, help=f"default: {batch_size}")
    group.add_argument(
        "--gradient-accumulation-steps", **count, default=1, help="batches to a step (default: 1)"
    )
    group.add_argument(
        "--weight-decay", type=float, default=weight_decay, metavar="X",
        help=f"of AdamW (default: {weight_decay:g})",
    )  # fmt: skip
    group.add_argument(
        "--warmup-steps", type=float, default=warmup_steps, metavar="N",
        help=f"in which the rate rises; below 1 a share of all (default: {warmup_steps:g})",
    )  # fmt: skip
    group.add_argument("--max-grad-norm", type=float, default=1.0, metavar="X", help="default: 1")
    add_run_flags(group)


def add_run_flags(group: argparse._ArgumentGroup) -> None:
    """Of any training: seed, device, checkpoints, logs."""
    count: dict[str, Any] = {"type": flags.positive_int, "metavar": "N"}
    group.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    group.add_argument("--device", help="cpu, cuda or mps (default: a GPU if there is one)")
    group.add_argument(
        "--dtype", choices=("float32", "bfloat16", "float16"),
        help="to compute in (default: bfloat16 on a GPU that has it, else float32)",
    )  # fmt: skip
    group.add_argument(
        "--save-steps", **count, help="steps between checkpoints (default: about a minute)"
    )
    group.add_argument("--logging-steps", **count, help="steps between logs of the loss")
    group.add_argument(
        "--keep-checkpoints", action="store_true", help="keep the last checkpoints after the end"
    )
    group.add_argument(
        "--report-to", default="none", metavar="NAMES",
        help="where the Trainer logs to: tensorboard, wandb, ... with commas between",
    )  # fmt: skip


def add_folder_flags(parser: argparse.ArgumentParser, default: str) -> None:
    """Threads, the output folder, and what to do where it holds a run."""
    flags.add_thread_flag(parser)
    flags.add_output_flags(
        parser,
        default,
        "train anew and replace the run that OUT holds (default: keep or resume a run of the same "
        "settings, refuse others)",
    )


def overlap_options(args: argparse.Namespace) -> OverlapOptions:
    """How overlap is measured, by the flags."""
    from ilo_fast.training.measuring import OverlapOptions

    return OverlapOptions(
        layers=args.layers,
        n_neighbors=args.n_neighbors,
        threshold=args.threshold,
        metric=args.metric,
        backend=args.backend,
        n_threads=args.n_threads,
        tokenizer_languages=getattr(args, "tokenizer_languages", None),
        intervals=args.intervals,
    )


def how_to_go_on(
    output_folder: Callable[[argparse.Namespace], Path],
) -> Callable[[argparse.Namespace], str]:
    """What a reader of "interrupted" must know."""
    return lambda args: (
        f"The same command{' without --overwrite' if args.overwrite else ''} goes on from the last "
        f"checkpoint in {output_folder(args)}; before the first one it begins again."
    )


def measurements(result: Trained) -> list[OverlapRecord]:
    """Those that did not fail."""
    return [record for record in result.overlap if record.scores is not None]


def written(result: Trained, records: Sequence[OverlapRecord], title: str) -> list[Path]:
    """The model, the card, the measurements and, if they can be drawn, the figures and the page."""
    from ilo_fast.training.run_folder import CARD_FILE, OVERLAP_FILE

    folder = result.path.parent
    paths = [result.path, folder / CARD_FILE]
    if not records:
        return paths
    paths.append(folder / OVERLAP_FILE)
    if (scores := folder / "overlap_scores").is_dir():  # with --intervals, for `compare`
        paths.append(scores)
    from ilo_fast.report.files import REPORT_FILE, check_can_draw, write_files

    try:
        check_can_draw()
    except ImportError as error:
        logger.warning("no figures: %s", error)
        return paths
    from ilo_fast.report.training_page import training_page
    from ilo_fast.report.trajectory import write_trajectory

    paths += write_trajectory(records, folder)
    page = training_page(title, result.card, result.overlap)
    return paths + write_files(folder, {REPORT_FILE: page.encode()})
