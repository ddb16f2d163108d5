"""Rows that somebody writes during the call: an error, or the graph of what they were or became."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import knn as reference

from ilo_fast import _core_testing, knn_graph, overlap

N, D, K = 220, 6, 4
CHANGED = "changed during the call|holds NaN|holds infinity|is a zero vector"


def everything_nan(X):
    X[:] = np.nan


def one_row_infinite(X):
    X[N // 2] = np.inf


def everything_equal(X):
    X[:] = X[0]


def other_numbers(X):
    X[:] = np.random.default_rng(9).standard_normal(X.shape)


def half_a_million_times_larger(X):
    X[::2] *= 5e5


def everything_zero(X):
    X[:] = 0


CHANGES = [
    everything_nan,
    one_row_infinite,
    everything_equal,
    other_numbers,
    half_a_million_times_larger,
    everything_zero,
]
PATHS = {
    "plain": {},
    "blocks": {"block_rows": 16, "max_memory": 1},
    "fallback": {"force_fallback": True},
    "queries": {"n_base": N - 40, "queries": list(range(N - 40, N))},
}


def rows(dtype):
    """Some rows in near-duplicate clusters, so that every stage has work."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((N, D))
    X[:60] = X[0] + 1e-6 * rng.standard_normal((60, D))
    return X.astype(dtype)


class ChangeAt:
    """A progress function that changes the rows the n-th time it is called."""

    def __init__(self, X, at, change):
        self.X, self.at, self.change, self.calls = X, at, change, 0

    def __call__(self, share):
        self.calls += 1
        if self.calls == self.at:
            self.change(self.X)


def assert_a_graph(indices, n_base, own):
    assert ((indices >= 0) & (indices < n_base)).all()
    assert not (indices == own[:, None]).any()
    assert (np.diff(np.sort(indices, axis=1)) > 0).all()


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("dtype", "cosine"), [(np.float32, True), (np.float64, False)])
def test_rows_that_change_at_any_moment_end_in_an_error_or_a_graph(dtype, cosine, path, change):
    options = PATHS[path]
    n_base = options.get("n_base", N)
    own = np.array(options.get("queries", range(N)))
    own = np.where(own < n_base, own, -1)

    def graph(X, update):
        return _core_testing.knn_graph(
            [X[None]], X.dtype.name, K, cosine=cosine, n_threads=1, progress=update, interval=0,
            **options,
        )[0][0]  # fmt: skip

    counter = ChangeAt(None, 0, None)
    graph(rows(dtype), counter)
    assert counter.calls > 5
    refused = 0
    for at in range(1, counter.calls + 1, max(1, counter.calls // 12)):
        X = rows(dtype)
        try:
            assert_a_graph(graph(X, ChangeAt(X, at, change)), n_base, own)
        except ValueError as error:
            assert any(part in str(error) for part in CHANGED.split("|")), error
            refused += 1
    assert refused > 0


def test_the_row_is_named():
    X = rows(np.float32)

    def change(X):
        X[7] += 1

    counter = ChangeAt(None, 0, None)
    options = {"cosine": True, "n_threads": 1, "interval": 0}
    _core_testing.knn_graph([X[None]], "float32", K, progress=counter, **options)
    update = ChangeAt(X, counter.calls // 2, change)
    with pytest.raises(ValueError, match=r"row 7 of X changed during the call.*pass a copy"):
        _core_testing.knn_graph([X[None]], "float32", K, progress=update, **options)


def test_a_changed_graph_is_not_kept_in_its_checkpoint(tmp_path):
    X = rows(np.float32)
    sound = X.copy()
    counter = ChangeAt(None, 0, None)
    options = {"cosine": True, "n_threads": 1, "interval": 0, "checkpoint_seconds": 0.0}
    _core_testing.knn_graph([X[None]], "float32", K, progress=counter, **options)
    # Every moment of a short call; some 40 of one with many blocks.
    for at in range(2, counter.calls, max(1, counter.calls // 40)):
        folder = tmp_path / str(at)
        folder.mkdir()
        X[:] = sound
        try:
            _core_testing.knn_graph(
                [X[None]], "float32", K, progress=ChangeAt(X, at, other_numbers),
                checkpoint=str(folder), **options,
            )  # fmt: skip
        except ValueError:
            X[:] = sound  # they change back: what was saved may go on
        indices = _core_testing.knn_graph(
            [X[None]], "float32", K, checkpoint=str(folder), **options
        )[0]
        wanted, _ = reference.knn(X, K, "cosine")
        np.testing.assert_array_equal(indices[0], wanted)


@pytest.mark.parametrize("backend", ["exact", "hnsw"])
def test_threads_that_write_meanwhile_never_crash_it(backend):
    import threading

    X = np.random.default_rng(0).standard_normal((3000, 16)).astype(np.float32)
    done = threading.Event()

    def write():
        rng = np.random.default_rng(1)
        while not done.is_set():
            X[rng.integers(0, len(X), 50)] = rng.choice([np.nan, 1.0, 1e30])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            try:
                graph = knn_graph(X, 5, backend=backend, n_threads=1)
                assert_a_graph(graph.indices, len(X), np.arange(len(X)))
            except ValueError as error:
                assert any(part in str(error) for part in CHANGED.split("|")), error
    finally:
        done.set()
        writer.join()


def test_overlap_names_the_sentence_that_changed(monkeypatch):
    """As scores call it: the row is a sentence of a language."""
    from ilo_fast import _core

    X = {code: rows(np.float32) for code in ("eng_Latn", "fra_Latn")}

    def change(share):
        X["fra_Latn"][3] += 1

    def core(*args, **options):
        options["progress"] = change
        return _core_testing.knn_graph(*args, interval=0, **options)

    monkeypatch.setattr(_core, "knn_graph", core)
    with pytest.raises(ValueError, match=r"representations\['fra_Latn'\], sentence 3, layer 0 cha"):
        overlap(X, threshold=1, n_threads=1)
