"""Runs on the command line: ``RUN`` or ``NAME=RUN``, and what each is called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ilo_fast.cli.parser import UsageError


def named_path(word: str) -> tuple[str, Path]:
    """``NAME=RUN``; a path that has a = of its own stays one, and has no name."""
    name, sign, path = word.partition("=")
    if Path(word).exists() or not sign:
        return "", Path(word)
    if not (name and path):
        raise UsageError(f"{word!r} is no NAME=RUN")
    return name, Path(path)


def distinct_names(wanted: Sequence[str], paths: Sequence[Path]) -> list[str]:
    """Distinct ones: of models of one name those of their folders, then numbers."""
    often = Counter(wanted)
    folders = [path.resolve() for path in paths]
    names = [
        name if often[name] == 1 else (folder if folder.is_dir() else folder.parent).name
        for name, folder in zip(wanted, folders, strict=True)
    ]
    found: list[str] = []
    for name in names:
        number, distinct = 1, name
        while distinct in found:
            number += 1
            distinct = f"{name} ({number})"
        found.append(distinct)
    return found
