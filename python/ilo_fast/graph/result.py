"""What a search for neighbours returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
        rows were certified in the first pass (``certified_rows``) and how many the fallback
        decided (``widened_rows``), how many float64 distances each row took
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
