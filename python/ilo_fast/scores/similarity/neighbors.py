"""What the similarities that rest on neighbours share: graphs, sums over rows, permutations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast import _core
from ilo_fast._util.checks import truth, whole_number
from ilo_fast.graph.knn import knn_graph
from ilo_fast.graph.options import check_metric, thread_count
from ilo_fast.scores.certainty.graph_overlap_moments import LinkSums
from ilo_fast.scores.similarity.pairs import Measure
from ilo_fast.scores.similarity.set_overlap import as_points

Array = NDArray[np.float64]
Points = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Neighbors:
    """The nearest neighbours of every row of an array, as the core takes them.

    Attributes
    ----------
    lists : int32, shape (n, length)
        The k that count, or more where halves of the rows are to have k of their own.
    far : float32, same shape
        Their distances.
    k : int
    """

    lists: Points
    far: NDArray[np.float32]
    k: int

    @cached_property
    def indices(self) -> Points:
        """Shape (n, k)."""
        return np.ascontiguousarray(self.lists[:, : self.k])

    @property
    def distances(self) -> NDArray[np.float32]:
        """Shape (n, k)."""
        return self.far[:, : self.k]

    @cached_property
    def link_sums(self) -> LinkSums:
        """What the mean and variance by chance depend on."""
        return LinkSums.of(self.indices)


States = Sequence[Neighbors]
Null = Callable[[States, States | None], tuple[Array, Array]]


@dataclass(frozen=True)
class Search:
    """How neighbours are found: the options that every similarity of this kind has.

    Attributes
    ----------
    halves : bool
        Whether halves of the rows are wanted, too: lists are then long enough for most of them.
    """

    n_neighbors: int
    metric: Any
    n_threads: int
    halves: bool

    @classmethod
    def checked(
        cls, n_neighbors: int, metric: str, n_threads: int | None, *, halves: bool
    ) -> Search:
        """TypeError or ValueError for what is no such option."""
        check_metric(metric)
        k, threads = whole_number("n_neighbors", n_neighbors), thread_count(n_threads)
        return cls(k, metric, threads, truth("intervals", halves))

    def __call__(self, rows: NDArray[Any]) -> Neighbors:
        """The graph of some rows."""
        k = self.n_neighbors
        length = max(k, min(6 * k + 6, len(rows) - 1)) if self.halves else k
        graph = knn_graph(rows, length, metric=self.metric, n_threads=self.n_threads)
        return Neighbors(as_points(graph.indices), graph.distances, k)

    def restrict(
        self, whole: Neighbors, rows: NDArray[Any], chosen: NDArray[np.int64]
    ) -> Neighbors:
        """The graph of some of the rows, whose numbers ascend, from that of all.

        The nearest of them are the first of a list that are among them. Where fewer than k are
        left of a list, its row is asked again.
        """
        k, m = self.n_neighbors, len(chosen)
        number = np.full(len(rows), -1, np.int32)
        number[chosen] = np.arange(m)
        lists = number[whole.lists[chosen]]
        kept = lists >= 0
        place = kept.cumsum(axis=1, dtype=np.int32)
        short = np.flatnonzero(place[:, -1] < k)
        kept &= place <= k
        kept[short] = np.arange(lists.shape[1]) < k  # to be replaced
        indices = lists[kept].reshape(m, k)
        distances = whole.far[chosen][kept].reshape(m, k)
        if len(short):
            own = rows[chosen]
            # A query finds itself, at distance 0, or more duplicates of lower number than asked.
            found = knn_graph(
                own, k + 1, queries=own[short], metric=self.metric, n_threads=self.n_threads
            )
            others = found.indices != short[:, None]
            others[others.all(axis=1), -1] = False
            indices[short] = found.indices[others].reshape(len(short), k)
            distances[short] = found.distances[others].reshape(len(short), k)
        return Neighbors(indices, distances, k)


def stacked(states: States) -> Points:
    """The lists of all layers, (layers, n, k)."""
    return np.stack([state.indices for state in states])


@dataclass(frozen=True)
class RowSums:
    """Means over rows of a number for each value of a measure that `_core` counts."""

    measure: str
    weights: Array
    n_threads: int

    def __call__(self, a: States, b: States | None, permutations: Points | None = None) -> Array:
        """Shape (1 + permutations, layers of a, layers of b)."""
        first = stacked(a)
        n = first.shape[1]
        none = np.zeros((0, n), np.int32)
        sums = _core.sum_rows(
            first,
            first if b is None else stacked(b),
            measure=self.measure,
            weights=self.weights,
            permutations=none if permutations is None else permutations,
            n_threads=self.n_threads,
        )
        means: Array = sums / n
        return means

    def compare(self, a: States, b: States | None) -> Array:
        """The values of all pairs, shape (layers of a, layers of b)."""
        table: Array = self(a, b)[0]
        return table


def draw_permutations(n: int, count: int, seed: int) -> Points:
    """Random permutations of n points, (count, n); the same for equal seeds."""
    rng = np.random.default_rng(seed)
    return np.array([rng.permutation(n) for _ in range(count)], np.int32).reshape(count, n)


def permutation_null(
    values: Callable[[States, States | None, Points], Array], n_permutations: int, seed: int
) -> Null | None:
    """Mean and standard deviation where the rows of Y are permuted; None without permutations.

    No graph is made anew: the points of Y's graph get other numbers, the same at all layers.
    `values` takes the permutations and gives the table as it is, then one for each of them.
    """
    if n_permutations == 0:
        return None

    def null(a: States, b: States | None) -> tuple[Array, Array]:
        orders = draw_permutations(len(a[0].indices), n_permutations, seed)
        permuted = values(a, b, orders)[1:]
        return permuted.mean(axis=0), permuted.std(axis=0, ddof=1)

    return null


def check_permutations(n_permutations: int) -> int:
    """0, or at least 2: one alone has no standard deviation."""
    count = whole_number("n_permutations", n_permutations, least=0)
    if count == 1:
        raise ValueError("n_permutations=1 gives no standard deviation: use 0, or 2 or more")
    return count


def measure_of_lists(
    name: str,
    search: Search,
    sums: RowSums,
    null: Null | None,
    settings: dict[str, Any],
) -> Measure:
    """A mean over rows of what their two lists have in common, between 0 and 1."""
    return Measure(
        name=name,
        prepare=search,
        compare=sums.compare,
        restrict=search.restrict,
        null=null,
        share=True,
        least=search.n_neighbors + 1,
        zero_rows=search.metric != "cosine",
        settings={"n_neighbors": search.n_neighbors, "metric": search.metric, **settings},
    )
