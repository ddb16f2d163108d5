"""Approximate neighbours by hnswlib, with their measured recall."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast import _core
from ilo_fast._util.optional import require
from ilo_fast._util.statistics import wilson_interval
from ilo_fast.graph.arrays import Stack
from ilo_fast.graph.result import NeighborGraph

_M = 16
_EF_CONSTRUCTION = 200
_SAMPLE = 1000
_SEED = 0
_PIECE = 4096  # rows in a call: hnswlib itself cannot be interrupted


def graph(
    segments: Sequence[Stack],
    n_neighbors: int,
    metric: str,
    threads: int,
    update: Callable[[float], None] | None,
) -> NeighborGraph:
    """What hnswlib finds; ``info`` has the recall of each layer on a random sample of rows."""
    require("hnswlib", "hnsw")
    import hnswlib

    n_layers = len(segments[0].values)
    n = sum(s.values.shape[1] for s in segments)
    ef = min(n, max(100, 4 * (n_neighbors + 1)))
    sample = np.sort(np.random.default_rng(_SEED).choice(n, min(n, _SAMPLE), replace=False))

    def exact_neighbours(stacks: Sequence[Stack]) -> NDArray[np.int64]:
        return _core.knn_graph(
            [s.values for s in stacks],
            stacks[0].dtype,
            n_neighbors,
            cosine=metric == "cosine",
            n_threads=threads,
            queries=sample.tolist(),
        )[0]

    # First the exact neighbours of the sample: this also finds NaN, zero vectors and a k too large.
    if n_layers > 1:  # of all layers, before the work on any
        exact_neighbours(segments)
    indices = np.empty((n_layers, n, n_neighbors), np.int64)
    distances = np.empty((n_layers, n, n_neighbors), np.float32)
    layers: list[dict[str, Any]] = []
    for layer in range(n_layers):
        # Of a copy: hnswlib must not meet what others may write meanwhile, NaN say.
        copied = [replace(s, values=s.values[layer : layer + 1].copy()) for s in segments]
        exact = exact_neighbours(copied)
        rows, multiplier = _float32(copied, metric)
        index = hnswlib.Index(space="cosine" if metric == "cosine" else "l2", dim=rows.shape[1])
        index.init_index(n, M=_M, ef_construction=_EF_CONSTRUCTION, random_seed=_SEED)
        index.set_num_threads(threads)
        index.set_ef(ef)
        for begin in range(0, n, _PIECE):
            index.add_items(rows[begin : begin + _PIECE])
            if update:
                update((layer + min(n, begin + _PIECE) / n / 2) / n_layers)
        for begin in range(0, n, _PIECE):
            piece = slice(begin, min(n, begin + _PIECE))
            found, measured = _nearest_others(index, rows, piece, n_neighbors)
            indices[layer, piece] = found
            distances[layer, piece] = (
                measured if metric == "cosine" else np.sqrt(measured) / multiplier
            )
            if update:
                update((layer + 0.5 + piece.stop / n / 2) / n_layers)
        layers.append(_recall(indices[layer, sample], exact[0]))
    info = {
        "backend": "hnsw",
        "n_threads": threads,
        "hnsw": {"M": _M, "ef_construction": _EF_CONSTRUCTION, "ef": ef},
        "seed": _SEED,
        "layers": layers,
    }
    return NeighborGraph(indices, distances, info)


def _nearest_others(
    index: Any, rows: NDArray[np.float32], piece: slice, n_neighbors: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Neighbours of some rows without the rows themselves, and hnswlib's distances."""
    try:
        found, measured = index.knn_query(rows[piece], k=n_neighbors + 1)
    except RuntimeError as error:
        raise ValueError(
            f"hnswlib finds fewer than n_neighbors={n_neighbors} neighbours for some rows "
            "(duplicates disconnect its graph): use backend='exact'"
        ) from error
    found = found.astype(np.int64)
    keep = _without_self(found, np.arange(piece.start, piece.stop))
    return (
        np.take_along_axis(found, keep, axis=1),
        np.maximum(np.take_along_axis(measured, keep, axis=1), 0),
    )


def _float32(segments: Sequence[Stack], metric: str) -> tuple[NDArray[np.float32], float]:
    """A layer as hnswlib can take it, and what its distances were multiplied with.

    hnswlib squares in float32: rows are brought near 1, by their norm or by a common factor.
    """
    parts = []
    for stack in segments:
        values = stack.values[0]
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
