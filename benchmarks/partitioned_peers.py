"""The contestants of `partitioned.py`: how each builds a k-NN graph, and with which settings.

Rows come with unit length, so that Euclidean neighbours are those by cosine.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import knn_common as common
import numpy as np
from numpy.typing import NDArray

Setting = dict[str, Any]
Built = tuple[common.Indices, dict[str, Any]]


def ilo_fast(X: NDArray[np.float32], k: int, threads: int, setting: Setting) -> Built:
    import warnings

    from ilo_fast import PartitionedOptions, knn_graph

    warnings.simplefilter("ignore", RuntimeWarning)  # a recall that was not reached is a point, too
    options = PartitionedOptions(exact_below=0, sample_rows=1000, **setting)
    graph = knn_graph(X, k, backend="partitioned", partitioned=options, n_threads=threads)
    layer = graph.info["layers"][0]
    return graph.indices, layer


def hnswlib(X: NDArray[np.float32], k: int, threads: int, setting: Setting) -> Built:
    import hnswlib as library

    index = library.Index(space="ip", dim=X.shape[1])
    index.init_index(
        len(X), M=setting["M"], ef_construction=setting["ef_construction"], random_seed=0
    )
    index.set_num_threads(threads)
    index.set_ef(max(setting["ef"], k + 1))
    index.add_items(X)
    found = index.knn_query(X, k=k + 1)[0].astype(np.int64)
    return common.without_self(found, k), {}


def pynndescent(X: NDArray[np.float32], k: int, threads: int, setting: Setting) -> Built:
    # numba looks for the package `coverage`, and would find the benchmark of that name.
    sys.path[:] = [path for path in sys.path if Path(path).resolve() != Path(__file__).parent]
    from pynndescent import NNDescent

    index = NNDescent(
        X, metric="cosine", n_neighbors=setting["n_neighbors"], random_state=0, n_jobs=threads
    )
    found = index.neighbor_graph[0][:, : k + 1].astype(np.int64)
    return common.without_self(found, k), {"version": _version("pynndescent")}


def faiss_ivf(X: NDArray[np.float32], k: int, threads: int, setting: Setting) -> Built:
    import faiss

    faiss.omp_set_num_threads(threads)
    d = X.shape[1]
    index = faiss.IndexIVFFlat(
        faiss.IndexFlatIP(d), d, setting["nlist"], faiss.METRIC_INNER_PRODUCT
    )
    index.train(X[:: max(1, len(X) // (64 * setting["nlist"]))])
    index.add(X)
    index.nprobe = setting["nprobe"]
    return common.without_self(index.search(X, k + 1)[1], k), {"version": faiss.__version__}


def faiss_nndescent(X: NDArray[np.float32], k: int, threads: int, setting: Setting) -> Built:
    """The graph that the index holds, without a search: (n, K) row numbers, the row left out."""
    import faiss

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexNNDescentFlat(X.shape[1], setting["K"], faiss.METRIC_L2)
    index.nndescent.L = setting["K"] + 50
    index.nndescent.iter = setting["iterations"]
    index.add(X)
    held = faiss.vector_to_array(index.nndescent.final_graph).reshape(len(X), -1)
    return held[:, :k].astype(np.int64), {"version": faiss.__version__}


BUILDERS: dict[str, Callable[[NDArray[np.float32], int, int, Setting], Built]] = {
    "ilo_fast": ilo_fast,
    "hnswlib": hnswlib,
    "pynndescent": pynndescent,
    "faiss-ivf": faiss_ivf,
    "faiss-nndescent": faiss_nndescent,
}


def settings(name: str, n: int) -> list[Setting]:
    """From quick to thorough."""
    if name == "ilo_fast":
        wanted = ((0.9, 3), (0.98, 8), (0.99, 8), (0.995, 8), (0.999, 12))
        return [{"recall": recall, "overlap": overlap} for recall, overlap in wanted]
    if name == "hnswlib":
        return [
            {"M": m, "ef_construction": built, "ef": ef}
            for m, built, ef in ((16, 100, 30), (16, 200, 60), (16, 200, 120), (24, 200, 250))
        ]
    if name == "pynndescent":
        return [{"n_neighbors": size} for size in (15, 30, 50)]
    if name == "faiss-ivf":
        lists = max(16, int(4 * math.sqrt(n)))
        return [{"nlist": lists, "nprobe": p} for p in (4, 8, 16, 32, 64) if p <= lists]
    rounds = ((24, 8), (32, 8), (48, 8), (64, 10), (96, 12))
    return [{"K": size, "iterations": times} for size, times in rounds]


NEAR = {
    "ilo_fast": (0, 1, 2, 3, 4),
    "hnswlib": (1, 2),
    "pynndescent": (1,),
    "faiss-ivf": (2,),
    "faiss-nndescent": (1, 2),
}
"""Of each contestant's settings those that cost the least time at recall 0.99 on 50 000 generated
rows of 768 values; of faiss-ivf one below it, since 0.99 takes it several times as long."""


def interval(shares: NDArray[np.float64], n: int) -> tuple[float, float]:
    """As `knn_graph` reports it: Wilson's, rows for trials; no doubt where all were asked."""
    from ilo_fast._util.statistics import wilson_interval

    mean = float(shares.mean())
    return (mean, mean) if len(shares) == n else wilson_interval(mean, len(shares))


def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)
