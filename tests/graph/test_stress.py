"""Many callers, forks and interrupts at any time: nothing is lost, nothing hangs, nothing stays."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from graph.test_queries import METRICS, assert_same, nearest
from helpers.engine import LEVELS, every_level, independent_of_forcing

from ilo_fast import _core_testing, knn_graph
from ilo_fast.graph.checkpoint import open_folder

linux_only = pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="no /proc here")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


def new_seed():
    return np.random.SeedSequence().entropy % 2**32


def core(X, k=5, metric="cosine", **options):
    return _core_testing.knn_graph(
        [X[np.newaxis]],
        X.dtype.name,
        k,
        cosine=metric == "cosine",
        **{"n_threads": 2, **options},
    )


def tasks():
    return len(os.listdir("/proc/self/task"))


def assert_tasks(wanted):
    """A joined thread may stay in /proc for a moment."""
    for _ in range(200):
        if tasks() <= wanted:
            return
        time.sleep(0.01)
    assert tasks() <= wanted


def processor_seconds(work):
    start = time.process_time()
    work()
    return time.process_time() - start


def megabytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


# ---- several threads at once


def random_call(rng):
    """Data, and the arguments of a call that may take any path."""
    n, d, k = int(rng.integers(20, 400)), int(rng.integers(1, 60)), int(rng.integers(1, 12))
    X = rng.standard_normal((n, d)).astype(rng.choice(["float32", "float64"]))
    X[rng.integers(0, n, n // 4)] = X[rng.integers(0, n, n // 4)]
    options = {
        "metric": str(rng.choice(METRICS)),
        "simd": str(rng.choice(LEVELS)),
        "n_threads": int(rng.integers(1, 5)),
        "block_rows": int(rng.choice([0, 32])),
        "max_memory": int(rng.choice([0, 1])),
        "force_fallback": bool(rng.integers(0, 2)),
    }
    return X, k, options


@independent_of_forcing
def test_callers_in_several_threads():
    seed = new_seed()
    rng = np.random.default_rng(seed)
    calls = [random_call(rng) for _ in range(40)]
    with ThreadPoolExecutor(6) as pool:
        graphs = list(pool.map(lambda call: core(call[0], call[1], **call[2]), calls))
    for (X, k, options), graph in zip(calls, graphs, strict=True):
        wanted = nearest(X, X, k, options["metric"], np.arange(len(X)))
        assert_same((graph[0][0], graph[1][0]), wanted, f"seed {seed}, {options}")
        assert graph[3] == options["simd"]


@independent_of_forcing
def test_one_caller_stops_and_the_others_do_not():
    seed = new_seed()
    X = np.random.default_rng(seed).standard_normal((5000, 384)).astype(np.float32)
    wanted = core(X)[0]

    def stop(share):
        raise KeyboardInterrupt

    def call(number):
        if number % 2:
            return core(X, simd="scalar", n_threads=1)[0]
        try:
            return core(X, simd="scalar", n_threads=1, progress=stop)[0]
        except KeyboardInterrupt:
            return None

    with ThreadPoolExecutor(4) as pool:
        graphs = list(pool.map(call, range(6)))
    assert [graph is None for graph in graphs] == [True, False] * 3
    for graph in graphs[1::2]:
        np.testing.assert_array_equal(graph, wanted, err_msg=f"seed {seed}")


@independent_of_forcing
def test_a_folder_of_checkpoints_in_use_is_refused(tmp_path):
    seed = new_seed()
    X = np.random.default_rng(seed).standard_normal((200, 16)).astype(np.float32)
    with open_folder(tmp_path), pytest.raises(ValueError, match="in use by another process"):
        knn_graph(X, checkpoint=tmp_path)
    assert os.listdir(tmp_path) in ([".lock"], [])
    np.testing.assert_array_equal(knn_graph(X, checkpoint=tmp_path).indices, core(X)[0][0], seed)


def test_callers_share_a_folder_of_checkpoints(tmp_path):
    """The same graph asked for several times at once: a caller gets it, or is told to wait."""
    seed = new_seed()
    X = np.random.default_rng(seed).standard_normal((1200, 64)).astype(np.float32)
    wanted = core(X)[0][0]

    def call(_):
        try:
            return knn_graph(X, checkpoint=tmp_path).indices
        except ValueError as error:
            assert "in use" in str(error)

    with ThreadPoolExecutor(4) as pool:
        graphs = [graph for graph in pool.map(call, range(12)) if graph is not None]
    assert graphs
    for graph in graphs:
        np.testing.assert_array_equal(graph, wanted, err_msg=f"seed {seed}")
    np.testing.assert_array_equal(call(0), wanted, err_msg=f"seed {seed}")


@linux_only
def test_no_thread_stays():
    X = np.random.default_rng(0).standard_normal((300, 20))
    core(X)
    before, python_threads = tasks(), threading.active_count()
    for _ in range(5):
        core(X, n_threads=7)
        with pytest.raises(ValueError):
            core(np.full((300, 20), np.nan), n_threads=7)
    assert_tasks(before)
    assert threading.active_count() == python_threads


# ---- fork


def in_child(work):
    """Whether a forked child runs work() to True within a minute."""
    pid = os.fork()
    if pid == 0:
        code = 2
        try:
            code = 0 if work() else 1
        finally:
            os._exit(code)
    for _ in range(600):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise AssertionError("the child hangs")


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@every_level
def test_fork_before_and_after_use(simd):
    seed = new_seed()
    X, Y = np.random.default_rng(seed).standard_normal((2, 300, 16))
    wanted = {id(Z): nearest(Z, Z, 5, "cosine", np.arange(300))[0] for Z in (X, Y)}

    def right(Z, **options):
        return bool((core(Z, simd=simd, **options)[0][0] == wanted[id(Z)]).all())

    assert in_child(lambda: right(X)), seed
    assert right(X)
    assert in_child(lambda: right(X) and right(Y)), seed
    assert in_child(lambda: in_child(lambda: right(Y))), seed
    assert right(Y, force_fallback=True)


@independent_of_forcing
@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork_while_another_thread_computes():
    seed = new_seed()
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((6000, 384)).astype(np.float32)
    Y = rng.standard_normal((200, 10))
    wanted = core(X)[0]
    wanted_of_child = nearest(Y, Y, 5, "cosine", np.arange(200))[0]
    computing, graphs = threading.Event(), []

    def compute():
        try:
            for _ in range(2):
                graphs.append(core(X, simd="scalar", progress=lambda share: computing.set())[0])
        finally:
            computing.set()

    thread = threading.Thread(target=compute)
    thread.start()
    try:
        computing.wait()
        meanwhile = 0
        for _ in range(8):
            assert in_child(lambda: bool((core(Y)[0][0] == wanted_of_child).all())), seed
            meanwhile += thread.is_alive()
        assert meanwhile > 0, "the other thread had finished before the first fork"
    finally:
        thread.join()
    assert len(graphs) == 2
    for graph in graphs:
        np.testing.assert_array_equal(graph, wanted, err_msg=f"seed {seed}")


# ---- interrupts


class StopError(Exception):
    pass


def paths(rng):
    """Calls that take more than the 50 ms until the engine first looks, most of them far more."""
    isotropic = rng.standard_normal((4000, 384)).astype(np.float32)
    ties = 1 + 2.0**-50 * rng.integers(0, 60, (3000, 160))
    return {
        "filter": (isotropic, {"simd": "scalar", "n_threads": 1}),
        "superblocks": (isotropic, {"simd": "scalar", "block_rows": 64, "max_memory": 1}),
        "fallback": (ties, {"metric": "euclidean", "simd": "scalar"}),
        "forced": (isotropic, {"simd": "scalar", "force_fallback": True, "n_threads": 1}),
        "re-rank": (isotropic[:3000], {"k": 700}),
        "queries": (isotropic, {"simd": "scalar", "queries": list(range(0, 4000, 2))}),
        "emulated": (isotropic[:2000], {"simd": "amx_bf16_emulated"}),
    }


@independent_of_forcing
@pytest.mark.parametrize("path", paths(np.random.default_rng(0)))
def test_stopped_by_progress_at_any_time(path):
    """An exception from the callback comes out as it is, and the next call is right."""
    seed = new_seed()
    rng = np.random.default_rng(seed)
    X, options = paths(rng)[path]
    wanted = core(X, **options)[:2]
    for error, calls_left in itertools.product((StopError, KeyboardInterrupt), (1, 2, 4)):
        remaining = calls_left

        def update(share, error=error):
            nonlocal remaining
            remaining -= 1
            if remaining == 0:
                raise error("now")

        try:
            got = core(X, **options, progress=update)[:2]
        except error as caught:
            assert str(caught) == "now"
            assert remaining == 0
        else:  # a quick machine was done before as many looks; what was raised is never swallowed
            assert remaining > 0, f"seed {seed}: raised, and lost"
            assert_same(got, wanted, f"seed {seed}")
    assert_same(core(X, **options)[:2], wanted, f"seed {seed}")


@independent_of_forcing
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
@linux_only
def test_signals_at_random_times():
    seed = new_seed()
    rng = np.random.default_rng(seed)
    # Enough work that a call takes many times the 50 ms between two looks for a signal: what calls
    # cost on the processor then says whether they were stopped on the way, on a busy machine too. A
    # signal that waited for the end of the work comes out as an exception like any other.
    X = rng.standard_normal((8000, 256)).astype(np.float32)
    wanted = core(X)[0]
    threads = tasks()
    whole = processor_seconds(lambda: core(X, simd="scalar"))
    stopped_after = []

    def stop(number, frame):
        raise StopError

    old = signal.signal(signal.SIGALRM, stop)
    try:
        for _ in range(20):
            start = time.process_time()
            try:
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.001, 0.6))
                graph = core(X, simd="scalar", n_threads=int(rng.integers(1, 4)))[0]
                signal.setitimer(signal.ITIMER_REAL, 0)
            except StopError:
                stopped_after.append(time.process_time() - start)
            else:
                np.testing.assert_array_equal(graph, wanted, err_msg=f"seed {seed}")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert min(stopped_after, default=whole) < whole / 2, f"seed {seed}: {stopped_after}, {whole}"
    np.testing.assert_array_equal(core(X)[0], wanted, err_msg=f"seed {seed}")
    assert_tasks(threads)


@independent_of_forcing
@linux_only
def test_memory_does_not_grow_with_interrupts():
    X = np.random.default_rng(0).standard_normal((5000, 512)).astype(np.float32)

    def stop(share):
        raise StopError

    def interrupt(times):
        for _ in range(times):
            with pytest.raises(StopError):
                core(X, simd="scalar", progress=stop)

    interrupt(5)
    before = megabytes()
    interrupt(20)  # each packs 10 MB
    assert megabytes() - before < 60


@independent_of_forcing
@linux_only
def test_memory_does_not_grow_with_use():
    X = np.random.default_rng(0).standard_normal((2000, 512)).astype(np.float32)
    for _ in range(4):
        knn_graph(X)
    before = megabytes()
    for _ in range(30):
        knn_graph(X)
    assert megabytes() - before < 40


def test_errors_leave_nothing_behind():
    X = np.random.default_rng(0).standard_normal((200, 10))
    wanted = knn_graph(X).indices
    for row in range(0, 200, 40):
        bad = X.copy()
        bad[row, 3] = np.nan
        with pytest.raises(ValueError, match=f"row {row} of X"):
            knn_graph(bad)
        with pytest.raises(ValueError):
            knn_graph(X, 200)
        np.testing.assert_array_equal(knn_graph(X).indices, wanted)
