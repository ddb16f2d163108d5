"""Hubness: whether a few points are the neighbours of very many others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp, lgamma, log, log1p, sqrt
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import whole_number
from ilo_fast._util.json_numbers import nested
from ilo_fast._util.progress import share_bar
from ilo_fast.graph.checks import check_own_graph
from ilo_fast.graph.knn import Metric
from ilo_fast.graph.result import NeighborGraph
from ilo_fast.scores.certainty.intervals import check_level
from ilo_fast.scores.similarity.halves import Halves
from ilo_fast.scores.similarity.layers import Layers, check_one_space, layer_numbers
from ilo_fast.scores.similarity.neighbors import Search

Array = NDArray[np.float64]

STATISTICS: Final = ("skew", "robin_hood", "antihubs", "hubs")


@dataclass(frozen=True, eq=False)
class Hubness:
    """How unevenly points are chosen as neighbours.

    N_i is the in-degree of point i: of how many points it is one of the k nearest. Its mean is k.

    Attributes
    ----------
    skew : float64, shape () or (layers,)
        Third standardised moment of N. Around 0 without hubs, above 1 or 2 with strong ones.
    robin_hood : float64, same shape
        ``sum |N_i - k| / (2 sum N_i)``: which share of the links would have to be taken from those
        that have more than the mean, to make all equal. From 0 to 1.
    antihubs : float64, same shape
        Share of the points that are nobody's neighbour.
    hubs : float64, same shape
        Share of the points with N_i > 2 k.
    chance : mapping of these names to float
        Where every point chooses its k neighbours at random: N is Binomial(n - 1, k / (n - 1)).
    of_languages : mapping of these names, and ``"received"``, to (layers, languages), or None
        The same of the points of each language in the pool, whose mean N takes the place of k in
        `robin_hood`; ``received`` is this mean / k, 1 where a language is chosen as often as it
        chooses. Of `Representations`, or where `languages` were given.
    low, high : mapping of these names to arrays, or None
        Ends of the intervals, of the shapes of the values; those of languages have the names
        ``"languages_skew"`` and so on. NaN where `reason` says why.
    level : float
    n, n_neighbors : int
    languages, layers : tuple or None
    reason : str
        Why there are no intervals where they were asked for.
    """

    skew: Array
    robin_hood: Array
    antihubs: Array
    hubs: Array
    chance: Mapping[str, float]
    of_languages: Mapping[str, Array] | None = None
    low: Mapping[str, Array] | None = None
    high: Mapping[str, Array] | None = None
    level: float = 0.95
    n: int = 0
    n_neighbors: int = 0
    languages: tuple[str, ...] | None = None
    layers: tuple[int, ...] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""

    def __repr__(self) -> str:
        means = ", ".join(f"{name} {np.mean(getattr(self, name)):.3f}" for name in STATISTICS)
        layers = "" if self.skew.ndim == 0 else f", mean of {len(self.skew)} layers"
        return f"Hubness({means}{layers}, n={self.n})"

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON can hold it; NaN is None."""

        def tables(values: Mapping[str, Array] | None) -> dict[str, Any] | None:
            return None if values is None else {name: nested(v) for name, v in values.items()}

        return {
            "name": "hubness",
            **{name: nested(getattr(self, name)) for name in STATISTICS},
            "chance": dict(self.chance),
            "of_languages": tables(self.of_languages),
            "low": tables(self.low),
            "high": tables(self.high),
            "level": self.level,
            "n": self.n,
            "n_neighbors": self.n_neighbors,
            "languages": None if self.languages is None else list(self.languages),
            "layers": None if self.layers is None else list(self.layers),
            "settings": dict(self.settings),
            "reason": self.reason,
        }


