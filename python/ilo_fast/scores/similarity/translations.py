"""Ranks of translations among the sentences of the other language, from blocks of cosines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast import _core
from ilo_fast.scores.similarity.layers import Array, Rows

CSLS_NEIGHBORS: Final = 10
MARGIN_NEIGHBORS: Final = 4
METHODS: Final = ("cosine", "csls", "margin")  # as the core counts them
SCORES: Final = ("p1", "p5", "mrr")

_ROWS_AT_A_TIME: Final = 256
_KEPT_BYTES: Final = 1 << 25  # a matrix up to this size is made once, a larger one twice
_EPS: Final = float(np.finfo(np.float32).eps)


@dataclass(frozen=True, eq=False)
class Directions:
    """Unit vectors of some languages, ready for products whose rounding is small.

    With the mean m of all, cosines of x and y are ``(x - m)(y - m) + (x - m) m + (y - m) m + m m``.
    Vectors of a model have most of their length in m: without that part, which all cosines share,
    float32 is precise.

    Attributes
    ----------
    left, right : list of float32, shape (n, d + 2)
        Products of a left and a right row are cosines less `shift`.
    shift : float
        ``m m``.
    tolerance : float
        Cosines that are no further apart count as equal.
    """

    left: list[Rows]
    right: list[Rows]
    shift: float
    tolerance: float

    @classmethod
    def of(cls, units: Sequence[Array]) -> Directions:
        """Of rows of length 1, see `unit_rows`, one array for each language."""
        mean = sum(rows.sum(axis=0) for rows in units) / sum(map(len, units))
        left, right, longest = [], [], 0.0
        for rows in units:
            centred = rows - mean
            along = centred @ mean
            longest = max(longest, float(np.einsum("ij,ij->i", centred, centred).max()))
            one = np.ones(len(rows))
            left.append(np.column_stack([centred, along, one]).astype(np.float32))
            right.append(np.column_stack([centred, one, along]).astype(np.float32))
        return cls(left, right, float(mean @ mean), tie(len(mean)) * longest)

    def take(self, sentences: NDArray[np.int64]) -> Directions:
        """Those of some sentences."""
        left, right = ([rows[sentences] for rows in side] for side in (self.left, self.right))
        return Directions(left, right, self.shift, self.tolerance)

    def ranks(
        self,
        source: int,
        target: int,
        *,
        csls_neighbors: int = CSLS_NEIGHBORS,
        margin_neighbors: int = MARGIN_NEIGHBORS,
        methods: Sequence[str] = METHODS,
    ) -> NDArray[np.int32]:
        """Rank of every translation, shape (methods, 2, n): forward, then backward.

        1 is the nearest. Candidates that are as near as the translation come before it.
        """
        left, right = self.left[source], self.right[target]
        n = len(left)
        counts = _core.TranslationRanks(
            np.einsum("ij,ij->i", left, right, dtype=np.float64).astype(np.float32),
            shift=self.shift,
            tolerance=self.tolerance,
            csls_neighbors=min(n, csls_neighbors),
            margin_neighbors=min(n, margin_neighbors),
        )
        kept = []
        for start in range(0, n, _ROWS_AT_A_TIME):
            block = left[start : start + _ROWS_AT_A_TIME] @ right.T
            counts.first(block, start)
            if 4 * n * n <= _KEPT_BYTES:
                kept.append(block)
        if methods == ("cosine",):
            return counts.ranks()[:1]
        for at, start in enumerate(range(0, n, _ROWS_AT_A_TIME)):
            block = kept[at] if kept else left[start : start + _ROWS_AT_A_TIME] @ right.T
            counts.second(block, start)
        return counts.ranks()


def tie(d: int) -> float:
    """Products of float32 vectors of this dimension and of length 1 are the same up to this.

    Twice what is usual: roundings add up like steps of a random walk.
    """
    return _EPS * max(4.0, float(np.sqrt(d)))


def unit_rows(rows: Rows) -> Array:
    """Rows divided by their lengths, in float64."""
    wide = rows.astype(np.float64)
    wide /= np.abs(wide).max(axis=1, keepdims=True)  # squares of huge numbers would overflow
    wide /= np.sqrt(np.einsum("ij,ij->i", wide, wide))[:, None]
    return wide


def translation_tables(
    directions: Directions,
    *,
    csls_neighbors: int = CSLS_NEIGHBORS,
    margin_neighbors: int = MARGIN_NEIGHBORS,
    n_threads: int = 1,
    advance: Callable[[], None] | None = None,
) -> dict[str, Array]:
    """Retrieval and MEXA of all pairs of languages, each (source, target); the diagonal is NaN.

    Parameters
    ----------
    n_threads
        Pairs at a time.
    advance
        Called after each pair.

    Returns
    -------
    dict
        ``"cosine_p1"``, ``"cosine_p5"``, ``"cosine_mrr"``, the same of ``"csls"`` and
        ``"margin"``, and ``"mexa"``.
    """
    n_languages = len(directions.left)
    names = [f"{method}_{score}" for method in METHODS for score in SCORES]
    tables = {name: np.full((n_languages, n_languages), np.nan) for name in [*names, "mexa"]}

    def measure(pair: tuple[int, int]) -> None:
        ranks = directions.ranks(
            *pair, csls_neighbors=csls_neighbors, margin_neighbors=margin_neighbors
        )
        for of_method, method in zip(ranks, METHODS, strict=True):
            for of_side, at in zip(of_method, (pair, pair[::-1]), strict=True):
                for score, value in retrieval_scores(of_side).items():
                    tables[f"{method}_{score}"][at] = value
        tables["mexa"][pair] = tables["mexa"][pair[::-1]] = mexa_score(ranks[0])
        if advance:
            advance()

    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(measure, combinations(range(n_languages), 2)))
    return tables


def retrieval_scores(ranks: NDArray[np.int32]) -> dict[str, float]:
    """Shares of ranks 1 and up to 5, and the mean of 1 / rank."""
    return {
        "p1": float((ranks == 1).mean()),
        "p5": float((ranks <= 5).mean()),
        "mrr": float((1 / ranks).mean()),
    }


def mexa_score(ranks: NDArray[np.int32]) -> float:
    """Share of pairs that are nearest to each other; ranks (2, n) of both directions."""
    return float((ranks == 1).all(axis=0).mean())


def mexa_chance(n: int) -> float:
    """Expected MEXA of n sentences: one of 2 n - 1 cosines is the largest."""
    return 1 / (2 * n - 1)
