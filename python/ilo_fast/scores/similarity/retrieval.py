"""Retrieval of translations, from every language into every other, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import truth, whole_number
from ilo_fast._util.equality import same_fields
from ilo_fast._util.progress import share_bar
from ilo_fast.graph.options import thread_count
from ilo_fast.scores.certainty.intervals import check_level
from ilo_fast.scores.similarity.halves import Halves
from ilo_fast.scores.similarity.layers import (
    Array,
    Layers,
    check_parallel,
    layer_numbers,
)
from ilo_fast.scores.similarity.translations import (
    CSLS_NEIGHBORS,
    MARGIN_NEIGHBORS,
    Directions,
    translation_tables,
    unit_rows,
)


@dataclass(frozen=True, eq=False)
class Retrieval:
    """How often the translation of a sentence is found among all sentences of a language.

    Attributes
    ----------
    values : mapping of name to float64, shape (layers, languages, languages)
        Row: the language of the query, column: that of the candidates; the diagonal is NaN. Names
        are ``cosine``, ``csls`` or ``margin``, then ``_p1`` (share of queries whose translation is
        nearest), ``_p5`` (among the nearest 5) or ``_mrr`` (mean of 1 / rank).
    chance : mapping of name to float
        Of candidates in random order: 1/n, 5/n, and (1 + 1/2 + ... + 1/n) / n.
    low, high : mapping like `values`, or None
        Ends of the intervals.
    level : float
    layers, languages : tuple
    n : int
        Sentences, among which a translation is sought.
    reason : str
        Why there are no intervals where they were asked for.
    """

    values: Mapping[str, Array]
    chance: Mapping[str, float]
    low: Mapping[str, Array] | None
    high: Mapping[str, Array] | None
    level: float
    layers: tuple[int, ...]
    languages: tuple[str, ...]
    n: int
    reason: str = ""

    def __repr__(self) -> str:
        best = np.nanmean(self.values["cosine_p1"], axis=(1, 2)).max()
        return (
            f"Retrieval({len(self.layers)} layers x {len(self.languages)} languages, n={self.n}; "
            f"mean P@1 of the best layer {best:.3f}, chance {self.chance['cosine_p1']:.4f})"
        )

    def __getitem__(self, name: str) -> Array:
        return self.values[name]

    def __eq__(self, other: object) -> bool:
        names = ("values", "low", "high", "level", "layers", "languages", "n")
        return isinstance(other, Retrieval) and same_fields(self, other, names)

    def __hash__(self) -> int:
        return hash((self.layers, self.languages, self.n))


def retrieval(
    X: Any,
    Y: Any = None,
    *,
    csls_neighbors: int = CSLS_NEIGHBORS,
    margin_neighbors: int = MARGIN_NEIGHBORS,
    intervals: bool = False,
    level: float = 0.95,
    seed: int = 0,
    n_threads: int | None = None,
    progress: bool = False,
) -> Retrieval:
    """Find the translation of every sentence among all sentences of each other language.

    Candidates y of a query x are ordered by their cosine; by CSLS, ``2 cos(x, y) - r(x) - r(y)``
    with the mean cosine r to the nearest `csls_neighbors` of the other language (Conneau et al.
    2018, arXiv 1710.04087); and by the ratio margin, ``cos(x, y) / ((r(x) + r(y)) / 2)`` with the
    nearest `margin_neighbors` (Artetxe and Schwenk 2019, arXiv 1811.01136). The last two punish
    hubs. All candidates are scored, where the published programs score a short list.

    Parameters
    ----------
    X, Y
        One `Representations` of parallel text, or mapping of language to (n, d) or (layers, n, d);
        or two arrays of equal shape, which are then two languages ``"X"`` and ``"Y"``.
    csls_neighbors, margin_neighbors : int
        Of fewer sentences all are taken.
    intervals, level, seed
        From halves of the sentences, see `Similarity`. A half has fewer candidates, which raises
        its values: the interval is about the value among n.
    n_threads : int, optional
        Pairs of languages at a time; all that the process may use.
    progress : bool
        A bar on standard error.

    Returns
    -------
    Retrieval
        Between 0 and 1. It falls with n: compare values of equal n.

    Raises
    ------
    ValueError, TypeError
        Text that is not parallel, fewer than two languages or sentences, NaN, zero rows.

    Notes
    -----
    Does not change where all languages are turned alike, where rows are scaled, or sentences
    reordered. Candidates that are as near as the translation come before it: a tie is a miss, as
    are cosines within some roundings of float32. Cost: 2 n^2 d operations for each pair of
    languages, for both directions and all three ways. Memory: two float32 copies of a layer, and 32
    MiB for each thread.
    """
    csls = whole_number("csls_neighbors", csls_neighbors)
    margin = whole_number("margin_neighbors", margin_neighbors)
    threads, level = thread_count(n_threads), check_level(level)
    seed = whole_number("seed", seed, least=0)
    languages = _languages(X, Y)
    groups = getattr(X, "groups", None)
    stacks = check_parallel(languages, "X", zero_rows=False)
    n, n_layers = stacks[0].n, len(stacks[0])
    if len(stacks) < 2 or n < 2:
        raise ValueError(f"X has {len(stacks)} languages of {n} sentences, wanted 2 or more of 2")
    halves = Halves.draw(n, groups, seed=seed) if truth("intervals", intervals) else None
    n_tables = n_layers * (1 if halves is None else 1 + 2 * len(halves.pairs))
    n_pairs = n_tables * math.comb(len(stacks), 2)

    tables, ends = [], []
    with share_bar(progress, "retrieval") as update:
        done = [0]

        def advance() -> None:
            done[0] += 1
            if update:
                update(done[0] / n_pairs)

        def measure(directions: Directions) -> dict[str, Array]:
            found = translation_tables(
                directions,
                csls_neighbors=csls,
                margin_neighbors=margin,
                n_threads=threads,
                advance=advance,
            )
            del found["mexa"]
            return found

        for h in range(n_layers):
            directions = directions_of(stacks, h)
            tables.append(measure(directions))
            if halves is not None:
                ends.append(halves_of_tables(halves, directions, tables[-1], measure, level))
    names = tables[0]
    return Retrieval(
        values={name: np.stack([t[name] for t in tables]) for name in names},
        chance={name: retrieval_chance(name, n) for name in names},
        low={name: np.stack([e[name][0] for e in ends]) for name in names} if ends else None,
        high={name: np.stack([e[name][1] for e in ends]) for name in names} if ends else None,
        level=level,
        layers=layer_numbers(X, n_layers),
        languages=tuple(languages),
        n=n,
        reason="" if halves is None else halves.reason,
    )


def directions_of(stacks: list[Layers], h: int) -> Directions:
    """The unit vectors of one layer, language by language."""
    return Directions.of([unit_rows(stack[h]) for stack in stacks])


def halves_of_tables(
    halves: Halves,
    directions: Directions,
    tables: Mapping[str, Array],
    measure: Callable[[Directions], Mapping[str, Array]],
    level: float,
) -> dict[str, tuple[Array, Array]]:
    """Intervals of the tables of one layer."""
    of_halves = [measure(directions.take(half)) for pair in halves.pairs for half in pair]
    ends = {}
    for name, table in tables.items():
        values = np.array([half[name] for half in of_halves]).reshape(-1, *table.shape)
        ends[name] = halves.interval(
            table,
            list(values[::2] - values[1::2]),
            level=level,
            share=True,
            at_halves=values.mean(axis=0) if len(values) else None,
        )
    return ends


def retrieval_chance(name: str, n: int) -> float:
    """Expected of n candidates in random order; `name` ends with the score."""
    if name.endswith("_mrr"):
        return float((1 / np.arange(1, n + 1)).sum() / n)
    return (1 if name.endswith("_p1") else min(5, n)) / n


def _languages(X: Any, Y: Any) -> Mapping[str, NDArray[Any]]:
    if isinstance(X, Mapping):
        if Y is not None:
            raise TypeError("Y is given beside a mapping of languages: pass one of them")
        return X
    if Y is None:
        raise ValueError("X is one array and there is no Y: translations need two languages")
    if getattr(X, "shape", None) != getattr(Y, "shape", None):
        raise ValueError(
            f"X has shape {getattr(X, 'shape', None)} and Y {getattr(Y, 'shape', None)}: wanted "
            "translations, row by row, in one space"
        )
    return {"X": X, "Y": Y}
