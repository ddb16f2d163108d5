"""knn_graph(X, queries=Y): for each row of Y the nearest rows of X, held against float64."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.engine import every_level, use_level
from numpy.typing import NDArray
from oracles import knn as reference

from ilo_fast import _core_testing, knn_graph

METRICS = ("cosine", "euclidean")
DTYPES = ("float16", "bfloat16", "float32", "float64")


def nearest(
    X: NDArray, Y: NDArray, k: int, metric: str, own: NDArray | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rows of X by (distance to a row of Y, index). own: what each row of Y may not find."""
    both = np.concatenate([np.asarray(X, np.float64), np.asarray(Y, np.float64)])
    U, multiplier = reference.as_definition(both, metric)
    U, V = U[: len(X)], U[len(X) :]
    indices, distances = np.empty((len(V), k), np.int64), np.empty((len(V), k))
    for i, v in enumerate(V):
        squared = reference.lane_sum((U - v) ** 2)
        rows = np.arange(len(U)) if own is None else np.delete(np.arange(len(U)), own[i])
        indices[i] = order = rows[np.lexsort((rows, squared[rows]))][:k]
        squared = squared[order]
        distances[i] = squared / 2 if metric == "cosine" else np.sqrt(squared) / multiplier
    return indices, distances


def assert_same(got, wanted, message=""):
    for part in (0, 1):
        assert got[part].shape == wanted[part].shape
    np.testing.assert_array_equal(got[0], wanted[0], err_msg=message)
    np.testing.assert_allclose(
        got[1], np.asarray(wanted[1], np.float32), rtol=3e-7, atol=0, err_msg=message
    )


def fresh():
    """A generator that no run has seen before, and the seed for the message."""
    seed = np.random.SeedSequence().entropy
    return np.random.default_rng(seed), f"seed {seed}"


