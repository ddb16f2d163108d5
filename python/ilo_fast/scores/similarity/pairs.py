"""Which arrays a similarity compares, and the loop over them: the same for every similarity."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import truth, whole_number
from ilo_fast._util.progress import share_bar
from ilo_fast.scores.certainty.intervals import check_level
from ilo_fast.scores.similarity.halves import Halves
from ilo_fast.scores.similarity.layers import (
    Array,
    Layers,
    Rows,
    check_parallel,
    layer_numbers,
)
from ilo_fast.scores.similarity.result import Similarity

Update = Callable[[float], None]


@dataclass(frozen=True)
class Measure:
    """A similarity as the loop needs it: what is made of each array once, and of two of those.

    Attributes
    ----------
    name : str
    prepare : callable
        Takes rows (n, d), float32 or float64, finite; gives what `compare` needs of them.
    compare : callable
        Takes two lists of what `prepare` gave, the second None for the first again, and gives the
        float64 table of all pairs. `each_pair` makes it of a function of two.
    null : callable or None
        The same as `compare`, giving tables of mean and standard deviation by chance. A standard
        deviation may be NaN: then there is no z.
    lowest, highest : float
        The range of the score, to which intervals are cut.
    share : bool
        Whether it is a share of the rows or a mean of shares between 0 and 1.
    least : int
        Rows that it needs.
    zero_rows : bool
        Whether a row may be zero. A cosine is of directions, and this has none.
    restrict : callable or None
        Takes what `prepare` gave, the rows and numbers of some of them, ascending; gives what
        `prepare` would give of these alone, for less work. None: `prepare` it is.
    settings : mapping
        Keywords that the values depend on.
    """

    name: str
    prepare: Callable[[Rows], Any]
    compare: Callable[[Sequence[Any], Sequence[Any] | None], Array]
    null: Callable[[Sequence[Any], Sequence[Any] | None], tuple[Array, Array]] | None = None
    lowest: float = 0.0
    highest: float = 1.0
    share: bool = False
    least: int = 2
    zero_rows: bool = True
    restrict: Callable[[Any, Rows, NDArray[np.int64]], Any] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


def each_pair(
    function: Callable[[Any, Any], float], *, symmetric: bool
) -> Callable[[Sequence[Any], Sequence[Any] | None], Array]:
    """The table of a function of two; of a symmetric one each pair of a list is taken once."""

    def table(a: Sequence[Any], b: Sequence[Any] | None) -> Array:
        values = np.empty((len(a), len(a if b is None else b)))
        for i, one in enumerate(a):
            for j, other in enumerate(a if b is None else b):
                if b is None and symmetric and j < i:
                    values[i, j] = values[j, i]
                else:
                    values[i, j] = function(one, other)
        return values

    return table


@dataclass(frozen=True)
class _Arrays:
    """What was passed: per step of the loop the arrays on either side, and what they are called.

    `left(step)` and `right(step)` give the arrays (n, d), one after the other, since those of a
    pool are copies; `right` is None for `left` again.
    """

    n: int
    n_steps: int
    left: Callable[[int], Iterator[Rows]]
    right: Callable[[int], Iterator[Rows]] | None
    shape: str  # "scalar", "layers" or "languages"
    rows: tuple[Any, ...] | None = None
    columns: tuple[Any, ...] | None = None
    layers: tuple[int, ...] | None = None
    groups: tuple[str, ...] | None = None
    n_sentences: int = 0  # as n, but of a pool those of one language


def similarity(
    measure: Measure,
    X: Any,
    Y: Any = None,
    *,
    intervals: bool,
    level: float,
    seed: int,
    progress: bool,
) -> Similarity:
    """Compare what X and Y hold, see `Similarity` for the shapes.

    Parameters
    ----------
    X, Y
        Two arrays (n, d): one number. Two stacks (layers, n, d), or one with itself: all pairs of
        layers. One `Representations` of parallel text (or a mapping of language to such arrays
        with equal rows): all pairs of its languages, layer by layer. Two of the same languages and
        sentences: all pairs of layers of the two, over the points of all languages. Row numbers
        are what is compared: row i of X and of Y must stand for the same sentence.

    Raises
    ------
    ValueError, TypeError
        Shapes that do not fit, NaN, infinity, a zero row where it matters, too few rows.
    """
    level = check_level(level)
    seed = whole_number("seed", seed, least=0)
    arrays = _arrays(X, Y, measure.zero_rows)
    if arrays.n < measure.least:
        raise ValueError(
            f"X has {arrays.n} rows, {measure.name} with these settings needs {measure.least}"
        )
    halves = None
    if truth("intervals", intervals):
        # Of a pool, a sentence brings its points of all languages.
        languages = arrays.n // arrays.n_sentences
        least = -(-measure.least // languages)
        halves = Halves.draw(arrays.n_sentences, arrays.groups, least=least, seed=seed)
    with share_bar(progress, measure.name) as update:
        steps = [_step(measure, arrays, at, halves, level, update) for at in range(arrays.n_steps)]
    parts = [None if first is None else np.stack([step[part] for step in steps])
             for part, first in enumerate(steps[0])]  # fmt: skip
    if arrays.shape == "scalar":
        parts = [None if part is None else part[0, 0, 0] for part in parts]
    elif arrays.shape == "layers":
        parts = [None if part is None else part[0] for part in parts]
    values, chance, z, low, high = (None if p is None else np.asarray(p) for p in parts)
    assert values is not None
    return Similarity(
        name=measure.name,
        values=values,
        chance=chance,
        z=z,
        low=low,
        high=high,
        level=level,
        n=arrays.n,
        rows=arrays.rows,
        columns=arrays.columns,
        layers=arrays.layers,
        settings=measure.settings,
        reason="" if halves is None else halves.reason,
    )


def _step(
    measure: Measure,
    arrays: _Arrays,
    at: int,
    halves: Halves | None,
    level: float,
    update: Update | None,
) -> list[Any]:
    """Values, chance, z, low and high of one table."""
    n_tables = 1 + (0 if halves is None else 2 * len(halves.pairs))

    def table(
        which: int, chosen: NDArray[np.int64] | None, whole: tuple[Any, Any] = (None, None)
    ) -> tuple[Any, Any, Array]:
        def prepared(side: Callable[[int], Iterator[Rows]], of_all: Any) -> list[Any]:
            if chosen is None:
                return [measure.prepare(rows) for rows in side(at)]
            if measure.restrict is None:
                return [measure.prepare(rows[chosen]) for rows in side(at)]
            pairs = zip(of_all, side(at), strict=True)
            return [measure.restrict(state, rows, chosen) for state, rows in pairs]

        a = prepared(arrays.left, whole[0])
        b = None if arrays.right is None else prepared(arrays.right, whole[1])
        values = measure.compare(a, b)
        if update:
            update((at + (which + 1) / n_tables) / arrays.n_steps)
        return a, b, values

    a, b, values = table(0, None)
    chance, z = None, None
    if measure.null is not None:
        chance, deviation = measure.null(a, b)
        if not np.isnan(deviation).all():
            z = z_above(values, chance, deviation)
    low = high = None
    if halves is not None:
        of_halves = [
            table(1 + which, _of_pool(half, arrays), (a, b))[2]
            for which, half in enumerate(half for pair in halves.pairs for half in pair)
        ]
        low, high = halves.interval(
            values,
            [one - other for one, other in zip(of_halves[::2], of_halves[1::2], strict=True)],
            level=level,
            lowest=measure.lowest,
            highest=measure.highest,
            share=measure.share,
            at_halves=np.mean(of_halves, axis=0) if of_halves else None,
        )
    return [values, chance, z, low, high]


def z_above(values: Array, chance: Any, deviation: Any) -> Array:
    """Standard deviations of chance between chance and values; NaN where there is no spread."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(deviation > 0, (values - chance) / deviation, np.nan)


