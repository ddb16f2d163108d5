"""``ilo-fast clt train``: a transcoder of a model's MLPs, trained on text."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ilo_fast._util.messages import counted
from ilo_fast.cli import flags, training
from ilo_fast.cli.common import model_output, set_threads
from ilo_fast.cli.console import emit
from ilo_fast.cli.output import RESULTS_FOLDER, folder_name
from ilo_fast.cli.parser import Commands
from ilo_fast.models.demo import DEMO
from ilo_fast.models.folders import display_name

if TYPE_CHECKING:
    from ilo_fast.transcoders.activations import Activation
    from ilo_fast.transcoders.training.train import TrainedTranscoder

logger = logging.getLogger(__name__)

_K = 16
_POOR = 0.6  # explained variance, below which the end says what to do


def add_parser(commands: Commands) -> None:
    parser = flags.new_command(
        commands,
        "train",
        "train a transcoder of a model's MLPs on text",
        run,
        description="Train a cross-layer transcoder: sparse features that read what the MLPs of a "
        "language model read, and write what they add, in their own and all later layers. The "
        "same command again goes on with an interrupted run.",
        examples=(
            "ilo-fast clt train --text ./my-texts --tokens 5000 --features 64",
            "ilo-fast clt train --text my.txt --language en --tokens 5000 --features 64 "
            "--eval-fraction 0.2 -o results/mine",
            "ilo-fast clt train ./my-model --text ./my-texts --per-layer --activation batchtopk "
            "--k 8 --tokens 5000 --features 64",
        ),
        when_interrupted=training.how_to_go_on(output_folder),
    )
    parser.add_argument(
        "model", nargs="?", default=DEMO, metavar="MODEL",
        help="a causal language model: Hugging Face Hub name, local folder, or the folder of a "
        "finetune or pretrain run (default: demo, the embedded model)",
    )  # fmt: skip
    flags.add_hub_flags(parser)
    _add_text_flags(parser)
    _add_transcoder_flags(parser)
    _add_training_flags(parser)
    training.add_folder_flags(parser, f"{RESULTS_FOLDER}/clt__MODEL__TEXT")


def _add_text_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("text")
    group.add_argument(
        "--text", type=Path, nargs="+", required=True, metavar="DIR|FILE",
        help="folders of <code>.txt, a sentence or paragraph per line, joined by language; a "
        "table; or one plain text file",
    )  # fmt: skip
    flags.add_language_flags(group, "the text")
    group.add_argument(
        "--language", metavar="CODE",
        help="that of one plain text file: eng_Latn, en (default: und, undetermined)",
    )  # fmt: skip
    group.add_argument(
        "--context-length", type=flags.positive_int, default=64, metavar="N",
        help="tokens of a window, all of one language (default: 64)",
    )  # fmt: skip
    group.add_argument(
        "--eval-fraction", type=float, default=0.05, metavar="SHARE",
        help="of the lines, never trained on, for the table at the end (default: 0.05)",
    )  # fmt: skip


def _add_transcoder_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("transcoder")
    group.add_argument(
        "--initial", metavar="FOLDER",
        help="start from this transcoder, such as that of the model before it was fine-tuned; "
        "features keep their numbers, and the flags below are as in it (default: random weights)",
    )  # fmt: skip
    group.add_argument(
        "--per-layer", action="store_true", default=None,
        help="features write into their own layer alone (default: into all later ones, too)",
    )  # fmt: skip
    group.add_argument(
        "--activation", choices=("topk", "batchtopk", "jumprelu"),
        help="which features are active: the k largest of each token (default), of a batch on "
        "average, or those above thresholds that are learned",
    )  # fmt: skip
    group.add_argument(
        "--features", "--n-features", dest="n_features", type=flags.positive_int,
        metavar="N", help="of each layer (default: 1024)",
    )  # fmt: skip
    group.add_argument(
        "--k", type=flags.positive_int, metavar="N",
        help="active features of each layer and token; with jumprelu at the start (default: 16)",
    )  # fmt: skip
    group.add_argument(
        "--sparsity-coefficient", type=float, default=3e-3, metavar="X",
        help="of the penalty with jumprelu: more of it, fewer active features (default: 0.003)",
    )  # fmt: skip


def _add_training_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("training")
    count: dict[str, Any] = {"type": flags.positive_int, "metavar": "N"}
    group.add_argument(
        "--tokens", **count, default=1_000_000,
        help="to train on; a shorter text comes several times (default: 1000000)",
    )  # fmt: skip
    group.add_argument(
        "--batch-tokens", **count, default=2048, help="tokens of a step (default: 2048)"
    )
    group.add_argument(
        "--buffer-tokens", **count, default=65_536,
        help="tokens that are mixed in memory (default: 65536)",
    )  # fmt: skip
    group.add_argument(
        "--learning-rate", type=float, default=5e-3, metavar="RATE", help="default: 0.005"
    )
    group.add_argument(
        "--eval-steps", **count, help="steps between evaluations (default: five in all)"
    )
    training.add_run_flags(group)


def run(args: argparse.Namespace) -> int:
    from ilo_fast.transcoders.training.train import train_transcoder

    set_threads(args)
    with model_output(args.quiet):
        result = train_transcoder(
            args.model,
            args.text[0] if len(args.text) == 1 else args.text,
            output_folder(args),
            languages=args.languages,
            language=args.language,
            allow_unknown=args.allow_unknown,
            revision=args.revision,
            trust_remote_code=args.trust_remote_code,
            initial=args.initial,
            n_features=args.n_features,
            activation=activation(args),
            cross_layer=None if args.per_layer is None else False,
            tokens=args.tokens,
            context_length=args.context_length,
            batch_tokens=args.batch_tokens,
            buffer_tokens=args.buffer_tokens,
            learning_rate=args.learning_rate,
            target_l0=(args.k or _K) if args.activation == "jumprelu" else None,
            sparsity_coefficient=args.sparsity_coefficient,
            eval_fraction=args.eval_fraction,
            eval_steps=args.eval_steps,
            seed=args.seed,
            device=args.device,
            dtype=args.dtype,
            save_steps=args.save_steps,
            logging_steps=args.logging_steps,
            keep_checkpoints=args.keep_checkpoints,
            report_to=args.report_to,
            overwrite=args.overwrite,
            progress=not args.quiet,
        )
    emit(report(result, display_name(args.model)))
    folder = output_folder(args)
    emit(f"\n{result.path}\n")
    emit(f"`ilo-fast clt eval {folder}` tells what the model predicts with it\n")
    return 0


def activation(args: argparse.Namespace) -> Activation | None:
    """By ``--activation`` and ``--k``; None where that of ``--initial`` is to be kept."""
    if args.initial is not None and args.activation is None and args.k is None:
        return None
    from ilo_fast.transcoders.activations import BatchTopK, JumpReLU, TopK

    if args.activation == "jumprelu":
        return JumpReLU()
    k = args.k or _K
    return BatchTopK(k) if args.activation == "batchtopk" else TopK(k)


def output_folder(args: argparse.Namespace) -> Path:
    """``-o``, or a folder named after model, text and kind."""
    if args.output is not None:
        return Path(args.output)
    texts = "+".join(path.expanduser().resolve().name for path in args.text)
    kind = "plt" if args.per_layer else "clt"
    model = DEMO if args.model == DEMO else display_name(args.model)
    return RESULTS_FOLDER / folder_name(kind, model, texts)


def report(result: TrainedTranscoder, model: str) -> str:
    """What was trained, the table of the layers, and what its columns mean."""
    card, metrics = result.card, result.metrics
    settings = card["settings"]
    kind = "cross-layer" if settings["cross_layer"] else "per-layer"
    languages = card["text"]["languages"]
    explained, l0, dead = (metrics[name] for name in ("explained_variance", "l0", "dead"))
    mean = sum(explained) / len(explained)
    lines = [
        f"Trained a {kind} transcoder of {model} on {card['tokens']:,} tokens of "
        f"{counted(len(languages), 'language')} ({card['passes']:.2f} passes): {card['steps']} "
        f"steps, {card['seconds']:.0f} s",
        "",
        f"On {metrics['tokens']:,} tokens of text that was held out:",
        f"{'layer':>5}  {'explained variance':>18}  {'active features':>15}  {'never active':>12}",
    ]
    for layer, (e, a, d) in enumerate(zip(explained, l0, dead, strict=True)):
        lines.append(f"{layer:>5}  {e:>18.1%}  {a:>15.1f}  {d:>12.1%}")
    lines += [
        f"{'mean':>5}  {mean:>18.1%}  {sum(l0) / len(l0):>15.1f}  {sum(dead) / len(dead):>12.1%}",
        "",
        "explained variance: of what the MLP adds to the residual stream, the share that the "
        "features write:",
        "  100 % is the MLP itself, 0 % no better than its mean",
        f"active features: of {settings['n_features']:,} per layer, how many write for a token",
        "never active: the share that was silent on all of this text",
    ]
    if mean < _POOR:
        lines.append(
            "Little is explained yet: train on more --tokens, or take more --features or a larger "
            "--k"
        )
    return "\n".join(lines) + "\n"
