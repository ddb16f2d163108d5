"""The transformer as scikit-learn's own checks and users see it."""

from __future__ import annotations

import importlib
import sys

import numpy as np
import pytest
from oracles import knn as oracle

sklearn = pytest.importorskip("sklearn", reason="scikit-learn is in ilo_fast[sklearn]")

from joblib import parallel_config  # noqa: E402
from scipy.sparse import csr_array, csr_matrix  # noqa: E402
from sklearn.cluster import DBSCAN, SpectralClustering  # noqa: E402
from sklearn.manifold import TSNE  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.neighbors import KNeighborsClassifier, KNeighborsTransformer  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.utils.estimator_checks import estimator_checks_generator  # noqa: E402

import ilo_fast.integrations.sklearn as integration  # noqa: E402
from ilo_fast.integrations.sklearn import ExactKNeighborsTransformer  # noqa: E402

MODES, METRICS = ("distance", "connectivity"), ("euclidean", "cosine")


def rows(n: int, seed: int, d: int = 7) -> np.ndarray:
    """Anisotropic, as layers of language models are."""
    return np.random.default_rng(seed).normal(size=(n, d)) * np.geomspace(1, 50, d) + 10


def clusters(n: int = 30, n_clusters: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(n_clusters), n)
    return rng.normal(size=(len(cluster), 6)) + 10 * np.eye(6)[cluster], cluster


@pytest.mark.parametrize(
    ("estimator", "check"),
    [  # what parametrize_with_checks gives, which is no list in older scikit-learns
        pytest.param(estimator, check, id=f"{mode}-{check.func.__name__}")
        for mode in MODES
        for estimator, check in estimator_checks_generator(
            ExactKNeighborsTransformer(n_neighbors=3, mode=mode)
        )
    ],
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("mode", MODES)
def test_the_graph_is_that_of_scikit_learn(mode, metric):
    given = {"mode": mode, "metric": metric, "n_neighbors": 4}
    for dtype in (np.float64, np.float32):
        X, others = rows(60, 1).astype(dtype), rows(20, 2).astype(dtype)
        ours, theirs = ExactKNeighborsTransformer(**given), KNeighborsTransformer(**given)
        for one, other in (
            (ours.fit_transform(X), theirs.fit_transform(X)),
            (ours.transform(X), theirs.transform(X)),
            (ours.transform(others), theirs.transform(others)),
        ):
            assert type(one) is csr_matrix and one.dtype == np.float64
            assert one.shape == other.shape
            np.testing.assert_array_equal(one.indptr, other.indptr)
            np.testing.assert_array_equal(one.indices, other.indices)
            np.testing.assert_allclose(one.data, other.data, rtol=1e-4, atol=1e-5)
    assert list(ours.get_feature_names_out()[:1]) == ["exactkneighborstransformer0"]
    assert ours.n_samples_fit_ == theirs.n_samples_fit_ == 60


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_ties_and_duplicates_go_by_the_oracle_behind_the_row_itself(metric, dtype):
    X = np.random.default_rng(3).integers(1, 4, size=(50, 3)).astype(dtype)
    assert len(np.unique(X, axis=0)) < 27 < len(X)  # duplicates, and ties all over
    indices, distances = oracle.knn(X, 6, metric)
    graph = ExactKNeighborsTransformer(metric=metric, n_neighbors=6).fit_transform(X)
    lists = graph.indices.reshape(50, 7)
    np.testing.assert_array_equal(lists[:, 0], np.arange(50))
    np.testing.assert_array_equal(lists[:, 1:], indices)
    np.testing.assert_array_equal(graph.data.reshape(50, 7)[:, 1:], distances.astype(np.float32))
    # Up to ties it is scikit-learn's: the same distances in each place.
    theirs = KNeighborsTransformer(metric=metric, n_neighbors=6).fit_transform(X.astype(float))
    np.testing.assert_allclose(graph.data, theirs.data, atol=1e-6)


def test_a_row_comes_first_whatever_duplicates_it_has():
    X = np.ones((30, 2))
    graph = ExactKNeighborsTransformer(n_neighbors=3).fit_transform(X)
    np.testing.assert_array_equal(graph.indices.reshape(30, 4)[:, 0], np.arange(30))
    assert graph.nnz == 120 and not graph.data.any()  # zeros are stored
    alone = ExactKNeighborsTransformer(n_neighbors=1, mode="connectivity").fit_transform(X)
    np.testing.assert_array_equal(alone.toarray(), np.eye(30))


@pytest.mark.filterwarnings("ignore:Graph is not fully connected")
def test_clusterings_find_what_they_find_with_scikit_learns_graph():
    X, cluster = clusters()
    for step in (
        DBSCAN(eps=3.5, min_samples=4, metric="precomputed"),
        SpectralClustering(
            3, affinity="precomputed_nearest_neighbors", n_neighbors=10, random_state=0
        ),
    ):
        ours = make_pipeline(ExactKNeighborsTransformer(n_neighbors=40), step).fit_predict(X)
        theirs = make_pipeline(KNeighborsTransformer(n_neighbors=40), step).fit_predict(X)
        np.testing.assert_array_equal(ours, theirs)
        assert len(set(zip(ours[ours >= 0], cluster[ours >= 0], strict=True))) == 3


def test_tsne_takes_the_graph():
    X, cluster = clusters()
    step = TSNE(metric="precomputed", perplexity=8, init="random", max_iter=300, random_state=0)
    at = make_pipeline(ExactKNeighborsTransformer(n_neighbors=25), step).fit_transform(X)
    nearest = oracle.knn(at, 3, "euclidean")[0]
    assert (cluster[nearest] == cluster[:, None]).mean() > 0.95


def test_a_classifier_predicts_and_is_searched_as_without_the_graph():
    X, y = rows(80, 5), np.arange(80) % 3
    new = rows(25, 6)
    pipeline = make_pipeline(
        ExactKNeighborsTransformer(n_neighbors=9),
        KNeighborsClassifier(n_neighbors=5, metric="precomputed"),
    )
    direct = KNeighborsClassifier(n_neighbors=5).fit(X, y)
    np.testing.assert_array_equal(pipeline.fit(X, y).predict(new), direct.predict(new))
    search = GridSearchCV(
        pipeline,
        {
            "exactkneighborstransformer__metric": METRICS,
            "kneighborsclassifier__n_neighbors": [3, 5],
        },
        cv=2,
        error_score="raise",
    )
    assert len(search.fit(X, y).cv_results_["params"]) == 4


def test_threads_are_those_that_joblib_says(monkeypatch):
    asked = []

    def recorded(*args, n_threads, **options):
        asked.append(n_threads)
        return knn_graph(*args, n_threads=n_threads, **options)

    knn_graph = integration.knn_graph
    monkeypatch.setattr(integration, "knn_graph", recorded)
    ExactKNeighborsTransformer().fit_transform(rows(20, 0))
    ExactKNeighborsTransformer(n_jobs=3).fit_transform(rows(20, 0))
    with parallel_config("threading", n_jobs=2):
        ExactKNeighborsTransformer().fit_transform(rows(20, 0))
    assert asked == [1, 3, 2]


def test_sparse_arrays_where_the_configuration_asks_for_them():
    if "sparse_interface" not in sklearn.get_config():
        pytest.skip("this scikit-learn always returns matrices")
    with sklearn.config_context(sparse_interface="sparray"):
        for mode in MODES:
            found = ExactKNeighborsTransformer(mode=mode).fit_transform(rows(20, 0))
            assert type(found) is csr_array


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mode": "distances"}, r"mode='distances' is not known: use 'distance' or"),
        ({"metric": "minkowski"}, r"metric='minkowski' is not known: use 'euclidean' or 'cosine'"),
        ({"backend": "hnsw"}, r"backend='hnsw' is not known"),
        ({"n_neighbors": 0}, r"n_neighbors=0 must be at least 1"),
        ({"n_neighbors": 20}, r"n_neighbors=20 with mode='distance' needs at least 21 fitted rows"),
        ({"n_neighbors": 21, "mode": "connectivity"}, r"at least 21 fitted rows, got 20"),
    ],
)
def test_what_makes_no_graph_is_refused(given, said):
    with pytest.raises(ValueError, match=said):
        ExactKNeighborsTransformer(**given).fit_transform(rows(20, 0))


