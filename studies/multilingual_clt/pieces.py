"""Pieces of work in a folder: made once, by one of several processes, and kept."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ilo_fast._util.files import read_json, write_json, write_text

_PAUSE = 5.0  # seconds


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
        """What was kept of it; None where it is not made yet, or its file is damaged.

        Raises
        ------
        ValueError
            It was made with other settings.
        """
        found = read_json(self.folder / f"{piece.name}.json")
        if not isinstance(found, dict) or not {"settings", "seconds", "result"} <= found.keys():
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

    def work(self, plan: Sequence[Piece]) -> list[str]:
        """Make what is missing, in order; what another process is at is waited for.

        Returns the names of what could not be made, or needs what could not: the reasons lie in
        ``pieces/NAME.error.txt``, and the rest is made all the same.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for piece in plan:
            self.read(piece)  # refuses other settings before anything is made
        failed: set[str] = set()  # or in need of what failed
        by_name = {piece.name: piece for piece in plan}
        made: set[str] = set()
        while waiting := [p for p in plan if p.name not in made and p.name not in failed]:
            made |= {piece.name for piece in waiting if self.read(piece) is not None}
            waiting = [piece for piece in waiting if piece.name not in made]
            lost = {piece.name for piece in waiting if failed.intersection(piece.needs)}
            ready = [p for p in waiting if made.issuperset(by_name.keys() & set(p.needs))]
            if lost:
                failed |= lost
            elif not any(self._make(piece, len(waiting), failed) for piece in ready):
                time.sleep(_PAUSE)  # others are at work on all of it
        return sorted(failed)

    def _make(self, piece: Piece, waiting: int, failed: set[str]) -> bool:
        """Whether there was something to do."""
        error_file = self.folder / f"{piece.name}.error.txt"
        try:
            with FileLock(self.folder / f".{piece.name}.lock", timeout=0):
                if self.read(piece) is not None:
                    return False
                say(f"{piece.name} begins")
                begin = time.perf_counter()
                try:
                    result = piece.make()
                    seconds = round(time.perf_counter() - begin, 1)
                    write_json(
                        self.folder / f"{piece.name}.json",
                        {"settings": piece.settings, "seconds": seconds, "result": result},
                    )
                except Exception:
                    write_text(error_file, traceback.format_exc())
                    failed.add(piece.name)
                    say(f"{piece.name}: could not be made, see {error_file}")
                    return True
                error_file.unlink(missing_ok=True)
                say(f"{piece.name}: {seconds:.0f} s; about {waiting - 1} pieces left")
                return True
        except Timeout:
            return False


def say(text: str) -> None:
    """A line on standard error."""
    print(text, file=sys.stderr, flush=True)
