"""With which other line each line goes: the shuffled pairs that sharing is compared with."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

_OF_A_LENGTH: Final = 20  # lines between which pairs are shuffled where lengths are matched
_TRIES: Final = 100


def other_lines(
    documents: Integers, n_shuffles: int, *, lengths: Integers | None = None, seed: int = 0
) -> tuple[NDArray[np.int32], float]:
    """Permutations that leave no line where it was, nor in its document where that can be.

    Not `permuted_labels`: these pair lines for a baseline, and a line paired with its own
    translation would raise it.

    Parameters
    ----------
    documents : (lines,)
        The document of each line.
    n_shuffles
        How many permutations.
    lengths : (lines,) or None
        Lines go with lines of about their length: in the order of lengths, twenty by twenty.
    seed

    Returns
    -------
    permutations : (n_shuffles, lines) int32
        None has a fixed point.
    same_document : float
        Share of the pairs that are of one document all the same: 0 where no document holds more
        than half of the lines that are shuffled.

    Raises
    ------
    ValueError
        There is one line only.
    """
    n = len(documents)
    if n < 2:
        raise ValueError(f"documents has {n} lines, wanted 2 or more: a line needs another")
    random = np.random.default_rng(seed)
    out = np.empty((n_shuffles, n), np.int32)
    order = np.arange(n) if lengths is None else np.argsort(lengths, kind="stable")
    n_parts = 1 if lengths is None else max(1, n // _OF_A_LENGTH)
    for part in np.array_split(order, n_parts):
        for row in out:
            row[part] = part[_deranged(documents[part], random)]
    return out, float((documents[out] == documents).mean())


def _deranged(documents: Integers, random: np.random.Generator) -> Integers:
    """A random permutation; those that stay in their document swap with others at random."""
    n = len(documents)
    partner = random.permutation(n)
    for avoided in (documents, np.arange(n)):  # what cannot be avoided is tried, then given up
        for at in np.flatnonzero(avoided[partner] == avoided):
            for other in random.integers(0, n, _TRIES):
                mine, theirs = partner[other], partner[at]
                if (
                    avoided[mine] != avoided[at]
                    and avoided[theirs] != avoided[other]
                    and mine != at
                    and theirs != other
                ):
                    partner[at], partner[other] = mine, theirs
                    break
    for at in np.flatnonzero(partner == np.arange(n)):  # of two lines chance may miss the way
        other = (at + 1) % n
        partner[at], partner[other] = partner[other], partner[at]
    return partner
