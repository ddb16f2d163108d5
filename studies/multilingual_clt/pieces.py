"""Pieces of work in a folder: made once, by one of several processes, and kept."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ilo_fast._util.files import read_json, write_json


@dataclass(frozen=True)
class Piece:
    """One piece.

    Attributes
    ----------
    name : str
        Of its file ``pieces/NAME.json`` in the study's folder.
    settings : dict
        What it depends on, JSON-able: a piece made with others is not taken.
    make : function () -> dict
        What is kept, JSON-able.
    needs : tuple of str
        Names of pieces that must be there first.
    """

    name: str
    settings: dict[str, Any]
    make: Callable[[], dict[str, Any]]
    needs: tuple[str, ...] = ()


class Pieces:
    """The pieces of a study in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "pieces"

    def read(self, piece: Piece) -> dict[str, Any] | None:
        """What was kept of it; None where it is not made yet.

        Raises
        ------
        ValueError
            It was made with other settings.
        """
        found = read_json(self.folder / f"{piece.name}.json")
        if found is None:
            return None
        theirs = found["settings"]
        if theirs != piece.settings:
            other = sorted(k for k in theirs if theirs[k] != piece.settings.get(k, theirs))
            raise ValueError(
                f"{self.folder / piece.name}.json was made with other settings "
                f"({', '.join(other) or 'of another kind'}): give another --out, or remove it"
            )
        return dict(found)

    def made(self, plan: Sequence[Piece]) -> dict[str, dict[str, Any]]:
        """What is there of it, by name: ``result`` and ``seconds``."""
        found = {piece.name: self.read(piece) for piece in plan}
        return {name: piece for name, piece in found.items() if piece is not None}

    def work(self, plan: Sequence[Piece]) -> bool:
        """Make what is missing, in order, leaving out what another process is at.

        Returns whether all is made; else others are at work on what is left.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        waiting = [piece for piece in plan if self.read(piece) is None]
        while waiting:
            made = [piece for piece in waiting if self._made(piece, waiting)]
            waiting = [piece for piece in waiting if piece not in made and not self.read(piece)]
            if not made and waiting:
                return False
        return True

    def _made(self, piece: Piece, waiting: Sequence[Piece]) -> bool:
        missing = {other.name for other in waiting if self.read(other) is None}
        if missing.intersection(piece.needs):
            return False
        try:
            with FileLock(self.folder / f".{piece.name}.lock", timeout=0):
                if self.read(piece) is None:
                    begin = time.perf_counter()
                    result = piece.make()
                    seconds = round(time.perf_counter() - begin, 1)
                    write_json(
                        self.folder / f"{piece.name}.json",
                        {"settings": piece.settings, "seconds": seconds, "result": result},
                    )
                    left = len(missing) - 1
                    say(f"{piece.name}: {seconds:.0f} s; {left} pieces left")
                return True
        except Timeout:
            return False


def say(text: str) -> None:
    """A line on standard error."""
    print(text, file=sys.stderr, flush=True)
