"""The exact engine on the CPU.

It filters in low precision and keeps a proof for what it discards; how, is written in
``csrc/knn/graph.h`` and the files around it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

from ilo_fast import _core
from ilo_fast.graph.arrays import Stack, of_one_layout
from ilo_fast.graph.result import NeighborGraph

DEFAULT_MEMORY = 512 << 20  # bytes beside the rows and the result


def graph(
    segments: Sequence[Stack],
    n_neighbors: int,
    queries: Stack | None,
    metric: str,
    threads: int,
    memory: int | None,
    folder: str,
    update: Callable[[float], None] | None,
) -> NeighborGraph:
    """The graph that a float64 brute force gives; ``folder`` holds its checkpoint, "" none."""
    memory = memory or DEFAULT_MEMORY
    n = sum(s.values.shape[1] for s in segments)
    query_rows = None
    if queries is not None:
        segments = of_one_layout([*segments, queries])
        query_rows = list(range(n, n + queries.values.shape[1]))
    indices, distances, layers, simd = _core.knn_graph(
        [s.values for s in segments],
        segments[0].dtype,
        n_neighbors,
        cosine=metric == "cosine",
        n_threads=threads,
        n_base=n,
        queries=query_rows,
        progress=update,
        max_memory=memory,
        checkpoint=folder,
    )
    for problem in {layer.pop("problem") for layer in layers} - {""}:
        warnings.warn(problem, RuntimeWarning, stacklevel=4)
    info = {
        "backend": "exact",
        "simd": simd,
        "n_threads": threads,
        "max_memory": memory,
        "layers": layers,
    }
    return NeighborGraph(indices, distances, info, n, queries is not None)
