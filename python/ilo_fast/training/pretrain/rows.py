"""The rows of a run: which row of which batch is of which language, and its tokens.

Each is a function of its arguments alone, so that the batch of a step is the same whether training
was interrupted or not:

    Quota       shares ─▶ how many rows of each batch are of each language
    Stream      lines of one language ─▶ its rows, tokens of a fixed length without padding
    MixedRows   both ─▶ all rows of a run, in order
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ilo_fast.training.options import TrainingOptions
from ilo_fast.training.pretrain.tokenizer import encode_lines

logger = logging.getLogger(__name__)

_GOLDEN = (5**0.5 - 1) / 2
# Passes through the text of one language beyond which repeating it teaches little
# (Muennighoff et al., 2023, arXiv 2305.16264).
_MANY_EPOCHS = 4


class Quota:
    """How many rows of each batch are of each language: the shares, exact to rounding.

    The languages are intervals on [0, 1) as long as their shares. Over the whole run the rows are
    an even grid of points on it, so each language gets its share of all rows, rounded up or down.
    A batch takes points evenly spaced, too, so the same holds of every batch; and consecutive
    batches take them at golden-ratio offsets, so it nearly holds of every stretch of the run.

    Parameters
    ----------
    shares
        Share of each language, not negative; they sum to 1.
    steps, rows
        Batches, and rows in a batch.
    """

    def __init__(self, shares: Sequence[float], *, steps: int, rows: int) -> None:
        offsets = np.argsort(np.argsort(np.arange(steps) * _GOLDEN % 1.0, kind="stable"))
        edges = np.cumsum(np.asarray(shares, dtype=np.float64))[:-1]
        # Row i of step s is the point (i * steps + offset[s] + 1/2) / (rows * steps); count those
        # that lie below each edge.
        below = np.ceil((edges * rows * steps - offsets[:, None] - 0.5) / steps)
        ends = np.full((steps, 1), rows)
        self._cuts = np.hstack([0 * ends, np.clip(below, 0, rows), ends]).astype(np.int64)
        self.counts: NDArray[np.int64] = np.diff(self._cuts, axis=1)  # (steps, languages)
        self._before = np.cumsum(self.counts, axis=0) - self.counts

    @property
    def totals(self) -> NDArray[np.int64]:
        """Rows of each language in the whole run, (languages,)."""
        total: NDArray[np.int64] = self.counts.sum(axis=0)
        return total

    def place(self, step: int, row: int) -> tuple[int, int]:
        """The language of a row, and how many rows of that language came before it."""
        cuts = self._cuts[step]
        language = int(np.searchsorted(cuts, row, side="right")) - 1
        return language, int(self._before[step, language] + row - cuts[language])


class Stream:
    """The lines of one language as an endless row of tokens, cut into rows of equal length.

    When all lines were seen they come again, in another order. Lines run on from row to row, so no
    token is lost and nothing is padded.

    Parameters
    ----------
    ids
        Tokens of all lines, one line after the other.
    offsets
        Line i is ``ids[offsets[i]:offsets[i + 1]]``.
    length
        Tokens in a row.
    seed, language
        What the order of the lines depends on, besides the number of the pass.
    """

    def __init__(
        self,
        ids: NDArray[np.int32],
        offsets: NDArray[np.int64],
        *,
        length: int,
        seed: int,
        language: str,
    ) -> None:
        self._ids = ids
        self._offsets = offsets
        self._length = length
        self._key = [seed, int.from_bytes(hashlib.sha256(language.encode()).digest()[:8], "little")]
        self._passes: dict[int, NDArray[np.int32]] = {}

    @property
    def n_tokens(self) -> int:
        """Tokens of all lines, each once."""
        return len(self._ids)

    def row(self, number: int) -> NDArray[np.int64]:
        """Row `number`, (length,)."""
        begin = number * self._length
        parts: list[NDArray[np.int32]] = []
        missing = self._length
        while missing:
            which, place = divmod(begin, self.n_tokens)
            part = self._pass(which)[place : place + missing]
            parts.append(part)
            begin += len(part)
            missing -= len(part)
        return np.concatenate(parts).astype(np.int64)

    def _pass(self, which: int) -> NDArray[np.int32]:
        """All tokens in the order of one pass; the last two passes are kept."""
        found = self._passes.get(which)
        if found is None:
            lengths = np.diff(self._offsets)
            order = np.random.default_rng([*self._key, which]).permutation(len(lengths))
            # Where each token of the shuffled lines stands in the lines as they are.
            shifts = np.repeat(self._offsets[:-1][order], lengths[order])
            ends = np.cumsum(lengths[order])
            inside = np.arange(len(shifts)) - np.repeat(ends - lengths[order], lengths[order])
            found = self._ids[shifts + inside]
            self._passes = {k: v for k, v in self._passes.items() if abs(k - which) == 1}
            self._passes[which] = found
        return found


class MixedRows(Sequence[dict[str, NDArray[np.int64]]]):
    """All rows of a run, in order: ``{"input_ids": (context,)}``, ``batch_size`` rows per step."""

    def __init__(self, streams: Sequence[Stream], quota: Quota, batch_size: int) -> None:
        self._streams = streams
        self._quota = quota
        self._batch_size = batch_size

    def __len__(self) -> int:
        return len(self._quota.counts) * self._batch_size

    def __getitem__(self, index: int) -> dict[str, NDArray[np.int64]]:  # type: ignore[override]
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        language, number = self._quota.place(*divmod(index, self._batch_size))
        return {"input_ids": self._streams[language].row(number)}


def rows_of(
    texts: Mapping[str, Sequence[str]],
    shares: Mapping[str, float],
    tokenizer: Any,
    options: TrainingOptions,
    context: int,
) -> tuple[MixedRows, dict[str, Any]]:
    """The rows of the run, and how much of each language's text they use."""
    used = {code: share for code, share in shares.items() if share > 0}
    streams = []
    for code in used:
        ids, offsets = encode_lines(tokenizer, texts[code])
        stream = Stream(ids, offsets, length=context, seed=options.seed, language=code)
        streams.append(stream)
    rows_of_step = options.batch_size * options.gradient_accumulation_steps
    steps = options.max_steps or 0
    quota = Quota(list(used.values()), steps=steps, rows=rows_of_step)
    use = {}
    for code, stream, rows in zip(used, streams, quota.totals.tolist(), strict=True):
        tokens = rows * context
        use[code] = {
            "share": rows / (steps * rows_of_step),
            "tokens": tokens,
            "tokens_of_text": stream.n_tokens,
            "epochs": round(tokens / stream.n_tokens, 3),
        }
    often = {code: u["epochs"] for code, u in use.items() if u["epochs"] > _MANY_EPOCHS}
    if often:
        logger.warning(
            "little text for so many steps: it is gone through %s times; a model learns little "
            "from text that comes more than %d times",
            ", ".join(f"{epochs:.1f} ({code})" for code, epochs in often.items()), _MANY_EPOCHS,
        )  # fmt: skip
    return MixedRows(streams, quota, rows_of_step), use


def stack_rows(rows: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, torch.Tensor]:
    """A batch of rows for a causal language model (it shifts the labels itself)."""
    ids = torch.stack([torch.from_numpy(row["input_ids"]) for row in rows])
    return {"input_ids": ids, "labels": ids.clone()}
