"""The exact engine against the float64 oracle, bit for bit, on every path that it can take."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.engine import LEVELS, every_level
from oracles import knn as reference

from ilo_fast import _core_testing, knn_graph

METRICS = ("cosine", "euclidean")


def core_graph(X, k, metric, dtype="float32", **options):
    options.setdefault("n_threads", 2)
    indices, distances, info, simd = _core_testing.knn_graph(
        [X[np.newaxis]], dtype, k, cosine=metric == "cosine", **options
    )
    return indices[0], distances[0], info[0], simd


def assert_is_reference(X, k, metric, indices, distances):
    wanted, wanted_distances = reference.knn(X, k, metric)
    np.testing.assert_array_equal(indices, wanted)
    np.testing.assert_allclose(distances, wanted_distances.astype(np.float32), rtol=3e-7, atol=0)


def make(name, rng, n, d):
    """Data sets that a filter in low precision finds easy, hard or impossible."""
    base = rng.standard_normal((n, d))
    if name == "isotropic":
        return base
    if name == "common direction":  # as in language models: most of every row is one vector
        return base + 1000 * rng.standard_normal(d)
    if name == "common direction 1e6":
        return base + 1e6 * rng.standard_normal(d)
    if name == "massive dimensions":
        base[:, : min(2, d)] *= 300
        return base
    if name == "duplicates":
        return base[rng.integers(0, max(1, n // 5), n)]
    if name == "near-ties":  # a few points, each jittered by a few units in the last place
        return base[rng.integers(0, 4, n)] * (1 + 2.0**-23 * rng.integers(-2, 3, (n, d)))
    if name == "grid":  # many exact ties between different rows
        return rng.integers(-2, 3, (n, d)).astype(float) + 0.5
    if name == "clusters far apart":
        return base + 100 * rng.standard_normal((5, d))[rng.integers(0, 5, n)]
    if name == "identical":
        return np.ones((n, d))
    if name == "one outlier":
        base[n // 2] *= 1e6
        return base
    raise AssertionError(name)


NAMES = (
    "isotropic",
    "common direction",
    "common direction 1e6",
    "massive dimensions",
    "duplicates",
    "near-ties",
    "grid",
    "clusters far apart",
    "identical",
    "one outlier",
)


@every_level
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", NAMES)
def test_equals_float64_brute_force(name, metric, simd):
    seed = np.random.SeedSequence().entropy  # fresh data in every run; the seed is in the message
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(30, 330)), int(rng.choice([1, 2, 5, 16, 31, 64, 150]))
    X = make(name, rng, n, d).astype(rng.choice(["float32", "float64"]))
    k = int(rng.choice([1, 5, 25]))
    dtype = X.dtype.name
    try:
        wanted, wanted_distances = reference.knn(X, k, metric)
        for options in (
            {},
            {"n_threads": 1},
            {"block_rows": 64},  # many blocks, with a ragged last one
            {"block_rows": 64, "max_memory": 1},  # many superblocks: packed panels are streamed
            {"force_fallback": True},  # no certificate is ever given
            {"force_fallback": True, "block_rows": 64, "max_memory": 1, "n_threads": 3},
        ):
            indices, distances, info, ran = core_graph(X, k, metric, dtype, simd=simd, **options)
            assert ran == simd
            np.testing.assert_array_equal(indices, wanted)
            np.testing.assert_allclose(distances, wanted_distances.astype("f4"), rtol=3e-7, atol=0)
            assert info["certified_rows"] + info["widened_rows"] == n
            if options.get("force_fallback") and info["unique_rows"] > 1:
                assert info["widened_rows"] == n
            if options.get("max_memory") and info["unique_rows"] > 64 * 2:
                assert info["superblocks"] > 1
    except AssertionError as error:
        raise AssertionError(f"seed {seed}, n={n}, d={d}, k={k}, {dtype}") from error


@every_level
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", ["isotropic", "common direction", "massive dimensions"])
def test_the_filter_certifies_nearly_every_row(name, metric, simd):
    """Centring is what makes it so: without it the common direction drowns the rest."""
    X = make(name, np.random.default_rng(3), 3000, 128).astype(np.float32)
    _, _, info, _ = core_graph(X, 5, metric, simd=simd)
    hard = name == "massive dimensions" and "bf16" in simd  # 8 bits for what is 300 times as large
    assert info["certified_rows"] >= (0.95 if hard else 0.99) * len(X)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("exponent", [-30, -10, 10, 30])
def test_scale_of_float32_changes_nothing(metric, exponent):
    X = np.random.default_rng(4).standard_normal((200, 40))
    scaled = (X * 10.0**exponent).astype(np.float32)
    indices, distances, info, _ = core_graph(scaled, 5, metric)
    assert_is_reference(scaled, 5, metric, indices, distances)
    assert info["certified_rows"] >= 190


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("exponent", [-300, -200, 200, 290])
def test_scale_of_float64_changes_nothing(metric, exponent):
    """Squares of these leave float64's range."""
    X = np.random.default_rng(5).standard_normal((150, 20)) * 10.0**exponent
    indices, distances, _, _ = core_graph(X, 5, metric, "float64")
    wanted, _ = reference.knn(X, 5, metric)
    np.testing.assert_array_equal(indices, wanted)
    if metric == "cosine":
        assert np.isfinite(distances).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("exponent", [-310, -322])
