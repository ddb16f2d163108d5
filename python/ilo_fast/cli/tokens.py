"""``ilo-fast tokens``: what tokenizers give each language. No model runs."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ilo_fast.cli import flags
from ilo_fast.cli.common import load_corpus, model_output
from ilo_fast.cli.console import emit
from ilo_fast.cli.named_runs import distinct_names, named_path
from ilo_fast.cli.parser import Commands, UsageError
from ilo_fast.cli.pretrain import mixture, share
from ilo_fast.models.demo import DEMO

if TYPE_CHECKING:
    from ilo_fast.corpora.parallel import ParallelCorpus
    from ilo_fast.evaluation.tokens_result import TokenComparison

logger = logging.getLogger(__name__)


def add_parser(commands: Commands) -> None:
    parser = flags.new_command(
        commands,
        "tokens",
        "tell what a tokenizer gives each language: tokens for a word, for the same text",
        run,
        description="Count the tokens that tokenizers make of the same text in every language: "
        "beside English (premium), for a word (fertility), characters in a token, words in one "
        "token, with 95 % intervals. Any tokenizer of transformers; no weights are read.",
        examples=(
            "ilo-fast tokens",
            "ilo-fast tokens ./my-model --corpus ./my-texts -o results/tokens",
            "ilo-fast tokens --train ./my-texts --vocab-sizes 400 800 --mixture eng_Latn=0.9 "
            "--corpus demo",
        ),
    )
    parser.add_argument(
        "tokenizers", nargs="*", default=[], metavar="[NAME=]TOKENIZER",
        help="Hub name, folder of a tokenizer, of a model or of a pretrain run; several are "
        "compared with the first (default: demo, the embedded model's, or what --train makes)",
    )  # fmt: skip
    flags.add_corpus_flags(parser)
    group = parser.add_argument_group("statistics")
    group.add_argument(
        "--reference", default="eng_Latn", metavar="CODE",
        help="language that the others are compared with; none: no premium (default: eng_Latn)",
    )  # fmt: skip
    group.add_argument(
        "--bootstrap", type=flags.positive_int, default=1000, metavar="N",
        help="draws of documents for the intervals (default: 1000)",
    )  # fmt: skip
    group.add_argument(
        "--seed", type=int, default=0, metavar="N",
        help="of the intervals, and of the lines that --train draws (default: 0)",
    )  # fmt: skip
    group = parser.add_argument_group("tokenizers that are trained")
    group.add_argument(
        "--train", type=Path, nargs="+", metavar="DIR",
        help="train byte-level BPE on folders of <code>.txt and compare; other text than --corpus, "
        "or the premium is too good",
    )  # fmt: skip
    group.add_argument(
        "--vocab-sizes", type=flags.positive_int, nargs="+", metavar="N",
        default=[8192, 16384, 32768, 65536],
        help="tokens of each, at least 260 (default: 8192 16384 32768 65536)",
    )  # fmt: skip
    group.add_argument(
        "--mixture", type=share, nargs="+", default=[], metavar="CODE=SHARE",
        help="train them on this mixture of lines, too, beside equal shares: eng_Latn=0.9, the "
        "rest is shared equally",
    )  # fmt: skip
    group.add_argument(
        "--train-lines", type=flags.positive_int, default=5000, metavar="N",
        help="lines of each language on average (default: 5000)",
    )  # fmt: skip
    group = parser.add_argument_group("output")
    group.add_argument(
        "-o", "--output", type=Path, metavar="OUT",
        help="folder for tokens.json, tokens.csv, a figure, tokens.html, and tokenizers trained "
        "(default: nothing is written)",
    )  # fmt: skip
    group.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    from ilo_fast.evaluation.tokens import compare_tokenizers
    from ilo_fast.report.token_tables import text_report

    if args.mixture and args.train is None:
        raise UsageError("--mixture is of the tokenizers that --train makes: give it, too")
    tokenizers = _given(args)
    corpus = load_corpus(args, args.languages)
    trained = {} if args.train is None else _trained(args, corpus)
    reference = None if args.reference.lower() == "none" else args.reference
    found = compare_tokenizers(
        tokenizers | trained, corpus, reference=reference, n_bootstrap=args.bootstrap,
        seed=args.seed, progress=not args.quiet,
    )  # fmt: skip
    written = [] if args.output is None else _write(found, trained, args.output)
    if args.json:
        emit(json.dumps(found.to_dict(), ensure_ascii=False, indent=1) + "\n")
        return 0
    emit(text_report(found))
    if written:
        emit("\n" + "".join(f"{path}\n" for path in written))
    return 0


def _given(args: argparse.Namespace) -> dict[str, Any]:
    """The tokenizers that are named, opened."""
    from ilo_fast.models.folders import display_name

    words = args.tokenizers or ([] if args.train is not None else [DEMO])
    wanted = [("", word) if word == DEMO else named_path(word) for word in words]
    names = distinct_names(
        [name or display_name(str(path)) for name, path in wanted],
        [Path(path) for _, path in wanted],
    )
    with model_output(args.quiet):
        return {name: _opened(str(path)) for name, (_, path) in zip(names, wanted, strict=True)}


def _opened(name: str) -> Any:
    from ilo_fast.models.demo import demo_model_path
    from ilo_fast.training.pretrain.tokenizer import open_tokenizer

    if name == DEMO:
        return open_tokenizer(demo_model_path())
    for inside in ("", "model", "tokenizer"):  # of a run
        folder = Path(name).expanduser() / inside
        if any((folder / file).is_file() for file in ("tokenizer_config.json", "tokenizer.json")):
            return open_tokenizer(folder)
    return open_tokenizer(name)


def _trained(args: argparse.Namespace, corpus: ParallelCorpus) -> dict[str, Any]:
    from ilo_fast.training.pretrain.mixture import read_texts
    from ilo_fast.training.pretrain.vocabularies import train_tokenizers

    texts = read_texts(args.train, args.languages, allow_unknown=args.allow_unknown)
    known = {line for lines in texts.values() for line in lines}
    counted_lines = [line for lines in corpus.sentences.values() for line in lines]
    seen = sum(line in known for line in counted_lines) / len(counted_lines)
    if seen:
        logger.warning(
            "%.0f %% of the lines that are counted are lines of --train: what is counted there is "
            "too good; give other text as --corpus", 100 * seen,
        )  # fmt: skip
    mixtures: dict[str, dict[str, float] | None] = {"equal": None}
    if args.mixture:
        name = "+".join(f"{code}={number:g}" for code, number in args.mixture)
        mixtures[name] = mixture(args.mixture)
    return train_tokenizers(
        texts, vocab_sizes=args.vocab_sizes, mixtures=mixtures, n_lines=args.train_lines,
        seed=args.seed, progress=not args.quiet,
    )  # fmt: skip


def _write(found: TokenComparison, trained: dict[str, Any], folder: Path) -> list[Path]:
    from ilo_fast._util.files import replace_folder
    from ilo_fast.report.token_files import write_tokens

    written = write_tokens(found, folder)
    for name, tokenizer in trained.items():
        place = folder / "tokenizers" / name.replace(" ", "_")
        place.parent.mkdir(parents=True, exist_ok=True)
        with replace_folder(place) as new:
            tokenizer.save_pretrained(new)
        written.append(place)
    return written
