"""Panels, streams, memory that runs out, several callers, interrupts: the answer stays the same."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from graph import test_knn as test_graph
from graph.test_knn import METRICS

from ilo_fast import _core_testing


class StopError(Exception):
    pass


# ---- memory


@pytest.mark.parametrize("where", ["device", "host"])
@pytest.mark.parametrize("product", ["library", "fused"])
def test_a_matrix_larger_than_what_may_be_held(product, where, engine, rng_and_seed):
    """Rows are brought in panels; every pair of panels meets once."""
    rng, seed = rng_and_seed
    n = engine.size(200, 5000)
    X = test_graph.make("common direction", rng, n, 40).astype(np.float32)
    X[rng.integers(0, n, 20)] = X[rng.integers(0, n, 20)]
    for panel_rows in engine.size((64,), (64, 320, 1024, 4096)):
        for metric in METRICS:
            info = engine.check(
                X, 5, metric, seed, product=product, where=where, panel_rows=panel_rows
            )
            assert info["panels"] >= info["unique_rows"] // panel_rows, seed
    parts = [X[: n // 2], X[n // 2 :]]
    engine.check(parts, 5, "cosine", seed, where=where, panel_rows=64, n_base=n // 2)


def test_many_chunks_of_pageable_memory(engine, rng_and_seed):
    """More than the two buffers hold that such rows come through."""
    rng, seed = rng_and_seed
    points = rng.standard_normal((12, 16384))
    X = points[rng.integers(0, 12, engine.size(420, 2000))]  # 128 KiB a row
    for n_threads in (1, 3):  # that fill the buffers
        engine.check(X, 5, "cosine", seed, where="host", product="library", n_threads=n_threads)


@pytest.mark.parametrize("where", ["device", "host"])
def test_less_and_less_memory(where, engine, rng_and_seed):
    """Right with what there is, or refused with the number that would do; never anything else."""
    rng, seed = rng_and_seed
    n, d = engine.size((300, 64), (20_000, 256))
    X = rng.standard_normal((n, d)).astype(np.float32)
    refused = False
    for max_memory in (2**32, 2**28, 2**26, 2**24, 2**22, 2**20, 1):
        _core_testing.emulated_device()  # counts from here
        try:
            engine.check(X, 5, "cosine", seed, where=where, max_memory=max_memory)
        except ValueError as error:
            assert "max_memory" in str(error), f"{max_memory}: {error}"
            assert max_memory <= 2**26, f"{max_memory} should do: {error}"
            refused = True
        else:
            assert not refused, f"{max_memory} does although more did not"
            if not engine.real:
                assert _core_testing.emulated_device()["peak_bytes"] <= max_memory
    assert refused, "a single byte was enough"


def test_every_allocation_may_fail(engine, rng_and_seed):
    """Smaller tiles after the first failures, then a clear message; nothing stays behind."""
    if engine.real:
        pytest.skip("for the emulator: a device in use by others must not be filled up")
    rng, seed = rng_and_seed
    X = rng.standard_normal((12, 4)).astype(np.float32)
    device = _core_testing.emulated_device
    before = device()["live_bytes"]
    retries = 0
    for number in range(1, 400):
        device(fail_allocation=number)
        try:
            retries += engine.check(X, 5, "cosine", seed)["retries"]
        except ValueError as error:
            assert "memory" in str(error)
        finally:
            pending = device(fail_allocation=0)["pending_failure"]
        assert device()["live_bytes"] == before, f"allocation {number} of {seed}"
        if pending:  # there were fewer
            break
    else:
        raise AssertionError("400 allocations for 12 rows")
    assert retries > 0
    engine.check(X, 5, "cosine", seed)


def test_a_device_too_small(engine, rng_and_seed):
    if engine.real:
        pytest.skip("for the emulator, whose memory can be limited")
    rng, seed = rng_and_seed
    X = rng.standard_normal((600, 64)).astype(np.float32)
    device = _core_testing.emulated_device
    done = set()
    try:
        for limit in (2**27, 2**25, 2**23, 2**21, 2**19, 2**16):
            device(memory=limit)
            try:
                engine.check(X, 5, "cosine", seed, where="host")
                done.add(True)
            except ValueError as error:
                assert "memory" in str(error)
                done.add(False)
    finally:
        device(memory=0)
    assert done == {True, False}
    assert device()["live_bytes"] == 0


@pytest.mark.parametrize("where", ["device", "host"])
def test_nothing_stays_on_the_device(where, engine, rng_and_seed):
    if not engine.real:
        pytest.skip("needs a device that says what is free")
    import torch

    rng, seed = rng_and_seed
    X = rng.standard_normal((20_000, 256)).astype(np.float32)
    engine.check(X, 5, "cosine", seed, where=where)
    torch.cuda.empty_cache()
    before = torch.cuda.mem_get_info()[0]
    for _ in range(5):
        engine.graph(X, 5, where=where)
        X[7, 3] = np.nan
        with pytest.raises(ValueError, match="row 7"):
            engine.graph(X, 5, where=where)
        X[7, 3] = 0
    torch.cuda.empty_cache()
    assert before - torch.cuda.mem_get_info()[0] < 64 << 20


# ---- streams


def test_works_on_the_callers_stream(engine, rng_and_seed):
    """What the stream still has to do before is waited for; the input may be overwritten after."""
    if not engine.real:
        pytest.skip("needs streams of torch")
    import torch

    rng, seed = rng_and_seed
    X = rng.standard_normal((4000, 128)).astype(np.float32)
    wanted = engine.on_cpu(X, 5)[0]
    ready = torch.from_numpy(X).cuda()
    torch.cuda.synchronize()
    for stream in (torch.cuda.default_stream(), *(torch.cuda.Stream() for _ in range(4))):
        with torch.cuda.stream(stream):
            late = torch.full_like(ready, float("nan"))
            torch.cuda._sleep(200_000_000)  # a tenth of a second
            late.copy_(ready)
            indices, *_ = _core_testing.cuda_knn_graph(
                [(late.data_ptr(), (1, *late.shape), (0, 512, 4))],
                "float32",
                5,
                cosine=True,
                machine="gpu",
                stream=stream.cuda_stream,
            )
            late.zero_()
        np.testing.assert_array_equal(indices, wanted, err_msg=seed)


def test_pinned_and_pageable_memory(engine, rng_and_seed):
    if not engine.real:
        pytest.skip("needs memory that a driver has pinned")
    import torch

    rng, seed = rng_and_seed
    X = rng.standard_normal((3, 3000, 64)).astype(np.float32)
    pinned = torch.from_numpy(X).pin_memory().numpy()
    for panel_rows in (0, 512):
        engine.check(pinned, 5, "cosine", seed, where="host", panel_rows=panel_rows)
        engine.check(X, 5, "cosine", seed, where="host", panel_rows=panel_rows)


def test_same_call_same_answer(engine, rng_and_seed):
    """Candidates arrive in any order; neither indices nor distances may tell."""
    rng, seed = rng_and_seed
    X = test_graph.make("near-ties", rng, engine.size(150, 20_000), 24).astype(np.float32)
    first = engine.graph(X, 7, "euclidean", capacity=32)
    for _ in range(engine.size(2, 10)):
        again = engine.graph(X, 7, "euclidean", capacity=32)
        np.testing.assert_array_equal(again[0], first[0], err_msg=seed)
        np.testing.assert_array_equal(again[1], first[1], err_msg=seed)


# ---- several callers, interrupts, progress


def random_call(rng, engine):
    n, d = int(rng.integers(20, engine.size(120, 3000))), int(rng.integers(1, 60))
    X = rng.standard_normal((n, d)).astype(rng.choice(["float32", "float64"]))
    X[rng.integers(0, n, n // 4)] = X[rng.integers(0, n, n // 4)]
    return X, {
        "k": int(rng.integers(1, 12)),
        "metric": str(rng.choice(METRICS)),
        "where": str(rng.choice(["device", "host"])),
        "product": str(rng.choice(["library", "fused"])),
        "panel_rows": int(rng.choice([0, 64])),
        "force_fallback": bool(rng.integers(0, 2)),
    }


def test_callers_in_several_threads(engine, rng_and_seed):
    rng, seed = rng_and_seed
    calls = [random_call(rng, engine) for _ in range(engine.size(10, 60))]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda call: engine.check(call[0], message=seed, **call[1]), calls))


def test_beside_the_cpu_engine(engine, rng_and_seed):
    """The two share the process, its threads and its Ctrl-C."""
    rng, seed = rng_and_seed
    X = rng.standard_normal((engine.size(150, 3000), 24)).astype(np.float32)
    wanted = engine.on_cpu(X, 5)[0]
    begun, stop = threading.Event(), threading.Event()

    def work():
        begun.set()
        while not stop.is_set():
            np.testing.assert_array_equal(engine.on_cpu(X, 5)[0], wanted)

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(work)
        try:
            begun.wait()
            for _ in range(3):
                np.testing.assert_array_equal(engine.graph(X, 5)[0], wanted[0], err_msg=seed)
        finally:
            stop.set()
        other.result()


def test_progress_rises(engine):
    shares = []
    X = np.random.default_rng(18).standard_normal((3, *engine.size((700, 16), (30_000, 256))))
    engine.stack(X, 5, progress=shares.append, tile_rows=64)
    assert len(shares) > 3
    assert 0 <= shares[0] < 0.4 < shares[-1] <= 1
    # Rows that the filter leaves open are work that was not announced.
    assert all(b > a - 0.05 for a, b in itertools.pairwise(shares))


@pytest.mark.parametrize("where", ["device", "host"])
@pytest.mark.parametrize("error", [StopError, KeyboardInterrupt])
def test_stopped_by_progress_at_any_time(error, where, engine, rng_and_seed):
    """An exception from the callback comes out as it is, and the next call is right."""
    rng, seed = rng_and_seed
    X = rng.standard_normal((2, *engine.size((130, 24), (8000, 512)))).astype(np.float32)
    X[1, ::2] = X[1, 0] + 1e-7 * X[1, ::2]
    wanted = engine.on_cpu(X, 5, "euclidean")[0]
    options = {"where": where, "tile_rows": 64, "panel_rows": 64}
    stopped = 0
    for calls_left in (1, 2, int(rng.integers(3, 20))):
        remaining = calls_left

        def update(share):
            nonlocal remaining
            remaining -= 1
            if remaining == 0:
                raise error("now")

        try:
            indices, *_ = engine.stack(X, 5, "euclidean", progress=update, **options)
        except error as caught:
            assert str(caught) == "now"
            stopped += 1
        else:  # it was finished sooner
            np.testing.assert_array_equal(indices, wanted, err_msg=seed)
    assert stopped > 0
    indices, *_ = engine.stack(X, 5, "euclidean", **options)
    np.testing.assert_array_equal(indices, wanted, err_msg=seed)


def test_errors_leave_nothing_behind(engine):
    X = np.random.default_rng(0).standard_normal((150, 10))
    wanted = engine.graph(X, 5)[0]
    for row in (0, 60, 149):
        bad = X.copy()
        bad[row, 3] = np.nan
        with pytest.raises(ValueError, match=f"row {row} of X"):
            engine.graph(bad, 5)
        with pytest.raises(ValueError):
            engine.graph(X, 150)
        np.testing.assert_array_equal(engine.graph(X, 5)[0], wanted)


# ---- what the bound rests on


def test_a_tensor_core_errs_less_than_the_bound(engine, rng_and_seed):
    """Sums of float16 products on the device itself, held against exact ones."""
    if not engine.real:
        pytest.skip("needs the tensor cores themselves")
    import torch
    from cuda.test_hard import products_cut_short

    rng, seed = rng_and_seed
    for d in (16, 256, 4096, 16384):
        sets = [rng.standard_normal((128, d)), 1 + rng.random((128, d)) * 2.0**-9]
        sets += [products_cut_short(rng, d, 2, 5, 25, boundary) for boundary in (False, True)]
        for X in sets:
            half = torch.from_numpy(X).half().cuda()
            got = torch.mm(half, half.T, out_dtype=torch.float32).double()
            exact = half.double() @ half.double().T
            size = half.double().abs() @ half.double().abs().T
            # As tensor_core_roundings of csrc/cuda/products.h.
            most = (2.5 * d + 64) * 2.0**-24 * size
            assert ((got - exact).abs() <= most).all(), f"{seed}, d={d}"


# ---- layers


@pytest.mark.parametrize("where", ["device", "host"])
def test_every_layer_has_the_same_plan_and_the_next_is_brought_meanwhile(
    where, engine, rng_and_seed
):
    rng, seed = rng_and_seed
    X = rng.standard_normal((4, *engine.size((300, 64), (20_000, 256)))).astype(np.float32)
    _core_testing.emulated_device()  # counts from here
    max_memory = engine.size(48 << 20, 1 << 30)
    indices, distances, infos = engine.stack(X, 5, where=where, max_memory=max_memory)
    for name in ("panels", "tile_rows", "list_capacity", "retries"):
        assert len({info[name] for info in infos}) == 1, (seed, name, infos)
    wanted = engine.on_cpu(X, 5)
    np.testing.assert_array_equal(indices, wanted[0], err_msg=seed)
    np.testing.assert_array_equal(distances, wanted[1], err_msg=seed)
    if not engine.real:  # the device is never faster than the host here
        assert [info["late_rows"] for info in infos[1:]] == [0, 0, 0], seed
        assert _core_testing.emulated_device()["peak_bytes"] <= max_memory, seed


def test_lists_of_any_length_are_cut_in_time(engine, rng_and_seed):
    """Of short lists, as where memory is short, too: else nearly all rows needed the fallback."""
    rng, seed = rng_and_seed
    X = rng.standard_normal(engine.size((1000, 64), (40_000, 64))).astype(np.float32)
    for product in ("library", "fused"):
        info = engine.check(X, 32, "cosine", seed, product=product, capacity=200)
        assert info["widened_rows"] < 0.02 * len(X), (seed, info)