def test_sparse_rows_and_rows_of_zeros_are_refused():
    with pytest.raises(TypeError, match="Sparse data was passed"):
        ExactKNeighborsTransformer().fit(csr_matrix(np.eye(20)))
    with pytest.raises(ValueError, match="row 4"):
        ExactKNeighborsTransformer(metric="cosine").fit_transform(np.eye(20)[:, :4])


def test_a_missing_or_other_scikit_learn_is_named(monkeypatch):
    name = "ilo_fast.integrations.sklearn"
    for target, value, said in (
        ("importlib.util.find_spec", None, r"needs scikit-learn >= 1.6, < 2: pip install 'ilo"),
        ("ilo_fast._util.optional.installed_version", "2.1.0", r"< 2, found 2.1.0: pip install"),
        ("ilo_fast._util.optional.installed_version", "1.5.2", r"found 1.5.2: pip install 'ilo_"),
    ):
        with monkeypatch.context() as patch:
            patch.delitem(sys.modules, name)
            patch.setattr(target, lambda *_, value=value: value)
            with pytest.raises(ImportError, match=said):
                importlib.import_module(name)


@pytest.mark.parametrize(
    ("name", "value"), [("mode", "nonsense"), ("n_neighbors", 0), ("n_neighbors", 2.5)]
)
def test_parameters_that_are_set_after_fit_are_checked(name: str, value: object) -> None:
    X = np.random.default_rng(0).normal(size=(20, 4))
    fitted = ExactKNeighborsTransformer(n_neighbors=3).fit(X).set_params(**{name: value})
    with pytest.raises((ValueError, TypeError), match=name):
        fitted.transform(X)
