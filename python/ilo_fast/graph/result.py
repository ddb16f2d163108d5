"""What a search for neighbours returns."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import whole_number
from ilo_fast._util.optional import require
from ilo_fast.graph.saved import read_graph, write_graph


@dataclass(frozen=True, eq=False)  # arrays are compared value by value, below
class NeighborGraph:
    """The nearest neighbours of every row.

    A stack of layers is a sequence of graphs: ``graph[3]`` is that of layer 3, ``graph[2:5]`` a
    stack of three, ``len(graph)`` their number. A single graph counts as one layer. Graphs with the
    same neighbours at the same distances are equal, however they were found.

    Attributes
    ----------
    indices : int64, shape (n, k) or (layers, n, k)
        Row numbers of the neighbours, nearest first; equal distances by ascending row number. A row
        is never its own neighbour, its exact duplicates are.
    distances : float32, same shape
        ``1 - cosine similarity``, or the Euclidean distance in the units of the input. The order is
        that of the float64 distances, also where two round to one float32, or to 0 or infinity.
    info : dict
        ``backend``, ``simd``, ``n_threads``, ``max_memory``, ``seconds`` (of a GPU ``device``
        instead of ``simd`` and ``n_threads``), and a list ``layers`` with, for each layer, how many
        rows were certified in the first pass (``certified_rows``) and how many the fallback
        decided (``widened_rows``), how many float64 distances each row took
        (``candidates_per_row``), the seconds of each stage (``seconds_prepare``,
        ``seconds_filter``, ``seconds_rerank``, ``seconds_widen``), and which share of the filter
        came from a checkpoint (``resumed_share``). For ``backend="hnsw"`` the
        measured ``recall``; for ``"partitioned"`` (`PartitionedOptions`) also its percentiles over
        rows, ``recall_p1`` and ``recall_p5``. For ``backend="ray"`` also ``nodes`` and ``blocks``;
        ``max_memory`` is that of a task, and a row counts once for every tile that it is in.
    n_rows : int
        Rows that were searched, which `indices` number; None stands for n.
    of_queries : bool
        Whether the rows of the graph are others, ``queries=``.
    """

    indices: NDArray[np.int64]
    distances: NDArray[np.float32]
    info: dict[str, Any] = field(default_factory=dict)
    n_rows: int | None = None
    of_queries: bool = False

    def __post_init__(self) -> None:
        if self.n_rows is None:
            object.__setattr__(self, "n_rows", int(self.indices.shape[-2]))  # the class is frozen

    def __repr__(self) -> str:
        return f"NeighborGraph(shape={self.indices.shape}, backend={self.info.get('backend')!r})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, NeighborGraph)
            and (self.n_rows, self.of_queries) == (other.n_rows, other.of_queries)
            and np.array_equal(self.indices, other.indices)
            and np.array_equal(self.distances, other.distances)
        )

    def __hash__(self) -> int:
        some = self.indices.ravel()[:64].tobytes()
        return hash((self.indices.shape, self.n_rows, self.of_queries, some))

    def __len__(self) -> int:
        return len(self.indices) if self.indices.ndim == 3 else 1

    def __getitem__(self, layer: int | slice) -> NeighborGraph:
        numbers = range(len(self))[layer]  # an IndexError says that there is no such layer
        if self.indices.ndim == 2:
            return self
        chosen = [numbers] if isinstance(numbers, int) else numbers
        if not chosen:
            raise IndexError(f"{layer} of {len(self)} layers is none")
        info = dict(self.info)
        if "layers" in info:
            info["layers"] = [self.info["layers"][h] for h in chosen]
        return NeighborGraph(
            self.indices[layer], self.distances[layer], info, self.n_rows, self.of_queries
        )

    def __iter__(self) -> Iterator[NeighborGraph]:
        return (self[layer] for layer in range(len(self)))

    def to_csr(self, *, include_self: bool = False) -> Any:
        """As SciPy CSR matrix of distances, in the order of the neighbours; zeros are stored.

        Needs SciPy, and a graph of one layer.

        Parameters
        ----------
        include_self : bool
            Put every row first, at distance 0, as scikit-learn's ``KNeighborsTransformer`` does and
            its ``metric="precomputed"`` expects: without it, scikit-learn takes the nearest
            neighbour of each row for the row itself, and drops it. Not for a graph of queries.

        Returns
        -------
        scipy.sparse.csr_matrix, shape (n, n) or, for queries, (m, n)
        """
        require("scipy")
        from scipy.sparse import csr_matrix

        self._check_one_layer("to_csr()")
        if include_self and self.of_queries:
            raise ValueError("include_self=True: queries are no rows of X; leave it out")
        indices, distances = self._with_self() if include_self else (self.indices, self.distances)
        m, k = indices.shape
        pointers = np.arange(0, m * k + 1, k)
        return csr_matrix((distances.ravel(), indices.ravel(), pointers), shape=(m, self.n_rows))

    def to_umap(
        self, n_neighbors: int | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """As ``umap.UMAP(precomputed_knn=...)`` takes it: indices and distances, copied.

        UMAP counts a row as its own nearest neighbour, so that each list begins with the row, at
        distance 0. It needs a graph of one layer, and no package. UMAP cannot place other rows
        then, and warns that it cannot.

        Parameters
        ----------
        n_neighbors : int, optional
            Columns, the row itself counted; all ``k + 1`` unless given. Give UMAP the same number:
            of fewer than 4096 rows it uses all columns, whatever its own ``n_neighbors`` is.

        Returns
        -------
        indices : int32, shape (n, n_neighbors)
        distances : float32, same shape

        Raises
        ------
        ValueError
            A stack of layers, a graph of queries, more columns than there are.
        """
        self._check_one_layer("to_umap()")
        self._check_own_rows("to_umap()")
        most = self.indices.shape[1] + 1
        columns = most if n_neighbors is None else whole_number("n_neighbors", n_neighbors, least=2)
        if columns > most:
            raise ValueError(
                f"n_neighbors={columns} counts the row itself: wanted at most {most} of a graph "
                f"with k={most - 1}; make it with knn_graph(X, {columns - 1})"
            )
        indices, distances = self._with_self()
        # UMAP's kernels are compiled for rows that lie one behind the other.
        return (
            np.ascontiguousarray(indices[:, :columns], np.int32),
            np.ascontiguousarray(distances[:, :columns], np.float32),
        )

    def to_opentsne(self) -> Any:
        """As openTSNE takes it: ``openTSNE.affinity.PerplexityBasedNN(knn_index=...)``.

        Needs openTSNE 1 (``pip install 'ilo_fast[opentsne]'``), and a graph of one layer.
        ``openTSNE.TSNE(neighbors=...)`` takes it, too. As t-SNE looks at three times as many
        neighbours as its perplexity, make the graph with ``k = 3 * perplexity``: openTSNE uses all
        neighbours of the graph, whatever the perplexity. Other rows cannot be placed.

        Returns
        -------
        openTSNE.nearest_neighbors.PrecomputedNeighbors
            Of copies; the row itself is not among its neighbours.

        Raises
        ------
        ImportError
            openTSNE is missing, or of another major version.
        ValueError
            A stack of layers, a graph of queries.
        """
        self._check_one_layer("to_opentsne()")
        self._check_own_rows("to_opentsne()")
        require("openTSNE", "opentsne", at_least="1", below="2")
        from openTSNE.nearest_neighbors import PrecomputedNeighbors

        return PrecomputedNeighbors(self.indices.copy(), self.distances.copy())

    def _check_one_layer(self, what: str) -> None:
        if self.indices.ndim != 2:
            raise ValueError(
                f"{what} takes one layer, got a stack of {len(self)}: choose one, graph[0]"
            )

    def _check_own_rows(self, what: str) -> None:
        if self.of_queries:
            raise ValueError(
                f"{what} takes the graph of rows among themselves, got one of queries: make it "
                "with knn_graph(X) without queries"
            )

    def _with_self(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Lists that begin with the row itself, at distance 0."""
        own = np.arange(len(self.indices), dtype=np.int64)[:, None]
        nothing = np.zeros_like(self.distances[:, :1])
        return np.hstack([own, self.indices]), np.hstack([nothing, self.distances])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an ``.npz`` file that `load` reads: whole or not at all, without pickles."""
        about = {"n_rows": self.n_rows, "of_queries": self.of_queries, "info": self.info}
        write_graph(path, self.indices, self.distances, about)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> NeighborGraph:
        """Read what `save` wrote.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            It is something else, or damaged.
        """
        indices, distances, about = read_graph(path)
        return cls(indices, distances, about["info"], about["n_rows"], about["of_queries"])
