"""Firings by feature and document: the entries of a `LineFeatures` table, column by column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ilo_fast.transcoders.multilingual.line_features import LineFeatures

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class DocumentCounts:
    """How often each feature fires in each document of each language.

    Attributes
    ----------
    n_languages : int
    language : (rows,) int64
    document : (rows,) int64
        From 0 without gaps; a document of several languages has a row in each.
    tokens : (rows,) int64
    offsets : (columns + 1,) int64
        Of the entries of each column.
    rows, counts : (entries,) int32
    """

    n_languages: int
    language: Integers
    document: Integers
    tokens: Integers
    offsets: Integers
    rows: NDArray[np.int32]
    counts: NDArray[np.int32]

    @classmethod
    def of(cls, table: LineFeatures) -> DocumentCounts:
        """Of a table of lines."""
        whole = table.by_document()
        order = np.argsort(whole.indices, kind="stable")
        ends = np.cumsum(np.bincount(whole.indices, minlength=table.n_columns))
        return cls(
            len(table.languages),
            whole.language,
            np.unique(whole.document, return_inverse=True)[1],
            whole.tokens,
            np.concatenate([[0], ends]).astype(np.int64),
            whole.rows[order].astype(np.int32),
            whole.counts[order],
        )

    @property
    def n_columns(self) -> int:
        return len(self.offsets) - 1

    @property
    def n_documents(self) -> int:
        """Over all languages, translations once."""
        return int(self.document.max(initial=-1)) + 1

    @property
    def is_shared(self) -> bool:
        """Whether any document is in several languages."""
        return self.n_documents < len(self.document)

    @property
    def columns(self) -> Integers:
        """(entries,): the column of each entry."""
        return np.repeat(np.arange(self.n_columns), np.diff(self.offsets))

    def language_tokens(self) -> Integers:
        """(languages,): tokens of each."""
        out = np.zeros(self.n_languages, np.int64)
        np.add.at(out, self.language, self.tokens)
        return out

    def firings(self) -> Integers:
        """(languages, columns): how often each feature fires in each language."""
        at = self.language[self.rows] * self.n_columns + self.columns
        found = np.bincount(at, self.counts, minlength=self.n_languages * self.n_columns)
        return found.astype(np.int64).reshape(self.n_languages, self.n_columns)

    def of_columns(self, columns: Integers) -> DocumentCounts:
        """Some columns, numbered anew in the order given."""
        lengths = np.diff(self.offsets)[columns]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        at = np.repeat(self.offsets[columns] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return replace(self, offsets=offsets, rows=self.rows[at], counts=self.counts[at])

    def relabelled(self, labels: Integers) -> DocumentCounts:
        """Some rows under new labels; those of label -1 are left out.

        labels : (rows,), from 0 without gaps.
        """
        kept = labels >= 0
        entry = kept[self.rows]
        ends = np.concatenate([[0], np.cumsum(entry)]).astype(np.int64)
        return DocumentCounts(
            int(labels.max(initial=-1)) + 1,
            labels[kept],
            np.unique(self.document[kept], return_inverse=True)[1],
            self.tokens[kept],
            ends[self.offsets],
            (np.cumsum(kept) - 1)[self.rows[entry]].astype(np.int32),
            self.counts[entry],
        )

    def dense(self) -> Iterator[tuple[int, Integers, Floats]]:
        """Of each language: its number, the documents of its rows, (its rows, columns) counts."""
        columns = self.columns
        of_entry = self.language[self.rows]
        place = np.empty(len(self.language), np.int64)
        for language in range(self.n_languages):
            mine = np.flatnonzero(self.language == language)
            place[mine] = np.arange(len(mine))
            entries = of_entry == language
            out = np.zeros((len(mine), self.n_columns))
            out[place[self.rows[entries]], columns[entries]] = self.counts[entries]
            yield language, self.document[mine], out

    def clumping(self) -> Floats:
        """(columns,): variance of a document's firings over its expectation, at least 1.

        1: as if every firing came by itself. Where firings come in clumps, fewer of them are
        independent of each other.
        """
        tokens = self.tokens.astype(np.float64)
        firings = self.firings()
        rates = firings / self.language_tokens()[:, None]
        at = self.language[self.rows] * self.n_columns + self.columns
        shape, size = firings.shape, firings.size
        counts = self.counts.astype(np.float64)
        squares = np.bincount(at, counts**2, size).reshape(shape)
        products = np.bincount(at, counts * tokens[self.rows], size).reshape(shape)
        of_tokens = np.bincount(self.language, tokens**2, self.n_languages)
        residual = squares - 2 * rates * products + rates**2 * of_tokens[:, None]
        found: Floats = np.maximum(1.0, residual.sum(axis=0) / np.maximum(1, firings.sum(axis=0)))
        return found
