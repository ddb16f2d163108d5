"""What ``finetune`` and ``pretrain`` share: flags, the output folder, what is written and said."""

from __future__ import annotations

import argparse
import importlib.util
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ilo_fast.cli import flags

if TYPE_CHECKING:
    from ilo_fast.training.records import OverlapRecord
    from ilo_fast.training.trained import Trained

logger = logging.getLogger(__name__)


def add_measuring_flags(parser: argparse.ArgumentParser, layers_flag: str) -> None:
    """The corpus that is measured on, and how."""
    flags.add_corpus_flags(parser)
    parser.add_argument(
        layers_flag,
        dest="layers",
        type=flags.layer_list,
        metavar="LIST",
        help="layers to measure, 0 the embeddings, -1 the last: 0,4,8-12 (default: all)",
    )
    flags.add_overlap_flags(parser)


def add_loop_flags(group: argparse._ArgumentGroup, dtypes: Sequence[str]) -> None:
    """Of the loop itself."""
    group.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    group.add_argument("--device", help="cpu, cuda or mps (default: a GPU if there is one)")
    group.add_argument(
        "--dtype",
        choices=dtypes,
        help="to compute in (default: bfloat16 on a GPU that has it, else float32)",
    )
    group.add_argument(
        "--save-every",
        type=flags.positive_int,
        metavar="N",
        help="steps between checkpoints (default: about a minute)",
    )
    group.add_argument(
        "--keep-checkpoints", action="store_true", help="keep the last checkpoints after the end"
    )
    group.add_argument(
        "--report-to",
        default="none",
        metavar="NAMES",
        help="where the Trainer logs to: tensorboard, wandb, ... with commas between",
    )


def add_folder_flags(parser: argparse.ArgumentParser, default: str) -> None:
    """Threads, the output folder, and what to do where it holds a run."""
    flags.add_thread_flag(parser)
    flags.add_output_flags(
        parser,
        default,
        "train anew and replace the run that OUT holds (default: keep or resume a run of the same "
        "settings, refuse others)",
    )


def prepare(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Set the threads; the keywords that both calls have."""
    import torch

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    return {
        "seed": args.seed,
        "device": args.device,
        "dtype": args.dtype,
        "save_every": args.save_every,
        "keep_checkpoints": args.keep_checkpoints,
        "report_to": args.report_to.split(","),
        "overwrite": args.overwrite,
        "resume": not args.overwrite,
        "progress": not args.quiet,
        "overlap_options": None if args.corpus == "none" else overlap_options(args),
    }


def overlap_options(args: argparse.Namespace) -> dict[str, Any]:
    """For the callback that measures; only what changes a score, and the threads."""
    options = {
        "n_neighbors": args.n_neighbors,
        "threshold": args.threshold,
        "metric": args.metric,
        "backend": args.backend,
        "n_threads": args.threads,
        "layers": None if args.layers is None else list(args.layers),
    }
    return {name: value for name, value in options.items() if value is not None}


def how_to_go_on(
    output_folder: Callable[[argparse.Namespace], Path],
) -> Callable[[argparse.Namespace], str]:
    """What a reader of "interrupted" must know."""
    return lambda args: (
        f"The same command goes on from the last checkpoint in {output_folder(args)}; before the "
        "first one it begins again."
    )


def measurements(result: Trained) -> list[OverlapRecord]:
    """Those that did not fail."""
    return [record for record in result.overlap if record.scores is not None]


def written(result: Trained, records: Sequence[OverlapRecord]) -> list[Path]:
    """The model, the card, the measurements and, if they can be drawn, the figures."""
    from ilo_fast.training.run_folder import CARD_FILE, OVERLAP_FILE

    folder = result.path.parent
    paths = [result.path, folder / CARD_FILE]
    if not records:
        return paths
    paths.append(folder / OVERLAP_FILE)
    if importlib.util.find_spec("matplotlib") is None:
        logger.warning("figures need matplotlib: pip install 'ilo_fast[report]'")
        return paths
    from ilo_fast.report.trajectory import write_trajectory

    return paths + write_trajectory(records, folder)
