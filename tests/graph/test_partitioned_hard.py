"""backend="partitioned" on hard rows: far out, too near, without clusters, of many values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ilo_fast import PartitionedOptions, _core, knn_graph
from ilo_fast.graph.partitioned import _exact_below, _what_to_do

K = 10


def engine(X: NDArray, pilot: int = 200, **options: Any) -> tuple[NDArray, dict[str, Any]]:
    """The engine alone, with so many pilot rows; indices and info."""
    given: dict[str, Any] = {
        "seed": 0, "leaf_rows": 128, "overlap": [4], "leaders": 1024, "spare": 6, "group": 48,
        "descents": 1, "rounds": 20, "recall": 0.97, "n_threads": 2,
    }  # fmt: skip
    rows = np.sort(np.random.default_rng(0).choice(len(X), pilot, replace=False))
    exact = knn_graph(X, K, metric="euclidean").indices[rows]
    found, _, info, _ = _core.partitioned_graph(
        [X[np.newaxis]],
        str(X.dtype),
        K,
        cosine=False,
        pilot=rows.tolist(),
        pilot_exact=exact,
        **(given | options),
    )
    return found, info


def recall(found: NDArray, X: NDArray, rows: slice = slice(None)) -> float:
    exact = knn_graph(X, K, metric="euclidean").indices[rows]
    return float(np.mean([len({*a} & {*b}) / K for a, b in zip(found, exact, strict=True)]))


def clusters(n: int, d: int, apart: float, seed: int, size: int = 40) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    centres = apart * rng.standard_normal((n // size, d))
    return centres[rng.integers(0, len(centres), n)] + rng.standard_normal((n, d))


@pytest.mark.parametrize("factor", [1e6, 1e100])
def test_rows_far_out_do_not_spoil_the_others(factor):
    X = clusters(3000, 32, 4, seed=1)
    before = engine(X)
    X[7] *= factor
    X[2011] *= -factor
    found, info = engine(X)
    assert recall(found, X) >= 0.97
    assert info["rounds"] <= before[1]["rounds"] + 1


def test_rows_far_out_at_the_ends_of_float64():
    X = clusters(1000, 8, 4, seed=8) * 1e-150
    X[:30] *= 1e50  # far from the others, and so near beside the last that squares vanish
    X[30] *= 1e250
    found, _ = engine(X)
    assert recall(found[31:], X, slice(31, None)) >= 0.97


@pytest.mark.parametrize("apart", [1e3, 1e7])
def test_tight_clusters_far_from_each_other(apart):
    X = clusters(3000, 16, apart, seed=2)
    found, info = engine(X)
    assert recall(found, X) >= 0.99
    assert info["is_float32"]


def test_rows_in_few_lists_are_refined_on_all_values():
    X = clusters(2500, 320, 1, seed=3) * (1 + np.arange(320)) ** -0.7
    found, info = engine(X, directions=128)
    assert info["is_sketched"]
    assert info["refine_pairs"] > 0
    assert recall(found, X) >= 0.97
    again, other = engine(X, directions=128, n_threads=1, batch_rows=100)
    np.testing.assert_array_equal(found, again)
    assert {**info, **other} == {**info} | {k: v for k, v in other.items() if "seconds" in k}


def test_a_sketch_that_hides_neighbours_is_left():
    # No direction varies more than another: 144 of 400 keep little of the order.
    X = clusters(2500, 400, 0.5, seed=4)
    found, info = engine(X, directions=128, rounds=40, leaf_rows=256)
    assert info["is_sketched"]
    assert info["pilot_recall"][0] < 0.9
    assert recall(found, X) >= 0.95


def test_duplicates_are_found():
    X = clusters(600, 24, 4, seed=5)[np.random.default_rng(5).integers(0, 600, 3000)]
    assert recall(engine(X)[0], X) >= 0.97


def test_rows_without_clusters_get_the_exact_graph():
    X = np.random.default_rng(6).standard_normal((3000, 64)).astype(np.float32)
    options = PartitionedOptions(exact_below=0, leaf_rows=128, overlap=4)
    graph = knn_graph(X, K, backend="partitioned", partitioned=options)
    assert graph == knn_graph(X, K)
    layer = graph.info["layers"][0]
    assert layer["exact_because"].startswith("the pilot's recall was 0.")
    assert layer["exact_is_cheaper"]
    assert layer["recall"] == 1
    assert layer["pilot_recall"][-1] < 0.97


def test_a_search_that_finds_nothing_new_ends():
    # 600 rows of one cluster that float32 cannot order: more than a list keeps.
    X = clusters(1800, 16, 1e9, seed=7, size=600)
    _, info = engine(X, rounds=30)
    assert info["is_stalled"]
    assert info["rounds"] < 10
    assert info["pilot_recall"][-1] < 0.97
    options = PartitionedOptions()
    assert "nothing new" in _what_to_do({"is_stalled": True, "rounds": 3}, options)


def test_what_to_raise():
    options = PartitionedOptions(max_rounds=5)
    assert _what_to_do({"is_stalled": False, "rounds": 5}, options).startswith("raise max_rounds")
    assert _what_to_do({"is_stalled": False, "rounds": 4}, options).startswith("raise recall")


def test_up_to_how_many_rows_the_exact_graph_is_taken():
    assert _exact_below(10**6, 768, PartitionedOptions(exact_below=7)) == 7
    by_default = [_exact_below(10**6, d, PartitionedOptions()) for d in (128, 768, 4096)]
    assert by_default == sorted(by_default, reverse=True)
    assert 20_000 < by_default[2] < by_default[0] < 60_000
    few = PartitionedOptions(sample_rows=1)
    assert _exact_below(10**6, 768, few) < by_default[1]


@pytest.mark.parametrize("row", [-1, 50])
def test_exact_neighbours_of_the_pilot_that_no_row_has_are_refused(row):
    X = np.random.default_rng(9).standard_normal((50, 4))
    options = {"n_threads": 1, "seed": 0, "leaf_rows": 64, "overlap": [1], "leaders": 8}
    options |= {"spare": 6, "group": 48, "descents": 1, "rounds": 1, "recall": 0.9}
    exact = np.full((1, K), row)
    with pytest.raises(ValueError, match=rf"pilot_exact holds row {row}, wanted \[0, 50\)"):
        _core.partitioned_graph(
            [X[np.newaxis]], "float64", K, cosine=False, pilot=[0], pilot_exact=exact, **options
        )
