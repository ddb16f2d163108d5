"""``ilo-fast clt intervene``: features of a prompt set, scaled or added to, and what follows."""

from __future__ import annotations

import argparse
import json
import math
import re
from typing import Any

from ilo_fast.cli import flags
from ilo_fast.cli.clt_flags import add_transcoder_flags, opened
from ilo_fast.cli.common import model_output, set_threads
from ilo_fast.cli.console import emit
from ilo_fast.cli.parser import Commands, UsageError

_TOKENS = 12


def add_parser(commands: Commands) -> None:
    parser = flags.new_command(
        commands,
        "intervene",
        "change features of a prompt, and see what the model says instead",
        run,
        description="Run a prompt as it is, and with features of the transcoder set, scaled or "
        "added to: the next token and how the prompt goes on, before and after. The page of `clt "
        "graph` names features.",
        examples=(
            "ilo-fast clt intervene --feature 3/28=0",
            'ilo-fast clt intervene "He said to them: Go into the" --feature 3/28*3 --at -1',
            "ilo-fast clt intervene --feature 3/28=0 --feature 4/5+1.5 --frozen attention --json",
        ),
    )
    parser.add_argument(
        "prompt", nargs="?", metavar="PROMPT", help="text (default: a built-in English one)"
    )
    group = parser.add_argument_group("what is changed")
    group.add_argument(
        "--feature", type=feature_change, action="append", required=True, metavar="CHANGE",
        dest="features",
        help="LAYER/FEATURE=X sets its activation, LAYER/FEATURE*X scales it, LAYER/FEATURE+X and "
        "LAYER/FEATURE-X add to it; may be given several times",
    )  # fmt: skip
    group.add_argument(
        "--at", type=token_positions, metavar="POSITIONS",
        help="at which tokens, counted from 0, negative ones from the prompt's end: 4; 2,5; 2:5 "
        "(2 to 4); -1: with a colon and no end what is generated, too, which needs --at=-1: "
        "(default: everywhere)",
    )  # fmt: skip
    group.add_argument(
        "--frozen", choices=("attention", "all"),
        help="what does not react: attention probabilities; or all but the stream itself, as in "
        "`clt graph`, so that its edges tell what happens (default: all reacts)",
    )  # fmt: skip
    group.add_argument(
        "--tokens", type=_count, metavar="N",
        help=f"how far the prompt goes on (default: {_TOKENS}; 0 with --frozen, which is of the "
        "prompt)",
    )  # fmt: skip
    add_transcoder_flags(parser)
    flags.add_thread_flag(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    if args.frozen is not None and args.tokens:
        raise UsageError(
            f"--tokens {args.tokens} with --frozen {args.frozen}: what is frozen is of the prompt, "
            "and a continuation goes beyond it; leave one of them out"
        )
    from ilo_fast.transcoders.files.opening import transcoder_name
    from ilo_fast.transcoders.interventions.intervene import intervene
    from ilo_fast.transcoders.interventions.intervention import Intervention
    from ilo_fast.transcoders.interventions.tables import text_report
    from ilo_fast.transcoders.prompts import DEMO_PROMPT

    given = [
        Intervention(layer, feature, positions=args.at, **{way: number})
        for layer, feature, way, number in args.features
    ]
    tokens = (0 if args.frozen else _TOKENS) if args.tokens is None else args.tokens
    set_threads(args)
    with model_output(args.quiet):
        it = opened(args)
        prompt = DEMO_PROMPT if args.prompt is None else args.prompt
        result = intervene(
            it.model, it.transcoder, prompt, given,
            tokenizer=it.tokenizer, frozen=args.frozen, max_new_tokens=tokens,
        )  # fmt: skip
    kind = "cross-layer" if it.transcoder.cross_layer else "per-layer"
    name = transcoder_name(args.transcoder)
    if args.json:
        about = {"model": it.name, "transcoder": str(it.place.resolve())}
        emit(json.dumps(about | result.to_dict(), ensure_ascii=False, indent=1) + "\n")
    else:
        emit(text_report(result, f"{it.name}, {kind} transcoder {name}"))
    return 0


def feature_change(text: str) -> tuple[int, int, str, float]:
    """``"3/28=0"`` as layer, feature, keyword of `Intervention`, number."""
    match = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*([=*+-])\s*(\S+)\s*", text)
    try:
        number = float(match[4]) if match else math.nan
    except ValueError:
        number = math.nan
    if match is None or not math.isfinite(number):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no change of a feature: give LAYER/FEATURE=X, LAYER/FEATURE*X, "
            "LAYER/FEATURE+X or LAYER/FEATURE-X, such as 3/28=0"
        )
    way = {"=": "value", "*": "scale"}.get(match[3], "add")
    return int(match[1]), int(match[2]), way, -number if match[3] == "-" else number


def token_positions(text: str) -> int | slice | tuple[int, ...]:
    """``"4"``, ``"2,5"``, ``"2:5"``, ``"-1:"``."""
    number = r"-?\d{1,9}"
    if re.fullmatch(rf"\s*({number})?\s*:\s*({number})?\s*", text):
        ends: list[Any] = [int(end) if end.strip() else None for end in text.split(":")]
        return slice(*ends)
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(number, part) for part in parts):
        raise argparse.ArgumentTypeError(
            f"{text!r} names no tokens: give numbers or a range, such as 4, 2,5 or 2:5"
        )
    return int(parts[0]) if len(parts) == 1 else tuple(map(int, parts))


def _count(text: str) -> int:
    return 0 if text.strip() == "0" else flags.positive_int(text)