@pytest.mark.parametrize("flush", [False, True])
def test_subnormal_float64(metric, exponent, flush):
    torch = pytest.importorskip("torch")
    X = np.random.default_rng(24).standard_normal((60, 7)) * 10.0**exponent
    X = X[np.abs(X).max(axis=1) > 0]
    wanted, _ = reference.knn(X, 4, metric)
    if flush and not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush denormals")
    try:
        indices, _, _, _ = core_graph(X, 4, metric, "float64")
    finally:
        torch.set_flush_denormal(False)
    np.testing.assert_array_equal(indices, wanted)


def test_rows_of_very_different_scales():
    rng = np.random.default_rng(6)
    X = rng.standard_normal((200, 12)) * 10.0 ** rng.integers(-30, 30, (200, 1))
    for metric in METRICS:
        indices, distances, _, _ = core_graph(X.astype(np.float32), 5, metric)
        assert_is_reference(X.astype(np.float32), 5, metric, indices, distances)


def test_subnormal_values():
    X = (np.random.default_rng(7).standard_normal((90, 9)) * 1e-44).astype(np.float32)
    X = X[np.abs(X).max(axis=1) > 0]
    for metric in METRICS:
        indices, distances, _, _ = core_graph(X, 3, metric)
        assert_is_reference(X, 3, metric, indices, distances)


@every_level
@pytest.mark.parametrize("d", [1, 15, 127, 128, 129, 1000, 16384])
def test_any_dimension(d, simd):
    X = np.random.default_rng(d).standard_normal((70, d)).astype(np.float32)
    indices, distances, _, _ = core_graph(X, 4, "euclidean", simd=simd)
    assert_is_reference(X, 4, "euclidean", indices, distances)


@every_level
@pytest.mark.parametrize("n", [2, 3, 23, 24, 25, 31, 33, 255, 256, 257, 513])
def test_any_number_of_rows(n, simd):
    X = np.random.default_rng(n).standard_normal((n, 6)).astype(np.float32)
    for k in {1, min(5, n - 1), n - 1}:  # n - 1: everything is a neighbour
        indices, distances, _, _ = core_graph(X, k, "cosine", simd=simd)
        assert_is_reference(X, k, "cosine", indices, distances)


def test_many_neighbors():
    X = np.random.default_rng(8).standard_normal((1500, 16)).astype(np.float32)
    indices, distances, _, _ = core_graph(X, 1024, "euclidean")
    assert_is_reference(X, 1024, "euclidean", indices, distances)


def test_near_ties_of_one_unit_in_the_last_place():
    """Float64 distances that differ in the last bits: float32 cannot tell, the answer must."""
    rng = np.random.default_rng(9)
    base = rng.standard_normal(64)
    X = base + rng.standard_normal((1, 64)) * (1 + 2.0**-50 * rng.integers(-40, 40, (200, 1)))
    X[0] = base
    for metric in METRICS:
        indices, distances, info, _ = core_graph(X, 5, metric, "float64", max_candidates=1)
        assert_is_reference(X, 5, metric, indices, distances)
        assert info["widened_rows"] > 0


def test_thousands_of_duplicates_are_neighbours_by_index():
    rng = np.random.default_rng(10)
    X = rng.standard_normal((3, 8))[np.repeat([0, 1, 2], 2000)].astype(np.float32)
    graph = knn_graph(X, 4)
    assert graph.indices[0].tolist() == [1, 2, 3, 4]
    assert graph.indices[2].tolist() == [0, 1, 3, 4]
    assert graph.indices[5999].tolist() == [4000, 4001, 4002, 4003]
    assert (graph.distances == 0).all()


