"""Words of several pieces as they occur, and the features that are active at their last piece."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ilo_fast._util.progress import CostBar
from ilo_fast.evaluation.tokens_words import has_words, pieces_of
from ilo_fast.models.forward import evaluating, inference
from ilo_fast.models.structure import input_device
from ilo_fast.transcoders.multilingual.documents import document_halves
from ilo_fast.transcoders.multilingual.lines import (
    Integers,
    Lines,
    beginning_token,
    equal_batches,
)
from ilo_fast.transcoders.reading import MLPReader
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder


@dataclass(frozen=True, eq=False)
class Active:
    """Which features are active at each occurrence: pairs, sorted by occurrence.

    Attributes
    ----------
    rows : (entries,) int64
        Occurrence.
    columns : (entries,) int64
        layer * n_features + feature.
    n_rows, n_layers, n_features : int
    """

    rows: Integers
    columns: Integers
    n_rows: int
    n_layers: int
    n_features: int

    def of_layer(self, layer: int) -> tuple[Integers, Integers]:
        """Rows and features of one layer."""
        kept = self.columns // self.n_features == layer
        return self.rows[kept], self.columns[kept] - layer * self.n_features

    def of_rows(self, rows: Integers) -> Active:
        """Some occurrences, in ascending order, numbered anew."""
        number = np.full(self.n_rows, -1)
        number[rows] = np.arange(len(rows))
        kept = number[self.rows] >= 0
        return Active(
            number[self.rows[kept]], self.columns[kept], len(rows), self.n_layers, self.n_features
        )


@dataclass(frozen=True, eq=False)
class WordOccurrences:
    """Where words of several pieces stand.

    Words that end in the same piece, in one language, are a group.

    Attributes
    ----------
    language : (words,) int64
    group : (words,) int64
    pieces : tuple of tuple of int
        Of each word its tokens.
    word : (occurrences,) int64
    line : (occurrences,) int64
        In the order of `Lines`.
    end : (occurrences,) int64
        Place of the last piece among the line's tokens, the beginning one counted.
    document : (occurrences,) int64
    half : (occurrences,) int64
        0: to select on; 1: to test on. A document is in one half.
    """

    language: Integers
    group: Integers
    pieces: tuple[tuple[int, ...], ...]
    word: Integers
    line: Integers
    end: Integers
    document: Integers
    half: Integers


@dataclass(frozen=True, eq=False)
class ReadText:
    """Lines as tokens, with what is known of their words.

    Attributes
    ----------
    ids : list of list of int
        Tokens of each line, behind the one that begins it.
    places : list of tuple of (first, last)
        Of each line its words of at least two pieces, in `ids`.
    fertility : (languages,) float64
        Tokens for a word; NaN where words are not told by spaces.
    without_words : tuple of str
        These languages.
    """

    ids: list[list[int]]
    places: list[tuple[tuple[int, int], ...]]
    fertility: NDArray[np.float64]
    without_words: tuple[str, ...]


def read_words(tokenizer: Any, lines: Lines) -> ReadText:
    """Tokens and words of all lines.

    Raises
    ------
    ValueError
        The tokenizer does not say which characters a token holds.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ValueError(
            f"tokenizer is a {type(tokenizer).__name__} that does not say which characters a token "
            "holds: words of a line cannot be found among its tokens; use a fast tokenizer"
        )
    first = beginning_token(tokenizer)
    ids: list[list[int]] = []
    places: list[tuple[tuple[int, int], ...]] = []
    fertility = np.full(len(lines.languages), np.nan)
    without = []
    for at, code in enumerate(lines.languages):
        own = [lines.texts[row] for row in np.flatnonzero(lines.language == at)]
        known = has_words(own)
        made = pieces_of(tokenizer, own, with_words=known)
        ids += [[*first, *pieces.ids] for pieces in made]
        shift = len(first)
        places += [
            tuple((p[0] + shift, p[1] + shift) for p in pieces.places if p and p[1] > p[0])
            for pieces in made
        ]
        if known:
            words = [word for pieces in made for word in pieces.words]
            fertility[at] = np.mean([len(word) for word in words]) if words else np.nan
        else:
            without.append(code)
    return ReadText(ids, places, fertility, tuple(without))