def hubness(
    X: Any,
    *,
    n_neighbors: int = 10,
    metric: Metric = "cosine",
    intervals: bool = False,
    level: float = 0.95,
    seed: int = 0,
    n_threads: int | None = None,
    progress: bool = False,
) -> Hubness:
    """Measure hubness: skew, Robin Hood index, anti-hubs and hubs.

    Parameters
    ----------
    X
        An array (n, d) or (layers, n, d); `Representations`, or a mapping of language to arrays,
        whose points are pooled and also looked at language by language; a `NeighborGraph` that is
        there already, which sets n_neighbors and has no intervals.
    n_neighbors : int
        k, at most n - 1.
    metric : {"cosine", "euclidean"}
    intervals : bool
        From random halves of the sentences, whose neighbours are found in longer lists of the same
        graph. Of parallel text a sentence brings its points of all languages.
    level : float
        Of the intervals.
    seed : int
        Of the halves.
    n_threads : int, optional
        All processors that this process may use.
    progress : bool

    Returns
    -------
    Hubness

    Raises
    ------
    ValueError
        n_neighbors too large, NaN, a zero row under cosine; intervals of a graph, or of text that
        is not parallel.

    Notes
    -----
    Sources: Radovanovic, Nanopoulos and Ivanovic 2010 (skew); Feldbauer, Leodolter, Plant and
    Flexer 2018 (Robin Hood index, anti-hubs, and hubs of more than 2 k). Hubs are a property of
    high dimension, and are what CSLS and the ratio margin correct for. Does not change where X is
    rotated or scaled, nor, with ``"euclidean"``, shifted. One exact graph per layer, then O(n k).
    """
    level = check_level(level)
    seed = whole_number("seed", seed, least=0)
    search = Search.checked(n_neighbors, metric, n_threads, halves=intervals)
    if isinstance(X, NeighborGraph):
        if intervals:
            raise ValueError("intervals=True needs the vectors of X, not their graph alone")
        return hubness_of_graph(X)
    languages = tuple(X) if isinstance(X, Mapping) else None
    parts = [
        Layers.of(array, name, zero_rows=metric != "cosine")
        for array, name in (
            [(X[code], f"X[{code!r}]") for code in languages] if languages else [(X, "X")]
        )
    ]
    if len({len(part) for part in parts}) != 1:
        raise ValueError(
            f"the languages of X have {', '.join(str(len(part)) for part in parts)} layers, wanted "
            "the same in all"
        )
    check_one_space(parts, "X")
    labels = None if languages is None else np.repeat(np.arange(len(parts)), [p.n for p in parts])
    halves = _draw(X, [part.n for part in parts], search, seed) if intervals else None
    starts = np.cumsum([0, *(part.n for part in parts[:-1])])
    found: list[dict[str, Array]] = []
    ends: list[dict[str, tuple[Array, Array]]] = []
    with share_bar(progress, "hubness") as update:
        for h in range(len(parts[0])):
            rows = np.concatenate([part[h] for part in parts])
            whole = search(rows)
            found.append(_statistics(whole.indices, labels, len(parts)))
            if halves is not None:
                of_halves = []
                for half in (half for pair in halves.pairs for half in pair):
                    chosen = (starts[:, None] + half).ravel()
                    graph = search.restrict(whole, rows, chosen)
                    own = None if labels is None else labels[chosen]
                    of_halves.append(_statistics(graph.indices, own, len(parts)))
                ends.append(_ends(found[-1], of_halves, halves, level))
            if update:
                update((h + 1) / len(parts[0]))
    single = languages is None and parts[0].was_matrix
    n = int(sum(part.n for part in parts))
    return _result(
        found,
        ends,
        single,
        level=level,
        n=n,
        n_neighbors=search.n_neighbors,
        languages=languages,
        layers=None if languages is None else layer_numbers(X, len(found)),
        settings={"n_neighbors": search.n_neighbors, "metric": metric},
        reason="" if halves is None else halves.reason,
    )


