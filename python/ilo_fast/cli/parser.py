"""The parser of the command line: one-line errors, suggestions, lists with spaces.

argparse prints its usage before every error, knows no suggestions, and takes a list in one word.
"""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Iterable, Sequence
from typing import NoReturn, TypeAlias

from ilo_fast._util.messages import printable

EXIT_USAGE = 2

# Flags whose value is a list with commas between, and what more of its items look like.
_CODE = re.compile(r"[A-Za-z]{2,3}([_-][A-Z][A-Za-z0-9_-]*)?(=[\w-]+)?|[a-z]+[0-9]+")
_NUMBERS = re.compile(r"-?\d+(-\d+)?")
_LISTS = {
    "-l": _CODE, "--languages": _CODE, "--corpus-languages": _CODE,
    "--layers": _NUMBERS, "--freeze": _NUMBERS,
}  # fmt: skip
_FLAG = re.compile(r"(?<![\w-])--?[A-Za-z][\w-]*")
_CHOICE = re.compile(r"invalid choice: '?(.*?)'? \(choose from (.*)\)", re.DOTALL)


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"
"""Where a command adds its parser."""


class UsageError(ValueError):
    """The command line is wrong, whatever the data."""


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong, what may have been meant, and where the help is."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, self.usage_error(with_suggestion(message)) + "\n")

    def usage_error(self, message: str) -> str:
        """What is wrong with the command line, and where the help is: one line for a terminal."""
        return printable(f"{self.prog}: error: {message}; see `{self.prog} --help`")

    def refuse_unknown(self, arguments: Sequence[str]) -> NoReturn:
        """End with an error that names what is not known, and the flag that is near."""
        first = arguments[0].partition("=")[0]
        if first in self.flags():  # known here, so it stood before the command
            command = self.prog.partition(" ")[2]
            self.error(f"{first} must follow the command: ilo-fast {command} {first}")
        near = did_you_mean(first, self.flags()) if first.startswith("-") else ""
        self.error(f"{' '.join(arguments)}: not known here{near}")

    def flags(self) -> list[str]:
        """All flags, long and short, as the help lists them."""
        listed = re.findall(r"^ +(-[^\n]*?)(?:  |\n|$)", self.format_help(), re.MULTILINE)
        return [flag for line in listed for flag in _FLAG.findall(line)]


def with_suggestion(message: str) -> str:
    """What argparse says of a choice that is not known, with the nearest one."""
    choice = _CHOICE.search(message)
    if choice is None:
        return message
    known = re.findall(r"[\w.+-]+", choice[2])
    shown = f"{choice[1]!r} is not known{did_you_mean(choice[1], known)}"
    return f"{message[: choice.start()]}{shown} (one of {', '.join(known)})"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``", did you mean --limit?"``, or "" where nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f", did you mean {near[0]}?" if near else ""


def with_joined_lists(arguments: Sequence[str]) -> list[str]:
    """``--layers 0 4 8`` as ``--layers=0,4,8``: spaces where commas are wanted are understood.

    A word is taken into a list only where it looks like one of its items, so that a model or a
    folder behind it stays what it is.
    """
    found: list[str] = []
    left = list(arguments)
    while left:
        word = left.pop(0)
        item = _LISTS.get(word)
        if word == "--":
            return [*found, word, *left]
        if item is None or not left or (left[0].startswith("-") and not _is_list(left[0], item)):
            found.append(word)
            continue
        items = [left.pop(0)]
        while left and _is_list(left[0], item):
            items.append(left.pop(0))
        value = ",".join(part.strip().strip(",") for part in items)
        found += [f"{word}={value}"] if word.startswith("--") else [word, value]
    return found


def _is_list(word: str, item: re.Pattern[str]) -> bool:
    parts = [part for part in re.split(r"[,\s]+", word) if part]
    return bool(parts) and all(item.fullmatch(part) for part in parts)
