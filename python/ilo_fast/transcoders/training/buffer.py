"""What a language model's MLPs read and add, as batches of tokens from all over the text.

Windows go through the model in blocks. The tokens of a block are split at random into `SHARES`
parts; part j of block b is served in round b + j, mixed with parts of the blocks before it. So a
batch holds tokens of thousands of windows, and no more than `SHARES` blocks are in memory, none of
them whole but the newest.

Everything is a function of the seed and the numbers of block and round: a run that is resumed
reads the last blocks again, and gets the same bits.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from ilo_fast._util.memory import available_memory
from ilo_fast.transcoders.reading import MLPReader
from ilo_fast.transcoders.windows import Windows

SHARES: Final = 4
_ROWS: Final = 32  # windows in one forward pass
_PASS, _SPLIT, _ROUND = range(3)  # what a random order is of


@dataclass(frozen=True)
class Batch:
    """Tokens, shuffled.

    Attributes
    ----------
    x, y : (tokens, layers, d) float32
        What MLPs read, and what they add.
    language : (tokens,) int64
        Index into the windows' `languages`.
    document : (tokens,) int64
        The line of the language's text.
    """

    x: torch.Tensor
    y: torch.Tensor
    language: torch.Tensor
    document: torch.Tensor

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: torch.Tensor | slice) -> Batch:
        """Some of the tokens."""
        return Batch(self.x[rows], self.y[rows], self.language[rows], self.document[rows])

    @staticmethod
    def joined(parts: list[Batch]) -> Batch:
        """The tokens of all parts, in their order."""
        return Batch(
            torch.cat([part.x for part in parts]),
            torch.cat([part.y for part in parts]),
            torch.cat([part.language for part in parts]),
            torch.cat([part.document for part in parts]),
        )


def read_batch(
    reader: MLPReader,
    windows: Windows,
    rows: NDArray[np.int64] | torch.Tensor,
    *,
    skip_positions: int = 1,
    autocast: torch.dtype | None = None,
) -> Batch:
    """The tokens of some windows, in order, without the first positions of each."""
    device = next(reader.parts.backbone.parameters()).device
    found = []
    for chosen in torch.as_tensor(rows).split(_ROWS):  # type: ignore[no-untyped-call]
        ids = windows.ids[chosen].to(device)
        x, y = reader.read(ids, autocast)
        context = ids.shape[1] - skip_positions
        language = windows.language[chosen].repeat_interleave(context)
        document = windows.document[chosen][:, skip_positions:].reshape(-1)
        found.append(
            Batch(
                x[:, skip_positions:].flatten(0, 1),
                y[:, skip_positions:].flatten(0, 1),
                language.to(device),
                document.to(device),
            )
        )
    return Batch.joined(found)


class ShuffleBuffer:
    """The batches of a run, by number.

    Parameters
    ----------
    reader
        Of the model.
    windows
        To train on; gone through again and again, in another order each time.
    batch_tokens
        About how many tokens a batch has: the parts of a round are cut into equal batches.
    buffer_tokens
        About how many tokens are mixed: those of `SHARES` blocks.
    skip_positions
        Positions at the start of each window that are left out.
    seed
        Of all random orders.
    autocast
        As of `MLPReader.read`.

    Attributes
    ----------
    batches_per_round, tokens_per_round : int
    seconds : float
        Spent in the language model so far.

    Raises
    ------
    ValueError
        The buffer does not fit into memory; says how many bytes it needs.
    """

    def __init__(
        self,
        reader: MLPReader,
        windows: Windows,
        *,
        batch_tokens: int,
        buffer_tokens: int,
        skip_positions: int = 1,
        seed: int = 0,
        autocast: torch.dtype | None = None,
    ) -> None:
        self._reader = reader
        self._windows = windows
        self._seed = seed
        self._options = {"skip_positions": skip_positions, "autocast": autocast}
        of_window = windows.ids.shape[1] - skip_positions
        self._rows = max(1, round(max(buffer_tokens / SHARES, batch_tokens) / of_window))
        self.tokens_per_round = self._rows * of_window
        self.batches_per_round = max(1, round(self.tokens_per_round / batch_tokens))
        self.seconds = 0.0
        self._check_memory(buffer_tokens)
        self._parts: dict[int, list[Batch | None]] = {}  # of each block, those not served yet
        self._round: tuple[int, Batch] | None = None

    def batch(self, number: int) -> Batch:
        """Batch `number`, from 0; cheap where they are asked for in order."""
        wanted, place = divmod(number, self.batches_per_round)
        if self._round is None or self._round[0] != wanted:
            self._round = None  # frees it before the next is read
            self._round = wanted, self._mixed(wanted)
        cuts = [
            i * self.tokens_per_round // self.batches_per_round
            for i in range(self.batches_per_round + 1)
        ]
        return self._round[1].take(slice(cuts[place], cuts[place + 1]))

    def round_of(self, number: int) -> Batch:
        """All tokens of the round that batch `number` is of."""
        self.batch(number)
        assert self._round is not None
        return self._round[1]

    def _mixed(self, number: int) -> Batch:
        """Round `number`: part j of block number + SHARES - 1 - j, for every j, shuffled."""
        parts = []
        newest = number + SHARES - 1
        for block in [b for b in self._parts if not newest - SHARES < b <= newest]:
            del self._parts[block]
        for part in reversed(range(SHARES)):
            block = newest - part
            if self._parts.get(block, [None] * SHARES)[part] is None:
                self._parts[block] = self._split(block, part)
            served = self._parts[block][part]
            assert served is not None
            parts.append(served)
            self._parts[block][part] = None
        mixed = Batch.joined(parts)
        order = self._random(_ROUND, number).permutation(len(mixed))
        return mixed.take(torch.from_numpy(order).to(mixed.x.device))

    def _split(self, block: int, first: int) -> list[Batch | None]:
        """The parts of a block from `first` on; those before it were served, or never will be."""
        began = time.perf_counter()
        whole = read_batch(self._reader, self._windows, self._block(block), **self._options)  # type: ignore[arg-type]
        self.seconds += time.perf_counter() - began
        order = self._random(_SPLIT, block).permutation(len(whole))
        parts = np.array_split(order, SHARES)
        return [
            whole.take(torch.from_numpy(part).to(whole.x.device)) if j >= first else None
            for j, part in enumerate(parts)
        ]

    def _block(self, number: int) -> NDArray[np.int64]:
        """The windows of a block: a stretch of all passes through the text, one after the other."""
        at, missing, found = number * self._rows, self._rows, []
        while missing:
            which, place = divmod(at, len(self._windows))
            order = self._random(_PASS, which).permutation(len(self._windows))
            found.append(order[place : place + missing])
            at += len(found[-1])
            missing -= len(found[-1])
        return np.concatenate(found)

    def _random(self, kind: int, number: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, kind, number])

    def _check_memory(self, buffer_tokens: int) -> None:
        # Parts not served yet are 1 + 3/4 + ... of a block; a round and its shuffled copy, two.
        blocks = (SHARES + 1) / 2 + 2
        of_token = 2 * len(self._reader.sites) * self._reader.parts.dim * 4 + 16
        needed = int(blocks * self.tokens_per_round * of_token)
        device = next(self._reader.parts.backbone.parameters()).device
        there = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available_memory()
        if there is not None and needed > 0.9 * there:
            raise ValueError(
                f"buffer_tokens={buffer_tokens} needs {needed / 1e6:,.0f} MB "
                f"({self.tokens_per_round} tokens of {of_token} bytes, {blocks:g} times) and "
                f"{there / 1e6:,.0f} MB are free: take a smaller buffer_tokens"
            )
