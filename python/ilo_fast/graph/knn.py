"""k-nearest-neighbour graphs: exact (C++ or CUDA), or approximate with measured recall (hnswlib).

The exact engines filter in low precision and keep a proof for what they discard; how, is written in
``csrc/knn/graph.h``, ``csrc/cuda/device.h`` and the files around them.
"""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ilo_fast import _core
from ilo_fast._util.progress import share_bar
from ilo_fast._util.statistics import wilson_interval
from ilo_fast.graph import cuda
from ilo_fast.graph.arrays import Stack, as_bytes, as_count, as_stack, of_one_layout
from ilo_fast.graph.checkpoint import open_folder

Metric = Literal["cosine", "euclidean"]
Backend = Literal["auto", "exact", "cuda", "hnsw"]

DEFAULT_MEMORY = 512 << 20  # bytes

_HNSW_M = 16
_HNSW_EF_CONSTRUCTION = 200
_HNSW_SAMPLE = 1000
_HNSW_SEED = 0


@dataclass(frozen=True)
class NeighborGraph:
    """The nearest neighbours of every row.

    Attributes
    ----------
    indices : int64, shape (n, k) or (layers, n, k)
        Row numbers of the neighbours, nearest first; equal distances by ascending row number. A row
        is never its own neighbour, its exact duplicates are.
    distances : float32, same shape
        ``1 - cosine similarity``, or the Euclidean distance in the units of the input.
    info : dict
        ``backend``, ``simd``, ``n_threads``, ``max_memory``, ``seconds`` (of a GPU ``device``
        instead of ``simd`` and ``n_threads``), and a list ``layers`` with, for each layer, how many
        rows the low-precision filter decided with proof (``certified_rows``) and how many needed a
        second look (``widened_rows``), how many float64 distances a row took
        (``candidates_per_row``), the seconds of each stage (``seconds_prepare``,
        ``seconds_filter``, ``seconds_rerank``, ``seconds_widen``), and which share of the filter
        came from a checkpoint (``resumed_share``). For ``backend="hnsw"`` the
        measured ``recall``.
    """

    indices: NDArray[np.int64]
    distances: NDArray[np.float32]
    info: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"NeighborGraph(shape={self.indices.shape}, backend={self.info.get('backend')!r})"

    def to_csr(self) -> Any:
        """As SciPy CSR distances (n, n), e.g. for scikit-learn's ``metric="precomputed"``.

        Needs SciPy, and a graph of one layer.
        """
        from scipy.sparse import csr_matrix

        if self.indices.ndim != 2:
            raise ValueError(f"to_csr() takes one layer, got a stack of {len(self.indices)}")
        n, k = self.indices.shape
        pointers = np.arange(0, n * k + 1, k)
        return csr_matrix((self.distances.ravel(), self.indices.ravel(), pointers), shape=(n, n))


def simd_level() -> str:
    """Instruction set in use: ``ILO_FAST_SIMD`` if set, else the best that this processor has."""
    return _core.simd_level()


def simd_available() -> tuple[str, ...]:
    """Instruction sets that ``ILO_FAST_SIMD`` may name on this processor, best last."""
    return tuple(_core.simd_available())


