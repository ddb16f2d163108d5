"""`LineFeatures`: which features are active in which line of which language, and how strongly.

One streaming pass over the text; everything that is said about languages is made of this table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ilo_fast import _core
from ilo_fast._util.checks import whole_number
from ilo_fast._util.progress import cost_bar
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.graph.options import thread_count
from ilo_fast.models.forward import evaluating, inference
from ilo_fast.models.structure import input_device
from ilo_fast.transcoders.multilingual.lines import (
    Integers,
    Lines,
    equal_batches,
    line_ids,
    numbered_lines,
    position_limit_of,
    skipped_positions,
)
from ilo_fast.transcoders.reading import MLPReader
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

Counts = NDArray[np.int32]
Values = NDArray[np.float32]

_BATCH_TOKENS: Final = 2048
_BATCH_BYTES: Final = 1e9  # of pre-activations, where they are computed one and all


@dataclass(frozen=True, eq=False)
class LineFeatures:
    """A sparse matrix (CSR): a row for each line of each language, a column for each feature.

    Rows go language by language, each in the order of its lines. Columns are layer * n_features +
    feature; they ascend in each row.

    Attributes
    ----------
    languages : tuple of str
    language : (rows,) int64
        Index into `languages`.
    line : (rows,) int64
        Number of the line in its text; where `is_parallel`, lines of one number are translations.
    document : (rows,) int64
        The unit of intervals and permutations, counted from 0 over all text; where `is_parallel`,
        translations are of one document.
    tokens : (rows,) int64
        Tokens that were looked at: all but those that the transcoder skips.
    indptr : (rows + 1,) int64
    indices : (entries,) int32
    counts : (entries,) int32
        Tokens of the line at which the feature is active.
    sums, maxima : (entries,) float32
        Of the activations at them.
    n_layers, n_features : int
        Layers, and features of each.
    is_parallel : bool
    """

    languages: tuple[str, ...]
    language: Integers
    line: Integers
    document: Integers
    tokens: Integers
    indptr: Integers
    indices: Counts
    counts: Counts
    sums: Values
    maxima: Values
    n_layers: int
    n_features: int
    is_parallel: bool

    def __len__(self) -> int:
        return len(self.language)

    @property
    def n_columns(self) -> int:
        return self.n_layers * self.n_features

    @property
    def rows(self) -> Integers:
        """(entries,): the row of each entry."""
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))

    def of_rows(self, rows: NDArray[Any]) -> LineFeatures:
        """Some rows, by number (ascending) or as a mask."""
        chosen = np.arange(len(self))[rows]
        lengths = np.diff(self.indptr)[chosen]
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        at = np.repeat(self.indptr[chosen] - indptr[:-1], lengths) + np.arange(indptr[-1])
        kept = {name: getattr(self, name)[chosen] for name in _OF_ROWS}
        return replace(
            self, indptr=indptr, **kept, **{name: getattr(self, name)[at] for name in _OF_ENTRIES}
        )

    def select(self, languages: Sequence[str]) -> LineFeatures:
        """Some languages, in the order of this table."""
        missing = [code for code in languages if code not in self.languages]
        if missing:
            raise ValueError(f"languages names {missing[0]}, the table has {self.languages}")
        kept = [at for at, code in enumerate(self.languages) if code in languages]
        part = self.of_rows(np.isin(self.language, kept))
        return replace(
            part,
            languages=tuple(self.languages[at] for at in kept),
            language=np.searchsorted(kept, part.language),
        )

    def of_columns(self, columns: NDArray[np.bool_]) -> LineFeatures:
        """Without the entries of other columns; columns keep their numbers.

        columns: (n_columns,) bool.
        """
        kept = columns[self.indices]
        ends = np.concatenate([[0], np.cumsum(kept)])
        return replace(
            self,
            indptr=ends[self.indptr],
            **{name: getattr(self, name)[kept] for name in _OF_ENTRIES},
        )

    def of_layer(self, layer: int) -> LineFeatures:
        """One layer alone; columns are its features."""
        layer = whole_number("layer", layer, least=0, most=self.n_layers - 1)
        part = self.of_columns(np.arange(self.n_columns) // self.n_features == layer)
        return replace(part, indices=part.indices - np.int32(layer * self.n_features), n_layers=1)

    def by_document(self) -> LineFeatures:
        """A row for each document of each language; its `line` is the document."""
        key = self.language * (int(self.document.max(initial=0)) + 1) + self.document
        order = np.argsort(key, kind="stable")
        first = np.flatnonzero(np.diff(key[order], prepend=-1))
        starts = np.append(first, len(order))
        merged = _core.merge_rows(
            self.indptr, self.indices, self.counts, self.sums, self.maxima,
            rows=order, starts=starts, n_columns=self.n_columns, n_threads=thread_count(None),
        )  # fmt: skip
        one = order[first]
        return replace(
            self,
            language=self.language[one],
            line=self.document[one],
            document=self.document[one],
            tokens=np.add.reduceat(self.tokens[order], first) if len(first) else self.tokens,
            indptr=merged[0],
            indices=merged[1],
            counts=merged[2],
            sums=merged[3],
            maxima=merged[4],
        )

    def means(self, language: str) -> Values:
        """(layers, lines, n_features): mean activation over the tokens of each line.

        Dense, in the order of lines; a mapping language -> this is what `overlap` takes.
        """
        part = self.select([language])
        dense = np.zeros((len(part), self.n_columns), np.float32)
        dense[part.rows, part.indices] = part.sums / part.tokens[part.rows]
        shaped = dense.reshape(len(part), self.n_layers, self.n_features)
        return np.ascontiguousarray(shaped.transpose(1, 0, 2))


_OF_ROWS: Final = ("language", "line", "document", "tokens")
_OF_ENTRIES: Final = ("indices", "counts", "sums", "maxima")


def line_features(
    model: nn.Module,
    transcoder: CrossLayerTranscoder,
    texts: ParallelCorpus | Mapping[str, Sequence[str]],
    *,
    tokenizer: Any,
    documents: Sequence[Any] | Mapping[str, Sequence[Any]] | None = None,
    skip_positions: int | None = None,
    batch_tokens: int | None = None,
    progress: bool = False,
) -> LineFeatures:
    """Which features are active in each line.

    Every line goes through the model by itself, behind the token that begins texts (BOS), or the
    one that ended the line before it in training where there is none.

    Parameters
    ----------
    model, transcoder, tokenizer
        As `open_transcoder` gives them.
    texts
        A parallel corpus, or language -> lines, of which blank ones are left out.
    documents
        Of each line its document: one sequence for all languages of a parallel corpus, language ->
        sequence for other text. None: as the corpus says; else each line is one.
    skip_positions
        So many tokens at the beginning do not count. None: as in the transcoder's training; 1 where
        it does not say.
    batch_tokens
        Tokens of one forward pass. None: some thousands.
    progress
        A bar on stderr.

    Raises
    ------
    CorpusError
        A language has no line; a line has no token that is not skipped, or more than the model
        takes. Names it.
    ValueError
        `documents` does not fit the lines; the transcoder is of another model.
    """
    reader = MLPReader(model)
    lines = numbered_lines(texts, documents)
    skip = skipped_positions(transcoder, skip_positions)
    ids = line_ids(tokenizer, lines, skip, position_limit_of(model, reader))
    weight, device = transcoder.encoder_weight, input_device(reader.parts)
    width = transcoder.n_layers * transcoder.n_features
    if batch_tokens is None:
        batch_tokens = min(_BATCH_TOKENS, max(1, int(_BATCH_BYTES // (4 * width))))
    found = Gathering(lines, ids, transcoder, skip)
    with (
        evaluating(transcoder),
        inference(transcoder),
        cost_bar(progress, "reading features", cost=len(ids), items=len(ids), unit="line") as bar,
    ):
        for rows in equal_batches(ids, whole_number("batch_tokens", batch_tokens)):
            x, _ = reader.read(torch.tensor([ids[row] for row in rows], device=device))
            x = x[:, skip:].flatten(0, 1).to(weight.device, weight.dtype)
            active = transcoder.encode(x)
            found.add(rows, active.indptr, active.indices, active.values)
            bar.advance(len(rows), len(rows))
    return found.table()


class Gathering:
    """Active features of batches of lines, merged line by line as they come."""

    def __init__(
        self,
        lines: Lines,
        ids: Sequence[Sequence[int]],
        transcoder: CrossLayerTranscoder,
        skip: int,
    ) -> None:
        self._lines, self._skip = lines, skip
        self._tokens = np.array([len(row) - skip for row in ids], np.int64)
        self._n_layers, self._n_features = transcoder.n_layers, transcoder.n_features
        self._parts: list[tuple[Any, ...]] = []
        self._order: list[int] = []

    def add(
        self,
        rows: Sequence[int],
        indptr: torch.Tensor,
        indices: torch.Tensor,
        values: torch.Tensor,
    ) -> None:
        """Of lines of one length, token by token: which features, and how strongly each."""
        length = int(self._tokens[rows[0]])
        on = (values != 0).cpu().numpy()  # thresholds keep entries that are near
        ends = np.concatenate([[0], np.cumsum(on)])
        part = _core.merge_rows(
            ends[indptr.cpu().numpy()],
            indices.cpu().numpy().astype(np.int32)[on],
            None,
            values.float().cpu().numpy()[on],
            None,
            rows=np.arange(length * len(rows)),
            starts=np.arange(len(rows) + 1) * length,
            n_columns=self._n_layers * self._n_features,
            n_threads=1,
        )
        self._parts.append(part)
        self._order += rows

    def table(self) -> LineFeatures:
        """All lines, in order."""
        offsets = np.concatenate([[0], np.cumsum([part[0][-1] for part in self._parts])])
        indptr = np.concatenate(
            [[0], *(part[0][1:] + at for part, at in zip(self._parts, offsets[:-1], strict=True))]
        ).astype(np.int64)
        entries = {
            name: np.concatenate([part[at] for part in self._parts])
            for at, name in enumerate(_OF_ENTRIES, start=1)
        }
        order = np.array(self._order)
        lines = self._lines
        given = LineFeatures(
            lines.languages, lines.language[order], lines.line[order], lines.document[order],
            self._tokens[order], indptr, **entries,
            n_layers=self._n_layers, n_features=self._n_features, is_parallel=lines.is_parallel,
        )  # fmt: skip
        return given.of_rows(np.argsort(order))
