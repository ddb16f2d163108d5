from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

def knn_graph(
    segments: Sequence[NDArray[Any]],
    dtype: str,
    n_neighbors: int,
    *,
    cosine: bool,
    n_threads: int,
    simd: str = ...,
    n_base: int = ...,
    queries: Sequence[int] | None = ...,
    progress: Callable[[float], object] | None = ...,
    max_memory: int = ...,
    checkpoint: str = ...,
    checkpoint_seconds: float = ...,
    block_rows: int = ...,
    max_candidates: int = ...,
    force_fallback: bool = ...,
    checkpoint_piece: int = ...,
    interval: int = ...,
) -> tuple[NDArray[np.int64], NDArray[np.float32], list[dict[str, Any]], str]: ...
def knn_tile(
    first: Sequence[NDArray[Any]],
    second: Sequence[NDArray[Any]],
    dtype: str,
    n_neighbors: int,
    *,
    cosine: bool,
    n_threads: int,
    simd: str = ...,
    progress: Callable[[float], object] | None = ...,
    max_memory: int = ...,
    block_rows: int = ...,
    max_candidates: int = ...,
    force_fallback: bool = ...,
) -> tuple[
    NDArray[np.int64],
    NDArray[np.float64],
    NDArray[np.int64] | None,
    NDArray[np.float64] | None,
    dict[str, Any],
    str,
]: ...
def certified_bounds(
    X: NDArray[Any], dtype: str, *, cosine: bool, simd: str = ...
) -> tuple[NDArray[np.float64], float]: ...
def cuda_knn_graph(
    segments: Sequence[Any],
    dtype: str,
    n_neighbors: int,
    *,
    cosine: bool,
    n_base: int = ...,
    machine: str,
    **options: Any,
) -> tuple[NDArray[np.int64], NDArray[np.float32], list[dict[str, Any]]]: ...
def cuda_overlap(
    segments: Sequence[Any],
    dtype: str,
    n_neighbors: int,
    languages: NDArray[np.int32],
    sentences: NDArray[np.int64] | None,
    *,
    cosine: bool,
    n_languages: int,
    threshold: int,
    machine: str,
    **options: Any,
) -> tuple[
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.float64] | None,
    NDArray[np.float64],
    list[dict[str, Any]],
]: ...
def cuda_certified_bounds(
    X: NDArray[Any], dtype: str, *, cosine: bool, machine: str
) -> tuple[NDArray[np.float64], float]: ...
def emulated_device(
    *, memory: int | None = ..., fail_allocation: int | None = ..., order: int | None = ...
) -> dict[str, Any]: ...
