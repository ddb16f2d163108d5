from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

def use_standard_floating_point() -> int: ...
def restore_floating_point(mode: int) -> None: ...
def simd_available() -> list[str]: ...
def simd_level() -> str: ...
def peak_flops(simd: str = ..., *, n_threads: int, seconds: float = ...) -> float: ...
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
) -> tuple[NDArray[np.int64], NDArray[np.float32], list[dict[str, Any]], str]: ...
def partitioned_graph(
    segments: Sequence[NDArray[Any]],
    dtype: str,
    n_neighbors: int,
    *,
    cosine: bool,
    n_threads: int,
    seed: int,
    leaf_rows: int,
    overlap: Sequence[int],
    leaders: int,
    batch_rows: int = ...,
    directions: int = ...,
    spare: int,
    group: int,
    links: int = ...,
    descents: int,
    rounds: int,
    recall: float,
    exact_may_be_cheaper: bool = ...,
    pilot: Sequence[int],
    pilot_exact: NDArray[np.int64],
    progress: Callable[[float], object] | None = ...,
) -> tuple[NDArray[np.int64], NDArray[np.float32], dict[str, Any], str]: ...
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
) -> tuple[
    NDArray[np.int64],
    NDArray[np.float64],
    NDArray[np.int64] | None,
    NDArray[np.float64] | None,
    dict[str, Any],
    str,
]: ...
def rows_fingerprint(
    rows: Sequence[NDArray[Any]], dtype: str, *, cosine: bool, n_threads: int
) -> int: ...
def merge_neighbors(
    indices: NDArray[np.int64],
    squared: NDArray[np.float64],
    rows: NDArray[np.int64],
    part_indices: NDArray[np.int64],
    part_squared: NDArray[np.float64],
    *,
    n_columns: int,
) -> None: ...
def overlap(
    indices: NDArray[np.int64],
    languages: NDArray[np.int32],
    sentences: NDArray[np.int64] | None,
    *,
    n_languages: int,
    threshold: int,
    n_threads: int,
) -> tuple[
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.float64] | None,
    NDArray[np.float64],
]: ...
def overlap_permutations(
    indices: NDArray[np.int32],
    languages: NDArray[np.int32],
    sentences: NDArray[np.int64] | None,
    *,
    n_languages: int,
    threshold: int,
    n_permutations: int,
    seed: int,
    n_threads: int,
    progress: Callable[[float], object] | None = ...,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32] | None]: ...
def communities(
    offsets: NDArray[np.int64],
    ends: NDArray[np.int32],
    weights: NDArray[np.float64],
    *,
    resolution: float,
    seed: int,
) -> NDArray[np.int32]: ...
def layout(
    indices: NDArray[np.int32],
    start: NDArray[np.float32],
    *,
    n_epochs: int,
    n_pushes: int,
    seed: int,
) -> NDArray[np.float32]: ...
def overlap_rows_too_short(
    entries: NDArray[np.int64],
    offsets: NDArray[np.int64],
    units: NDArray[np.int32],
    kept: NDArray[np.bool_] | None,
    *,
    n_neighbors: int,
    n_units: int,
    n_threads: int,
) -> NDArray[np.int64]: ...
def overlap_deletions(
    entries: NDArray[np.int64],
    offsets: NDArray[np.int64],
    units: NDArray[np.int32],
    languages: NDArray[np.int32],
    sentences: NDArray[np.int64] | None,
    kept: NDArray[np.bool_] | None,
    *,
    n_neighbors: int,
    n_units: int,
    n_languages: int,
    threshold: int,
    n_threads: int,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32] | None]: ...
def compare_rows(
    A: NDArray[np.int32],
    B: NDArray[np.int32],
    *,
    n_points: int,
    measure: str,
    n_threads: int,
) -> NDArray[np.int32]: ...
def sum_rows(
    A: NDArray[np.int32],
    B: NDArray[np.int32],
    *,
    measure: str,
    weights: NDArray[np.float64],
    permutations: NDArray[np.int32],
    n_threads: int,
) -> NDArray[np.float64]: ...
def masked_hsic(
    A: NDArray[np.int32],
    A_values: NDArray[np.float64],
    B: NDArray[np.int32],
    B_values: NDArray[np.float64],
    *,
    permutations: NDArray[np.int32],
    n_threads: int,
) -> NDArray[np.float64]: ...
def count_overlaps(
    A_offsets: NDArray[np.int64],
    A_elements: NDArray[np.int32],
    B_offsets: NDArray[np.int64],
    B_elements: NDArray[np.int32],
    *,
    n_elements: int,
    n_threads: int,
    progress: Callable[[float], object] | None = ...,
) -> NDArray[np.int32]: ...
def top_overlaps(
    A_offsets: NDArray[np.int64],
    A_elements: NDArray[np.int32],
    B_offsets: NDArray[np.int64],
    B_elements: NDArray[np.int32],
    *,
    n_elements: int,
    top: int,
    by_jaccard: bool,
    only_others: bool,
    n_threads: int,
    progress: Callable[[float], object] | None = ...,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]: ...
