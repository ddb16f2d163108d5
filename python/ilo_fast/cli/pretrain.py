"""``ilo-fast pretrain``: a small multilingual language model at a chosen mixture of languages."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ilo_fast.cli import flags, training
from ilo_fast.cli.common import load_corpus, set_threads
from ilo_fast.cli.console import emit
from ilo_fast.cli.output import RESULTS_FOLDER, folder_name
from ilo_fast.cli.parser import Commands, UsageError

if TYPE_CHECKING:
    from ilo_fast.corpora.parallel import ParallelCorpus
    from ilo_fast.training.pretrain.pretrain import Pretrained
    from ilo_fast.training.records import OverlapRecord

_COLUMNS = 6  # measurements in the table; the figure shows all


def add_parser(commands: Commands) -> None:
    parser = flags.new_command(
        commands,
        "pretrain",
        "train a small multilingual language model at a chosen mixture",
        run,
        description="Train a tokenizer and a small language model on text of several languages, "
        "each at its share of the tokens, and measure the overlap of its layers meanwhile. The "
        "same command again goes on with an interrupted run.",
        examples=(
            "ilo-fast pretrain --text ./my-texts --mixture eng_Latn=0.5 --batch-size 8 "
            "--max-steps 5 --limit 5",
            "ilo-fast pretrain --text ./my-texts --hidden-size 64 --max-steps 5 --corpus none",
            "ilo-fast pretrain --text ./my-texts --tokenizer ./my-model --batch-size 8 "
            "--max-steps 5 --corpus none -o results/own",
        ),
        when_interrupted=training.how_to_go_on(output_folder),
    )
    _add_text_flags(parser)
    _add_model_flags(parser)
    _add_training_flags(parser)
    training.add_measuring_flags(parser, beside_text=True)
    training.add_folder_flags(parser, f"{RESULTS_FOLDER}/pretrain__TEXT__MIXTURE")


def _add_text_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("training text")
    group.add_argument(
        "--text",
        type=Path,
        nargs="+",
        required=True,
        metavar="DIR",
        help="folders of <code>.txt, a sentence or paragraph per line; joined by language",
    )
    flags.add_language_flags(group, "the text")
    group.add_argument(
        "--mixture",
        type=share,
        nargs="+",
        default=[],
        metavar="CODE=SHARE",
        help="shares of the tokens, eng_Latn=0.5; the rest is shared equally by all other "
        "languages; eng_Latn=0 leaves one out (default: equal shares)",
    )


def _add_model_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("model (Llama)")
    sizes = (
        ("--hidden-size", 192, "width"),
        ("--num-hidden-layers", 6, "blocks"),
        ("--num-attention-heads", None, "default: one to 32 dimensions"),
        ("--num-key-value-heads", None, "default: as many"),
        ("--intermediate-size", None, "width inside the MLP (default: 8/3 of the width)"),
        ("--vocab-size", 16384, "tokens of the tokenizer that is trained"),
    )
    for name, default, text in sizes:
        shown = text if default is None else f"{text} (default: {default})"
        group.add_argument(name, type=flags.positive_int, default=default, metavar="N", help=shown)
    group.add_argument(
        "--tokenizer",
        metavar="NAME|DIR",
        help="a tokenizer that exists (default: one is trained, on as many lines of each language)",
    )


def _add_training_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("training")
    group.add_argument(
        "--max-steps",
        type=flags.positive_int,
        default=1000,
        metavar="N",
        help="optimizer steps (default: 1000)",
    )
    group.add_argument(
        "--context",
        type=flags.positive_int,
        default=64,
        metavar="N",
        help="tokens in a row, all of one language (default: 64)",
    )
    group.add_argument(
        "--learning-rate", type=float, default=1e-3, metavar="RATE", help="default: 0.001"
    )
    group.add_argument(
        "--decay-share",
        type=float,
        default=0.3,
        metavar="SHARE",
        help="last part of the steps, in which the rate falls to 0 (default: 0.3)",
    )
    group.add_argument(
        "--every",
        type=flags.positive_int,
        metavar="N",
        help="steps between measurements (default: ten of them)",
    )
    training.add_loop_flags(group, batch_size=64, weight_decay=0.1, warmup_steps=0.05)


def share(text: str) -> tuple[str, float]:
    """``eng_Latn=0.5``."""
    code, equals, value = text.partition("=")
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not code or not equals or not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no share: give CODE=SHARE with a share from 0 to 1, such as eng_Latn=0.5"
        )
    return code.strip(), number


def run(args: argparse.Namespace) -> int:
    from ilo_fast.training.pretrain.mixture import read_texts
    from ilo_fast.training.pretrain.pretrain import pretrain
    from ilo_fast.training.pretrain.tokenizer import open_tokenizer

    set_threads(args)
    tokenizer = open_tokenizer(args.tokenizer)  # before the text, which may be long
    texts = read_texts(args.text, args.languages, allow_unknown=args.allow_unknown)
    result = pretrain(
        texts,
        output_folder(args),
        mixture=mixture(args.mixture),
        allow_unknown=args.allow_unknown,
        tokenizer=tokenizer,
        vocab_size=args.vocab_size,
        hidden_size=args.hidden_size,
        num_hidden_layers=args.num_hidden_layers,
        num_attention_heads=args.num_attention_heads,
        num_key_value_heads=args.num_key_value_heads,
        intermediate_size=args.intermediate_size,
        max_steps=args.max_steps,
        context=args.context,
        batch_size=args.batch_size,
        gradient_accumulation_steps=args.gradient_accumulation_steps,
        learning_rate=args.learning_rate,
        weight_decay=args.weight_decay,
        max_grad_norm=args.max_grad_norm,
        warmup_steps=args.warmup_steps,
        decay_share=args.decay_share,
        seed=args.seed,
        device=args.device,
        dtype=args.dtype,
        corpus=None if args.corpus == "none" else measured(args, tuple(texts)),
        overlap_options=training.overlap_options(args),
        every=args.every,
        save_steps=args.save_steps,
        logging_steps=args.logging_steps,
        keep_checkpoints=args.keep_checkpoints,
        report_to=args.report_to,
        overwrite=args.overwrite,
        progress=not args.quiet,
    )
    records = training.measurements(result)
    paths = training.written(result, records, output_folder(args).name)
    emit(report(result, records))
    emit("\n" + "".join(f"{path}\n" for path in paths))
    return 0


def output_folder(args: argparse.Namespace) -> Path:
    """``-o``, or a folder named after text and mixture."""
    if args.output is not None:
        return Path(args.output)
    texts = "+".join(path.expanduser().resolve().name for path in args.text)
    shares = "+".join(f"{code}-{number:g}" for code, number in args.mixture) or "equal"
    return RESULTS_FOLDER / folder_name("pretrain", texts, shares)


def mixture(shares: Sequence[tuple[str, float]]) -> dict[str, float]:
    """``--mixture`` as a mapping.

    Raises
    ------
    ValueError
        A language that is named twice.
    """
    found = dict(shares)
    if len(found) < len(shares):
        codes = [code for code, _ in shares]
        twice = next(code for code in codes if codes.count(code) > 1)
        raise UsageError(f"--mixture names {twice} more than once")
    return found


def measured(args: argparse.Namespace, trained: Sequence[str]) -> ParallelCorpus:
    """The corpus to measure on: without ``--corpus-languages``, in the languages that have text."""
    corpus = load_corpus(args, args.corpus_languages)
    both = [code for code in corpus.languages if code in trained]
    if args.corpus_languages is not None or len(both) < 2:
        return corpus
    return corpus.select(both)


def report(result: Pretrained, records: Sequence[OverlapRecord]) -> str:
    """The tables: languages and how much of their text was used; ILO of every layer over time."""
    card = result.card
    tokens = sum(used["tokens"] for used in card["text"].values())
    lines = [
        f"Trained {card['parameters']:,} parameters from nothing on {tokens:,} tokens: "
        f"{card['steps']} steps, loss {result.loss:.3f}, {card['seconds']:.0f} s "
        f"({card['tokens_per_second']:,} tokens per second)",
        "",
        *_languages(card["text"]),
    ]
    if len(records) > 1:
        lines += ["", *_layers(records)]
    return "\n".join(lines) + "\n"


def _languages(text: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Languages of equal share on one line: there are mostly one or two kinds."""
    kinds: dict[str, list[str]] = {}
    for code, used in text.items():
        kinds.setdefault(f"{used['share']:.1%}", []).append(code)
    lines = [f"{'share':>7}  {'passes through the text':24} languages"]
    for shown, codes in sorted(kinds.items(), key=lambda kind: -text[kind[1][0]]["share"]):
        passes = [text[code]["epochs"] for code in codes]
        span = (
            f"{min(passes):.2f}" if len(codes) == 1 else f"{min(passes):.2f} to {max(passes):.2f}"
        )
        lines.append(f"{shown:>7}  {span:24} {' '.join(codes)}")
    return lines


def _layers(records: Sequence[OverlapRecord]) -> list[str]:
    from ilo_fast.report.summary import layer_means

    count = min(_COLUMNS, len(records))
    chosen = [records[round(i * (len(records) - 1) / (count - 1))] for i in range(count)]
    means = [layer_means(record.scores) for record in chosen if record.scores is not None]
    first = chosen[0].scores
    assert first is not None
    lines = [f"ILO at step{''.join(f'{record.step:>8}' for record in chosen)}"]
    is_parallel = first.translation_share is not None
    if is_parallel:
        lines[0] += f"   {'translations':>14}"
    for h, layer in enumerate(first.layers):
        line = f"{f'layer {layer}':>11}" + "".join(f"{mean[h].ilo:8.3f}" for mean in means)
        if is_parallel:
            begin, end = means[0][h].translation_share, means[-1][h].translation_share
            line += f"   {begin:>6.1%} {end:>7.1%}"
        lines.append(line)
    lines.append(f"means over {len(first.languages)} languages; layer 0 is the embeddings")
    if is_parallel:
        lines.append(
            "translations: share of a sentence's neighbours that are, at the first and the last"
        )
    return lines