def two_sets(rng, n, m, d):
    """Searched rows with equals among them; queries near, far, equal to rows and to each other."""
    X = rng.standard_normal((n, d)) + 10 * rng.standard_normal(d)
    X[rng.integers(0, n, n // 3)] = X[rng.integers(0, n, n // 3)]
    Y = X.mean(axis=0) + rng.standard_normal((m, d)) * rng.choice([0.1, 1, 30], (m, 1))
    Y[::3] = X[rng.integers(0, n, len(Y[::3]))]
    Y[rng.integers(0, m, m // 4)] = Y[rng.integers(0, m, m // 4)]
    return X, Y


@every_level
@pytest.mark.parametrize("metric", METRICS)
def test_equals_float64_brute_force(metric, simd, monkeypatch):
    use_level(monkeypatch, simd)
    for _ in range(4):
        rng, seed = fresh()
        n, m, d = (int(rng.integers(*ends)) for ends in ((20, 300), (1, 150), (1, 90)))
        k = int(rng.choice([1, 5, n]))
        dtype = rng.choice(["float32", "float64"])
        X, Y = (part.astype(dtype) for part in two_sets(rng, n, m, d))
        graph = knn_graph(X, k, queries=Y, metric=metric, n_threads=int(rng.integers(1, 4)))
        message = f"{seed}, n={n}, m={m}, d={d}, k={k}, {dtype}"
        assert_same((graph.indices, graph.distances), nearest(X, Y, k, metric), message)
        assert graph.indices.dtype == np.int64 and graph.distances.dtype == np.float32
        layer = graph.info["layers"][0]
        assert graph.info["simd"] == simd
        assert (layer["rows"], layer["queries"]) == (n, m)
        assert layer["certified_rows"] + layer["widened_rows"] == m, message


@every_level
@pytest.mark.parametrize("metric", METRICS)
def test_every_path_of_the_core(metric, simd):
    """Superblocks, fallback, few candidates; queries beyond the searched rows and among them."""
    rng, seed = fresh()
    n, m, d, k = 300, 200, 20, 6
    both = np.concatenate(two_sets(rng, n, m, d)).astype(np.float32)
    within = rng.permutation(n + m)[:120]
    for queries in (np.arange(n, n + m), within, np.array([n + m - 1]), np.array([0])):
        # A query that is one of the searched rows is not its own neighbour.
        beyond = queries >= n
        wanted = tuple(np.empty((len(queries), k), t) for t in (np.int64, np.float64))
        for part, own in ((beyond, None), (~beyond, queries[~beyond])):
            found = nearest(both[:n], both[queries[part]], k, metric, own)
            wanted[0][part], wanted[1][part] = found
        for options in (
            {},
            {"block_rows": 64},
            {"block_rows": 64, "max_memory": 1, "n_threads": 3},
            {"max_candidates": k},
            {"force_fallback": True},
            {"force_fallback": True, "block_rows": 64, "max_memory": 1},
        ):
            indices, distances, info, ran = _core_testing.knn_graph(
                [both[np.newaxis, :n], both[np.newaxis, n:]],
                "float32",
                k,
                cosine=metric == "cosine",
                simd=simd,
                n_base=n,
                queries=queries.tolist(),
                **{"n_threads": 2, **options},
            )
            message = f"{seed}, {options}, {len(queries)} queries"
            assert ran == simd
            assert_same((indices[0], distances[0]), wanted, message)
            if "force_fallback" in options:
                assert info[0]["widened_rows"] == len(queries), message
            if "max_memory" in options and len(queries) > 128:
                assert info[0]["superblocks"] > 1, message


@every_level
def test_the_filter_certifies_most_queries(simd, monkeypatch):
    use_level(monkeypatch, simd)
    rng, seed = fresh()
    common = 1000 * rng.standard_normal(128)
    X, Y = (common + rng.standard_normal((n, 128)) for n in (1500, 200))
    layer = knn_graph(X, 5, queries=Y, metric="euclidean").info["layers"][0]
    assert layer["certified_rows"] >= 180, seed


def test_a_row_of_x_finds_itself_first():
    rng, seed = fresh()
    X = rng.standard_normal((90, 12)).astype(np.float32)
    graph = knn_graph(X, 4, queries=X)
    np.testing.assert_array_equal(graph.indices[:, 0], np.arange(90), err_msg=seed)
    assert (graph.distances[:, 0] == 0).all()
    np.testing.assert_array_equal(graph.indices[:, 1:], knn_graph(X, 3).indices, err_msg=seed)


def test_equal_distances_go_by_index():
    X = np.array([[2.0], [-2.0], [5.0], [2.0], [-2.0], [0.0]])
    graph = knn_graph(X, 6, queries=np.array([[0.0], [2.0], [0.0]]), metric="euclidean")
    assert graph.indices.tolist() == [[5, 0, 1, 3, 4, 2], [0, 3, 5, 2, 1, 4], [5, 0, 1, 3, 4, 2]]
    assert graph.distances[0].tolist() == [0, 2, 2, 2, 2, 5]


def test_equal_rows_by_the_thousand():
    rng, seed = fresh()
    points = rng.standard_normal((3, 8))
    X = points[np.repeat([0, 1, 2], 1500)].astype(np.float32)
    graph = knn_graph(X, 5, queries=points[[2, 0, 2]].astype(np.float32))
    assert graph.indices.tolist() == [[*range(at, at + 5)] for at in (3000, 0, 3000)], seed
    same = np.ones((700, 3), np.float32)
    graph = knn_graph(same, 3, queries=same, metric="euclidean")
    assert (graph.indices == [0, 1, 2]).all() and (graph.distances == 0).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("n", "m", "k"), [(1, 1, 1), (1, 40, 1), (7, 1, 7), (300, 1, 300)])
def test_smallest_sets(n, m, k, metric):
    rng, seed = fresh()
    X, Y = rng.standard_normal((n, 9)), rng.standard_normal((m, 9))
    graph = knn_graph(X, k, queries=Y, metric=metric)
    assert_same((graph.indices, graph.distances), nearest(X, Y, k, metric), seed)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype_of_queries", DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_any_two_dtypes(dtype, dtype_of_queries, metric):
    torch = pytest.importorskip("torch")
    rng, seed = fresh()
    values = [torch.from_numpy(part) for part in two_sets(rng, 120, 40, 17)]
    X, Y = values[0].to(getattr(torch, dtype)), values[1].to(getattr(torch, dtype_of_queries))
    wanted = nearest(X.double().numpy(), Y.double().numpy(), 6, metric)
    mixes = [(X, Y)]
    if dtype != "bfloat16":
        mixes.append((X.numpy(), Y))
    if dtype_of_queries != "bfloat16":
        mixes.append((X, Y.numpy()))
    for x, y in mixes:
        graph = knn_graph(x, 6, queries=y, metric=metric)
        assert_same((graph.indices, graph.distances), wanted, seed)


def test_queries_of_another_layout():
    rng, seed = fresh()
    X, Y = rng.standard_normal((100, 10)).astype("f4"), rng.standard_normal((60, 20)).astype("f4")
    for view in (Y[:, ::2], Y[::-1, :10], np.asfortranarray(Y[:, :10]), Y[:, :10].astype(">f4")):
        graph = knn_graph(X, 3, queries=view)
        assert_same((graph.indices, graph.distances), nearest(X, view, 3, "cosine"), seed)


@pytest.mark.parametrize("metric", METRICS)
def test_stack_is_layer_by_layer(metric):
    rng, seed = fresh()
    X, Y = rng.standard_normal((3, 80, 12)), rng.standard_normal((3, 25, 12))
    X[1], Y[2, 4] = X[1, 0], X[2, 7]  # a layer of equal rows; a query that is a row
    graph = knn_graph(X, 5, queries=Y, metric=metric)
    assert graph.indices.shape == graph.distances.shape == (3, 25, 5)
    assert [layer["queries"] for layer in graph.info["layers"]] == [25] * 3
    for layer in range(3):
        wanted = nearest(X[layer], Y[layer], 5, metric)
        assert_same((graph.indices[layer], graph.distances[layer]), wanted, seed)
    one = knn_graph(X[:1], 5, queries=Y[:1], metric=metric)
    np.testing.assert_array_equal(one.indices, graph.indices[:1])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("exponent", [-300, -30, 30, 290])
def test_scales(exponent, metric):
    rng, seed = fresh()
    X, Y = (rng.standard_normal((n, 8)) * 10.0**exponent for n in (70, 20))
    graph = knn_graph(X, 4, queries=Y, metric=metric)
    np.testing.assert_array_equal(graph.indices, nearest(X, Y, 4, metric)[0], err_msg=seed)


def test_queries_far_outside_do_not_spoil_the_rest():
    rng, seed = fresh()
    X, Y = rng.standard_normal((400, 40)), rng.standard_normal((60, 40))
    Y[7] *= 1e6
    graph = knn_graph(X, 5, queries=Y, metric="euclidean")
    wanted = nearest(X, Y, 5, "euclidean")
    assert_same((graph.indices, graph.distances), wanted, seed)


# ---- bad input


@pytest.mark.parametrize(
    ("X", "queries", "k", "error", "message"),
    [
        (np.ones((9, 4)), np.ones((3, 5)), 2, ValueError, "queries.*5"),
        (np.ones((2, 9, 4)), np.ones((3, 3, 4)), 2, ValueError, "queries.*layers"),
        (np.ones((9, 4)), np.ones((3, 3, 4)), 2, ValueError, "queries"),
        (np.ones((9, 4)), np.ones(4), 2, ValueError, r"queries has shape \(4,\)"),
        (np.ones((9, 4)), np.ones((0, 4)), 2, ValueError, r"queries has shape \(0, 4\)"),
        (np.ones((9, 4)), np.ones((3, 4), int), 2, TypeError, "queries has dtype int64"),
        (np.ones((9, 4), int), np.ones((3, 4)), 2, TypeError, "X has dtype int64"),
        (np.ones((9, 4)), np.ones((30, 4)), 10, ValueError, "n_neighbors=10 needs at least 10 row"),
        (np.ones((9, 4)), np.ones((3, 4)), 0, ValueError, "n_neighbors=0 must be at least 1"),
    ],
)
def test_wrong_input(X, queries, k, error, message):
    with pytest.raises(error, match=message):
        knn_graph(X, k, queries=queries)


@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (-np.inf, "infinity")])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_not_finite_names_the_query(dtype, value, word):
    X, Y = np.ones((50, 6), dtype), np.ones((9, 6), dtype)
    Y[3, 2] = Y[5, 1] = value
    with pytest.raises(ValueError, match=rf"row 3 of queries holds {word} \(column 2\)") as caught:
        knn_graph(X, 2, queries=Y)
    assert caught.value.row == 3
    X[8, 0] = value  # searched rows are named first, and as ever
    with pytest.raises(ValueError, match=rf"row 8 of X holds {word} \(column 0\)"):
        knn_graph(X, 2, queries=Y)


def test_zero_query_under_cosine():
    X, Y = np.ones((50, 6)), np.ones((9, 6))
    Y[3] = 0
    with pytest.raises(ValueError, match="row 3 of queries is a zero vector"):
        knn_graph(X, 2, queries=Y)
    assert knn_graph(X, 2, queries=Y, metric="euclidean").indices.shape == (9, 2)


def test_bad_query_in_a_stack_names_the_layer():
    X, Y = np.ones((2, 50, 6)), np.ones((2, 9, 6))
    Y[1, 3, 0] = np.nan
    with pytest.raises(ValueError, match="row 3 of layer 1 of queries holds NaN"):
        knn_graph(X, 2, queries=Y)
