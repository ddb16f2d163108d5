"""NeighborGraph: layers, CSR matrices, files."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest

from ilo_fast import NeighborGraph, knn_graph, layout, structure
from ilo_fast.scores.similarity import hubness

X = np.random.default_rng(0).standard_normal((3, 40, 6)).astype(np.float32)
sparse = pytest.importorskip("scipy.sparse")


def test_stack_is_a_sequence_of_layers():
    graph = knn_graph(X, 4)
    assert len(graph) == 3 and [g.indices.shape for g in graph] == [(40, 4)] * 3
    np.testing.assert_array_equal(graph[-1].indices, graph.indices[2])
    assert graph[1].info["layers"] == [graph.info["layers"][1]]
    assert graph[1:].indices.shape == (2, 40, 4) and len(graph[1:].info["layers"]) == 2
    one = knn_graph(X[0], 4)
    assert len(one) == 1 and one[0] is one
    for wrong in (3, slice(5, 9)):
        with pytest.raises(IndexError):
            graph[wrong]


def test_results_can_be_compared_and_hashed():
    graph, again = knn_graph(X, 4), knn_graph(X, 4)
    assert graph == again and len({graph, again}) == 1
    assert graph != knn_graph(X, 3) and graph != knn_graph(X, 4, metric="euclidean")
    assert graph != "graph" and graph[0] == again[0] != graph[1]


@pytest.mark.parametrize("m", [10, 70])
def test_matrix_of_queries_has_a_column_for_every_row_of_x(m):
    queries = np.random.default_rng(1).standard_normal((m, 6)).astype(np.float32)
    graph = knn_graph(X[0], 5, queries=queries)
    matrix = graph.to_csr()
    assert matrix.shape == (m, 40)
    matrix.check_format(full_check=True)
    dense = np.take_along_axis(matrix.toarray(), graph.indices, axis=1)
    np.testing.assert_array_equal(dense, graph.distances)
    with pytest.raises(ValueError, match="queries are no rows of X"):
        graph.to_csr(include_self=True)


def test_matrix_with_the_rows_themselves_stores_their_zeros_first():
    twins = np.vstack([X[0], X[0][:3]])  # duplicates, whose zeros are stored, too
    matrix = knn_graph(twins, 4).to_csr(include_self=True)
    assert matrix.shape == (43, 43) and matrix.nnz == 43 * 5
    np.testing.assert_array_equal(matrix.indices.reshape(43, 5)[:, 0], np.arange(43))
    assert (matrix.data.reshape(43, 5)[:, 0] == 0).all()
    with pytest.raises(ValueError, match=r"choose one, graph\[0\]"):
        knn_graph(X, 4).to_csr()


def test_scikit_learn_finds_the_neighbours_of_the_matrix():
    neighbors = pytest.importorskip(
        "sklearn.neighbors", reason="scikit-learn is in ilo_fast[bench]"
    )
    graph = knn_graph(X[0], 5, metric="euclidean")
    wanted = neighbors.KNeighborsTransformer(n_neighbors=5, mode="distance").fit_transform(X[0])
    matrix = graph.to_csr(include_self=True)
    np.testing.assert_array_equal(matrix.indptr, wanted.indptr)
    np.testing.assert_array_equal(matrix.indices, wanted.indices)
    np.testing.assert_allclose(matrix.data, wanted.data, atol=1e-5)
    fitted = neighbors.NearestNeighbors(n_neighbors=5, metric="precomputed").fit(matrix)
    distances, indices = fitted.kneighbors()
    np.testing.assert_array_equal(indices, graph.indices)
    np.testing.assert_array_equal(distances, graph.distances)


@pytest.mark.parametrize("queries", [False, True])
def test_saved_graph_comes_back(tmp_path, queries):
    graph = knn_graph(X, 4, queries=X[:, :7] if queries else None)
    path = tmp_path / "new" / "graph.npz"
    graph.save(path)
    assert [p.name for p in path.parent.iterdir()] == ["graph.npz"]
    again = NeighborGraph.load(path)
    np.testing.assert_array_equal(again.indices, graph.indices)
    np.testing.assert_array_equal(again.distances, graph.distances)
    assert (again.info, again.n_rows, again.of_queries) == (graph.info, 40, queries)


def archive(path, compression=zipfile.ZIP_STORED, **changes):
    """A file as save() writes it, but for some members; None leaves one out."""
    graph = knn_graph(X[0], 4)
    about = {
        "kind": "ilo_fast.neighbor_graph", "schema_version": 1, "n_rows": 40, "of_queries": False,
        "info": {},
    }  # fmt: skip
    about |= changes.pop("about", {})
    members = {
        "indices": graph.indices, "distances": graph.distances,
        "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
    } | changes  # fmt: skip
    with zipfile.ZipFile(path, "w", compression) as out:
        for name, value in members.items():
            if value is not None:
                data = io.BytesIO()
                np.lib.format.write_array(data, value, allow_pickle=True)
                out.writestr(f"{name}.npy", data.getvalue())


def with_one(where, value):
    array = knn_graph(X[0], 4).indices.copy()
    array[where] = value
    return array


HOSTILE = {
    "no indices": {"indices": None},
    "pickled": {"indices": np.array([print], dtype=object)},
    "floats": {"indices": np.zeros((40, 4), np.float32)},
    "another shape": {"distances": np.zeros((40, 3), np.float32)},
    "too large": {"indices": with_one((3, 1), 40)},
    "negative": {"indices": with_one((3, 1), -1)},
    "itself": {"indices": with_one((3, 1), 3)},
    "nan": {"distances": np.full((40, 4), np.nan, np.float32)},
    "unsorted": {"distances": np.tile(np.float32([4, 3, 2, 1]), (40, 1))},
    "another kind": {"about": {"kind": "x"}},
    "later": {"about": {"schema_version": 2}},
    "rows": {"about": {"n_rows": 39}},
    "info": {"about": {"info": 3}},
    "compressed": {"compression": zipfile.ZIP_DEFLATED},
}


@pytest.mark.parametrize("changes", HOSTILE.values(), ids=HOSTILE)
def test_hostile_file_is_refused(tmp_path, changes):
    archive(tmp_path / "sound.npz")
    NeighborGraph.load(tmp_path / "sound.npz")
    archive(tmp_path / "g.npz", **changes)
    with pytest.raises(ValueError, match=r"g\.npz is no saved NeighborGraph, or is damaged"):
        NeighborGraph.load(tmp_path / "g.npz")


def test_damaged_file_is_refused_wherever_the_damage_is(tmp_path):
    path = tmp_path / "g.npz"
    knn_graph(X[0], 4).save(path)
    sound = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(sound)
        damaged[rng.integers(len(sound))] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            again = NeighborGraph.load(path)
        except ValueError as error:
            assert "no saved NeighborGraph" in str(error)
        else:  # a bit that says nothing: a date, say
            np.testing.assert_array_equal(again.indices, knn_graph(X[0], 4).indices)
    for length in (0, 10, len(sound) // 2, len(sound) - 1):
        path.write_bytes(sound[:length])
        with pytest.raises(ValueError, match="no saved NeighborGraph"):
            NeighborGraph.load(path)
    with pytest.raises(FileNotFoundError):
        NeighborGraph.load(tmp_path / "absent.npz")


@pytest.mark.parametrize(
    ("indices", "error", "said"),
    [
        (np.full((20, 3), 99), ValueError, r"not in \[0, 20\)"),
        (np.full((20, 3), -1), ValueError, r"not in \[0, 20\)"),
        (np.zeros((20, 0), int), ValueError, "at least one neighbour"),
        (np.zeros((20, 3)), TypeError, "dtype float64, wanted whole numbers"),
        (np.arange(20)[:, None], ValueError, "a row as its own neighbour"),
        (np.full((20, 2), 2**33), ValueError, r"not in \[0, 20\)"),
        ((np.arange(20)[:, None] + [1, 1]) % 20, ValueError, "a neighbour twice"),
    ],
)
def test_a_graph_made_by_hand_that_is_none_is_refused_where_it_is_used(indices, error, said):
    graph = NeighborGraph(indices, np.zeros(indices.shape, np.float32))
    for use in (hubness, layout, lambda one: structure(one, list("ab" * 10))):
        with pytest.raises(error, match=said):
            use(graph)
