"""Approximate neighbours by overlapping leaves and neighbour descent, with their measured recall.

How they are found is written in ``csrc/knn/partitioned.h`` and the files around it.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast import _core
from ilo_fast._util.checks import whole_number
from ilo_fast._util.statistics import wilson_interval
from ilo_fast.graph import exact
from ilo_fast.graph.arrays import Stack
from ilo_fast.graph.result import NeighborGraph

_PILOT = 1000  # rows that decide when it is enough
_MOST_OVERLAP = 256  # beyond it leaves hold nearly what other leaves hold
_LEADERS = 2048  # of a set, at most: the more, the nearer and the slower
_SPARE = 6  # entries of a list beyond k: bfloat16 may order them wrongly
_GROUP = 48  # rows that descend together
_LINKS = 12  # in each direction that a descent follows, at least
_MOST_NEIGHBORS = 500  # a leaf of 8 (k + 1) rows takes every thread 256 (k + 1)^2 bytes


@dataclass(frozen=True)
class PartitionedOptions:
    """How ``knn_graph(..., backend="partitioned")`` searches, and how it measures its recall.

    Attributes
    ----------
    recall : float
        The share of the exact neighbours that is wanted. Partitions go on until a pilot sample of
        1000 rows has it, with one standard error to spare; or until no more are found, or
        `max_rounds` is reached, or the exact graph costs less than what is still to do: then that
        is returned, and ``info`` says so.
    seed : int
        Of the leaders of partitions and of both samples. The same seed gives the same graph on the
        same instruction set, with any number of threads.
    overlap : int
        Leaves that a row goes to in each partition.
    leaf_rows : int
        Rows of a leaf at most; at least 8 (k + 1) are taken.
    max_rounds : int
        Partitions at most.
    sample_rows : int
        Random rows whose exact neighbours are found to measure the recall; all, where there are
        fewer. They cost ``sample_rows * n`` distances: for a graph of a million rows more than the
        graph itself.
    exact_below : int, optional
        Up to so many rows the exact engine answers, and ``info`` says so. None: where it costs no
        more than to search and to measure the recall, by count of pairs.
    """

    recall: float = 0.99
    seed: int = 0
    overlap: int = 8
    leaf_rows: int = 1024
    max_rounds: int = 32
    sample_rows: int = 10_000
    exact_below: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.recall, bool) or not isinstance(self.recall, (int, float)):
            raise TypeError(f"recall={self.recall!r}, wanted a number")
        if not 0 < self.recall <= 1:
            raise ValueError(f"recall={self.recall}, wanted more than 0 and at most 1")
        for name, least in (
            ("seed", 0),
            ("overlap", 1),
            ("leaf_rows", 16),
            ("max_rounds", 1),
            ("sample_rows", 1),
            ("exact_below", 0),
        ):
            value = getattr(self, name)
            if name == "exact_below" and value is None:
                continue
            object.__setattr__(self, name, whole_number(name, value, least))
        if self.overlap > _MOST_OVERLAP:
            raise ValueError(f"overlap={self.overlap}, wanted at most {_MOST_OVERLAP}")


def graph(
    segments: Sequence[Stack],
    n_neighbors: int,
    metric: str,
    threads: int,
    update: Callable[[float], None] | None,
    options: PartitionedOptions | None = None,
) -> NeighborGraph:
    """What overlapping leaves and descent find; ``info`` has the recall of each layer."""
    options = options or PartitionedOptions()
    n_layers = len(segments[0].values)
    n = sum(s.values.shape[1] for s in segments)
    leaf_rows = max(options.leaf_rows, 8 * (n_neighbors + 1))
    why = None
    if n <= max(_exact_below(n, segments[0].values.shape[2], options), leaf_rows):
        why = f"{n} rows: the exact graph costs less than another with its recall measured"
    elif n_neighbors > _MOST_NEIGHBORS:
        why = f"{n_neighbors} neighbours: leaves are made for at most {_MOST_NEIGHBORS}"
    if why:
        return _exactly(segments, n_neighbors, metric, threads, update, options, why)
    pilot = _sample(n, _PILOT, options.seed, 1)
    sample = _sample(n, options.sample_rows, options.seed, 2)
    asked = np.union1d(pilot, sample)
    if n_layers > 1:  # NaN and zero vectors of all layers, before the work on any
        _exact_neighbours(segments, asked[:1], n_neighbors, metric, threads, None)
    indices = np.empty((n_layers, n, n_neighbors), np.int64)
    distances = np.empty((n_layers, n, n_neighbors), np.float32)
    layers: list[dict[str, Any]] = []
    simd = _core.simd_level()
    for h in range(n_layers):
        one = [replace(s, values=s.values[h : h + 1]) for s in segments]
        measured, searched = (_part(update, (h + a) / n_layers, 0.5 / n_layers) for a in (0, 0.5))
        start = time.perf_counter()
        truth = _exact_neighbours(one, asked, n_neighbors, metric, threads, measured)
        seconds_exact = time.perf_counter() - start
        found, dist, layer, simd = _core.partitioned_graph(
            [s.values for s in one],
            one[0].dtype,
            n_neighbors,
            cosine=metric == "cosine",
            n_threads=threads,
            seed=options.seed,
            leaf_rows=leaf_rows,
            overlap=[options.overlap],
            leaders=_LEADERS,
            spare=_SPARE,
            group=_GROUP,
            links=max(_LINKS, n_neighbors),
            descents=1,
            rounds=options.max_rounds,
            recall=options.recall,
            exact_may_be_cheaper=True,
            pilot=pilot.tolist(),
            pilot_exact=truth[np.searchsorted(asked, pilot)],
            progress=searched,
        )
        layer["seconds_exact_sample"] = seconds_exact
        if layer["exact_is_cheaper"]:
            why = (
                f"the pilot's recall was {layer['pilot_recall'][-1]:.3f} after "
                f"{layer['rounds']} of at most {options.max_rounds} rounds: the exact graph costs "
                "less than those that are missing"
            )
            whole = _exactly(one, n_neighbors, metric, threads, searched, options, why)
            indices[h], distances[h] = whole.indices[0], whole.distances[0]
            layers.append(layer | whole.info["layers"][0])
            continue
        indices[h], distances[h] = found, dist
        recall = _recall(found[sample], truth[np.searchsorted(asked, sample)], n, options)
        layers.append(layer | recall)
        if not recall["is_reached"]:
            warnings.warn(
                f"recall {recall['recall']:.4f} of the partitioned graph, {options.recall} was "
                f"wanted, after {layer['rounds']} of at most {options.max_rounds} rounds: "
                f"{_what_to_do(layer, options)} or use backend='exact'",
                RuntimeWarning,
                stacklevel=4,
            )
    return NeighborGraph(indices, distances, _info(options, threads, simd, layers), n)


def _what_to_do(layer: dict[str, Any], options: PartitionedOptions) -> str:
    """The pilot rows may have had the recall that the sample, a little later, has not."""
    if layer["is_stalled"]:
        return "the last found nothing new, as where rows lie too near each other for float32;"
    name = "max_rounds or overlap" if layer["rounds"] >= options.max_rounds else "recall"
    return f"raise {name} of PartitionedOptions,"


def _exact_below(n: int, d: int, options: PartitionedOptions) -> int:
    """Rows up to which the exact graph, n^2 / 2 pairs, costs no more than the other way.

    That takes the pairs of pilot and sample with all rows, and what a search of rows in clusters
    costs: for each row as much as so many pairs of the exact engine (measured at 128 and 768
    values on one processor).
    """
    if options.exact_below is not None:
        return options.exact_below
    asked = min(n, options.sample_rows + _PILOT)
    return int(2 * (asked + 5000 + 1_000_000 / d))


def _info(
    options: PartitionedOptions, threads: int, simd: str, layers: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "backend": "partitioned",
        "simd": simd,
        "n_threads": threads,
        "seed": options.seed,
        "partitioned": asdict(options),
        "layers": layers,
    }


def _exactly(
    segments: Sequence[Stack],
    n_neighbors: int,
    metric: str,
    threads: int,
    update: Callable[[float], None] | None,
    options: PartitionedOptions,
    why: str,
) -> NeighborGraph:
    """The exact graph: its recall is 1 by proof."""
    found = exact.graph(segments, n_neighbors, None, metric, threads, None, "", update)
    n = found.indices.shape[1]
    proven = _recall_of(np.ones(n), n, options) | {"exact_because": why}
    layers = [layer | proven for layer in found.info["layers"]]
    info = _info(options, threads, found.info["simd"], layers)
    return NeighborGraph(found.indices, found.distances, info, n)


def _sample(n: int, size: int, seed: int, stream: int) -> NDArray[np.int64]:
    generator = np.random.default_rng([seed, stream])
    return np.sort(generator.choice(n, min(n, size), replace=False))


def _part(
    update: Callable[[float], None] | None, begin: float, length: float
) -> Callable[[float], None] | None:
    """Tells ``update`` of a part of the work."""
    if update is None:
        return None
    whole = update
    return lambda share: whole(begin + length * share)


def _exact_neighbours(
    stacks: Sequence[Stack],
    rows: NDArray[np.int64],
    n_neighbors: int,
    metric: str,
    threads: int,
    update: Callable[[float], None] | None,
) -> NDArray[np.int64]:
    """Certified neighbours of some rows in the first layer; this also finds bad rows and k."""
    found: NDArray[np.int64] = _core.knn_graph(
        [s.values for s in stacks],
        stacks[0].dtype,
        n_neighbors,
        cosine=metric == "cosine",
        n_threads=threads,
        queries=rows.tolist(),
        progress=update,
        max_memory=exact.DEFAULT_MEMORY,
    )[0][0]
    return found


def _recall(
    found: NDArray[np.int64], truth: NDArray[np.int64], n: int, options: PartitionedOptions
) -> dict[str, Any]:
    """The share of the exact neighbours that was found, row by row."""
    # Numbers of neighbours that two rows of k distinct ones share.
    both = np.sort(np.concatenate([found, truth], axis=1), axis=1)
    hits = (both[:, 1:] == both[:, :-1]).sum(axis=1)
    return _recall_of(hits / found.shape[1], n, options)


def _recall_of(shares: NDArray[np.float64], n: int, options: PartitionedOptions) -> dict[str, Any]:
    """Of rows that were drawn from n: mean, interval, percentiles.

    The neighbours of one row stand or fall together, so the interval is Wilson's with rows for
    trials: wider than it need be rather than too narrow. All rows leave no doubt.
    """
    mean, size = float(shares.mean()), len(shares)
    interval = [mean, mean] if size == n else list(wilson_interval(mean, size))
    return {
        "recall": mean,
        "recall_interval_95": interval,
        "recall_p1": float(np.percentile(shares, 1, method="lower")),
        "recall_p5": float(np.percentile(shares, 5, method="lower")),
        "recall_sample_rows": size,
        "recall_seed": options.seed,
        "recall_wanted": options.recall,
        "is_reached": mean >= options.recall,
    }
