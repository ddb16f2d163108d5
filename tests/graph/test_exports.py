"""A graph as UMAP and openTSNE take it: they make of it what they make of their own."""

from __future__ import annotations

import numpy as np
import pytest

from ilo_fast.graph.knn import knn_graph

# Once is enough: UMAP compiles itself for seconds, and the engine has tests of its own.
pytestmark = pytest.mark.independent_of_forcing

X = np.random.default_rng(0).normal(size=(90, 5)) + 4 * np.eye(5)[np.repeat([0, 1, 2], 30)]


def test_umap_gets_each_row_first() -> None:
    graph = knn_graph(np.vstack([X, X[:4]]), 6)  # with duplicates
    indices, distances = graph.to_umap()
    assert indices.dtype == np.int32 and distances.dtype == np.float32
    assert indices.flags.c_contiguous and distances.flags.c_contiguous
    np.testing.assert_array_equal(indices[:, 0], np.arange(94))
    assert not distances[:, 0].any()
    np.testing.assert_array_equal(indices[:, 1:], graph.indices)
    np.testing.assert_array_equal(distances[:, 1:], graph.distances)
    fewer = graph.to_umap(np.int64(4))
    np.testing.assert_array_equal(fewer[0], indices[:, :4])
    np.testing.assert_array_equal(fewer[1], distances[:, :4])
    assert fewer[1].flags.c_contiguous
    indices[:], distances[:] = -1, np.inf  # as UMAP writes where points are far apart
    assert graph == knn_graph(np.vstack([X, X[:4]]), 6)


@pytest.mark.parametrize("name", ["to_umap", "to_opentsne"])
def test_what_is_no_graph_of_one_layer_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}\(\) takes one layer, got a stack of 2: choose"):
        getattr(knn_graph(np.stack([X, X]), 3), name)()
    with pytest.raises(ValueError, match=rf"{name}\(\) .* of queries: make it with knn_graph\(X\)"):
        getattr(knn_graph(X, 3, queries=X[:5]), name)()


def test_more_columns_than_there_are_neighbours_are_refused() -> None:
    graph = knn_graph(X, 3)
    assert graph.to_umap(4)[0].shape == (90, 4)
    with pytest.raises(ValueError, match=r"n_neighbors=5 .* at most 4 .* knn_graph\(X, 4\)"):
        graph.to_umap(5)
    with pytest.raises(ValueError, match="n_neighbors=1 must be at least 2"):
        graph.to_umap(1)


@pytest.mark.filterwarnings("ignore:.*(transform|n_jobs value)")
def test_umap_makes_of_the_graph_what_it_makes_of_its_own_neighbours() -> None:
    umap = pytest.importorskip("umap", reason="umap-learn is in ilo_fast[map]")
    given = {"n_neighbors": 8, "transform_mode": "graph", "random_state": 0}  # no embedding
    own = umap.UMAP(**given).fit(X).graph_  # so few rows: by brute force
    graph = knn_graph(X, 12, metric="euclidean")
    ours = umap.UMAP(**given, precomputed_knn=graph.to_umap(8)).fit(X).graph_
    assert ours.nnz == own.nnz
    np.testing.assert_allclose(ours.toarray(), own.toarray(), atol=1e-4)
    assert graph == knn_graph(X, 12, metric="euclidean")
    # It did look at the graph: of another it makes another.
    other = umap.UMAP(**given, precomputed_knn=knn_graph(X[::-1], 7).to_umap()).fit(X).graph_
    assert abs(other - own).max() > 0.1


def test_opentsne_makes_of_the_graph_what_it_makes_of_its_own_neighbours() -> None:
    affinity = pytest.importorskip("openTSNE.affinity", reason="it is in ilo_fast[opentsne]")
    graph = knn_graph(X, 24, metric="euclidean")
    own = affinity.PerplexityBasedNN(X, perplexity=8, method="exact").P
    ours = affinity.PerplexityBasedNN(knn_index=graph.to_opentsne(), perplexity=8).P
    np.testing.assert_allclose(ours.toarray(), own.toarray(), atol=1e-7)
    assert ours.nnz == own.nnz
    assert graph == knn_graph(X, 24, metric="euclidean")


def test_opentsne_maps_the_graph() -> None:
    tsne = pytest.importorskip("openTSNE", reason="it is in ilo_fast[opentsne]")
    index = knn_graph(X, 24, metric="euclidean").to_opentsne()
    given = {"perplexity": 8, "n_iter": 150, "early_exaggeration_iter": 100, "random_state": 0}
    at = np.asarray(tsne.TSNE(neighbors=index, negative_gradient_method="bh", **given).fit(X))
    nearest = knn_graph(at, 3, metric="euclidean").indices // 30
    assert (nearest == np.arange(90)[:, None] // 30).mean() > 0.9
    with pytest.raises(RuntimeError, match="cannot be queried"):
        index.query(X[:2], 3)


def test_a_missing_or_other_opentsne_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = knn_graph(X, 3)
    with monkeypatch.context() as patch:
        patch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(ImportError, match=r"needs openTSNE >= 1, < 2: .*ilo_fast\[opentsne\]"):
            graph.to_opentsne()
    pytest.importorskip("openTSNE", reason="it is in ilo_fast[opentsne]")
    monkeypatch.setattr("ilo_fast._util.optional.installed_version", lambda name: "2.0.1")
    with pytest.raises(ImportError, match=r"needs openTSNE >= 1, < 2, found 2\.0\.1: pip install"):
        graph.to_opentsne()
