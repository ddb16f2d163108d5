"""The text of the study: verses of the Bible, line n the same in every language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ilo_fast import ParallelCorpus

FOLDERS = ("bible_ot", "bible_nt")


@dataclass(frozen=True)
class Verses:
    """Verses that all languages have, and the chapter of each.

    Attributes
    ----------
    lines : mapping language -> verses
    chapters : tuple of str
        Of each verse: ``"40005"`` is the fifth of Matthew.
    """

    lines: dict[str, list[str]]
    chapters: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.chapters)

    def part(self, rows: Sequence[int]) -> Verses:
        """Some verses."""
        lines = {code: [all_[row] for row in rows] for code, all_ in self.lines.items()}
        return Verses(lines, tuple(self.chapters[row] for row in rows))

    def without(self, language: str) -> Verses:
        """All other languages."""
        lines = {code: own for code, own in self.lines.items() if code != language}
        return Verses(lines, self.chapters)

    def split(self, every: int) -> tuple[Verses, Verses]:
        """What is trained on, and every so many-th chapter, which is not."""
        order = {chapter: at for at, chapter in enumerate(dict.fromkeys(self.chapters))}
        held = [order[chapter] % every == every // 2 for chapter in self.chapters]
        rows = range(len(self))
        return (
            self.part([row for row in rows if not held[row]]),
            self.part([row for row in rows if held[row]]),
        )

    def corpus(self, limit: int | None = None, *, longest: int = 240) -> ParallelCorpus:
        """As a parallel corpus whose documents are chapters; `limit` verses, spread over them.

        longest: verses with more characters in any language are left out.
        """
        return self.part(self.spread(limit, longest=longest)).whole()

    def spread(self, limit: int | None = None, *, longest: int = 240) -> list[int]:
        """The rows that `corpus` takes."""
        rows = [
            row
            for row in range(len(self))
            if max(len(lines[row]) for lines in self.lines.values()) <= longest
        ]
        if limit is not None and limit < len(rows):
            rows = [rows[at * len(rows) // limit] for at in range(limit)]
        return rows

    def whole(self) -> ParallelCorpus:
        """All verses as a parallel corpus; romanised languages may have codes of their own."""
        return ParallelCorpus(
            self.lines, name="held-out verses", groups=self.chapters, allow_unknown=True
        )


def read_verses(corpora: Path, languages: Sequence[str]) -> Verses:
    """All verses that every language has.

    Raises
    ------
    ValueError
        A file is missing, or does not go with its verse ids.
    """
    lines: dict[str, list[str]] = {code: [] for code in languages}
    chapters: list[str] = []
    for folder in FOLDERS:
        place = corpora / folder
        ids = [
            row.split("\t", 1)[0]
            for row in (place / "verse_ids.tsv").read_text(encoding="utf-8").splitlines()
        ]
        texts = {
            code: (place / f"{code}.txt").read_text(encoding="utf-8").split("\n")[: len(ids)]
            for code in languages
        }
        short = [code for code, found in texts.items() if len(found) != len(ids)]
        if short:
            raise ValueError(f"{place}: {short[0]} has {len(texts[short[0]])} of {len(ids)} verses")
        for row, verse in enumerate(ids):
            if all(texts[code][row].strip() for code in languages):
                chapters.append(verse[:-3])
                for code in languages:
                    lines[code].append(texts[code][row])
    return Verses(lines, tuple(chapters))
