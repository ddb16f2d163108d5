"""Two tables of the same lines, feature by feature, summed over documents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast.transcoders.multilingual.line_features import LineFeatures

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_NUMBERS: Final = 4_000_000  # of one dense block


def check_paired(before: LineFeatures, after: LineFeatures) -> None:
    """Refuse two tables that are not of the same lines.

    Raises
    ------
    ValueError
        Names what differs.
    """
    if before.languages != after.languages:
        raise ValueError(
            f"before has the languages {before.languages}, after {after.languages}: read the same "
            "text with both models"
        )
    for name in ("language", "line", "document", "tokens"):
        mine, other = getattr(before, name), getattr(after, name)
        if mine.shape != other.shape or (mine != other).any():
            raise ValueError(
                f"before and after differ in {name}: read the same lines with both models, cut "
                "into tokens by the same tokenizer"
            )


@dataclass(frozen=True, eq=False)
class DocumentSums:
    """A table summed over documents, sorted by column.

    Attributes
    ----------
    tokens : (documents, languages)
        Zero where a document has no text in a language.
    starts : (columns + 1,)
        Entries of each column.
    place : (entries,)
        document * languages + language.
    counts, sums : (entries,)
        Firings, and their activations.
    """

    tokens: Floats
    starts: Integers
    place: Integers
    counts: Floats
    sums: Floats

    @property
    def n_columns(self) -> int:
        return len(self.starts) - 1

    def dense(self, columns: Integers) -> tuple[Floats, Floats]:
        """Counts and sums of some columns: 2 x (documents, languages, columns)."""
        first = self.starts[columns]
        lengths = self.starts[columns + 1] - first
        ends = np.cumsum(lengths)
        at = np.repeat(first - (ends - lengths), lengths) + np.arange(lengths.sum())
        where = (self.place[at], np.repeat(np.arange(len(columns)), lengths))
        shape = (self.tokens.size, len(columns))
        counts, sums = np.zeros(shape), np.zeros(shape)
        counts[where], sums[where] = self.counts[at], self.sums[at]
        return counts.reshape(*self.tokens.shape, -1), sums.reshape(*self.tokens.shape, -1)


def document_sums(table: LineFeatures) -> DocumentSums:
    """A table summed over documents."""
    whole = table.by_document()
    names, document = np.unique(whole.document, return_inverse=True)
    n_languages = len(table.languages)
    tokens = np.zeros((len(names), n_languages))
    tokens[document, whole.language] = whole.tokens
    order = np.argsort(whole.indices, kind="stable")
    place = document * n_languages + whole.language
    return DocumentSums(
        tokens,
        np.searchsorted(whole.indices[order], np.arange(table.n_columns + 1)),
        place[whole.rows[order]],
        whole.counts[order].astype(np.float64),
        whole.sums[order].astype(np.float64),
    )


def blocks(n_columns: int, tokens: Floats) -> Iterator[slice]:
    """Columns that are dense at one time, of so many documents and languages."""
    step = max(1, _NUMBERS // max(1, tokens.size))
    for start in range(0, n_columns, step):
        yield slice(start, min(start + step, n_columns))
