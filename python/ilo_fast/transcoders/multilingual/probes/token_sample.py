"""Tokens drawn from text, as many of each language, and what a model makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ilo_fast._util.checks import whole_number
from ilo_fast._util.progress import cost_bar
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.models.forward import evaluating, inference
from ilo_fast.models.structure import input_device
from ilo_fast.transcoders.multilingual.documents import document_halves
from ilo_fast.transcoders.multilingual.lines import (
    equal_batches,
    line_ids,
    numbered_lines,
    position_limit_of,
    skipped_positions,
)
from ilo_fast.transcoders.reading import MLPReader
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

_BATCH_TOKENS: Final = 2048


@dataclass(frozen=True, eq=False)
class TokenSample:
    """As many tokens of each language, from two halves of the documents.

    Attributes
    ----------
    languages : tuple of str
    language, document : (tokens,) int64
    line, position : (tokens,) int64
        Index into `ids`, and the place in it.
    first : (tokens,) bool
        Whether the token is of the first half.
    embedded : (tokens, d) float32
        Token embeddings.
    x : (tokens, layers, d) float32
        What the MLPs read.
    tokens_of, columns, values : (entries,)
        Active features, layer * n_features + feature, of which token, and how strongly.
    n_layers, n_features : int
    ids : sequence
        Tokens of every line, also of those of which none was drawn.
    line_language : (lines,) int64
    line_first : (lines,) bool
        Whether the line is of the first half.
    skip : int
        So many tokens of a line do not count.
    """

    languages: tuple[str, ...]
    language: Integers
    document: Integers
    line: Integers
    position: Integers
    first: Booleans
    embedded: torch.Tensor
    x: torch.Tensor
    tokens_of: Integers
    columns: Integers
    values: NDArray[np.float32]
    n_layers: int
    n_features: int
    ids: Sequence[Sequence[int]]
    line_language: Integers
    line_first: Booleans
    skip: int

    def __len__(self) -> int:
        return len(self.language)

    def activations(self, columns: Integers) -> torch.Tensor:
        """(tokens, columns) float32: of some features."""
        place = np.full(self.n_layers * self.n_features, -1)
        place[columns] = np.arange(len(columns))
        at = place[self.columns]
        dense = torch.zeros(len(self), len(columns))
        dense[self.tokens_of[at >= 0], at[at >= 0]] = torch.from_numpy(self.values[at >= 0])
        return dense


def token_sample(
    model: nn.Module,
    transcoder: CrossLayerTranscoder,
    texts: ParallelCorpus | Mapping[str, Sequence[str]],
    *,
    tokenizer: Any,
    documents: Sequence[Any] | Mapping[str, Sequence[Any]] | None,
    n_tokens: int,
    seed: int,
    progress: bool,
) -> TokenSample:
    """At most `n_tokens` of each language from each half, the same number of all."""
    whole_number("n_tokens", n_tokens)
    reader = MLPReader(model)
    lines = numbered_lines(texts, documents)
    if len(lines.languages) < 2:
        raise ValueError(f"texts is {lines.languages[0]} alone: languages are told from each other")
    skip = skipped_positions(transcoder, None)
    ids = line_ids(tokenizer, lines, skip, position_limit_of(model, reader))
    half = document_halves(lines.language, lines.document, seed=seed)[lines.document]
    line, position = _drawn(ids, lines.language, half, skip, n_tokens, seed)
    places: dict[int, list[int]] = {}
    for at, row in enumerate(line):
        places.setdefault(int(row), []).append(at)
    device, weight = input_device(reader.parts), transcoder.encoder_weight
    n, width = len(line), reader.parts.dim
    x = torch.empty(n, len(reader.sites), width)
    embedded = torch.empty(n, width)
    found: list[tuple[Integers, Integers, NDArray[np.float32]]] = []
    rows_used = sorted(places)
    with (
        evaluating(transcoder),
        inference(transcoder),
        cost_bar(
            progress, "reading", cost=len(rows_used), items=len(rows_used), unit="line"
        ) as bar,
    ):
        for batch in equal_batches([ids[row] for row in rows_used], _BATCH_TOKENS):
            rows = [rows_used[at] for at in batch]
            tokens = torch.tensor([ids[row] for row in rows], device=device)
            read, _ = reader.read(tokens)
            here = np.concatenate([places[row] for row in rows])
            which = np.repeat(np.arange(len(rows)), [len(places[row]) for row in rows])
            chosen = read[which, position[here]]
            active = transcoder.encode(chosen.to(weight.device, weight.dtype))
            x[here] = chosen.float().cpu()
            embedded[here] = reader.parts.embeddings(tokens)[which, position[here]].float().cpu()
            on = (active.values != 0).cpu().numpy()
            found.append((
                here[active.tokens.cpu().numpy()][on],
                active.indices.cpu().numpy().astype(np.int64)[on],
                active.values.float().cpu().numpy()[on],
            ))  # fmt: skip
            bar.advance(len(rows), len(rows))
    tokens_of, columns, values = (np.concatenate(part) for part in zip(*found, strict=True))
    return TokenSample(
        lines.languages, lines.language[line], lines.document[line], line, position, half[line],
        embedded, x, tokens_of, columns, values, transcoder.n_layers, transcoder.n_features,
        ids, lines.language, half, skip,
    )  # fmt: skip


def _drawn(
    ids: Sequence[Sequence[int]],
    language: Integers,
    half: Booleans,
    skip: int,
    n_tokens: int,
    seed: int,
) -> tuple[Integers, Integers]:
    """Lines and positions, ascending."""
    lengths = np.array([len(row) - skip for row in ids])
    line = np.repeat(np.arange(len(ids)), lengths)
    position = np.arange(len(line)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + skip
    random = np.random.default_rng([whole_number("seed", seed, least=0), 2])
    chosen = []
    for side in (True, False):
        groups = [
            np.flatnonzero((language[line] == code) & (half[line] == side))
            for code in range(int(language.max()) + 1)
        ]
        most = min(n_tokens, *map(len, groups))
        chosen += [random.choice(group, most, replace=False) for group in groups]
    at = np.sort(np.concatenate(chosen))
    return line[at], position[at]
