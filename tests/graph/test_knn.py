"""The exact engine against the float64 oracle, bit for bit, on every path that it can take."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from oracles import knn as reference

from ilo_fast import _core, knn_graph
from ilo_fast._util.progress import share_bar
from ilo_fast.graph.knn import simd_available, simd_level

# The last runs the AMX kernel's layout and arithmetic on any processor.
LEVELS = (*simd_available(), "amx_bf16_emulated")
METRICS = ("cosine", "euclidean")


def core_graph(X, k, metric, dtype="float32", **options):
    options.setdefault("n_threads", 2)
    indices, distances, info, simd = _core.knn_graph(
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


@pytest.mark.parametrize("simd", LEVELS)
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
            {"force_widening": True},  # no certificate is ever given
            {"force_widening": True, "block_rows": 64, "max_memory": 1, "n_threads": 3},
        ):
            indices, distances, info, ran = core_graph(X, k, metric, dtype, simd=simd, **options)
            assert ran == simd
            np.testing.assert_array_equal(indices, wanted)
            np.testing.assert_allclose(distances, wanted_distances.astype("f4"), rtol=3e-7, atol=0)
            assert info["certified_rows"] + info["widened_rows"] == n
            if options.get("force_widening") and info["unique_rows"] > 1:
                assert info["widened_rows"] == n
            if options.get("max_memory") and info["unique_rows"] > 64 * 2:
                assert info["superblocks"] > 1
    except AssertionError as error:
        raise AssertionError(f"seed {seed}, n={n}, d={d}, k={k}, {dtype}") from error


@pytest.mark.parametrize("simd", LEVELS)
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


@pytest.mark.parametrize("simd", LEVELS)
@pytest.mark.parametrize("d", [1, 15, 127, 128, 129, 1000, 16384])
def test_any_dimension(d, simd):
    X = np.random.default_rng(d).standard_normal((70, d)).astype(np.float32)
    indices, distances, _, _ = core_graph(X, 4, "euclidean", simd=simd)
    assert_is_reference(X, 4, "euclidean", indices, distances)


@pytest.mark.parametrize("simd", LEVELS)
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


# ---- instruction sets


@pytest.mark.parametrize("simd", LEVELS)
def test_environment_chooses_the_instruction_set(simd, monkeypatch):
    monkeypatch.setenv("ILO_FAST_SIMD", simd)
    assert simd_level() == simd
    assert knn_graph(np.eye(4), 1).info["simd"] == simd


def test_best_instruction_set_is_the_default(monkeypatch):
    monkeypatch.delenv("ILO_FAST_SIMD", raising=False)
    assert knn_graph(np.eye(4), 1).info["simd"] == simd_available()[-1]


def test_unknown_instruction_set(monkeypatch):
    monkeypatch.setenv("ILO_FAST_SIMD", "avx9000")
    with pytest.raises(ValueError, match=r"ILO_FAST_SIMD='avx9000' is not known; available here: "):
        knn_graph(np.eye(4), 1)


# ---- bad input


@pytest.mark.parametrize(
    ("X", "k", "message"),
    [
        (np.zeros(5), 1, r"X has shape \(5,\), wanted \(n, d\) or \(layers, n, d\)"),
        (np.zeros((2, 2, 2, 2)), 1, "wanted"),
        (np.zeros((0, 4)), 1, r"X has shape \(0, 4\): it holds no values"),
        (np.zeros((4, 0)), 1, "holds no values"),
        (np.ones((20, 2)), 31, r"n_neighbors=31 needs at least 32 rows, got 20 \(rows of X\)"),
        (np.ones((20, 2)), 20, "needs at least 21 rows"),
        (np.ones((20, 2)), 0, "n_neighbors=0 must be at least 1"),
        (np.ones((20, 2)), -3, "n_neighbors=-3 must be at least 1"),
    ],
)
def test_wrong_shapes_and_k(X, k, message):
    with pytest.raises(ValueError, match=message):
        knn_graph(X, k)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinity")])
@pytest.mark.parametrize("metric", METRICS)
def test_not_finite_names_the_row(dtype, value, word, metric):
    X = np.ones((700, 40), dtype)
    X[600, 3] = X[612, 39] = value
    with pytest.raises(ValueError, match=f"row 600 of X holds {word} \\(column 3\\)") as caught:
        knn_graph(X, metric=metric)
    assert caught.value.row == 600


def test_not_finite_in_the_last_columns():
    X = np.ones((10, 19), np.float32)
    X[4, 18] = -np.inf
    with pytest.raises(ValueError, match=r"row 4 of X holds infinity \(column 18\)"):
        knn_graph(X, 2)


def test_zero_vector_under_cosine_names_the_row():
    X = np.ones((10, 3))
    X[7] = 0
    with pytest.raises(ValueError, match="row 7 of X is a zero vector"):
        knn_graph(X, 2)
    assert knn_graph(X, 2, metric="euclidean").indices.shape == (10, 2)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"metric": "manhattan"}, ValueError, "metric='manhattan' is not known"),
        ({"backend": "faiss"}, ValueError, "backend='faiss' is not known"),
        ({"n_threads": 0}, ValueError, "n_threads=0 must be at least 1"),
        ({"n_neighbors": 2.5}, TypeError, "n_neighbors must be an int"),
        ({"n_neighbors": True}, TypeError, "n_neighbors must be an int"),
        ({"n_threads": 2.0}, TypeError, "n_threads must be an int"),
    ],
)
def test_wrong_options(options, error, message):
    with pytest.raises(error, match=message):
        knn_graph(np.eye(4), **{"n_neighbors": 1, **options})


@pytest.mark.parametrize("dtype", ["int64", "bool", "complex64", "object"])
def test_wrong_dtype(dtype):
    with pytest.raises(TypeError, match="wanted one of float16, bfloat16, float32, float64"):
        knn_graph(np.eye(4).astype(dtype), 1)


# ---- interrupt, progress, concurrency


SLOW_WORK = {
    "filter": "knn_graph(rng.standard_normal((60_000, 2048)).astype('f4'))",
    "a stack of many short layers": "knn_graph(rng.standard_normal((1, 60, 8)).repeat(30_000, 0))",
    "re-rank": "knn_graph(rng.standard_normal((4000, 8192)).astype('f4'), 2500)",
    "widening": "knn_graph(rng.standard_normal((3, 4096)).repeat(2000, 0)"
    " + 1e-9 * rng.standard_normal((6000, 4096)), metric='euclidean')",
}


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to a child on Windows")
@pytest.mark.parametrize("work", SLOW_WORK)
def test_ctrl_c_is_answered_within_a_second(work):
    code = """
        import numpy as np, time
        from ilo_fast import knn_graph
        rng = np.random.default_rng(0)
        print("ready", flush=True)
        try:
            WORK
        except KeyboardInterrupt:
            print("interrupted", time.time(), flush=True)
    """
    code = textwrap.dedent(code).replace("WORK", SLOW_WORK[work])
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "ready\n"
        time.sleep(4)
        sent = time.time()
        child.send_signal(signal.SIGINT)
        word, at = child.stdout.readline().split()
    finally:
        child.kill()
        child.communicate()
    assert word == "interrupted"
    # A second on a free machine; this allows for one where everything waits its turn.
    assert float(at) - sent < 5


def test_progress_rises():
    shares = []
    X = np.random.default_rng(18).standard_normal((12_000, 512)).astype(np.float32)
    core_graph(X, 5, "cosine", progress=shares.append, n_threads=1)
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 0.5 < shares[-1] <= 1


def test_an_exception_in_progress_stops_the_work():
    def refuse(share):
        raise RuntimeError("stop here")

    X = np.random.default_rng(19).standard_normal((20_000, 256)).astype(np.float32)
    with pytest.raises(RuntimeError, match="stop here"):
        core_graph(X, 5, "cosine", progress=refuse)


def test_a_bar_is_drawn_on_standard_error_and_only_for_long_work(capfd):
    knn_graph(np.random.default_rng(20).standard_normal((50, 4)), 2, progress=True)
    assert capfd.readouterr() == ("", "")
    with share_bar(True, "long work") as update:
        time.sleep(1.1)
        update(0.4)
    out, err = capfd.readouterr()
    assert out == ""
    assert "long work:  40%" in err and "100%" in err


def test_callers_in_several_threads():
    from concurrent.futures import ThreadPoolExecutor

    stacks = [np.random.default_rng(s).standard_normal((600, 30)) for s in range(6)]
    with ThreadPoolExecutor(4) as pool:
        graphs = list(pool.map(knn_graph, stacks))
    for X, graph in zip(stacks, graphs, strict=True):
        np.testing.assert_array_equal(graph.indices, knn_graph(X, n_threads=1).indices)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_works_after_fork():
    X = np.random.default_rng(21).standard_normal((300, 8))
    wanted = knn_graph(X).indices
    pid = os.fork()
    if pid == 0:
        os._exit(0 if (knn_graph(X).indices == wanted).all() else 1)
    assert os.waitpid(pid, 0)[1] == 0


# ---- the approximate backend, and conversions


def test_hnsw_reports_its_recall():
    X = np.random.default_rng(22).standard_normal((3000, 24)).astype(np.float32)
    exact = knn_graph(X, 8)
    graph = knn_graph(X, 8, backend="hnsw")
    assert not (graph.indices == np.arange(3000)[:, None]).any()
    true_recall = np.mean(
        [len(set(a) & set(b)) / 8 for a, b in zip(graph.indices, exact.indices, strict=True)]
    )
    layer = graph.info["layers"][0]
    low, high = layer["recall_interval_95"]
    assert layer["recall_sample_rows"] == 1000
    assert low <= layer["recall"] <= high
    assert low - 0.02 <= true_recall <= high + 0.02
    same = graph.indices == exact.indices
    np.testing.assert_allclose(graph.distances[same], exact.distances[same], atol=2e-6)


def test_hnsw_euclidean_stack_and_bad_rows():
    torch = pytest.importorskip("torch")
    X = torch.randn(2, 200, 6).bfloat16()
    graph = knn_graph(X, 3, metric="euclidean", backend="hnsw")
    exact = knn_graph(X, 3, metric="euclidean")
    assert graph.indices.shape == (2, 200, 3)
    assert (graph.indices == exact.indices).mean() > 0.9
    same = graph.indices == exact.indices
    np.testing.assert_allclose(graph.distances[same], exact.distances[same], rtol=1e-3, atol=1e-3)
    X[1, 5, 0] = float("nan")
    with pytest.raises(ValueError, match="row 5 of layer 1 of X holds NaN"):
        knn_graph(X, 3, backend="hnsw")


def test_to_csr_feeds_scikit_learn():
    pytest.importorskip("scipy")
    X = np.random.default_rng(23).standard_normal((40, 5))
    graph = knn_graph(X, 3, metric="euclidean")
    matrix = graph.to_csr()
    assert matrix.shape == (40, 40)
    assert matrix.nnz == 120
    row = matrix[7].toarray().ravel()
    np.testing.assert_array_equal(np.sort(np.flatnonzero(row)), np.sort(graph.indices[7]))
    with pytest.raises(ValueError, match="one layer"):
        knn_graph(X[None], 3).to_csr()
