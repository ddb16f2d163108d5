"""What is sent to a worker, and what comes back: plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.versions import __version__
from ilo_fast.models.source import ModelInfo
from ilo_fast.representations.preparation import Prepared
from ilo_fast.representations.sentences import Sentence
from ilo_fast.representations.shards import Piece


@dataclass(frozen=True)
class PadIds:
    """What padding may need of a tokenizer; the rest of it stays where the text is."""

    pad_token_id: int | None
    eos_token_id: int | None


@dataclass(frozen=True)
class Spec:
    """What all workers have in common: the model, and where results go."""

    model: str
    label: str | None
    revision: str | None
    trust_remote_code: bool
    device: str
    dtype: str | None
    cache: str
    pad_ids: PadIds
    n_threads: int
    version: str = __version__


@dataclass(frozen=True)
class Identity:
    """A model as a worker loaded it: see `ModelSource`, and `check_vocabulary`."""

    info: ModelInfo
    key: str
    weights_hash: str
    vocabulary: int | None
    backbone: str


@dataclass(frozen=True)
class Settings:
    """How sentences become numbers."""

    layers: tuple[int, ...]
    pooling: str
    batch_tokens: int | None
    matmul_precision: str  # of the process that asks, and part of the key of what is stored


@dataclass(frozen=True)
class PieceWork:
    """Sentences of one language, and where their representations go.

    Attributes
    ----------
    ids
        Token ids of all, one after the other.
    lengths
        Of each sentence.
    special
        As `ids`: 1 for each token that stays out of the pooling; None: all count.
    folder, key
        As `write_shard` takes them; None: they only share batches with the others.
    """

    piece: Piece
    ids: NDArray[np.int64]
    lengths: NDArray[np.int64]
    special: NDArray[np.int64] | None
    folder: str | None
    key: str

    @classmethod
    def of(
        cls, piece: Piece, sentences: Sequence[Sentence], folder: Path | None, key: str
    ) -> PieceWork:
        """Packed: lists of numbers are slow to send."""
        special = [s.special for s in sentences if s.special is not None]
        return cls(
            piece,
            np.concatenate([np.asarray(s.ids, np.int64) for s in sentences]),
            np.array([len(s.ids) for s in sentences], np.int64),
            np.concatenate([np.asarray(s, np.int64) for s in special]) if special else None,
            None if folder is None else str(folder),
            key,
        )

    def sentences(self) -> list[Sentence]:
        """Unpacked."""
        found = []
        for i, (end, length) in enumerate(
            zip(np.cumsum(self.lengths).tolist(), self.lengths.tolist(), strict=True)
        ):
            own = slice(end - length, end)
            special = None if self.special is None else self.special[own].tolist()
            ids = self.ids[own].tolist()
            found.append(Sentence(self.piece.code, self.piece.begin + i, ids, special))
        return found


@dataclass(frozen=True)
class ShardWork:
    """A shard, the model that must compute it, and how."""

    pieces: tuple[PieceWork, ...]
    model_key: str
    settings: Settings
    prepared: Prepared


@dataclass(frozen=True)
class Done:
    """What became of a shard."""

    batch_tokens: int
    seconds: float