def default_threads() -> int:
    """Number of processors that this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def thread_count(n_threads: int | None) -> int:
    """The number of threads that ``n_threads`` stands for, at most 1024."""
    return default_threads() if n_threads is None else min(1024, as_count(n_threads, "n_threads"))


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
    progress: bool | Callable[[float], None] = False,
) -> NeighborGraph:
    """Link every row of ``X`` to its nearest other rows, or every row of ``queries`` to those of X.

    Parameters
    ----------
    X : array or torch tensor, shape (n, d) or (layers, n, d)
        float16, bfloat16, float32 or float64; any strides; memory maps are read in place. What lies
        in a GPU's memory (a CUDA tensor, or anything with ``__dlpack__`` or
        ``__cuda_array_interface__``) is used there by ``"cuda"``, and copied to the host's memory
        for the other backends.
    n_neighbors : int
        k, at most n - 1; with ``queries`` at most n.
    queries : array or torch tensor, shape (m, d) or (layers, m, d), optional
        For each of these rows the nearest rows of X, none excluded: a query that equals a row of X
        finds it at distance 0. ``indices`` is then (m, k) or (layers, m, k), and numbers rows of X.
        Give the dtype of X: if they differ, the narrower is converted first, in memory.
    metric : {"cosine", "euclidean"}
    backend : {"auto", "exact", "cuda", "hnsw"}
        ``"exact"`` returns what a float64 brute force returns, ordered by (distance, index),
        whatever the instruction set and the number of threads. ``"hnsw"`` is approximate; its
        recall, measured against the exact neighbours of a random sample of rows, is in ``info``.
        (By row number: a tie that goes the other way is a miss. With several threads the result
        may differ a little from run to run.) ``"cuda"`` gives the neighbours of ``"exact"``, found
        by an NVIDIA GPU: the one that the rows lie on, or torch's current one, to whose memory rows
        in the host's are copied in turns. It needs a build that has it: `ilo-fast doctor` tells.
        ``"auto"`` is ``"exact"``, also for rows on a GPU: ``"cuda"`` is opt-in until its tests
        have run on a device (``tools/gpu_check.sh`` runs them).
    n_threads : int, optional
        All processors that this process may use. For ``"cuda"`` they bring rows that lie in the
        host's memory on their way.
    max_memory : int or str, optional
        Bytes, or e.g. ``"6GiB"`` or ``"500MB"``: what the exact engine may take beside X, queries
        and the result; 512 MiB unless given. What does not fit is packed in turns, so that X may be
        a memory map larger than memory; at the least, about ``16 n k`` bytes of candidates and two
        blocks of rows are needed. For ``"cuda"``: memory of the GPU, beside rows that lie there;
        most of what is free unless given.
    checkpoint : path, optional
        A folder (made if missing) for finished work, saved every 30 seconds or at most a twentieth
        of the time. The same call again, after a kill or Ctrl-C, goes on from there to the same
        graph: with any number of threads, but the same max_memory and instruction set. A finished
        graph stays there, too, and comes back at once. Delete it when it has served. For
        ``"exact"``; one process at a time.
    progress : bool or callable
        A bar on standard error, with the time left at the pace so far (rows that the filter leaves
        open may lengthen it); or a function that is told the finished share, 20 times a second.

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
        different places.
    TypeError
        A dtype other than the four.

    Warns
    -----
    RuntimeWarning
        A checkpoint that is damaged (the work starts anew) or cannot be written (it goes on).

    Examples
    --------
    >>> import numpy as np
    >>> from ilo_fast import knn_graph
    >>> knn_graph(np.array([[0.0], [1.0], [3.0]]), 1, metric="euclidean").indices.tolist()
    [[1], [0], [1]]
    """
    stack = as_stack(X)
    asked = None if queries is None else _as_queries(queries, stack)
    graph = stacked_graph(
        [stack],
        n_neighbors,
        queries=asked,
        metric=metric,
        backend=backend,
        n_threads=n_threads,
        max_memory=max_memory,
        checkpoint=checkpoint,
        progress=progress,
    )
    if not stack.was_matrix:
        return graph
    return NeighborGraph(graph.indices[0], graph.distances[0], graph.info)


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
    if backend == "hnsw":
        given = {"queries": queries, "max_memory": max_memory, "checkpoint": checkpoint}
        for name, value in given.items():
            if value is not None:
                raise ValueError(f"{name} is for backend='exact', not for backend='hnsw'")
    n_neighbors = as_count(n_neighbors, "n_neighbors")
    threads = thread_count(n_threads)
    memory = None if max_memory is None else as_bytes(max_memory, "max_memory")
    start = time.perf_counter()
    with (
        share_bar(progress is True, "k-NN graph") as bar,
        open_folder(checkpoint) as folder,
    ):
        update = progress if callable(progress) else bar
        if backend == "hnsw":
            graph = _hnsw(segments, n_neighbors, metric, threads, update)
        elif backend == "cuda":
            graph = NeighborGraph(
                *cuda.graph(segments, n_neighbors, queries, metric, threads, memory or 0, update)
            )
        else:
            memory = memory or DEFAULT_MEMORY
            graph = _exact(
                segments, n_neighbors, queries, metric, threads, memory, folder or "", update
            )
    graph.info["seconds"] = time.perf_counter() - start
    return graph


def check_metric(metric: str) -> None:
    """Raise ValueError for one that there is not."""
    if metric not in ("cosine", "euclidean"):
        raise ValueError(f"metric={metric!r} is not known: use 'cosine' or 'euclidean'")


def chosen_backend(backend: str) -> str:
    """The engine that ``backend`` names; "auto" is the exact one on the CPU."""
    if backend not in ("auto", "exact", "cuda", "hnsw"):
        raise ValueError(f"backend={backend!r} is not known: use 'auto', 'exact', 'cuda' or 'hnsw'")
    return "exact" if backend == "auto" else backend


def _exact(
    segments: Sequence[Stack],
    n_neighbors: int,
    queries: Stack | None,
    metric: str,
    threads: int,
    memory: int,
    folder: str,
    update: Callable[[float], None] | None,
) -> NeighborGraph:
    n = sum(s.values.shape[1] for s in segments)
    asked = None
    if queries is not None:
        segments = of_one_layout([*segments, queries])
        asked = list(range(n, n + queries.values.shape[1]))
    indices, distances, layers, simd = _core.knn_graph(
        [s.values for s in segments],
        segments[0].dtype,
        n_neighbors,
        cosine=metric == "cosine",
        n_threads=threads,
        n_base=n,
        queries=asked,
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
    return NeighborGraph(indices, distances, info)


def _hnsw(
    segments: Sequence[Stack],
    n_neighbors: int,
    metric: str,
    threads: int,
    update: Callable[[float], None] | None,
) -> NeighborGraph:
    import hnswlib

    n_layers, _, dim = segments[0].values.shape
    n = sum(s.values.shape[1] for s in segments)
    ef = max(100, 4 * (n_neighbors + 1))
    sample = np.sort(
        np.random.default_rng(_HNSW_SEED).choice(n, min(n, _HNSW_SAMPLE), replace=False)
    )
    # First the exact neighbours of the sample: this also finds NaN, zero vectors and a k too large.
    exact, _, _, _ = _core.knn_graph(
        [s.values for s in segments],
        segments[0].dtype,
        n_neighbors,
        cosine=metric == "cosine",
        n_threads=threads,
        queries=sample.tolist(),
    )
    indices = np.empty((n_layers, n, n_neighbors), np.int64)
    distances = np.empty((n_layers, n, n_neighbors), np.float32)
    layers: list[dict[str, Any]] = []
    for layer in range(n_layers):
        rows, multiplier = _float32(segments, layer, metric)
        index = hnswlib.Index(space="cosine" if metric == "cosine" else "l2", dim=dim)
        index.init_index(
            n, M=_HNSW_M, ef_construction=_HNSW_EF_CONSTRUCTION, random_seed=_HNSW_SEED
        )
        index.set_num_threads(threads)
        index.set_ef(min(ef, n))
        for begin in range(0, n, 4096):  # in pieces: hnswlib itself cannot be interrupted
            index.add_items(rows[begin : begin + 4096])
            if update:
                update((layer + min(n, begin + 4096) / n / 2) / n_layers)
        for begin in range(0, n, 4096):
            end = min(n, begin + 4096)
            try:
                found, dist = index.knn_query(rows[begin:end], k=n_neighbors + 1)
            except RuntimeError as error:
                raise ValueError(
                    f"hnswlib finds fewer than n_neighbors={n_neighbors} neighbours for some rows "
                    "(duplicates disconnect its graph): use backend='exact'"
                ) from error
            keep = _without_self(found.astype(np.int64), np.arange(begin, end))
            indices[layer, begin:end] = np.take_along_axis(found.astype(np.int64), keep, axis=1)
            kept = np.maximum(np.take_along_axis(dist, keep, axis=1), 0)
            distances[layer, begin:end] = kept if metric == "cosine" else np.sqrt(kept) / multiplier
            if update:
                update((layer + 0.5 + end / n / 2) / n_layers)
        layers.append(_recall(indices[layer, sample], exact[layer]))
    info = {
        "backend": "hnsw",
        "n_threads": threads,
        "hnsw": {"M": _HNSW_M, "ef_construction": _HNSW_EF_CONSTRUCTION, "ef": min(ef, n)},
        "seed": _HNSW_SEED,
        "layers": layers,
    }
    return NeighborGraph(indices, distances, info)


def _float32(
    segments: Sequence[Stack], layer: int, metric: str
) -> tuple[NDArray[np.float32], float]:
    """One layer as hnswlib can take it, and what its distances were multiplied with.

    hnswlib squares in float32: rows are brought near 1, by their norm or by a common factor.
    """
    parts = []
    for stack in segments:
        values = stack.values[layer]
        if stack.dtype == "bfloat16":
            values = (values.astype(np.uint32) << 16).view(np.float32)
        parts.append(values.astype(np.float64))
    rows = np.concatenate(parts)
    if metric == "cosine":
        rows /= np.abs(rows).max(axis=1, keepdims=True)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows.astype(np.float32), 1.0
    largest = float(np.abs(rows).max())
    multiplier = 2.0 ** min(1023, 1 - math.frexp(largest)[1]) if largest else 1.0
    return (rows * multiplier).astype(np.float32), multiplier


def _without_self(found: NDArray[np.int64], own: NDArray[np.int64]) -> NDArray[np.intp]:
    """Columns to keep of k + 1: all but the row itself, or but the last where it is not there."""
    is_self = found == own[:, None]
    is_self[~is_self.any(axis=1), -1] = True
    return np.nonzero(~is_self)[1].reshape(len(found), -1)


def _recall(found: NDArray[np.int64], exact: NDArray[np.int64]) -> dict[str, Any]:
    """Share of the exact neighbours that were found, with a 95 % Wilson interval.

    The neighbours of one row stand or fall together, so the interval counts rows, not neighbours:
    wider than it need be rather than too narrow.
    """
    hits = (found[:, :, None] == exact[:, None, :]).any(axis=2)
    share, n = float(hits.mean()), len(hits)
    return {
        "recall": share,
        "recall_interval_95": list(wilson_interval(share, n)),
        "recall_sample_rows": n,
    }