def find_occurrences(
    read: ReadText, lines: Lines, *, skip: int, min_count: int, seed: int
) -> WordOccurrences:
    """Words that occur often enough in both halves of the documents, beside others of their group.

    Of a word in a document one occurrence counts, the first: others are no new evidence.

    Raises
    ------
    ValueError
        There are none.
    """
    known: dict[tuple[int, tuple[int, ...]], int] = {}
    seen: set[tuple[int, int]] = set()
    found: list[tuple[int, int, int, int]] = []
    for line, (ids, places) in enumerate(zip(read.ids, read.places, strict=True)):
        for first, last in places:
            key = int(lines.language[line]), tuple(ids[first : last + 1])
            word, document = known.setdefault(key, len(known)), int(lines.document[line])
            if last >= skip and (word, document) not in seen:
                seen.add((word, document))
                found.append((word, line, last, document))
    table = np.array(found, np.int64).reshape(-1, 4)
    selecting = document_halves(lines.language, lines.document, seed=seed)
    half = np.where(selecting[table[:, 3]], 0, 1)
    counts = np.stack([np.bincount(table[half == at, 0], minlength=len(known)) for at in (0, 1)])
    often = (counts >= min_count).all(axis=0)
    words = list(known)
    ends = Counter((words[w][0], words[w][1][-1]) for w in np.flatnonzero(often))
    kept = [w for w in np.flatnonzero(often) if ends[words[w][0], words[w][1][-1]] > 1]
    if not kept:
        raise ValueError(
            f"texts has no two words of two pieces or more that end in the same piece and are in "
            f"{min_count} documents of each half (min_count): give more text, or a smaller one"
        )
    groups: dict[tuple[int, int], int] = {}
    group = [groups.setdefault((words[w][0], words[w][1][-1]), len(groups)) for w in kept]
    number = np.full(len(known), -1)
    number[kept] = np.arange(len(kept))
    rows = number[table[:, 0]] >= 0
    return WordOccurrences(
        np.array([words[w][0] for w in kept], np.int64), np.array(group, np.int64),
        tuple(words[w][1] for w in kept), number[table[rows, 0]], table[rows, 1], table[rows, 2],
        table[rows, 3], half[rows].astype(np.int64),
    )  # fmt: skip


def active_at(
    reader: MLPReader,
    transcoder: CrossLayerTranscoder,
    ids: Sequence[Sequence[int]],
    ends: Mapping[int, Sequence[tuple[int, int]]],
    *,
    batch_tokens: int,
    bar: CostBar,
) -> Active:
    """Active features at some places.

    Parameters
    ----------
    ids
        Tokens of each line.
    ends
        Line -> (place, number of the occurrence); lines that are not named are not read.
    """
    weight, device = transcoder.encoder_weight, input_device(reader.parts)
    chosen = sorted(ends)
    rows: list[Integers] = []
    columns: list[Integers] = []
    with evaluating(transcoder), inference(transcoder):
        for batch in equal_batches([ids[line] for line in chosen], batch_tokens):
            own = [chosen[at] for at in batch]
            x, _ = reader.read(torch.tensor([list(ids[line]) for line in own], device=device))
            at = [(row, place) for row, line in enumerate(own) for place, _ in ends[line]]
            numbers = np.array([number for line in own for _, number in ends[line]], np.int64)
            place = torch.tensor(at, device=x.device)
            picked = x[place[:, 0], place[:, 1]].to(weight.device, weight.dtype)
            active = transcoder.encode(picked)
            on = (active.values != 0).cpu().numpy()
            lengths = np.diff(active.indptr.cpu().numpy())
            rows.append(np.repeat(numbers, lengths)[on])
            columns.append(active.indices.cpu().numpy().astype(np.int64)[on])
            bar.advance(len(own), len(own))
    row = np.concatenate(rows)
    order = np.argsort(row, kind="stable")
    return Active(
        row[order], np.concatenate(columns)[order], sum(map(len, ends.values())),
        transcoder.n_layers, transcoder.n_features,
    )  # fmt: skip
