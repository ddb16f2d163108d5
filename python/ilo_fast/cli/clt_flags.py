"""What the subcommands of ``ilo-fast clt`` that take a transcoder and its model have in common."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from ilo_fast.cli import flags

if TYPE_CHECKING:
    from ilo_fast.transcoders.files.opening import Opened

OF_TRAINING: Final = "that of the training's weights"


def add_transcoder_flags(parser: argparse.ArgumentParser, *, dtype: str = OF_TRAINING) -> None:
    """A transcoder, the model that it is of, and where that runs; `dtype` says the default."""
    group = parser.add_argument_group("model and transcoder")
    group.add_argument(
        "--transcoder", default="demo", metavar="FOLDER",
        help="folder of a `clt train` run, or of a transcoder (default: demo, the embedded one; "
        "also demo-per-layer)",
    )  # fmt: skip
    add_model_flags(group)
    add_device_flags(group, dtype=dtype)


def add_model_flags(group: argparse._ActionsContainer) -> None:
    """Which model."""
    group.add_argument(
        "-m", "--model", metavar="MODEL",
        help="Hugging Face Hub name, local folder, or the folder of a finetune or pretrain run "
        "(default: that of the transcoder's training)",
    )  # fmt: skip
    flags.add_hub_flags(group)
    group.add_argument(
        "--allow-other-weights", action="store_true",
        help="take a model that was fine-tuned from the one of the training",
    )  # fmt: skip


def add_device_flags(group: argparse._ActionsContainer, *, dtype: str = OF_TRAINING) -> None:
    """Where it runs, and in which type; `dtype` says the default."""
    group.add_argument("--device", help="cpu, cuda, cuda:1, mps (default: a GPU if there is one)")
    group.add_argument(
        "--dtype", choices=("float32", "bfloat16", "float16", "float64"),
        help=f"type to run the model in (default: {dtype})",
    )  # fmt: skip


def opened(args: argparse.Namespace) -> Opened:
    """What these flags name."""
    from ilo_fast.transcoders.files.opening import open_transcoder

    return open_transcoder(
        args.transcoder,
        model=args.model,
        allow_other_weights=args.allow_other_weights,
        device=args.device,
        dtype=args.dtype,
        revision=args.revision,
        trust_remote_code=args.trust_remote_code,
    )
