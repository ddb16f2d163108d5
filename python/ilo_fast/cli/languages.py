"""``ilo-fast languages``: the language codes, and what is known of each."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import json
import logging
import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ilo_fast._util.messages import counted
from ilo_fast.cli import flags
from ilo_fast.cli.console import emit
from ilo_fast.cli.parser import Commands, UsageError

if TYPE_CHECKING:
    from ilo_fast.corpora.languages import Language

logger = logging.getLogger(__name__)


def add_parser(commands: Commands) -> None:
    parser = flags.new_command(
        commands,
        "languages",
        "list language codes, with name, ISO codes, script, family, region, resource class",
        run,
        description="List the language codes with name, the ISO 639 codes that mean the same, "
        "script, family, region and resource class (Joshi et al. 2020: 0 least to 5 most).",
        examples=(
            "ilo-fast languages --set paper31",
            "ilo-fast languages --family Dravidian --resource-class 3",
            "ilo-fast languages swahili --codes",
        ),
    )
    parser.add_argument(
        "search",
        nargs="*",
        metavar="TEXT",
        help="only languages whose code or name holds TEXT, or whose ISO code or tag it is",
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
    from ilo_fast.corpora.languages import aliases

    _check_filters(args)
    found = [language for language in _candidates(args.set) if _fits(language, args)]
    meant = _meant(args.search)
    found.sort(key=lambda language: language.code not in meant)  # what the text is, then holds it
    if not found and args.search:
        _suggest(" ".join(args.search))
    if args.json:
        fields = [{**dataclasses.asdict(x), "aliases": list(aliases(x.code))} for x in found]
        emit(json.dumps(fields, indent=2, ensure_ascii=False) + "\n")
    elif args.codes:
        emit(",".join(language.code for language in found) + "\n")
    else:
        emit(_table(found))
    return 0


def _check_filters(args: argparse.Namespace) -> None:
    """Refuse values that no language has, with one that is near."""
    from ilo_fast.corpora.languages import LANGUAGES, NAMED_SETS

    known: dict[str, Iterable[str]] = {
        "set": NAMED_SETS,
        "script": {language.script for language in LANGUAGES.values()},
        "family": {language.family for language in LANGUAGES.values()},
        "region": {language.region for language in LANGUAGES.values()},
    }
    for flag, values in known.items():
        asked = getattr(args, flag)
        names = {value.casefold(): value for value in values}
        if asked is not None and asked.casefold() not in names:
            near = difflib.get_close_matches(asked.casefold(), names, n=1, cutoff=0.5)
            hint = f"did you mean {names[near[0]]}? There are " if near else "there are "
            raise UsageError(
                f"--{flag} {asked!r} is not known: {hint}{', '.join(sorted(names.values()))}"
            )


def _candidates(name: str | None) -> list[Language]:
    from ilo_fast.corpora.languages import LANGUAGES, NAMED_SETS

    codes = LANGUAGES if name is None else NAMED_SETS[name.casefold()]
    return [LANGUAGES[code] for code in codes]


def _meant(texts: Iterable[str]) -> set[str]:
    """The codes that the texts are ISO codes or tags of."""
    from ilo_fast.corpora.languages import candidates, without_variant

    return {without_variant(code) for text in texts for code in candidates(text)}


def _fits(language: Language, args: argparse.Namespace) -> bool:
    both = _fold(f"{language.code} {language.name}")
    wanted = (
        (args.script, language.script),
        (args.family, language.family),
        (args.region, language.region),
    )
    return (
        all(_fold(text) in both or language.code in _meant([text]) for text in args.search)
        and all(asked is None or asked.casefold() == has.casefold() for asked, has in wanted)
        and args.resource_class in (None, language.resource_class)
    )


def _fold(text: str) -> str:
    """Without case and accents: "guarani" is found in "Guaraní"."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in apart if not unicodedata.combining(c))


def _suggest(text: str) -> None:
    from ilo_fast.corpora.languages import LANGUAGES, suggest_codes

    near = [f"{code} ({LANGUAGES[code].name})" for code in suggest_codes(text)]
    if near:
        logger.warning("no language matches %r: did you mean %s?", text, " or ".join(near))


def _table(languages: list[Language]) -> str:
    from ilo_fast.corpora.languages import aliases

    head = ("code", "name", "ISO 639", "script", "family", "region", "class")
    rows = [head] + [
        (
            language.code,
            language.name,
            " ".join(aliases(language.code)) or "-",
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
