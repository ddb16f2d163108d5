"""Whether indices can be those of a graph: one may be made by hand, or read from a file."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


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
    if indices.ndim not in (2, 3) or 0 in indices.shape:
        raise ValueError(
            f"indices of the graph have shape {indices.shape}, wanted (n, k) or (layers, n, k), "
            "and at least one neighbour"
        )
    if not np.issubdtype(indices.dtype, np.integer):
        raise TypeError(f"indices of the graph have dtype {indices.dtype}, wanted whole numbers")
    n = indices.shape[-2]
    if not isinstance(n_rows, int) or (not of_queries and n_rows != n):
        raise ValueError(f"n_rows={n_rows!r} of the graph, wanted its {n} rows")
    if indices.min() < 0 or indices.max() >= n_rows:
        raise ValueError(f"indices of the graph hold a neighbour that is not in [0, {n_rows})")
    if not of_queries and (indices == np.arange(n)[:, None]).any():
        raise ValueError("indices of the graph name a row as its own neighbour")
    if (np.diff(np.sort(indices, axis=-1), axis=-1) == 0).any():
        raise ValueError("indices of the graph name a neighbour twice in a row")