def _of_pool(sentences: NDArray[np.int64], arrays: _Arrays) -> NDArray[np.int64]:
    """Rows of these sentences, in every language of a pool."""
    starts = np.arange(0, arrays.n, arrays.n_sentences)
    return (starts[:, None] + sentences).ravel()


def _arrays(X: Any, Y: Any, zero_rows: bool) -> _Arrays:
    if isinstance(X, Mapping) != isinstance(Y, Mapping) and Y is not None:
        raise TypeError(
            f"X is a {type(X).__name__} and Y a {type(Y).__name__}: wanted arrays or "
            "Representations for both"
        )
    if isinstance(X, Mapping):
        return _of_languages(X, zero_rows) if Y is None else _of_pools(X, Y, zero_rows)
    x = Layers.of(X, "X", zero_rows=zero_rows)
    if Y is None:
        if x.was_matrix:
            raise ValueError(
                "X has shape (n, d) and there is no Y: give the other array, or a stack (layers, "
                "n, d) to compare its layers with each other"
            )
        y = None
    else:
        y = Layers.of(Y, "Y", zero_rows=zero_rows)
        if x.was_matrix != y.was_matrix:
            raise ValueError(
                f"X has shape {x.shape} and Y {y.shape}: wanted (n, d) or (layers, n, d) for both"
            )
        if x.n != y.n:
            raise ValueError(
                f"X has {x.n} rows and Y {y.n}: row i of both must stand for the same sentence"
            )
    columns = x if y is None else y
    scalar = x.was_matrix
    return _Arrays(
        n=x.n,
        n_steps=1,
        left=lambda _: iter(x),
        right=None if y is None else lambda _: iter(y),
        shape="scalar" if scalar else "layers",
        rows=None if scalar else tuple(range(len(x))),
        columns=None if scalar else tuple(range(len(columns))),
        n_sentences=x.n,
    )


