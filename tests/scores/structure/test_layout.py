import itertools
import signal

import numpy as np
import pytest

from ilo_fast import _core
from ilo_fast.graph.knn import knn_graph
from ilo_fast.graph.result import NeighborGraph
from ilo_fast.scores.overlap import overlap
from ilo_fast.scores.structure.layout import layout


def clusters(n: int = 40, n_clusters: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(n_clusters), n)
    return rng.normal(size=(len(cluster), 8)) + 12 * rng.normal(size=(n_clusters, 8))[cluster], (
        cluster
    )


def nearest_centre(at: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    centres = np.array([at[cluster == c].mean(axis=0) for c in range(cluster.max() + 1)])
    return ((at[:, None] - centres) ** 2).sum(axis=-1).argmin(axis=1)


def test_what_is_apart_in_the_graph_is_apart_on_the_map() -> None:
    rows, cluster = clusters()
    at = layout(knn_graph(rows, 5, metric="euclidean"))
    assert at.shape == (1, 160, 2)
    assert at.dtype == np.float32
    assert (nearest_centre(at[0], cluster) == cluster).all()


def test_neighbours_of_the_graph_are_near_on_the_map() -> None:
    rows = np.random.default_rng(1).normal(size=(200, 2))  # a plane: the map can be true
    graph = knn_graph(rows, 6, metric="euclidean")
    at = layout(graph)[0]
    linked = np.linalg.norm(at[graph.indices] - at[:, None], axis=-1).mean()
    anyone = np.linalg.norm(at[:, None] - at, axis=-1).mean()
    assert linked < 0.25 * anyone
    mapped = knn_graph(at, 12, metric="euclidean").indices
    kept = [len(set(a) & set(b)) for a, b in zip(graph.indices, mapped, strict=True)]
    assert np.mean(kept) > 0.6 * 6


def test_layers_are_standard_and_aligned() -> None:
    rows, cluster = clusters()
    near = rows + 0.3 * np.random.default_rng(2).normal(size=rows.shape)
    at = layout(knn_graph(np.stack([rows, near, near]), 5, metric="euclidean"))
    np.testing.assert_allclose(at.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose((at**2).sum(axis=2).mean(axis=1), 1, atol=1e-4)
    for one, other in itertools.pairwise(at):
        for c in range(4):  # clusters stay where they are
            moved = one[cluster == c].mean(axis=0) - other[cluster == c].mean(axis=0)
            assert np.linalg.norm(moved) < 0.6  # they are some 1.5 apart


def test_the_same_seed_gives_the_same_map_whatever_the_number_of_layers() -> None:
    rows, _ = clusters()
    graph = knn_graph(np.stack([rows, rows[::-1]]), 4)
    at = layout(graph, seed=3)
    assert (at == layout(graph, seed=3)).all()
    assert (at[:1] == layout(graph[0], seed=3)).all()
    assert (at != layout(graph, seed=4)).any()


@pytest.mark.parametrize("n", [2, 3, 12])
def test_copies_and_few_points_have_finite_places(n: int) -> None:
    at = layout(knn_graph(np.ones((n, 3)), 1))
    assert np.isfinite(at).all()


def test_what_has_no_graph_is_refused() -> None:
    rows, _ = clusters(10)
    with pytest.raises(TypeError, match="OverlapScores or a graph, got ndarray"):
        layout(rows)  # type: ignore[arg-type]
    scores = overlap({"a": rows[:20], "b": rows[20:]}, n_neighbors=2, threshold=1)
    with pytest.raises(ValueError, match=r"neighbors=True"):
        layout(scores)
    with pytest.raises(ValueError, match="one of queries"):
        layout(knn_graph(rows, 2, queries=rows[:3]))
    with pytest.raises(ValueError, match="method='tsne' is not known"):
        layout(knn_graph(rows, 2), method="tsne")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"indices": np.array([[1], [2]], np.int32)}, r"indices holds 2, wanted numbers of points"),
        ({"indices": np.array([1, 0], np.int32)}, r"wanted \(n, k\)"),
        ({"start": np.zeros((3, 2), np.float32)}, r"wanted \(2, 2\)"),
        ({"start": np.full((2, 2), np.nan, np.float32)}, "start of point 0 is not finite"),
        ({"n_epochs": -1}, "must be at least 0"),
    ],
)
def test_the_core_refuses_what_is_no_graph(change: dict, said: str) -> None:
    good = {
        "indices": np.array([[1], [0]], np.int32),
        "start": np.array([[0, 0], [1, 1]], np.float32),
        "n_epochs": 3,
        "n_pushes": 1,
        "seed": 0,
    }
    assert _core.layout(**good).shape == (2, 2)
    assert (_core.layout(**{**good, "n_epochs": 0}) == good["start"]).all()
    with pytest.raises(ValueError, match=said):
        _core.layout(**{**good, **change})


def test_umap_takes_our_neighbours() -> None:
    pytest.importorskip("umap")
    rows, cluster = clusters()
    graph = knn_graph(rows, 5, metric="euclidean")
    at = layout(graph, method="umap")
    assert (nearest_centre(at[0], cluster) == cluster).all()
    # Of other neighbours another map: UMAP looks for none of its own.
    order = np.random.default_rng(0).permutation(len(rows))
    shuffled = NeighborGraph(order[graph.indices[np.argsort(order)]], graph.distances)
    moved = layout(shuffled, method="umap")
    assert (nearest_centre(moved[0][order], cluster) == cluster).all()


def test_without_umap_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    rows, _ = clusters(10)
    with pytest.raises(ImportError, match=r"ilo_fast\[map\]"):
        layout(knn_graph(rows, 2), method="umap")


def test_ctrl_c_is_heard() -> None:
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            _core.layout(
                np.array([[1], [0]], np.int32), np.zeros((2, 2), np.float32),
                n_epochs=10**7, n_pushes=5, seed=0,
            )  # fmt: skip
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
