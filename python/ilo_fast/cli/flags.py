"""Flags that several commands share, and the types that read their values."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

from ilo_fast.cli.parser import Commands, Parser


def new_command(
    commands: Commands,
    name: str,
    summary: str,
    action: Callable[[argparse.Namespace], int],
    *,
    examples: Sequence[str],
    description: str | None = None,
    when_interrupted: Callable[[argparse.Namespace], str] = lambda args: "Nothing was written.",
) -> Parser:
    """A subparser with what all commands have: -v, -q, examples at the end, and its action.

    ``examples`` run as printed, in this order (a test does so). ``when_interrupted`` says after
    Ctrl-C what is kept, and how to go on.
    """
    parser: Parser = commands.add_parser(
        name,
        help=summary,
        description=textwrap.fill(description or summary, 88),
        epilog="\n  ".join(["examples:", *examples]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    loudness = parser.add_mutually_exclusive_group()
    loudness.add_argument(
        "-v", "--verbose", action="store_true", help="more messages, and tracebacks of errors"
    )
    loudness.add_argument(
        "-q", "--quiet", action="store_true", help="no progress and no remarks, only errors"
    )
    parser.set_defaults(parser=parser, action=action, when_interrupted=when_interrupted)
    return parser


def add_measurement_flags(parser: argparse.ArgumentParser) -> None:
    """All that says what is measured, and how: of ``run``, and of its file of settings."""
    add_model_flags(parser)
    add_corpus_flags(parser)
    add_sample_flag(parser)
    add_extract_flags(parser)
    add_overlap_flags(parser)
    add_certainty_flags(parser)
    add_thread_flag(parser)
    add_text_flag(parser)


def add_model_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("model")
    group.add_argument(
        "-m",
        "--model",
        default="demo",
        metavar="MODEL",
        help="Hugging Face Hub name, local folder, or the folder of a finetune or pretrain run "
        "(default: demo, the embedded model)",
    )
    group.add_argument(
        "--name", metavar="NAME", help="what to call the model in titles, tables and folders"
    )
    add_hub_flags(group)


def add_hub_flags(group: argparse._ActionsContainer) -> None:
    """Of a model on the Hub."""
    group.add_argument("--revision", metavar="REV", help="branch, tag or commit on the Hub")
    group.add_argument(
        "--trust-remote-code",
        action="store_true",
        help="run the Python code that some models on the Hub bring along",
    )


def add_corpus_flags(parser: argparse.ArgumentParser, *, beside_text: bool = False) -> None:
    """The parallel text; `beside_text`: ``--languages`` is about the text to train on."""
    group = parser.add_argument_group("parallel text")
    group.add_argument(
        "--corpus",
        default="demo",
        metavar="DIR|NAME",
        help="folder of <code>.txt files, same line same meaning, of FLORES, NTREX or Moses files, "
        "or a table with a column per language (.tsv, .csv, .jsonl, .parquet); or flores200, "
        "flores+, ntrex128 (default: demo, the embedded corpus)",
    )
    group.add_argument("--corpus-revision", metavar="REV", help="revision of a corpus by name")
    group.add_argument("--split", help="split of a corpus that has several: dev")
    if beside_text:
        group.add_argument(
            "--corpus-languages",
            metavar="CODES",
            help="codes or named sets to measure (default: those that the training text has)",
        )
    else:
        add_language_flags(group, "the corpus")
    which = (
        "the first N (--seed is of the training)" if beside_text else "the first N, or by --seed"
    )
    group.add_argument(
        "--limit",
        type=positive_int,
        metavar="N",
        help=f"for trying out: only N sentences per language, {which}; scores of few sentences are "
        "not those of all",
    )


def add_sample_flag(parser: argparse.ArgumentParser) -> None:
    """For commands that train nothing, where a seed is of nothing else."""
    parser.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="with --limit: draw the sentences at random by this seed, the same of all languages "
        "(the first ones are of few documents)",
    )


def add_language_flags(group: argparse._ActionsContainer, source: str) -> None:
    """Which languages of a source."""
    group.add_argument(
        "-l",
        "--languages",
        metavar="CODES",
        help="codes or named sets with commas between: eng_Latn,fr or paper31; zho_Hans=zh says "
        f"what a language is called there (default: all of {source})",
    )
    group.add_argument(
        "--allow-unknown",
        action="store_true",
        help="take files of the folder whose name is no known language code",
    )


def add_extract_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("representations")
    add_layers_flag(group, "layers")
    group.add_argument(
        "--pooling",
        choices=("mean", "weighted_mean", "last", "first", "max"),
        default="mean",
        help="how the tokens of a sentence become one vector: their mean (default, as published), "
        "the mean in which the i-th counts i times, one of them, or the maximum",
    )
    group.add_argument(
        "--special-tokens",
        choices=("include", "exclude"),
        default="include",
        help="whether they count in the pooling (default: include, as published)",
    )
    group.add_argument(
        "--prefix",
        default="",
        metavar="TEXT",
        help="put before every sentence, as the model was trained to see it: 'query: ' of E5",
    )
    add_tokenizer_flag(group)
    add_forward_flags(group)
    cache = group.add_mutually_exclusive_group()
    cache.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="where representations are kept (default: $ILO_FAST_CACHE, else with the caches of "
        "Hugging Face)",
    )
    cache.add_argument("--no-cache", action="store_true", help="neither read nor keep them")


def add_tokenizer_flag(group: argparse._ActionsContainer) -> None:
    """What a tokenizer calls the languages."""
    group.add_argument(
        "--tokenizer-languages",
        type=language_pairs,
        metavar="CODE=CODE,...",
        help="for tokenizers that mark the language (NLLB, mBART-50): their codes for languages of "
        "the text, eng_Latn=en_XX, where they are not found by themselves",
    )


def add_layers_flag(group: argparse._ActionsContainer, what: str) -> None:
    group.add_argument(
        "--layers",
        type=layer_list,
        metavar="LIST",
        help=f"{what}, 0 the embeddings, -1 the last: 0,4,8-12 (default: all)",
    )


def add_forward_flags(group: argparse._ActionsContainer) -> None:
    """How a model is run over text."""
    group.add_argument(
        "--max-length",
        type=positive_int,
        metavar="N",
        help="tokens at which sentences are cut (default: what the model takes)",
    )
    group.add_argument(
        "--dtype",
        choices=("float32", "bfloat16", "float16", "float64"),
        help="type to run the model in (default: float32 on a CPU, the checkpoint's own else)",
    )
    group.add_argument("--device", help="cpu, cuda, cuda:1, mps (default: a GPU if there is one)")
    group.add_argument(
        "--batch-tokens", type=positive_int, metavar="N", help="tokens in a batch, padding included"
    )


def add_overlap_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("overlap")
    group.add_argument(
        "-k",
        "--n-neighbors",
        type=positive_int,
        default=5,
        metavar="K",
        help="neighbours of each sentence (default: 5)",
    )
    group.add_argument(
        "--threshold",
        type=positive_int,
        default=3,
        metavar="T",
        help="other languages among them that make a bridge (default: 3)",
    )
    group.add_argument(
        "--metric",
        choices=("cosine", "euclidean"),
        default="cosine",
        help="distance between sentences (default: cosine)",
    )
    group.add_argument(
        "--backend",
        choices=("auto", "exact", "cuda", "ray", "hnsw", "partitioned"),
        default="auto",
        help="auto, exact, cuda on a GPU, and ray on a cluster: the same, exact neighbours; hnsw, "
        "partitioned: approximate, recall reported",
    )


def add_certainty_flags(parser: argparse.ArgumentParser) -> None:
    """What stands beside the scores: intervals, and tests by permutation."""
    group = parser.add_argument_group("intervals and tests")
    group.add_argument(
        "--quick",
        action="store_true",
        help="scores alone: leave out intervals, permutations, companion scores, structure and map",
    )
    group.add_argument(
        "--companion-intervals",
        action="store_true",
        help="intervals of companion scores, too: five to ten times as long",
    )
    group.add_argument(
        "--permutations",
        type=positive_int,
        default=1000,
        metavar="N",
        help="of languages and of sentences, for the p-values (default: 1000)",
    )
    group.add_argument(
        "--unit",
        choices=("document", "sentence"),
        help="what is drawn anew where a study is repeated (default: documents, where the corpus "
        "knows them)",
    )


def add_thread_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--n-threads",
        type=positive_int,
        metavar="N",
        help="CPU threads (default: all that the process may use; OMP_NUM_THREADS counts)",
    )


def add_text_flag(parser: argparse.ArgumentParser) -> None:
    """Whether sentences go into the page."""
    parser.add_argument(
        "--no-text",
        action="store_true",
        help="leave the sentences out of the report, as for text that may not be passed on",
    )


def add_output_flags(
    parser: argparse.ArgumentParser, default: str, overwrite: str | None = None
) -> None:
    """-o, and with its help --overwrite."""
    group = parser.add_argument_group("output")
    group.add_argument(
        "-o", "--output", type=Path, metavar="OUT", help=f"output folder (default: {default})"
    )
    if overwrite is not None:
        group.add_argument("--overwrite", action="store_true", help=overwrite)


def positive_int(text: str) -> int:
    """A whole number of at least 1."""
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is too small, give at least 1")
    return value


def language_pairs(text: str) -> dict[str, str]:
    """``"eng_Latn=en_XX,deu_Latn=de_DE"`` as a mapping."""
    pairs: dict[str, str] = {}
    for part in filter(None, re.split(r"[\s,]+", text)):
        code, sign, name = part.partition("=")
        if not (code and sign and name):
            raise argparse.ArgumentTypeError(f"{part!r} is no pair: give CODE=CODE,CODE=CODE")
        pairs[code] = name
    return pairs


def layer_list(text: str) -> tuple[int, ...]:
    """``"0,4,8-12,-1"`` as numbers, in the order given, each once."""
    layers: dict[int, None] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(-?\d+)(?:-(\d+))?\s*", part)
        if match is None:
            raise argparse.ArgumentTypeError(
                f"{part.strip()!r} is no layer: give numbers and ranges, such as 0,4,8-12,-1"
            )
        first = int(match[1])
        last = first if match[2] is None else int(match[2])
        if last < first or (match[2] is not None and first < 0):
            raise argparse.ArgumentTypeError(f"the range {part.strip()!r} runs backwards")
        if last - first > 10_000:
            raise argparse.ArgumentTypeError(f"no model has as many layers as {part.strip()!r}")
        layers.update(dict.fromkeys(range(first, last + 1)))
    return tuple(layers)