def ranks_of_chosen(
    distances: NDArray[np.float32],
    own: NDArray[np.int64],
    chosen: NDArray[np.int64],
    tolerances: NDArray[np.float32],
) -> NDArray[np.float64]: ...

class TranslationRanks:
    def __init__(
        self,
        own: NDArray[np.float32],
        *,
        shift: float,
        tolerance: float,
        csls_neighbors: int,
        margin_neighbors: int,
    ) -> None: ...
    def first(self, cosines: NDArray[np.float32], start: int) -> None: ...
    def second(self, cosines: NDArray[np.float32], start: int) -> None: ...
    def ranks(self) -> NDArray[np.int32]: ...

def encode_threshold(
    x: NDArray[Any],
    weight: NDArray[Any],
    bias: NDArray[Any],
    threshold: NDArray[Any],
    *,
    n_threads: int,
    simd: str = ...,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[Any], str]: ...
def encode_top_k(
    x: NDArray[Any],
    weight: NDArray[Any],
    bias: NDArray[Any],
    *,
    k: int,
    of_batch: bool,
    n_threads: int,
    simd: str = ...,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[Any], str]: ...
def encode_backward(
    grad: NDArray[Any],
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    x: NDArray[Any],
    weight: NDArray[Any],
    *,
    want_x: bool,
    want_weight: bool,
    n_threads: int,
    simd: str = ...,
) -> tuple[NDArray[Any] | None, NDArray[Any] | None, NDArray[Any], str]: ...
def decode(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    values: NDArray[Any],
    weights: Sequence[NDArray[Any]],
    bias: NDArray[Any],
    *,
    n_threads: int,
    simd: str = ...,
) -> tuple[NDArray[Any], str]: ...
def decode_backward(
    grad: NDArray[Any],
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    values: NDArray[Any],
    weights: Sequence[NDArray[Any]],
    *,
    want_values: bool,
    want_weights: bool,
    want_bias: bool,
    n_threads: int,
    simd: str = ...,
) -> tuple[NDArray[Any] | None, list[NDArray[Any]] | None, NDArray[Any] | None, str]: ...
def sum_by_feature(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    values: NDArray[Any],
    *,
    n_layers: int,
    n_features: int,
) -> NDArray[Any]: ...
def merge_rows(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    counts: NDArray[np.int32] | None,
    sums: NDArray[np.float32],
    maxima: NDArray[np.float32] | None,
    *,
    rows: NDArray[np.int64],
    starts: NDArray[np.int64],
    n_columns: int,
    n_threads: int,
) -> tuple[
    NDArray[np.int64],
    NDArray[np.int32],
    NDArray[np.int32],
    NDArray[np.float32],
    NDArray[np.float32],
]: ...
def label_permutations(
    offsets: NDArray[np.int64],
    rows: NDArray[np.int32],
    counts: NDArray[np.int32],
    *,
    tokens: NDArray[np.int64],
    labels: NDArray[np.uint16],
    n_labels: int,
    dominant: float,
    others: float,
    n_threads: int,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]: ...
def sum_sharing(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    values: NDArray[np.float32],
    *,
    row_of: NDArray[np.int64],
    documents: NDArray[np.int32],
    partners: NDArray[np.int32],
    n_layers: int,
    n_features: int,
    n_documents: int,
    n_threads: int,
    progress: Callable[[float], object] | None = ...,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
def cuda_status() -> dict[str, Any]: ...
def cuda_knn_graph(
    segments: Sequence[Any],
    dtype: str,
    n_neighbors: int,
    *,
    cosine: bool,
    n_base: int = ...,
    device: int = ...,
    stream: int = ...,
    max_memory: int = ...,
    product: str = ...,
    library: str = ...,
    n_threads: int = ...,
    progress: Callable[[float], object] | None = ...,
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
    device: int = ...,
    stream: int = ...,
    max_memory: int = ...,
    product: str = ...,
    library: str = ...,
    n_threads: int = ...,
    progress: Callable[[float], object] | None = ...,
) -> tuple[
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.float64] | None,
    NDArray[np.float64],
    list[dict[str, Any]],
]: ...
