"""``ilo-fast languages``: the language codes, and what is known of each."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import TYPE_CHECKING

from ilo_fast._util.messages import counted
from ilo_fast.cli import flags
from ilo_fast.cli.console import emit

if TYPE_CHECKING:
    from ilo_fast.corpora.languages import Language


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = flags.new_command(
        commands,
        "languages",
        "list language codes, with name, script, family, region, resource class",
        run,
        description="List the language codes with name, script, family, region and resource class "
        "(Joshi et al. 2020: 0 least to 5 most).",
        examples=(
            "ilo-fast languages --set paper31",
            "ilo-fast languages --family Dravidian --resource-class 3",
            "ilo-fast languages swahili --codes",
        ),
    )
    parser.add_argument(
        "search", nargs="*", metavar="TEXT", help="only languages whose code or name holds TEXT"
    )
    only = parser.add_argument_group("which languages")
    only.add_argument("--set", metavar="NAME", help="only those of a named set, such as paper31")
    only.add_argument("--script", help="only those in this script: Latn, Cyrl, Arab, ...")
    only.add_argument("--family", help="only those of this family")
    only.add_argument("--region", help="only those of this region")
    only.add_argument(
        "--resource-class", type=int, choices=range(6), metavar="0..5", help="only this class"
    )
    form = parser.add_argument_group("output").add_mutually_exclusive_group()
    form.add_argument(
        "--codes", action="store_true", help="print the codes alone, as --languages takes them"
    )
    form.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    found = [language for language in _candidates(args.set) if _fits(language, args)]
    if args.json:
        fields = [dataclasses.asdict(language) for language in found]
        emit(json.dumps(fields, indent=2, ensure_ascii=False) + "\n")
    elif args.codes:
        emit(",".join(language.code for language in found) + "\n")
    else:
        emit(_table(found))
    return 0


def _candidates(name: str | None) -> list[Language]:
    from ilo_fast.corpora.languages import LANGUAGES, NAMED_SETS

    if name is None:
        return list(LANGUAGES.values())
    codes = NAMED_SETS.get(name.lower())
    if codes is None:
        raise ValueError(f"--set {name!r} is not known; sets: {', '.join(sorted(NAMED_SETS))}")
    return [LANGUAGES[code] for code in codes]


def _fits(language: Language, args: argparse.Namespace) -> bool:
    both = f"{language.code} {language.name}".casefold()
    wanted = (
        (args.script, language.script),
        (args.family, language.family),
        (args.region, language.region),
    )
    return (
        all(text.casefold() in both for text in args.search)
        and all(asked is None or asked.casefold() == has.casefold() for asked, has in wanted)
        and args.resource_class in (None, language.resource_class)
    )


def _table(languages: list[Language]) -> str:
    head = ("code", "name", "script", "family", "region", "class")
    rows = [head] + [
        (
            language.code,
            language.name,
            language.script,
            language.family,
            language.region,
            "-" if language.resource_class is None else str(language.resource_class),
        )
        for language in languages
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join([*lines, "", counted(len(languages), "language")]) + "\n"
