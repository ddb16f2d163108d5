"""Parts of a corpus as they lie there: one for each language and split, found and not yet read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ilo_fast.corpora.tables import Row


@dataclass(frozen=True)
class Part:
    """The text of one language and split as it lies there.

    Attributes
    ----------
    name
        The language as the file or column calls it.
    place
        The file, and column, for messages.
    path
        The file.
    split
        None where no name tells it.
    column
        Of a table; None: the lines of a text file.
    """

    name: str
    place: str
    path: Path
    split: str | None = None
    column: str | None = None


@dataclass(frozen=True)
class Layout:
    """The parts of a corpus, and the rows of the tables that were read to find them."""

    kind: str
    parts: tuple[Part, ...]
    rows: dict[Path, list[Row]]
