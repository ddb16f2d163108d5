"""``ilo-fast clt steer``: steer a model's output into another language, against baselines."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ilo_fast.cli import flags
from ilo_fast.cli.clt_flags import add_transcoder_flags, opened
from ilo_fast.cli.common import load_corpus, model_output, set_threads
from ilo_fast.cli.console import emit
from ilo_fast.cli.output import RESULTS_FOLDER, folder_name, write_page
from ilo_fast.cli.parser import Commands, UsageError

if TYPE_CHECKING:
    pass

logger = logging.getLogger(__name__)

_DEMO_LANGUAGES: Final = "eng_Latn,deu_Latn,rus_Cyrl"
_DEMO_PROMPTS: Final = 40  # of 60 lines
_PROMPTS: Final = 100


def add_parser(commands: Commands) -> None:
    parser = flags.new_command(
        commands,
        "steer",
        "suppress a language's features, put another's in their place, and see what is said",
        run,
        description="Let prompts go on with the features of their language switched off, and with "
        "those of another in their place, for every ordered pair of languages: in which language "
        "the model goes on, how much of the content and of the fluency is kept, at every strength, "
        "beside random features, a mean-difference vector and an unembedding vector. Writes "
        "steering.json, figures, and all of it as steering.html.",
        examples=(
            "ilo-fast clt steer --languages eng_Latn,deu_Latn --n-prompts 20 --strengths 1",
            "ilo-fast clt steer --languages eng_Latn,rus_Cyrl --pairs eng_Latn:rus_Cyrl "
            "--n-prompts 20 --strengths 1 2 --baselines random -o steered",
            "ilo-fast clt steer --languages eng_Latn,deu_Latn --n-prompts 12 --strengths 1 "
            "--baselines mean_difference --json",
        ),
        when_interrupted=lambda args: "Pairs that are done are kept; the same command goes on.",
    )
    flags.add_corpus_flags(parser)
    group = parser.add_argument_group("what is compared")
    group.add_argument(
        "--features", type=Path, metavar="FILE",
        help="JSON: language -> list of layer * features of a layer + feature, found on other text "
        "(default: by a simple rule, on lines that no prompt is of)",
    )  # fmt: skip
    group.add_argument(
        "--background", metavar="DIR",
        help="text of every language that the identifier and the means are of, and no prompt is "
        "(default: a share of the corpus)",
    )  # fmt: skip
    group.add_argument(
        "--background-share", type=float, default=0.3, metavar="SHARE", help="(default: 0.3)"
    )
    group.add_argument(
        "--pairs", nargs="+", metavar="SOURCE:TARGET", help="(default: all ordered pairs)"
    )
    group.add_argument(
        "--n-prompts", type=flags.positive_int, metavar="N",
        help=f"of each language, half of them to choose strengths on (default: {_PROMPTS}; of the "
        f"embedded corpus, which has 60 lines, {_DEMO_PROMPTS})",
    )  # fmt: skip
    group.add_argument(
        "--max-new-tokens", type=flags.positive_int, default=16, metavar="N",
        help="of each continuation (default: 16)",
    )  # fmt: skip
    group.add_argument(
        "--strengths", type=float, nargs="+", metavar="S",
        help="suppression: activations times 1 - S; substitution: S times the target's mean; "
        "vectors: times S (default: 0.25 0.5 1 2 4)",
    )  # fmt: skip
    group.add_argument(
        "--baselines", nargs="*", metavar="NAME",
        choices=("random", "mean_difference", "unembedding"),
        help="random, mean_difference, unembedding (default: all)",
    )  # fmt: skip
    group.add_argument(
        "--n-random", type=flags.positive_int, default=3, metavar="N",
        help="sets of random features (default: 3)",
    )  # fmt: skip
    group.add_argument("--seed", type=int, default=0, metavar="N", help="(default: 0)")
    add_transcoder_flags(parser)
    flags.add_thread_flag(parser)
    flags.add_output_flags(
        parser, "ilo_fast_results/steer__TRANSCODER; pairs that it holds are kept"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    from ilo_fast.report.files import write_figures
    from ilo_fast.transcoders.files.opening import transcoder_name
    from ilo_fast.transcoders.multilingual.steering.figures import steering_figures
    from ilo_fast.transcoders.multilingual.steering.page import steering_page
    from ilo_fast.transcoders.multilingual.steering.pairs import RANDOM, VECTORS
    from ilo_fast.transcoders.multilingual.steering.result import STEERING_FILE
    from ilo_fast.transcoders.multilingual.steering.steer import STRENGTHS, steer
    from ilo_fast.transcoders.multilingual.steering.tables import text_report

    is_demo = args.corpus == "demo"
    codes = args.languages or (_DEMO_LANGUAGES if is_demo else None)
    corpus = load_corpus(args, codes)
    pairs = None if args.pairs is None else [_pair(text) for text in args.pairs]
    name = transcoder_name(args.transcoder)
    folder = args.output or RESULTS_FOLDER / folder_name("steer", name)
    set_threads(args)
    with model_output(args.quiet):
        it = opened(args)
        result = steer(
            it.model, it.transcoder, corpus, _features(args.features),
            tokenizer=it.tokenizer,
            pairs=pairs,
            n_prompts=args.n_prompts or (_DEMO_PROMPTS if is_demo else _PROMPTS),
            max_new_tokens=args.max_new_tokens,
            strengths=STRENGTHS if args.strengths is None else args.strengths,
            baselines=(RANDOM, *VECTORS) if args.baselines is None else args.baselines,
            n_random=args.n_random,
            background=_background(args, list(corpus.languages)),
            background_share=args.background_share,
            seed=args.seed,
            output_dir=folder,
            progress=not args.quiet,
        )  # fmt: skip
    result.to_json(folder / STEERING_FILE)
    kind = "cross-layer" if it.transcoder.cross_layer else "per-layer"
    title = f"{it.name}, {kind} transcoder {name}"
    about = {"model": it.name, "transcoder": str(it.place.resolve())}
    written = [folder / STEERING_FILE]
    written += write_figures(folder, lambda: steering_figures(result, title))
    written += write_page(
        folder / "steering.html",
        lambda: steering_page(result, title, about | {"corpus": corpus.name}),
    )
    if args.json:
        emit(json.dumps(about | result.to_dict(), ensure_ascii=False, indent=1) + "\n")
    else:
        emit(text_report(result, title) + "\n" + "".join(f"{path}\n" for path in written))
    return 0


def _pair(text: str) -> tuple[str, str]:
    source, found, target = text.partition(":")
    if not (source and found and target):
        raise UsageError(f"--pairs {text}: give SOURCE:TARGET, such as eng_Latn:deu_Latn")
    return source, target


def _features(path: Path | None) -> dict[str, Any] | None:
    from ilo_fast._util.files import parse_json

    if path is None:
        return None
    data = parse_json(path)
    if not isinstance(data, dict) or not all(isinstance(own, list) for own in data.values()):
        raise ValueError(f"--features {path} holds no object of language -> list of columns")
    return data


def _background(args: argparse.Namespace, languages: list[str]) -> dict[str, list[str]] | None:
    from ilo_fast.transcoders.windows import transcoder_texts

    if args.background is None:
        return None
    return transcoder_texts(args.background, languages, allow_unknown=args.allow_unknown)
