"""Exact neighbour graphs as a step of scikit-learn's pipelines."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ilo_fast._util.checks import choice, whole_number
from ilo_fast._util.optional import require
from ilo_fast.graph.knn import Metric, knn_graph

require("sklearn", "sklearn", distribution="scikit-learn", at_least="1.6", below="2")

import sklearn  # noqa: E402  (first it is said clearly where it is missing)
from joblib import effective_n_jobs  # noqa: E402
from scipy.sparse import csr_array, csr_matrix  # noqa: E402
from sklearn.base import (  # noqa: E402
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils.validation import check_is_fitted, validate_data  # noqa: E402

_DTYPES = (np.float64, np.float32, np.float16)  # taken as they are; others become the first


class ExactKNeighborsTransformer(
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]  # scikit-learn has no types
    TransformerMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
):
    """Rows to the sparse graph of their nearest neighbours, in place of `KNeighborsTransformer`.

    The graph is that of `sklearn.neighbors.KNeighborsTransformer` with the same parameters, but for
    the order of ties, here by ascending row number, and for rounding: distances are exact to
    float32. What takes its graph takes this one: `TSNE`, `DBSCAN`, `Isomap`,
    `KNeighborsClassifier` with ``metric="precomputed"``, `SpectralClustering` with
    ``affinity="precomputed_nearest_neighbors"``.

    Parameters
    ----------
    mode : {"distance", "connectivity"}
        Distances, or ones.
    n_neighbors : int
        k. As in scikit-learn, a row counts as its own neighbour: with ``"distance"`` each row of
        the graph has ``k + 1`` entries, with ``"connectivity"`` k. In `fit_transform` the row
        itself always comes first, whatever duplicates it has.
    metric : {"euclidean", "cosine"}
        scikit-learn's default ``"minkowski"`` with ``p=2`` is ``"euclidean"``.
    n_jobs : int, optional
        Threads. As in scikit-learn, None is 1 outside of a `joblib.parallel_config`, -1 all.
    backend : {"auto", "exact", "cuda"}
    max_memory : int or str, optional
        Both as in `ilo_fast.knn_graph`.
    progress : bool
        A bar on standard error.

    Attributes
    ----------
    n_features_in_ : int
    feature_names_in_ : array of str
        Where X has names of columns.
    n_samples_fit_ : int
        Rows of the fitted X: columns of the graph.

    Notes
    -----
    Not taken over are ``algorithm`` and ``leaf_size``, which say how to search, ``p`` and
    ``metric_params``, other metrics, and sparse X. Under cosine a row of zeros is an error, while
    scikit-learn calls it at distance 1 from all.

    Examples
    --------
    >>> from ilo_fast.integrations.sklearn import ExactKNeighborsTransformer
    >>> graph = ExactKNeighborsTransformer(n_neighbors=1).fit_transform([[0.0], [1.0], [3.0]])
    >>> graph.toarray().tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]
    """

    def __init__(
        self,
        *,
        mode: Literal["distance", "connectivity"] = "distance",
        n_neighbors: int = 5,
        metric: Metric = "euclidean",
        n_jobs: int | None = None,
        backend: Literal["auto", "exact", "cuda"] = "auto",
        max_memory: int | str | None = None,
        progress: bool = False,
    ) -> None:
        self.mode = mode
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.n_jobs = n_jobs
        self.backend = backend
        self.max_memory = max_memory
        self.progress = progress

    def fit(self, X: Any, y: Any = None) -> ExactKNeighborsTransformer:
        """Keep the rows that others are linked to.

        Parameters
        ----------
        X : array, shape (n, d)
            float16, float32 and float64 are taken as they are, without a copy.
        y
            Ignored.

        Raises
        ------
        ValueError, TypeError
            A parameter that is not known, NaN or infinity, a sparse matrix.
        """
        self._check_parameters()
        self._fit_X = validate_data(self, X, dtype=list(_DTYPES))
        self.n_samples_fit_ = self._n_features_out = len(self._fit_X)
        return self

    def _check_parameters(self) -> None:
        choice("mode", self.mode, ("distance", "connectivity"))
        choice("metric", self.metric, ("euclidean", "cosine"))
        choice("backend", self.backend, ("auto", "exact", "cuda"))
        whole_number("n_neighbors", self.n_neighbors)

    def transform(self, X: Any) -> Any:
        """The graph from rows of X to the fitted rows; none is excluded.

        Parameters
        ----------
        X : array, shape (m, d)

        Returns
        -------
        scipy.sparse.csr_matrix of float64, shape (m, n)
            Nearest first; zeros are stored. `csr_array` where scikit-learn's configuration says
            ``sparse_interface="sparray"``.

        Raises
        ------
        ValueError
            Fewer fitted rows than entries wanted; what `knn_graph` refuses.
        """
        check_is_fitted(self)
        self._check_parameters()  # set_params() may have come between
        rows = validate_data(self, X, dtype=list(_DTYPES), reset=False)
        return self._as_asked(self._graph(self._entries(), queries=rows).to_csr())

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """`fit`, then the graph of the rows among themselves, each with itself first.

        It takes half the work of ``fit(X).transform(X)``, and differs from it only in which of more
        than `n_neighbors` duplicates are there.

        Parameters
        ----------
        X, y
            As in `fit`.

        Returns
        -------
        scipy.sparse.csr_matrix of float64, shape (n, n)
            As in `transform`.

        Raises
        ------
        ValueError, TypeError
            As in `fit` and `transform`.
        """
        self.fit(X)
        n, others = self.n_samples_fit_, self._entries() - 1
        if others == 0:  # each row has itself alone, which is no graph
            return self._as_asked(csr_matrix((np.zeros(n), np.arange(n), np.arange(n + 1))))
        return self._as_asked(self._graph(others).to_csr(include_self=True))

    def _entries(self) -> int:
        """In each row of the graph, the row itself among them."""
        entries = self.n_neighbors + (self.mode == "distance")
        if entries > self.n_samples_fit_:
            raise ValueError(
                f"n_neighbors={self.n_neighbors} with mode={self.mode!r} needs at least {entries} "
                f"fitted rows, got {self.n_samples_fit_} (rows of X): lower n_neighbors"
            )
        return entries

    def _graph(self, n_neighbors: int, queries: Any = None) -> Any:
        return knn_graph(
            self._fit_X,
            n_neighbors,
            queries=queries,
            metric=self.metric,
            backend=self.backend,
            n_threads=effective_n_jobs(self.n_jobs),
            max_memory=self.max_memory,
            progress=self.progress,
        )

    def _as_asked(self, graph: csr_matrix) -> Any:
        """With the values of the mode, and of the type that scikit-learn would return."""
        if self.mode == "distance":
            graph.data = graph.data.astype(np.float64)
        else:
            graph.data = np.ones(graph.nnz)
        arrays = sklearn.get_config().get("sparse_interface") == "sparray"
        return csr_array(graph) if arrays else graph
