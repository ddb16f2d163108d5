"""knn_graph from outside: instruction sets, wrong arguments, Ctrl-C, progress, threads, hnsw."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from graph.test_knn import METRICS, core_graph
from helpers.engine import EMULATED, independent_of_forcing, product_knn_graph

from ilo_fast import _core, knn_graph
from ilo_fast._util.progress import share_bar
from ilo_fast.graph.knn import simd_available, simd_level

# ---- instruction sets


@independent_of_forcing
@pytest.mark.parametrize("simd", simd_available())
def test_environment_chooses_the_instruction_set(simd, monkeypatch):
    monkeypatch.setenv("ILO_FAST_SIMD", simd)
    assert simd_level() == simd
    assert knn_graph(np.eye(4), 1).info["simd"] == simd


@independent_of_forcing
def test_best_instruction_set_is_the_default(monkeypatch):
    monkeypatch.delenv("ILO_FAST_SIMD", raising=False)
    assert knn_graph(np.eye(4), 1).info["simd"] == simd_available()[-1]


@independent_of_forcing
def test_the_product_has_no_test_switches(monkeypatch):
    for switch in ("block_rows", "max_candidates", "force_fallback"):
        with pytest.raises(TypeError, match="incompatible function arguments"):
            product_knn_graph(
                [np.eye(4)[np.newaxis]], "float64", 1, cosine=True, n_threads=1, **{switch: 1}
            )
    monkeypatch.setenv("ILO_FAST_SIMD", EMULATED)
    with pytest.raises(ValueError, match=f"ILO_FAST_SIMD='{EMULATED}' is not known"):
        product_knn_graph([np.eye(4)[np.newaxis]], "float64", 1, cosine=True, n_threads=1)


@independent_of_forcing
def test_unknown_instruction_set(monkeypatch):
    monkeypatch.setenv("ILO_FAST_SIMD", "avx9000")
    with pytest.raises(ValueError, match=r"ILO_FAST_SIMD='avx9000' is not known; available here: "):
        knn_graph(np.eye(4), 1)


# ---- bad input


@independent_of_forcing
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


@independent_of_forcing
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


@independent_of_forcing
@pytest.mark.parametrize("dtype", ["int64", "bool", "complex64", "object"])
def test_wrong_dtype(dtype):
    with pytest.raises(TypeError, match="wanted one of float16, bfloat16, float32, float64"):
        knn_graph(np.eye(4).astype(dtype), 1)


# ---- interrupt, progress, concurrency


# Work of many seconds on any machine, and what progress says once it is in the stage meant.
SLOW_WORK = {
    "filter": (
        "rng.standard_normal((1, 20_000, 1024)).astype('f4'), 5, True, 'scalar'",
        "share > 0",
    ),
    "a stack of many short layers": (
        "rng.standard_normal((1, 60, 8)).repeat(30_000, 0), 5, True, 'scalar'",
        "share > 0",
    ),
    # The filter is 0.75 of it.
    "re-rank": ("rng.standard_normal((1, 3000, 4096)).astype('f4'), 2000, True", "share > 0.8"),
    # All rows fall back: there is more to do than was announced.
    "fallback": (
        "rng.standard_normal((1, 3, 4096)).repeat(2000, 1)"
        " + 1e-9 * rng.standard_normal((6000, 4096)), 5, False",
        "share < before - 0.3",
    ),
}
CTRL_C = """
    import os, signal, threading, time
    import numpy as np
    from ilo_fast import _core

    in_stage, before = threading.Event(), 0

    def update(share):
        global before
        if STAGE:
            in_stage.set()
        before = share

    def interrupt():
        global sent
        in_stage.wait()
        time.sleep(0.03)  # between two looks of the engine
        sent = time.process_time()
        os.kill(os.getpid(), signal.SIGINT)

    def graph(X, k, cosine, simd=""):
        _core.knn_graph(
            [X], X.dtype.name, k, cosine=cosine, n_threads=2, simd=simd, progress=update
        )

    rng = np.random.default_rng(0)
    threading.Thread(target=interrupt, daemon=True).start()
    try:
        graph(WORK)
        print("finished")
    except KeyboardInterrupt:
        print("interrupted", time.process_time() - sent)
"""


@independent_of_forcing
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to a process of one's own there")
@pytest.mark.parametrize("stage", SLOW_WORK)
def test_ctrl_c_is_answered_within_a_second(stage):
    work, reached = SLOW_WORK[stage]
    code = textwrap.dedent(CTRL_C).replace("WORK", work).replace("STAGE", reached)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    word, *seconds = done.stdout.split() or [done.stderr]
    assert word == "interrupted"
    # Of two threads, on the processor: waiting for one's turn on a busy machine does not count.
    assert float(seconds[0]) < 2


@independent_of_forcing
def test_progress_rises():
    shares = []
    X = np.random.default_rng(18).standard_normal((5000, 384)).astype(np.float32)
    core_graph(X, 5, "cosine", progress=shares.append, n_threads=1, simd="scalar")
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 0.5 < shares[-1] <= 1


@independent_of_forcing
def test_an_exception_in_progress_stops_the_work():
    def refuse(share):
        raise RuntimeError("stop here")

    X = np.random.default_rng(19).standard_normal((5000, 384)).astype(np.float32)
    with pytest.raises(RuntimeError, match="stop here"):
        core_graph(X, 5, "cosine", progress=refuse, simd="scalar")


@independent_of_forcing
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


@independent_of_forcing
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


@independent_of_forcing
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


@independent_of_forcing
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


@pytest.mark.skipif(platform.machine() != "x86_64", reason="MXCSR is x86-64's")
def test_a_floating_point_mode_that_kills_the_process_is_refused():
    with pytest.raises(ValueError, match="mode=4294967295 is none of this processor"):
        _core.restore_floating_point(0xFFFFFFFF)
    _core.restore_floating_point(_core.use_standard_floating_point())


@pytest.mark.parametrize(
    ("change", "said"), [({"n_threads": -1}, "n_threads=-1"), ({"seconds": np.inf}, "seconds=inf")]
)
def test_peak_flops_are_measured_on_some_threads_for_some_time(change, said):
    with pytest.raises(ValueError, match=said):
        _core.peak_flops(**{"n_threads": 1, "seconds": 0.01, **change})