def _draw(X: Any, sizes: list[int], search: Search, seed: int) -> Halves:
    if len(set(sizes)) != 1 or getattr(X, "parallel", True) is False:
        raise ValueError("intervals=True needs parallel text: sentences that all languages have")
    least = -(-(search.n_neighbors + 1) // len(sizes))
    return Halves.draw(sizes[0], getattr(X, "groups", None), least=least, seed=seed)


def hubness_of_graph(
    graph: NeighborGraph, labels: NDArray[np.integer] | None = None, languages: tuple[str, ...] = ()
) -> Hubness:
    """Hubness of a graph that is there already, one layer or a stack.

    Parameters
    ----------
    labels : whole numbers, shape (n,), optional
        The language of each point, by its number in `languages`.

    Raises
    ------
    ValueError
        A graph of queries, which are no points of it, or one that was made by hand and is none.
    """
    check_own_graph(graph)
    indices = graph.indices if graph.indices.ndim == 3 else graph.indices[None]
    found = [_statistics(layer, labels, len(languages)) for layer in indices]
    return _result(
        found,
        [],
        graph.indices.ndim == 2,
        n=int(indices.shape[1]),
        n_neighbors=int(indices.shape[2]),
        languages=None if labels is None else languages,
        settings={"n_neighbors": int(indices.shape[2])},
    )


def _result(
    found: list[dict[str, Array]],
    ends: list[dict[str, tuple[Array, Array]]],
    single: bool,
    **about: Any,
) -> Hubness:
    """The layers put together; of a single matrix without the axis of layers."""

    def put(values: list[Array]) -> Array:
        return values[0] if single else np.stack(values)

    tables = {name: put([layer[name] for layer in found]) for name in found[0]}
    prefix = "languages_"
    of_languages = {
        name.removeprefix(prefix): np.atleast_2d(table)
        for name, table in tables.items()
        if name.startswith(prefix)
    }
    low, high = (
        {name: put([layer[name][end] for layer in ends]) for name in tables} if ends else None
        for end in (0, 1)
    )
    return Hubness(
        skew=tables["skew"],
        robin_hood=tables["robin_hood"],
        antihubs=tables["antihubs"],
        hubs=tables["hubs"],
        chance=hubness_by_chance(about["n"], about["n_neighbors"]),
        of_languages=of_languages or None,
        low=low,
        high=high,
        **about,
    )


def _statistics(
    indices: NDArray[np.integer], labels: NDArray[np.integer] | None, n_languages: int
) -> dict[str, Array]:
    n, k = indices.shape
    into = np.bincount(indices.ravel(), minlength=n).astype(np.float64)
    found = _of_in_degrees(into, k)
    if labels is not None:
        each = [_of_in_degrees(into[labels == c], k) for c in range(n_languages)]
        found |= {f"languages_{name}": np.array([one[name] for one in each]) for name in found}
        received = [into[labels == c].mean() / k for c in range(n_languages)]
        found["languages_received"] = np.array(received)
    return found


def _of_in_degrees(into: Array, k: int) -> dict[str, Array]:
    mean, deviation = into.mean(), into.std()
    away = into - mean
    return {
        "skew": np.array((away**3).mean() / deviation**3 if deviation > 0 else 0.0),
        "robin_hood": np.array(np.abs(away).mean() / (2 * mean) if mean > 0 else 0.0),
        "antihubs": np.array((into == 0).mean()),
        "hubs": np.array((into > 2 * k).mean()),
    }


def _ends(
    values: dict[str, Array], of_halves: list[dict[str, Array]], halves: Halves, level: float
) -> dict[str, tuple[Array, Array]]:
    """The interval of every statistic of a layer."""
    out = {}
    for name, value in values.items():
        differences = [
            one[name] - other[name]
            for one, other in zip(of_halves[::2], of_halves[1::2], strict=True)
        ]
        unbounded = name.endswith(("skew", "received"))
        out[name] = halves.interval(
            value,
            differences,
            level=level,
            lowest=0.0 if not name.endswith("skew") else -np.inf,
            highest=np.inf if unbounded else 1.0,
        )
    return out


def hubness_by_chance(n: int, k: int) -> dict[str, float]:
    """The statistics of N ~ Binomial(n - 1, k / (n - 1)), each point choosing at random.

    Robin Hood index by De Moivre's mean absolute deviation, 2 (1 - p) k P(N = k).
    """
    m = n - 1
    p = k / m
    if p >= 1:
        return dict.fromkeys(STATISTICS, 0.0)

    def chance_of(value: int) -> float:
        ways = lgamma(m + 1) - lgamma(value + 1) - lgamma(m - value + 1)
        return exp(ways + value * log(p) + (m - value) * log1p(-p))

    return {
        "skew": (1 - 2 * p) / sqrt(m * p * (1 - p)),
        "robin_hood": (1 - p) * chance_of(k),
        "antihubs": chance_of(0),
        "hubs": sum(chance_of(value) for value in range(2 * k + 1, m + 1)),
    }
