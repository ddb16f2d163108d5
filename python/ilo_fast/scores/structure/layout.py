"""A map of the points of all languages: their neighbour graphs in the plane, layer after layer."""

from __future__ import annotations

import warnings
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ilo_fast import _core
from ilo_fast._util.checks import choice, whole_number
from ilo_fast._util.optional import require
from ilo_fast._util.progress import share_bar
from ilo_fast.graph.result import NeighborGraph
from ilo_fast.scores.result import OverlapScores
from ilo_fast.scores.structure.graph_of import graph_of

Positions = NDArray[np.float32]

_EPOCHS: Final = 100
_PUSHES: Final = 5  # points that each link pushes away, as in UMAP
_RADIUS: Final = 6.0  # of the start; the forces act over distances of about 1
_FIRST_STEPS: Final = 60  # means over neighbours, which draw apart what the graph holds apart
_NEXT_STEPS: Final = 10  # fewer: a point starts among its new neighbours, where they were


def layout(
    scores: OverlapScores | NeighborGraph,
    *,
    method: Literal["forces", "umap"] = "forces",
    seed: int = 0,
    progress: bool = False,
) -> Positions:
    """Positions in the plane: points that are linked lie near each other.

    A picture, not a measurement: distances between clusters, and their sizes, mean little. What
    hangs together in the graph hangs together on the map; all numbers are taken from the graph.

    ``"forces"``: links pull their ends together and push points drawn at random away, as in
    LargeVis (Tang et al. 2016) and UMAP (McInnes et al. 2018), with the kernel ``1 / (1 + d^2)``.
    The first layer starts from random numbers that are averaged over neighbours time after time,
    which is a power iteration towards the slow eigenvectors of the graph; each next layer starts
    where the last one ended, so that points move no more than their neighbours make them.

    Parameters
    ----------
    scores : OverlapScores or NeighborGraph
        Scores that kept their graph (``overlap(..., neighbors=True)``), or a graph.
    method : {"forces", "umap"}
        ``"umap"`` needs ``pip install 'ilo_fast[map]'``; each layer is made from our neighbours.
    seed : int
    progress : bool
        A bar on standard error.

    Returns
    -------
    float32, shape (layers, N, 2)
        Each layer centred, its mean square distance from the centre 1, turned and mirrored so that
        points lie as near as may be to where they lay in the layer before.

    Raises
    ------
    ValueError
        Scores without their graph, a graph of queries.
    ImportError
        ``method="umap"`` without umap-learn.

    Notes
    -----
    Some 5 seconds per layer of 31 372 points on one core, without UMAP (benchmarks/structure.py).
    """
    graph = graph_of(scores)
    choice("method", method, ("forces", "umap"))
    seed = whole_number("seed", seed, least=0, most=2**32 - 1)  # as much as umap-learn takes
    if method == "umap":
        require("umap", "map")
    layers: list[Positions] = []
    with share_bar(progress, "map") as update:
        for one in graph:
            last = layers[-1] if layers else None
            if method == "umap":
                found = _umap(one, seed)
            else:
                found = _forces(np.ascontiguousarray(one.indices, np.int32), last, seed)
            layers.append(_aligned(found, last))
            if update:
                update(len(layers) / len(graph))
    return np.stack(layers)


def _forces(indices: NDArray[np.int32], last: Positions | None, seed: int) -> Positions:
    if last is None:
        start = np.random.default_rng(seed).normal(size=(len(indices), 2))
        for _ in range(_FIRST_STEPS // 10):
            start = _independent(_averaged(indices, start, 10))
        # Even over a square: the slow eigenvectors leave most points in a heap.
        rank = np.argsort(np.argsort(start, axis=0, kind="stable"), axis=0)
        start = 2 * rank / max(1, len(indices) - 1) - 1
    else:
        start = _averaged(indices, last.astype(np.float64), _NEXT_STEPS)
    start = _RADIUS * _standard(start)
    return _core.layout(
        indices, start.astype(np.float32), n_epochs=_EPOCHS, n_pushes=_PUSHES, seed=seed
    )


def _averaged(
    indices: NDArray[np.int32], at: NDArray[np.float64], steps: int
) -> NDArray[np.float64]:
    """Each point half way to the mean of its neighbours, so many times."""
    k = indices.shape[1]
    for _ in range(steps):
        mean = sum(at[indices[:, i]] for i in range(k)) / k
        at = 0.5 * at + 0.5 * mean
    return at


def _independent(at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centred columns, at right angles; without this, both become the same slow vector."""
    return np.linalg.qr(at - at.mean(axis=0))[0]


def _standard(at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centred, with a mean square distance of 1 from the centre; in one place where all are."""
    at = at - at.mean(axis=0)
    spread = float(np.sqrt((at**2).sum(axis=1).mean()))
    return at / spread if spread > 0 else at


def _aligned(found: Positions, last: Positions | None) -> Positions:
    """Standardised; turned and mirrored to lie near `last` (orthogonal Procrustes)."""
    at = _standard(found.astype(np.float64))
    if last is not None:
        left, _, right = np.linalg.svd(at.T @ last.astype(np.float64))
        at = at @ (left @ right)
    return at.astype(np.float32)


def _umap(graph: NeighborGraph, seed: int) -> Positions:
    """UMAP of our neighbours."""
    import umap

    n, k = graph.indices.shape
    model: Any = umap.UMAP(
        n_neighbors=k + 1,  # exactly the columns: of more, those behind are not always dropped
        precomputed_knn=graph.to_umap(),
        random_state=seed,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        # Of what it could not do with points that are not here; nobody asks for it.
        warnings.filterwarnings("ignore", message=".*transform", category=UserWarning)
        found: Positions = model.fit_transform(np.zeros((n, 1), np.float32))
    return found