def test_ties_between_groups_of_duplicates_go_by_index():
    # Seen from 0, the values 1 (rows 1 and 4) and -1 (rows 2 and 3) are equally far.
    X = np.array([[0.0], [1.0], [-1.0], [-1.0], [1.0], [9.0]])
    graph = knn_graph(X, 4, metric="euclidean")
    assert graph.indices[0].tolist() == [1, 2, 3, 4]


def test_minus_zero_equals_zero():
    X = np.array([[0.0, 1.0], [-0.0, 1.0], [0.5, 1.0]], np.float32)
    graph = knn_graph(X, 1)
    assert graph.indices.ravel().tolist() == [1, 0, 0]
    assert graph.distances[0, 0] == 0


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_dtypes_of_numpy_and_torch(dtype, metric):
    torch = pytest.importorskip("torch")
    tensor = torch.randn(300, 33, generator=torch.Generator().manual_seed(0)).to(
        getattr(torch, dtype)
    )
    exact = tensor.double().numpy()
    wanted, _ = reference.knn(exact, 5, metric)
    np.testing.assert_array_equal(knn_graph(tensor, metric=metric).indices, wanted)
    if dtype != "bfloat16":
        np.testing.assert_array_equal(knn_graph(tensor.numpy(), metric=metric).indices, wanted)
        swapped = tensor.numpy().astype(tensor.numpy().dtype.newbyteorder())
        np.testing.assert_array_equal(knn_graph(swapped, metric=metric).indices, wanted)


def test_subnormal_and_extreme_float16():
    rng = np.random.default_rng(11)
    bits = rng.integers(0, 0x7C00, (200, 24)).astype(np.uint16)
    bits |= rng.integers(0, 2, bits.shape).astype(np.uint16) << 15
    X = bits.view(np.float16)
    for simd in LEVELS:
        indices, distances, _, _ = core_graph(X, 5, "euclidean", "float16", simd=simd)
        assert_is_reference(X, 5, "euclidean", indices, distances)


def test_any_stride():
    rng = np.random.default_rng(12)
    big = rng.standard_normal((2, 240, 80)).astype(np.float32)
    for view in (
        big[0, ::2, ::3],
        big[1, ::-1, 10:50],
        big[0].T,
        big[:, :, 0].T,
        np.asfortranarray(big[0]),
        np.broadcast_to(big[0, :1], (20, 80)),
    ):
        wanted = knn_graph(np.ascontiguousarray(view), 3, metric="euclidean")
        np.testing.assert_array_equal(
            knn_graph(view, 3, metric="euclidean").indices, wanted.indices
        )


def test_unaligned_memory():
    raw = np.zeros(4 * 50 * 8 + 1, np.uint8)
    X = raw[1:].view(np.float32).reshape(50, 8)
    X[:] = np.random.default_rng(13).standard_normal((50, 8))
    assert not X.flags.aligned
    np.testing.assert_array_equal(knn_graph(X, 3).indices, knn_graph(X.copy(), 3).indices)


def test_memory_map(tmp_path):
    X = np.random.default_rng(14).standard_normal((100, 16)).astype(np.float32)
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(knn_graph(mapped).indices, knn_graph(X).indices)


def test_stack_of_layers_is_layer_by_layer():
    X = np.random.default_rng(15).standard_normal((4, 120, 20)).astype(np.float32)
    stacked = knn_graph(X, 6)
    assert stacked.indices.shape == stacked.distances.shape == (4, 120, 6)
    assert len(stacked.info["layers"]) == 4
    for layer in range(4):
        one = knn_graph(X[layer], 6)
        np.testing.assert_array_equal(stacked.indices[layer], one.indices)
        np.testing.assert_array_equal(stacked.distances[layer], one.distances)


def test_queries_are_rows_of_the_whole_graph():
    X = np.random.default_rng(16).standard_normal((400, 10)).astype(np.float32)
    X[50:60] = X[7]
    rows = [399, 7, 55, 0]
    full, _, _, _ = core_graph(X, 12, "cosine")
    for options in ({}, {"block_rows": 64, "max_memory": 1}):
        some, _, _, _ = core_graph(X, 12, "cosine", queries=rows, **options)
        np.testing.assert_array_equal(some, full[rows])


def test_result_does_not_depend_on_flush_to_zero():
    torch = pytest.importorskip("torch")
    X = (np.random.default_rng(17).standard_normal((80, 5)) * 1e-40).astype(np.float32)
    wanted = knn_graph(X, 3, metric="euclidean").indices
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush denormals")
    try:
        got = knn_graph(X, 3, metric="euclidean").indices
    finally:
        torch.set_flush_denormal(False)
    np.testing.assert_array_equal(got, wanted)
