"""``ilo-fast finetune``: train a model on one language, layers frozen, and watch its overlap."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ilo_fast.cli import flags, training
from ilo_fast.cli.common import load_corpus, model_name, set_threads
from ilo_fast.cli.console import emit
from ilo_fast.cli.output import RESULTS_FOLDER, folder_name
from ilo_fast.cli.parser import Commands

if TYPE_CHECKING:
    from ilo_fast.training.finetune.finetune import FineTuned
    from ilo_fast.training.records import OverlapRecord

logger = logging.getLogger(__name__)

# The demo model has 7 million parameters: the usual rates hardly move it in a minute.
_DEMO_RATE = 3e-3


def add_parser(commands: Commands) -> None:
    parser = flags.new_command(
        commands,
        "finetune",
        "train a model on one language, layers frozen, and watch its overlap",
        run,
        description="Fine-tune a model on one language and measure the overlap of its layers "
        "meanwhile. Without flags: the embedded model on the embedded English text, offline. The "
        "same command again goes on with an interrupted run.",
        examples=(
            "ilo-fast finetune --freeze 0-2 --max-steps 10 --every 10 --limit 10",
            "ilo-fast finetune -m ./my-model --data ./my-texts --freeze 0-1 --corpus ./my-texts",
            "ilo-fast finetune -m ./my-model --data ./my-labelled --lora 8 --corpus none",
        ),
        when_interrupted=training.how_to_go_on(output_folder),
    )
    flags.add_model_flags(parser)
    _add_data_flags(parser)
    _add_freezing_flags(parser)
    _add_training_flags(parser)
    training.add_measuring_flags(parser)
    training.add_folder_flags(parser, f"{RESULTS_FOLDER}/finetune__MODEL__DATA")


def _add_data_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("training data")
    group.add_argument(
        "--data",
        default="demo",
        metavar="PATH",
        help="text: a file, or a folder of <code>.txt; labelled: a folder of <code>.jsonl, .csv or "
        ".tsv with text, label and split (default: demo, the embedded English text)",
    )
    group.add_argument(
        "--language", default="eng_Latn", metavar="CODE", help="its language (default: eng_Latn)"
    )
    group.add_argument(
        "--task",
        choices=("auto", "causal-lm", "classification"),
        default="auto",
        help="default: causal-lm on text, classification on labelled data",
    )
    group.add_argument(
        "--eval-fraction",
        type=float,
        default=0.05,
        metavar="SHARE",
        help="of the lines of text, evaluated on and not trained on (default: 0.05)",
    )


def _add_freezing_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is trained")
    group.add_argument(
        "--freeze",
        type=frozen_layers,
        default=None,
        metavar="LIST",
        help="blocks to freeze, with the embeddings and the output head: 0-7; published (0-8, what "
        "the published code does); none (default)",
    )
    group.add_argument(
        "--no-freeze-embeddings", action="store_true", help="with --freeze: train the embeddings"
    )
    group.add_argument(
        "--no-freeze-head",
        action="store_true",
        help="with --freeze: train the output head and the final norm",
    )
    group.add_argument(
        "--lora",
        type=flags.positive_int,
        metavar="R",
        help="train adapters of this rank on the blocks that are not frozen (needs peft)",
    )


def _add_training_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("training")
    group.add_argument("--num-train-epochs", type=float, default=3, metavar="N", help="default: 3")
    group.add_argument(
        "--max-steps",
        type=flags.positive_int,
        metavar="N",
        help="steps, whatever --num-train-epochs says",
    )
    group.add_argument(
        "--learning-rate",
        type=float,
        metavar="RATE",
        help="default: 5e-5 on text, 2e-5 for a classifier, 2e-4 with --lora; of the embedded "
        f"model {_DEMO_RATE:g}",
    )
    group.add_argument(
        "--max-length",
        type=flags.positive_int,
        metavar="N",
        help="tokens of an example (default: what the model takes, at most 512)",
    )
    group.add_argument(
        "--every",
        type=flags.positive_int,
        metavar="N",
        help="steps between evaluations and measurements (default: six in the run)",
    )
    training.add_loop_flags(group, batch_size=16, weight_decay=0.01, warmup_steps=0.06)


def frozen_layers(text: str) -> tuple[int, ...] | str | None:
    """``--freeze``: numbers, ``published``, or None for ``none``."""
    word = text.strip().lower()
    if word == "none":
        return None
    return word if word == "published" else flags.layer_list(text)


def run(args: argparse.Namespace) -> int:
    from ilo_fast.training.finetune.finetune import finetune

    set_threads(args)
    logger.info("model: %s", model_name(args))
    is_demo = args.model == "demo"
    rate = args.learning_rate
    if rate is None and is_demo and args.lora is None:
        rate = _DEMO_RATE
    result = finetune(
        args.model,
        load_data(args),
        output_folder(args),
        language=args.language,
        task=args.task,
        freeze=args.freeze,
        freeze_embeddings=not args.no_freeze_embeddings,
        freeze_head=not args.no_freeze_head,
        lora=args.lora,
        corpus=None if args.corpus == "none" else load_corpus(args, args.languages),
        overlap_options=training.overlap_options(args),
        num_train_epochs=args.num_train_epochs,
        max_steps=args.max_steps,
        learning_rate=rate,
        weight_decay=args.weight_decay,
        warmup_steps=args.warmup_steps,
        batch_size=args.batch_size,
        gradient_accumulation_steps=args.gradient_accumulation_steps,
        max_grad_norm=args.max_grad_norm,
        max_length=args.max_length,
        eval_fraction=args.eval_fraction,
        seed=args.seed,
        device=args.device,
        dtype=args.dtype,
        every=args.every,
        save_steps=args.save_steps,
        logging_steps=args.logging_steps,
        keep_checkpoints=args.keep_checkpoints,
        report_to=args.report_to,
        revision=args.revision,
        trust_remote_code=args.trust_remote_code,
        overwrite=args.overwrite,
        progress=not args.quiet,
        name=args.name,
    )
    records = training.measurements(result)
    paths = training.written(result, records, output_folder(args).name)
    emit(report(result, records, model_name(args)))
    emit("\n" + "".join(f"{path}\n" for path in paths))
    return 0


def output_folder(args: argparse.Namespace) -> Path:
    """``-o``, or a folder named after model and data, and what of the model is trained."""
    if args.output is not None:
        return Path(args.output)
    path = Path(args.data).expanduser()
    data = args.data if args.data == "demo" else path.resolve().stem
    names = ["finetune", model_name(args), data]
    if args.freeze is not None:
        chosen = args.freeze if isinstance(args.freeze, str) else ",".join(map(str, args.freeze))
        names.append(f"freeze-{chosen}")
    if args.lora is not None:
        names.append(f"lora-{args.lora}")
    return RESULTS_FOLDER / folder_name(*names)


def load_data(args: argparse.Namespace) -> Any:
    """Labelled data where the folder holds no text but labelled files, or the task asks for it."""
    path = Path(args.data).expanduser()
    if args.data == "demo":
        return args.data
    labelled = args.task == "classification" or (args.task == "auto" and _is_labelled(path))
    if not labelled:
        return path
    from ilo_fast.corpora.labelled.corpus import LabelledCorpus

    return LabelledCorpus.from_dir(path, [args.language], allow_unknown=True)


def _is_labelled(path: Path) -> bool:
    if not path.is_dir():
        return False
    from ilo_fast.corpora.files import find_files
    from ilo_fast.corpora.tables import table_suffix
    from ilo_fast.errors import CorpusError

    try:
        find_files(path, allow_unknown=True)
    except CorpusError:
        files = [*path.glob("*.*"), *path.glob("*/*.*")]
        return any(table_suffix(file.name) for file in files)
    return False


def report(result: FineTuned, records: Sequence[OverlapRecord], name: str) -> str:
    """The tables: what was trained, how well, and layers and languages before and after."""
    from ilo_fast.report.training_tables import language_lines, layer_lines

    card = result.card
    settings, data = card["settings"], card["data"]
    a_step = settings["batch_size"] * settings["gradient_accumulation_steps"]
    done = "Diverged, so of no use: " if card.get("status") == "diverged" else "Fine-tuned "
    lines = [
        f"{done}{name} on {settings['language']}: {settings['task']}, {card['steps']} steps "
        f"of {a_step} of {data['train']['examples']} examples, {card['seconds']:.0f} s",
        f"trained: {_share(card['parameters'])}; frozen: {_frozen(card)}",
    ]
    if len(card["evaluations"]) > 1:
        lines.append(f"evaluation: {_evaluation(card)}")
    if len(records) > 1:
        before, after = records[0].scores, records[-1].scores
        assert (
            before is not None and after is not None
        )  # of a failed measurement there is no record
        lines += ["", *layer_lines(before, after, card["frozen"])]
        lines += ["", *language_lines(before, after)]
    return "\n".join(lines) + "\n"


def _share(parameters: dict[str, int]) -> str:
    share = parameters["trainable"] / parameters["total"]
    return f"{parameters['trainable']:,} of {parameters['total']:,} parameters ({share:.1%})"


def _frozen(card: dict[str, Any]) -> str:
    if card["lora"] is not None:
        adapted = _ranges(card["lora"]["layers"])
        return f"all but adapters of rank {card['lora']['r']} on blocks {adapted}"
    frozen = card["frozen"]
    if frozen is None:
        return "nothing"
    blocks = [f"blocks {_ranges(frozen['layers'])}"] if frozen["layers"] else []
    parts = [
        part.replace("_", " ") for part in ("embeddings", "final_norm", "head") if frozen[part]
    ]
    tied = " (tied weights are one)" if frozen["ties"] else ""
    return (", ".join(blocks + parts) or "nothing") + tied


def _ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers as a flag has them: ``0-2, 5``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def _evaluation(card: dict[str, Any]) -> str:
    first, last = card["evaluations"][0], card["evaluations"][-1]
    names = ("accuracy", "macro_f1", "perplexity")
    return ", ".join(
        f"{name.replace('_', ' ')} {first[name]:.4g} before, {last[name]:.4g} after"
        for name in names
        if name in first and name in last
    )
