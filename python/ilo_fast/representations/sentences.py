"""Forward passes over a list of sentences, in batches; what is not finite is told by its line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ilo_fast.representations.batches import run_batches
from ilo_fast.representations.pooling import PooledForward
from ilo_fast.representations.workers import Workers


@dataclass(frozen=True)
class Sentence:
    """A sentence as the model takes it.

    Attributes
    ----------
    code, row
        Its language, and its number in it.
    ids
        Token ids.
    special
        1 for each token that stays out of the pooling; None: all tokens count.
    """

    code: str
    row: int
    ids: Sequence[int]
    special: Sequence[int] | None = None


def represent(
    forward: PooledForward,
    workers: Workers,
    sentences: Sequence[Sentence],
    *,
    batch_tokens: int,
    same_length: bool,
    dtype: str,
    on_result: Callable[[Sequence[Sentence], NDArray[np.float32]], None],
) -> int:
    """Represent `sentences`.

    Parameters
    ----------
    batch_tokens, same_length
        As `run_batches` has them.
    dtype
        What the model runs in, for the error.
    on_result
        Takes the sentences of a batch, and their block (layers, sentences, dim).

    Returns
    -------
    int
        The `batch_tokens` that fitted.

    Raises
    ------
    FloatingPointError
        Infinite or undefined values; names language, line and layer.
    torch.cuda.OutOfMemoryError
        One sentence alone does not fit; names it.
    """

    def pool(members: Sequence[int]) -> NDArray[np.float32]:
        batch = [sentences[i] for i in members]
        special = [s.special for s in batch if s.special is not None]
        return forward([s.ids for s in batch], special or None)

    def store(members: Sequence[int], block: NDArray[np.float32]) -> None:
        batch = [sentences[i] for i in members]
        _check_finite(block, batch, forward.layers, dtype)
        on_result(batch, block)

    return run_batches(
        pool,
        [len(sentence.ids) for sentence in sentences],
        batch_tokens,
        workers,
        same_length=same_length,
        on_result=store,
        name=lambda i: f"{sentences[i].code}, line {sentences[i].row + 1}",
    )


def by_language(
    batch: Sequence[Sentence], block: NDArray[np.float32]
) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """The rows of each language in a batch, and their part of its block."""
    found = {}
    for code in dict.fromkeys(sentence.code for sentence in batch):
        columns = [i for i, sentence in enumerate(batch) if sentence.code == code]
        rows = np.array([batch[i].row for i in columns], dtype=np.int64)
        found[code] = rows, block[:, columns]
    return found


def cost(n_tokens: int, dim: int) -> float:
    """What a sentence costs, in tokens: attention grows with the square of the length.

    A block takes about 24 dim² operations per token, and 4 dim more for each token it looks at.
    """
    return n_tokens * (1.0 + n_tokens / (6 * dim))


def _check_finite(
    block: NDArray[np.float32], batch: Sequence[Sentence], layers: Sequence[int], dtype: str
) -> None:
    finite = np.isfinite(block).all(axis=2)
    if finite.all():
        return
    row, column = (int(i) for i in np.argwhere(~finite)[0])
    hint = (
        "float16 overflows above 65504: use dtype='bfloat16' or 'float32'"
        if dtype == "float16"
        else f"the model ran in {dtype}; check its weights"
    )
    raise FloatingPointError(
        f"{batch[column].code}, line {batch[column].row + 1}, layer {layers[row]}: the "
        f"representation is infinite or not a number ({int((~finite).any(axis=0).sum())} of "
        f"{len(batch)} sentences of its batch); {hint}"
    )
