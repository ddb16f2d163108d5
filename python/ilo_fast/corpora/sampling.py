"""Which sentences of a corpus are kept where not all are wanted."""

from __future__ import annotations

import numpy as np

from ilo_fast._util.checks import whole_number
from ilo_fast.errors import CorpusError


def check_limit(value: object, name: str) -> None:
    """Raise a CorpusError unless `value` is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise CorpusError(f"{name} must be a whole number, got {value!r}")
    if value < 1:
        raise CorpusError(f"{name}={value} leaves no sentence; give at least 1, or None for all")


def sampled_rows(total: int, n: int, seed: int) -> list[int]:
    """`n` of the rows 0 to `total` - 1 in order, by ``numpy.random.default_rng(seed)``; or all.

    Raises
    ------
    CorpusError
        Fewer than one.
    TypeError, ValueError
        A seed that is not a whole number of at least 0.
    """
    check_limit(n, "n")
    whole_number("seed", seed, least=0)
    if n >= total:
        return list(range(total))
    rows: list[int] = np.sort(np.random.default_rng(seed).choice(total, n, replace=False)).tolist()
    return rows
