"""What a comparison needs of each model and its transcoder, read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch

from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.models.forward import evaluating, inference
from ilo_fast.models.structure import input_device
from ilo_fast.transcoders.attribution.attribute import attribution_graph, attribution_graphs
from ilo_fast.transcoders.attribution.graph import AttributionGraph
from ilo_fast.transcoders.files.opening import Opened
from ilo_fast.transcoders.multilingual.diffing.matching import Matrix
from ilo_fast.transcoders.multilingual.line_features import LineFeatures, line_features
from ilo_fast.transcoders.multilingual.lines import (
    Lines,
    beginning_token,
    equal_batches,
    line_ids,
    numbered_lines,
    position_limit_of,
    skipped_positions,
)
from ilo_fast.transcoders.reading import MLPReader

Texts = ParallelCorpus | Mapping[str, Sequence[str]]
Documents = Sequence[Any] | Mapping[str, Sequence[Any]] | None

_BATCH: Final = 2048  # tokens of a forward pass


class Readings:
    """Tables, activations and graphs of several models on the same text, each made once.

    Parameters
    ----------
    texts, documents
        As for `line_features`.
    prompts
        How many to draw from the lines, in turn from each language, or the prompts themselves.
    prompt_tokens
        Those that are drawn are cut to so many tokens.
    match_tokens
        About so many are drawn, in whole lines, to match features on.
    seed
        Of what is drawn.
    """

    def __init__(
        self,
        texts: Texts,
        documents: Documents,
        *,
        prompts: int | Sequence[Any],
        prompt_tokens: int,
        match_tokens: int,
        seed: int,
        batch_tokens: int | None,
        progress: bool,
    ) -> None:
        self.lines: Lines = numbered_lines(texts, documents)
        self._texts, self._documents = texts, documents
        self._prompts, self._prompt_tokens = prompts, prompt_tokens
        self._match_tokens, self._seed = match_tokens, seed
        self._batch_tokens, self._progress = batch_tokens, progress
        self._tables: dict[int, LineFeatures] = {}
        self._activations: dict[int, Matrix] = {}
        self._graphs: dict[tuple[int, int], list[AttributionGraph]] = {}

    def table(self, it: Opened) -> LineFeatures:
        """Active features, line by line."""
        if id(it) not in self._tables:
            self._tables[id(it)] = line_features(
                it.model, it.transcoder, self._texts, tokenizer=it.tokenizer,
                documents=self._documents, batch_tokens=self._batch_tokens,
                progress=self._progress,
            )  # fmt: skip
        return self._tables[id(it)]

    def activations(self, it: Opened) -> Matrix:
        """(tokens, columns) on lines that are drawn, the same of every model."""
        if id(it) not in self._activations:
            self._activations[id(it)] = self._dense(it)
        return self._activations[id(it)]

    def _dense(self, it: Opened) -> Matrix:
        reader, coder = MLPReader(it.model), it.transcoder
        skip = skipped_positions(coder, None)
        ids = line_ids(it.tokenizer, self.lines, skip, position_limit_of(it.model, reader))
        order = np.random.default_rng(self._seed).permutation(len(ids))
        sizes = np.cumsum([len(ids[at]) - skip for at in order])
        chosen = [ids[at] for at in order[: int(np.searchsorted(sizes, self._match_tokens)) + 1]]
        width = coder.n_layers * coder.n_features
        starts = np.concatenate([[0], np.cumsum([len(row) - skip for row in chosen])])
        out = np.zeros((int(starts[-1]), width), np.float32)
        device, weight = input_device(reader.parts), coder.encoder_weight
        with evaluating(coder), inference(coder):
            for rows in equal_batches(chosen, _BATCH):
                x, _ = reader.read(torch.tensor([chosen[row] for row in rows], device=device))
                x = x[:, skip:].flatten(0, 1).to(weight.device, weight.dtype)
                dense = coder.encode(x).to_dense().flatten(1).float().cpu().numpy()
                for row, part in zip(rows, np.split(dense, len(rows)), strict=True):
                    out[starts[row] : starts[row + 1]] = part
        return out

    @property
    def wants_graphs(self) -> bool:
        """Whether there are prompts."""
        given = self._prompts
        return bool(given if isinstance(given, int) else len(given))

    def graphs(
        self, before: Opened, after: Opened
    ) -> tuple[list[AttributionGraph], list[AttributionGraph]]:
        """Of the same prompts and the same predictions: those that are likely before."""
        prompts = self._token_ids(before)
        own = (id(before), id(before))
        if own not in self._graphs:
            self._graphs[own] = attribution_graphs(
                before.model, before.transcoder, prompts, tokenizer=before.tokenizer,
                dtype=torch.float32, progress=self._progress,
            )  # fmt: skip
        first = self._graphs[own]
        pair = (id(before), id(after))
        if pair not in self._graphs:
            self._graphs[pair] = [
                attribution_graph(
                    after.model, after.transcoder, row, tokenizer=after.tokenizer,
                    targets=[int(t.token_id) for t in graph.targets if t.token_id is not None],
                    dtype=torch.float32,
                )
                for row, graph in zip(prompts, first, strict=True)
            ]  # fmt: skip
        return first, self._graphs[pair]

    def _token_ids(self, it: Opened) -> list[Any]:
        if not isinstance(self._prompts, int):
            return list(self._prompts)
        first = beginning_token(it.tokenizer)
        found = []
        for at in self.drawn_lines():
            row = it.tokenizer(self.lines.texts[at], add_special_tokens=False)["input_ids"]
            found.append([*first, *row][: self._prompt_tokens])
        return found

    def drawn_lines(self) -> list[int]:
        """Lines that prompts begin as, in turn of each language; a document once, if it goes."""
        assert isinstance(self._prompts, int)
        random = np.random.default_rng(self._seed)
        queues = [
            random.permutation(np.flatnonzero(self.lines.language == at)).tolist()
            for at in range(len(self.lines.languages))
        ]
        used: set[int] = set()
        found: list[int] = []
        while len(found) < self._prompts and any(queues):
            for queue in queues:
                if not queue or len(found) == self._prompts:
                    continue
                fresh = [at for at in queue if int(self.lines.document[at]) not in used]
                at = (fresh or queue)[0]
                queue.remove(at)
                used.add(int(self.lines.document[at]))
                found.append(at)
        return found