def _of_languages(X: Mapping[str, Any], zero_rows: bool) -> _Arrays:
    layers = check_parallel(X, "X", zero_rows=zero_rows, one_space=False)
    languages = tuple(X)
    if len(languages) < 2:
        raise ValueError(f"X has {len(languages)} languages, wanted 2 to compare, or more")
    first = layers[0]
    return _Arrays(
        n=first.n,
        n_steps=len(first),
        left=lambda h: (of_language[h] for of_language in layers),
        right=None,
        shape="languages",
        rows=languages,
        columns=languages,
        layers=layer_numbers(X, len(first)),
        groups=getattr(X, "groups", None),
        n_sentences=first.n,
    )


def _of_pools(X: Mapping[str, Any], Y: Mapping[str, Any], zero_rows: bool) -> _Arrays:
    x, y = (check_parallel(m, name, zero_rows=zero_rows) for m, name in ((X, "X"), (Y, "Y")))
    if tuple(X) != tuple(Y):
        raise ValueError(
            f"X has the languages {', '.join(X)}, Y {', '.join(Y)}: wanted the same, in one order"
        )
    if x[0].n != y[0].n:
        raise ValueError(f"X has {x[0].n} sentences and Y {y[0].n}: wanted the same sentences")
    groups = getattr(X, "groups", None)
    if groups != getattr(Y, "groups", None):
        raise ValueError("X and Y name different documents: wanted the same sentences")

    def pooled(languages: list[Layers]) -> Callable[[int], Iterator[Rows]]:
        return lambda _: (
            np.concatenate([one[h] for one in languages]) for h in range(len(languages[0]))
        )

    return _Arrays(
        n=x[0].n * len(x),
        n_steps=1,
        left=pooled(x),
        right=pooled(y),
        shape="layers",
        rows=layer_numbers(X, len(x[0])),
        columns=layer_numbers(Y, len(y[0])),
        groups=groups,
        n_sentences=x[0].n,
    )
