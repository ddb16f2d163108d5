"""backend="partitioned": recall, determinism, what info says, hostile data, wrong arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles import knn as oracle
from oracles.descent import descend

from ilo_fast import NeighborGraph, PartitionedOptions, _core, knn_graph
from ilo_fast.graph.checks import check_own_graph

METRICS = ("cosine", "euclidean")
# What these rows give lies well above this recall on every instruction set.
SMALL = PartitionedOptions(exact_below=0, leaf_rows=128, overlap=3, recall=0.97)


def engine(X: NDArray, k: int, metric: str = "cosine", **options: Any) -> tuple[Any, ...]:
    """The engine alone: one partition of these options, without pilot rows."""
    given: dict[str, Any] = {
        "seed": 0, "leaf_rows": 128, "overlap": [3], "leaders": 1024, "spare": 6, "group": 48,
        "descents": 1, "rounds": 1, "recall": 1.0, "n_threads": 1,
    }  # fmt: skip
    given |= {"pilot": [], "pilot_exact": np.empty((0, k), np.int64)}
    return _core.partitioned_graph(
        [X[np.newaxis]], str(X.dtype), k, cosine=metric == "cosine", **(given | options)
    )


def planted(n: int, d: int, seed: int) -> NDArray[np.float32]:
    """Clusters of about 40 rows, a common direction, and a hub in each."""
    rng = np.random.default_rng(seed)
    centres = 4 * rng.standard_normal((n // 40, d))
    X = centres[rng.integers(0, len(centres), n)] + rng.standard_normal((n, d))
    X[: len(centres)] = centres
    X[:, 0] += 10
    return X.astype(np.float32)


def recall(found: NDArray, exact: NDArray) -> float:
    return float(np.mean([len({*a} & {*b}) / len(b) for a, b in zip(found, exact, strict=True)]))


def check_graph(graph: NeighborGraph, X: NDArray, metric: str) -> None:
    """Distances of what is returned are those of the definition, in order, each row once."""
    check_own_graph(graph)
    U, multiplier = oracle.as_definition(X, metric)
    for i, row in enumerate(graph.indices):
        squared = oracle.lane_sum((U[row] - U[i]) ** 2)
        assert list(zip(squared, row, strict=True)) == sorted(zip(squared, row, strict=True))
        wanted = 0.5 * squared if metric == "cosine" else np.sqrt(squared) / multiplier
        np.testing.assert_array_equal(graph.distances[i], wanted.astype(np.float32))


# ---- what is found


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_leaf_that_holds_all_rows_gives_the_exact_graph(metric, dtype):
    rng = np.random.default_rng(1)
    X = rng.integers(-3, 4, (150, 7)).astype(dtype)  # ties
    X[X.any(axis=1) == 0] = 1
    X[40:60] = X[0]  # duplicates
    X[:, 2] += 50
    indices, distances, info, _ = engine(X, 9, metric, leaf_rows=150, spare=150, descents=0)
    exact = knn_graph(X, 9, metric=metric, backend="exact")
    np.testing.assert_array_equal(indices, exact.indices)
    np.testing.assert_array_equal(distances, exact.distances)
    assert info["leaves"] == 1


@pytest.mark.parametrize("metric", METRICS)
def test_planted_clusters_are_found(metric):
    X = planted(3000, 32, 2)
    graph = knn_graph(X, 10, metric=metric, backend="partitioned", partitioned=SMALL)
    found = recall(graph.indices, knn_graph(X, 10, metric=metric).indices)
    assert found >= 0.97
    layer = graph.info["layers"][0]
    assert layer["leaves"] > 20  # not one that holds all
    assert layer["recall"] == pytest.approx(found)
    check_graph(graph, X, metric)


def test_the_graph_is_the_same_for_any_number_of_threads():
    X = planted(2000, 24, 3)
    one = engine(X, 7, n_threads=1)
    for threads in (2, 5):
        other = engine(X, 7, n_threads=threads)
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
        assert other[2]["leaf_pairs"] == one[2]["leaf_pairs"]
        assert other[2]["descent_pairs"] == one[2]["descent_pairs"]
    assert (engine(X, 7, seed=1, overlap=[1], descents=0)[0] != one[0]).any()


@pytest.mark.parametrize("metric", METRICS)
def test_descent_finds_what_the_slow_one_finds(metric, monkeypatch):
    monkeypatch.setenv("ILO_FAST_SIMD", "scalar")  # its filter orders as float64 does
    X = np.random.default_rng(4).standard_normal((300, 6))
    options = {"spare": 0, "leaf_rows": 32, "overlap": [2], "group": 1, "links": 5}
    before = engine(X, 5, metric, descents=0, **options)[0]
    after, _, info, _ = engine(X, 5, metric, descents=1, **options)
    np.testing.assert_array_equal(after, descend(X, before, metric))
    exact = knn_graph(X, 5, metric=metric).indices
    assert recall(before, exact) < recall(after, exact)
    assert info["descents"] == 1


def test_descent_in_groups_finds_at_least_what_single_rows_find(monkeypatch):
    monkeypatch.setenv("ILO_FAST_SIMD", "scalar")
    X = np.random.default_rng(5).standard_normal((600, 8)).astype(np.float32)
    options = {"spare": 0, "leaf_rows": 32, "overlap": [2]}
    single, grouped = (engine(X, 5, group=g, **options)[1] for g in (1, 20))
    assert (grouped <= single).all()
    assert (grouped < single).any()


def test_rounds_go_on_until_the_recall_is_reached():
    X = np.random.default_rng(6).standard_normal((1000, 12)).astype(np.float32)
    exact = knn_graph(X, 10).indices
    indices, _, info, _ = engine(
        X, 10, overlap=[1], rounds=30, recall=0.99, pilot=[*range(1000)], pilot_exact=exact
    )
    assert 1 < info["rounds"] < 30
    assert recall(indices, exact) == pytest.approx(info["pilot_recall"][-1])
    assert info["pilot_recall"][-1] >= 0.99
    assert max(info["pilot_recall"][:-1]) < 0.99


# ---- what info says


def test_info_says_the_recall_of_the_sample():
    X = planted(3000, 16, 7)
    options = PartitionedOptions(
        exact_below=0, leaf_rows=128, overlap=1, recall=0.5, seed=3, sample_rows=500
    )
    graph = knn_graph(X, 10, backend="partitioned", partitioned=options)
    layer = graph.info["layers"][0]
    sample = np.sort(np.random.default_rng([3, 2]).choice(3000, 500, replace=False))
    exact = knn_graph(X, 10).indices
    shares = [len({*graph.indices[i]} & {*exact[i]}) / 10 for i in sample]
    assert layer["recall"] == pytest.approx(np.mean(shares))
    low, high = layer["recall_interval_95"]
    assert low < layer["recall"] < high
    assert layer["recall_p1"] == pytest.approx(sorted(shares)[4])
    assert layer["recall_p5"] == pytest.approx(sorted(shares)[24])
    assert layer["recall_sample_rows"] == 500
    assert layer["recall_seed"] == graph.info["seed"] == 3
    assert layer["recall_wanted"] == 0.5
    assert graph.info["backend"] == "partitioned"
    assert graph.info["partitioned"]["overlap"] == 1
    assert graph.info["simd"] == _core.simd_level()


def test_all_rows_leave_no_doubt_about_the_recall():
    X = planted(1500, 16, 8)
    graph = knn_graph(X, 10, backend="partitioned", partitioned=SMALL)
    layer = graph.info["layers"][0]
    assert layer["recall_sample_rows"] == 1500
    assert layer["recall_interval_95"] == [layer["recall"]] * 2


def test_few_rows_are_answered_exactly_and_info_says_so():
    X = planted(500, 8, 9)
    graph = knn_graph(X, 5, backend="partitioned")
    assert graph == knn_graph(X, 5)
    layer = graph.info["layers"][0]
    assert layer["exact_because"].startswith("500 rows: ")
    assert (layer["recall"], layer["recall_interval_95"]) == (1.0, [1.0, 1.0])
    assert graph.info["backend"] == "partitioned"


def test_a_recall_that_is_not_reached_is_said():
    X = np.random.default_rng(10).standard_normal((3000, 64)).astype(np.float32)
    options = PartitionedOptions(exact_below=0, leaf_rows=96, overlap=1, max_rounds=1)
    with pytest.warns(RuntimeWarning, match=r"recall 0\.\d+ of the partitioned graph, 0\.99 was"):
        graph = knn_graph(X, 10, backend="partitioned", partitioned=options)
    assert not graph.info["layers"][0]["is_reached"]
    check_graph(graph, X, "cosine")


# ---- hostile data


def test_layers_are_searched_one_by_one():
    X = np.stack([planted(700, 8, 11), planted(700, 8, 12)])
    stack = knn_graph(X, 5, backend="partitioned", partitioned=SMALL)
    assert len(stack.info["layers"]) == 2
    for h in range(2):
        assert stack[h] == knn_graph(X[h], 5, backend="partitioned", partitioned=SMALL)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", ["all equal", "two values", "duplicates", "near", "a row far off"])
def test_hostile_rows_give_a_graph(metric, kind):
    rng = np.random.default_rng(13)
    X = rng.standard_normal((1000, 6))
    if kind == "all equal":
        X[:] = X[0]
    elif kind == "two values":
        X[:] = X[rng.integers(0, 2, 1000)]
    elif kind == "duplicates":
        X = X[rng.integers(0, 300, 1000)]
    elif kind == "near":  # equal in the precision of the filter
        X = X[0] + 1e-9 * X
        X[0] *= 1e3
    else:
        X[7] *= 1e12
    options = PartitionedOptions(exact_below=0, leaf_rows=64, overlap=2, max_rounds=2, recall=0.001)
    graph = knn_graph(X, 5, metric=metric, backend="partitioned", partitioned=options)
    check_graph(graph, X, metric)
    if kind in ("all equal", "two values"):
        assert graph == knn_graph(X, 5, metric=metric)


@pytest.mark.parametrize("where", ["first", "last"])
def test_bad_rows_are_named(where):
    X = np.stack([planted(300, 8, 14)] * 2)
    row = 0 if where == "first" else 299
    X[1, row] = 0
    with pytest.raises(ValueError, match=f"row {row} of layer 1 of X is a zero vector"):
        knn_graph(X, 3, backend="partitioned", partitioned=SMALL)
    X[1, row, 2] = np.nan
    with pytest.raises(ValueError, match=rf"row {row} of layer 1 of X holds NaN \(column 2\)"):
        knn_graph(X, 3, backend="partitioned", partitioned=SMALL)


def test_progress_rises_and_an_interrupt_stops_it():
    X = planted(3000, 64, 15)
    seen: list[float] = []
    knn_graph(X, 10, backend="partitioned", partitioned=SMALL, progress=seen.append)
    assert seen == sorted(seen)
    assert all(0 <= share <= 1 for share in seen)

    def interrupt(share: float) -> None:
        raise KeyboardInterrupt

    X = planted(20_000, 64, 15)  # more than progress is told of once
    with pytest.raises(KeyboardInterrupt):
        knn_graph(X, 10, backend="partitioned", partitioned=SMALL, progress=interrupt)


# ---- wrong arguments


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recall": 0.0}, "recall=0.0, wanted more than 0 and at most 1"),
        ({"recall": 1.5}, "recall=1.5"),
        ({"overlap": 0}, "overlap=0 must be at least 1"),
        ({"leaf_rows": 3}, "leaf_rows=3 must be at least 16"),
        ({"seed": -1}, "seed=-1 must be at least 0"),
        ({"sample_rows": 0}, "sample_rows=0 must be at least 1"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        PartitionedOptions(**options)


def test_options_of_a_wrong_type():
    with pytest.raises(TypeError, match=r"overlap must be an int, got 2\.5"):
        PartitionedOptions(overlap=2.5)  # type: ignore[arg-type]
    assert PartitionedOptions(seed=np.int64(3)).seed == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"queries": np.eye(4)}, "queries is for backend='exact', not for backend='partitioned'"),
        ({"max_memory": "1GiB"}, "max_memory is for backend='exact'"),
        ({"checkpoint": "folder"}, "checkpoint is for backend='exact'"),
        ({"backend": "exact", "partitioned": SMALL}, "not for backend='exact'"),
    ],
)
def test_arguments_that_do_not_go_together(given, message):
    with pytest.raises(ValueError, match=message):
        knn_graph(np.eye(4), 2, **({"backend": "partitioned"} | given))


def test_k_that_is_too_large():
    with pytest.raises(ValueError, match="n_neighbors=600 needs at least 601 rows, got 600"):
        knn_graph(planted(600, 8, 16), 600, backend="partitioned", partitioned=SMALL)
    graph = knn_graph(planted(600, 8, 16), 599, backend="partitioned", partitioned=SMALL)
    assert "exact_because" in graph.info["layers"][0]  # its leaves would hold all rows
    many = np.random.default_rng(17).standard_normal((4100, 3))
    layer = knn_graph(many, 501, backend="partitioned", partitioned=SMALL).info["layers"][0]
    assert layer["exact_because"] == "501 neighbours: leaves are made for at most 500"
