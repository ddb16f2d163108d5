"""Whether indices can be those of a graph: one may be made by hand, or read from a file."""

from __future__ import annotations

import numbers
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Graph(Protocol):
    """What of a `NeighborGraph` is checked."""

    @property
    def indices(self) -> NDArray[Any]: ...
    @property
    def n_rows(self) -> int | None: ...
    @property
    def of_queries(self) -> bool: ...


def check_own_graph(graph: Graph) -> None:
    """Raise unless it is a graph of rows with each other; one that was made by hand may be none.

    Raises
    ------
    TypeError, ValueError
        A graph of queries; indices that are none (`check_indices`).
    """
    if graph.of_queries:
        raise ValueError(
            "the graph is one of queries: wanted the neighbours of every row, as knn_graph(X) "
            "without queries gives them"
        )
    check_indices(graph.indices, graph.n_rows, of_queries=False)


def check_indices(indices: NDArray[Any], n_rows: Any, of_queries: bool) -> None:
    """Raise unless these can be the neighbours of rows, (n, k) or (layers, n, k).

    Raises
    ------
    TypeError
        No whole numbers.
    ValueError
        Another shape, no neighbours at all, a number outside [0, n_rows), one that is named twice
        in its row, or, unless they are of queries, the row itself.
    """
    if not isinstance(indices, np.ndarray):
        raise TypeError(f"indices of the graph are a {type(indices).__name__}, wanted an array")
    if indices.ndim not in (2, 3) or 0 in indices.shape:
        raise ValueError(
            f"indices of the graph have shape {indices.shape}, wanted (n, k) or (layers, n, k), "
            "and at least one neighbour"
        )
    if not np.issubdtype(indices.dtype, np.integer):
        raise TypeError(f"indices of the graph have dtype {indices.dtype}, wanted whole numbers")
    n = indices.shape[-2]
    if not isinstance(n_rows, numbers.Integral) or (not of_queries and n_rows != n):
        raise ValueError(f"n_rows={n_rows!r} of the graph, wanted its {n} rows")
    if indices.min() < 0 or indices.max() >= n_rows:
        raise ValueError(f"indices of the graph hold a neighbour that is not in [0, {n_rows})")
    if not of_queries and (indices == np.arange(n)[:, None]).any():
        raise ValueError("indices of the graph name a row as its own neighbour")
    if (np.diff(np.sort(indices, axis=-1), axis=-1) == 0).any():
        raise ValueError("indices of the graph name a neighbour twice in a row")
