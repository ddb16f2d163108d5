"""k-nearest-neighbour graphs: the choice of a backend, and the call of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

from ilo_fast import _core
from ilo_fast._util.checks import whole_number
from ilo_fast._util.progress import share_bar
from ilo_fast.graph import cuda, exact, hnsw
from ilo_fast.graph import partitioned as partitioned_engine
from ilo_fast.graph.arrays import Stack, as_stack, mapped
from ilo_fast.graph.checkpoint import CORE_FILES, open_folder
from ilo_fast.graph.options import (
    APPROXIMATE,
    as_bytes,
    check_metric,
    chosen_backend,
    thread_count,
)
from ilo_fast.graph.partitioned import PartitionedOptions
from ilo_fast.graph.ray import backend as ray_backend
from ilo_fast.graph.result import NeighborGraph
from ilo_fast.graph.tiles.checkpoint import TILE_FILES

Metric = Literal["cosine", "euclidean"]
Backend = Literal["auto", "exact", "cuda", "ray", "hnsw", "partitioned"]


def simd_level() -> str:
    """Instruction set in use: ``ILO_FAST_SIMD`` if set, else the best that this processor has."""
    return _core.simd_level()


def simd_available() -> tuple[str, ...]:
    """Instruction sets that ``ILO_FAST_SIMD`` may name on this processor, best last."""
    return tuple(_core.simd_available())


def knn_graph(
    X: Any,
    n_neighbors: int = 5,
    *,
    queries: Any = None,
    metric: Metric = "cosine",
    backend: Backend = "auto",
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    partitioned: PartitionedOptions | None = None,
    progress: bool | Callable[[float], None] = False,
) -> NeighborGraph:
    """Link every row of ``X`` to its nearest other rows, or every row of ``queries`` to those of X.

    Parameters
    ----------
    X : array, torch tensor, or path of a ``.npy`` file, shape (n, d) or (layers, n, d)
        float16, bfloat16, float32 or float64; any strides; memory maps are read in place, and files
        are mapped. What lies in a GPU's memory (a CUDA tensor, or anything with ``__dlpack__`` or
        ``__cuda_array_interface__``) is used there by ``"cuda"``, and copied to the host's memory
        for the other backends.
    n_neighbors : int
        k, at most n - 1; with ``queries`` at most n.
    queries : array or torch tensor, shape (m, d) or (layers, m, d), optional
        For each of these rows the nearest rows of X, none excluded: a query that equals a row of X
        finds it at distance 0. ``indices`` is then (m, k) or (layers, m, k), and numbers rows of X.
        Give the dtype of X: if they differ, the narrower is converted first, in memory.
    metric : {"cosine", "euclidean"}
    backend : {"auto", "exact", "cuda", "ray", "hnsw", "partitioned"}
        ``"exact"`` returns what a float64 brute force returns, ordered by (distance, index),
        whatever the instruction set and the number of threads. ``"hnsw"`` is approximate; its
        recall, measured against the exact neighbours of a random sample of rows, is in ``info``.
        (By row number: a tie that goes the other way is a miss. With several threads the result
        may differ a little from run to run.) ``"cuda"`` gives the neighbours of ``"exact"``, found
        by an NVIDIA GPU: the one that the rows lie on, or torch's current one, to whose memory rows
        in the host's are copied in turns. It needs a build that has it: `ilo-fast doctor` tells.
        ``"ray"`` gives the neighbours of ``"exact"``, found by the nodes of a Ray cluster that runs
        (``docs/how-to/scale.md``): they read X from its file where it is mapped from one, which all
        of them must see; what is in memory is handed to Ray.
        ``"partitioned"`` is approximate, too: overlapping clusters with the exact engine's filter
        inside, then neighbour descent, until the wanted recall is measured; beside X it takes about
        ``2 d + 32 k + 800`` bytes for every row, and 4 more for each thread (``4 d + 32 k + 1200``
        where there is no bfloat16, ``4 d + 32 k + 2200`` where float32 itself is hardly enough).
        ``"auto"`` is ``"exact"``, also for rows on a GPU: ``"cuda"`` is opt-in until its tests
        have run on a device (``tools/gpu_check.sh`` runs them).
    n_threads : int, optional
        All processors that this process may use. For ``"cuda"`` they bring rows that lie in the
        host's memory on their way. For ``"ray"``: of a task, 16 or all that the smallest node has
        unless given, and no more than that.
    max_memory : int or str, optional
        Bytes, or e.g. ``"6GiB"`` or ``"500MB"``: what the exact engine may take beside X, queries
        and the result; 512 MiB unless given. What does not fit is packed in turns, so that X may be
        a memory map larger than memory; at the least, for every row ``18 k + 280`` bytes of
        candidates and bookkeeping, for every thread 6 MiB, and two blocks of 256 rows are needed,
        and are taken also where less is given. For ``"cuda"``: memory of the GPU, beside rows that
        lie there; most of what is free unless given. For ``"ray"``: of a task, everything counted,
        and reserved for it; its share of 60 % of the smallest node unless given.
    checkpoint : path, optional
        A folder (made if missing) for finished work, saved every 30 seconds or at most a twentieth
        of the time. The same call again, after a kill or Ctrl-C, goes on from there to the same
        graph: with any number of threads, but the same max_memory, instruction set and version.
        A finished graph stays there, too, and comes back at once. Delete it when it has served. For
        ``"exact"`` and ``"ray"`` (a file for every tile, which any number of nodes goes on from,
        also with another max_memory and n_threads); one process at a time.
    partitioned : PartitionedOptions, optional
        The recall that ``"partitioned"`` shall reach, its seed, and how it searches.
    progress : bool or callable
        A bar on standard error, with the time left at the pace so far (uncertified rows may
        lengthen it); or a function that is told the finished share, 20 times a second.

    Returns
    -------
    NeighborGraph

    Raises
    ------
    ValueError
        Wrong shape, ``n_neighbors`` out of range, NaN or infinity, a zero vector under cosine (the
        message names the row), an instruction set in ``ILO_FAST_SIMD`` that is not available, a
        checkpoint of other data or options, or in use by another process; ``"cuda"`` without a
        build, a driver or a GPU for it (the message says what to do), or with X and queries in
        different places; for ``"ray"`` a row that changes, or is another on some node.
    RuntimeError
        For ``"ray"``: no cluster, no node for a task, a task that is lost again and again or runs
        out of memory, nothing that moves within the limits of ``graph/ray/tasks.py``.
    FileNotFoundError
        No such file here or, for ``"ray"``, on a node.
    ImportError
        ``"ray"`` or ``"hnsw"`` without its package.
    TypeError
        A dtype other than the four.

    Warns
    -----
    RuntimeWarning
        A checkpoint that is damaged (the work starts anew) or cannot be written (it goes on);
        ``"partitioned"`` without the wanted recall.

    Examples
    --------
    >>> import numpy as np
    >>> from ilo_fast import knn_graph
    >>> knn_graph(np.array([[0.0], [1.0], [3.0]]), 1, metric="euclidean").indices.tolist()
    [[1], [0], [1]]
    """
    stack = as_stack(mapped(X))
    query_rows = None if queries is None else _as_queries(queries, stack)
    graph = stacked_graph(
        [stack],
        n_neighbors,
        queries=query_rows,
        metric=metric,
        backend=backend,
        n_threads=n_threads,
        max_memory=max_memory,
        checkpoint=checkpoint,
        partitioned=partitioned,
        progress=progress,
    )
    if not stack.was_matrix:
        return graph
    return graph[0]


def _as_queries(queries: Any, base: Stack) -> Stack:
    stack = as_stack(queries, "queries")
    if (
        stack.was_matrix != base.was_matrix
        or len(stack.values) != len(base.values)
        or stack.values.shape[2] != base.values.shape[2]
    ):
        shape = stack.values.shape[1:] if stack.was_matrix else stack.values.shape
        base_shape = base.values.shape[1:] if base.was_matrix else base.values.shape
        raise ValueError(
            f"queries has shape {shape}, wanted the layers and columns of X, which has shape "
            f"{base_shape}"
        )
    return stack


def stacked_graph(
    segments: Sequence[Stack],
    n_neighbors: int,
    *,
    metric: str,
    backend: str,
    n_threads: int | None,
    progress: bool | Callable[[float], None],
    queries: Stack | None = None,
    max_memory: int | str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    partitioned: PartitionedOptions | None = None,
) -> NeighborGraph:
    """`knn_graph` of rows that lie in several arrays, one after the other: no copy is made of them.

    ``progress`` may be a callable that takes the finished share.
    """
    check_metric(metric)
    stacks = [*segments] if queries is None else [*segments, queries]
    backend = chosen_backend(backend)
    if backend == "cuda":
        if checkpoint is not None:
            raise ValueError("checkpoint is for backend='exact', not for backend='cuda'")
        cuda.check(stacks, ["X"] * len(segments) + ["queries"] * (queries is not None))
    else:
        segments = [s.in_host_memory() for s in segments]
        queries = None if queries is None else queries.in_host_memory()
    if backend == "ray" and queries is not None:
        raise ValueError("queries is for backend='exact', not for backend='ray'")
    if backend != "partitioned" and partitioned is not None:
        raise ValueError(f"partitioned is for backend='partitioned', not for backend={backend!r}")
    if not isinstance(partitioned, PartitionedOptions | None):
        raise TypeError(f"partitioned={partitioned!r}, wanted PartitionedOptions(...)")
    if backend in APPROXIMATE:
        given = {"queries": queries, "max_memory": max_memory, "checkpoint": checkpoint}
        for name, value in given.items():
            if value is not None:
                raise ValueError(f"{name} is for backend='exact', not for backend={backend!r}")
    n_neighbors = whole_number("n_neighbors", n_neighbors)
    threads = thread_count(n_threads)
    memory = None if max_memory is None else as_bytes(max_memory, "max_memory")
    start = time.perf_counter()
    with (
        share_bar(progress is True, "k-NN graph") as bar,
        open_folder(checkpoint, TILE_FILES if backend == "ray" else CORE_FILES) as folder,
    ):
        update = progress if callable(progress) else bar
        if backend == "hnsw":
            graph = hnsw.graph(segments, n_neighbors, metric, threads, update)
        elif backend == "partitioned":
            graph = partitioned_engine.graph(
                segments, n_neighbors, metric, threads, update, partitioned
            )
        elif backend == "ray":
            asked = None if n_threads is None else threads
            graph = ray_backend.graph(segments, n_neighbors, metric, asked, memory, folder, update)
        elif backend == "cuda":
            graph = cuda.graph(segments, n_neighbors, queries, metric, threads, memory or 0, update)
        else:
            graph = exact.graph(
                segments, n_neighbors, queries, metric, threads, memory, folder or "", update
            )
    graph.info["seconds"] = time.perf_counter() - start
    return graph
