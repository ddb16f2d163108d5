"""A table of texts: the same for a terminal and for a page."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ilo_fast._util.messages import plain
from ilo_fast.report.columns import columns, pad

_WIDTH: Final = 96


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes
    ----------
    columns : sequence of str
    rows : sequence of sequences of str
        As they are to be read. The first column heads its row; all others are numbers, but for
        `texts`.
    note : str
        What the columns are.
    texts : collection of int
        Columns, counted from 0, that hold words.
    title : str
        What stands above it, where a section has several.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    texts: Sequence[int] = (0,)
    title: str = ""

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(
                    f"row {number} has {len(row)} cells, wanted {len(self.columns)}, one for each "
                    "column"
                )

    def text(self, *, noted: bool = True) -> str:
        """For a terminal: words on the left, numbers on the right, the note below."""
        cells = [[plain(cell) for cell in row] for row in (self.columns, *self.rows)]
        wide = [max(columns(row[at]) for row in cells) for at in range(len(self.columns))]
        lines = [plain(self.title)] if self.title else []
        lines += [
            "  ".join(
                pad(cell, wide[at]) if at in self.texts else " " * (wide[at] - columns(cell)) + cell
                for at, cell in enumerate(row)
            ).rstrip()
            for row in cells
        ]
        if noted and self.note:
            lines.append(wrapped(self.note))
        return "\n".join(lines)


def wrapped(text: str) -> str:
    """A paragraph of a terminal; what goes on is indented."""
    return textwrap.fill(plain(text), _WIDTH, subsequent_indent="  ")
