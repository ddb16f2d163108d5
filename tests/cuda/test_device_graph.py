"""The engine of the device against the CPU's and the float64 oracle, bit for bit, on every path.

The data sets are those of the CPU engine's own tests.
"""

from __future__ import annotations

import numpy as np
import pytest
from graph import test_knn as test_graph
from graph.test_knn import METRICS

from ilo_fast import _core_testing

PRODUCTS = ("library", "fused")
# Every path: many tiles and a ragged last one, many panels, lists that overflow, no certificate.
PATHS = (
    {},
    {"tile_rows": 64},
    {"tile_rows": 64, "panel_rows": 128},
    {"capacity": 32},
    {"force_fallback": True},
    {"force_fallback": True, "tile_rows": 64, "panel_rows": 64, "capacity": 32},
)


def random_path(rng):
    return dict(PATHS[rng.integers(len(PATHS))])


def test_a_gpu_is_tested_too(gpu):
    assert gpu["name"] and gpu["memory"] > 0
    assert gpu["capability"] >= (8, 0)


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", test_graph.NAMES)
def test_equals_float64_brute_force(name, metric, product, engine, rng_and_seed):
    rng, seed = rng_and_seed
    n = int(rng.integers(*engine.size((30, 110), (30, 1500))))
    d = int(rng.choice([1, 2, 5, 16, 31, 64, 150]))
    X = test_graph.make(name, rng, n, d).astype(rng.choice(["float32", "float64"]))
    k = int(rng.choice([1, 5, 25]))
    message = f"{seed}, n={n}, d={d}, {X.dtype}"
    for options in engine.size([random_path(rng)], PATHS):
        where = str(rng.choice(["device", "host"]))
        options = {**options, "product": product, "where": where}
        info = engine.check(X, k, metric, message, by_definition=True, **options)
        if options.get("force_fallback") and info["unique_rows"] > 1:
            assert info["widened_rows"] == n, message
        if options.get("panel_rows") and info["unique_rows"] > 2 * options["panel_rows"]:
            assert info["panels"] > 1, message


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", ["isotropic", "common direction", "massive dimensions"])
def test_the_filter_certifies_nearly_every_row(name, metric, engine):
    n, d = engine.size((1200, 64), (6000, 1024))
    X = test_graph.make(name, np.random.default_rng(3), n, d).astype(np.float32)
    info = engine.check(X, 5, metric)
    assert info["certified_rows"] >= (0.95 if name == "massive dimensions" else 0.99) * n
    assert info["candidates_per_row"] < 100


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("exponent", [-30, -10, 10, 30])
def test_scale_of_float32_changes_nothing(metric, exponent, engine):
    X = np.random.default_rng(4).standard_normal((150, 40)) * 10.0**exponent
    info = engine.check(X.astype(np.float32), 5, metric, by_definition=True)
    assert info["certified_rows"] >= 0.7 * len(X)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("exponent", [-322, -310, -300, -200, 200, 290])
def test_scale_of_float64_changes_nothing(metric, exponent, engine):
    """Squares of these leave float64's range; the smallest are subnormal."""
    X = np.random.default_rng(5).standard_normal((80, 20)) * 10.0**exponent
    X = X[np.abs(X).max(axis=1) > 0]
    engine.check(X, 5, metric)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_of_very_different_scales(metric, dtype, engine):
    rng = np.random.default_rng(6)
    largest = 30 if dtype == "float32" else 250
    X = rng.standard_normal((150, 12)) * 10.0 ** rng.integers(-largest, largest, (150, 1))
    engine.check(X.astype(dtype), 5, metric, by_definition=True)


@pytest.mark.parametrize("metric", METRICS)
def test_subnormal_values(metric, engine):
    X = (np.random.default_rng(7).standard_normal((90, 9)) * 1e-44).astype(np.float32)
    engine.check(X[np.abs(X).max(axis=1) > 0], 3, metric, by_definition=True)


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("d", [1, 7, 63, 64, 65, 127, 129, 1000, 4096, 8192])
def test_any_dimension(d, product, engine):
    n = engine.size(40 if d < 4096 else 12 if d < 8192 else 6, 300)
    X = np.random.default_rng(d).standard_normal((n, d)).astype(np.float32)
    for where in ("device", "host"):
        engine.check(X, 4, "euclidean", product=product, where=where)


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("n", [2, 3, 5, 31, 33, 127, 128, 129, 257, 513])
def test_any_number_of_rows(n, product, engine):
    X = np.random.default_rng(n).standard_normal((n, 6)).astype(np.float32)
    for k in {1, min(5, n - 1), n - 1}:  # n - 1: all are neighbours
        if k < engine.size(129, n):
            engine.check(X, k, "cosine", product=product)


@pytest.mark.parametrize(
    ("n", "k"), [(200, 180), (513, 512), (1025, 1024), (2500, 2047), (5000, 3000)]
)
def test_many_neighbors(n, k, engine):
    if n > engine.size(600, 10_000):
        pytest.skip("too large for the emulator")
    X = np.random.default_rng(8).standard_normal((n, 16)).astype(np.float32)
    engine.check(X, k)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_dtypes(dtype, metric, engine):
    X = np.random.default_rng(9).standard_normal((150, 33)).astype(np.float32)
    for where in ("device", "host"):
        if dtype == "bfloat16":  # as bit patterns
            bits = (X.view(np.uint32) >> 16).astype(np.uint16)
            engine.check(bits, 5, metric, dtype="bfloat16", where=where)
        else:
            engine.check(X.astype(dtype), 5, metric, where=where, by_definition=True)


def test_subnormal_and_extreme_float16(engine):
    rng = np.random.default_rng(11)
    bits = rng.integers(0, 0x7C00, (150, 24)).astype(np.uint16)
    bits |= rng.integers(0, 2, bits.shape).astype(np.uint16) << 15
    engine.check(bits.view(np.float16), 5, "euclidean", by_definition=True)


@pytest.mark.parametrize("metric", METRICS)
def test_subnormal_and_extreme_bfloat16(metric, engine):
    rng = np.random.default_rng(12)
    bits = rng.integers(0, 0x7F80, (150, 24)).astype(np.uint16)
    bits |= rng.integers(0, 2, bits.shape).astype(np.uint16) << 15
    engine.check(bits, 5, metric, dtype="bfloat16")


@pytest.mark.parametrize("where", ["device", "host"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_any_stride(dtype, where, engine):
    big = np.random.default_rng(12).standard_normal((2, 120, 60)).astype(dtype)
    for view in (
        big[0, ::2, ::3],
        big[1, ::-1, 10:50],
        big[1, :, ::-1],
        big[0, 1:, 1:],  # rows that no wide load may start at
        big[0].T,
        big[:, :, 0].T,
        np.asfortranarray(big[0]),
        np.broadcast_to(big[0, :1], (20, 60)),
        big[::-1, 3:60:2],
    ):
        engine.check(view, 2 - (view.shape[-2] < 3), "euclidean", where=where)


@pytest.mark.parametrize("where", ["device", "host"])
def test_rows_in_several_segments(where, engine, rng_and_seed):
    """As `overlap` gives them: an array for each language, one after the other."""
    rng, seed = rng_and_seed
    sizes = rng.integers(1, 40, 7)
    parts = [rng.standard_normal((2, n, 18)).astype(np.float32) for n in sizes]
    parts[3] = np.concatenate([parts[3]] * 2, axis=1)[:, ::2]  # its rows lie further apart
    for options in ({}, {"panel_rows": 64}):
        engine.check(parts, 4, "cosine", seed, where=where, **options)


def test_segments_here_and_there_are_refused(engine):
    parts = [np.ones((1, n, 12), np.float32) for n in (40, 30)]
    *placed, keep = engine.in_place(parts[0])
    with pytest.raises(ValueError, match="partly in the host's memory"):
        _core_testing.cuda_knn_graph(
            [tuple(placed), parts[1]],
            "float32",
            5,
            cosine=True,
            machine=engine.machine,
            stream=engine.stream(),
        )
    del keep


@pytest.mark.parametrize("where", ["device", "host"])
def test_stack_of_layers_is_layer_by_layer(where, engine, rng_and_seed):
    rng, seed = rng_and_seed
    X = rng.standard_normal((4, 100, 20)).astype(np.float32)
    X[1] = X[1, 0]  # a layer of equal rows
    X[2] += 1000 * rng.standard_normal(20).astype(np.float32)
    indices, distances, infos = engine.stack(X, 6, where=where)
    assert indices.shape == distances.shape == (4, 100, 6)
    assert indices.dtype == np.int64 and distances.dtype == np.float32
    assert [info["unique_rows"] for info in infos] == [100, 1, 100, 100]
    wanted = engine.on_cpu(X, 6)
    np.testing.assert_array_equal(indices, wanted[0], err_msg=seed)
    np.testing.assert_array_equal(distances, wanted[1], err_msg=seed)


# ---- queries


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("metric", METRICS)
def test_queries(metric, product, engine, rng_and_seed):
    """Near, far, equal to searched rows and to each other; none is left out of its own answer."""
    rng, seed = rng_and_seed
    for _ in range(engine.size(2, 10)):
        n, m, d = (int(rng.integers(*ends)) for ends in ((20, 200), (1, 120), (1, 90)))
        k = int(rng.choice([1, 5, n]))
        X = rng.standard_normal((n, d)) + 10 * rng.standard_normal(d)
        X[rng.integers(0, n, n // 3)] = X[rng.integers(0, n, n // 3)]
        Y = X.mean(axis=0) + rng.standard_normal((m, d)) * rng.choice([0.1, 1, 30], (m, 1))
        Y[::3] = X[rng.integers(0, n, len(Y[::3]))]
        Y[rng.integers(0, m, m // 4)] = Y[rng.integers(0, m, m // 4)]
        dtype = rng.choice(["float32", "float64"])
        parts = [X.astype(dtype), Y.astype(dtype)]
        options = {**random_path(rng), "product": product, "n_base": n}
        where = str(rng.choice(["device", "host"]))
        message = f"{seed}, n={n}, m={m}, d={d}, {dtype}"
        info = engine.check(parts, k, metric, message, where=where, **options)
        assert (info["rows"], info["queries"]) == (n, m)


def test_queries_far_outside_do_not_spoil_the_rest(engine, rng_and_seed):
    rng, seed = rng_and_seed
    X, Y = rng.standard_normal((300, 40)), rng.standard_normal((60, 40))
    Y[7] *= 1e6
    engine.check([X, Y], 5, "euclidean", seed, n_base=300)


def test_a_row_asks_for_itself(engine, rng_and_seed):
    rng, seed = rng_and_seed
    X = rng.standard_normal((90, 12)).astype(np.float32)
    indices, distances, _ = engine.graph([X, X], 4, n_base=90)
    np.testing.assert_array_equal(indices[:, 0], np.arange(90), err_msg=seed)
    assert (distances[:, 0] == 0).all()
    np.testing.assert_array_equal(indices[:, 1:], engine.graph(X, 3)[0], err_msg=seed)


@pytest.mark.parametrize(("n", "m", "k"), [(1, 1, 1), (1, 40, 1), (7, 1, 7), (150, 1, 150)])
def test_smallest_sets_of_queries(n, m, k, engine):
    rng = np.random.default_rng(n)
    parts = [rng.standard_normal((n, 9)), rng.standard_normal((m, 9))]
    for metric in METRICS:
        engine.check(parts, k, metric, n_base=n)


# ---- ties and equal rows


def test_ties_go_by_index(engine):
    # Seen from 0, the values 1 (rows 1 and 4) and -1 (rows 2 and 3) are equally far.
    X = np.array([[0.0], [1.0], [-1.0], [-1.0], [1.0], [9.0]])
    indices, _, _ = engine.graph(X, 4, "euclidean")
    assert indices[0].tolist() == [1, 2, 3, 4]


def test_minus_zero_equals_zero(engine):
    X = np.array([[0.0, 1.0], [-0.0, 1.0], [0.5, 1.0]], np.float32)
    indices, distances, info = engine.graph(X, 1)
    assert indices.ravel().tolist() == [1, 0, 0]
    assert distances[0, 0] == 0
    assert info["unique_rows"] == 2


# ---- bad input


@pytest.mark.parametrize("where", ["device", "host"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (-np.inf, "infinity")])
def test_not_finite_names_the_row(dtype, value, word, where, engine):
    X = np.ones((200, 40), np.float32 if dtype == "bfloat16" else dtype)
    X[160, 3] = X[172, 39] = value
    if dtype == "bfloat16":
        X = (X.view(np.uint32) >> 16).astype(np.uint16)
    for metric in METRICS:
        with pytest.raises(ValueError, match=rf"row 160 of X holds {word} \(column 3\)") as caught:
            engine.graph(X, 5, metric, dtype=dtype, where=where)
        assert caught.value.row == 160


def test_not_finite_in_the_last_columns(engine):
    X = np.ones((10, 19), np.float32)
    X[4, 18] = np.inf
    with pytest.raises(ValueError, match=r"row 4 of X holds infinity \(column 18\)"):
        engine.graph(X, 2)


@pytest.mark.parametrize("where", ["device", "host"])
def test_bad_rows_name_the_layer(where, engine):
    X = np.ones((3, 50, 6))
    X[2, 7, 1] = np.nan
    with pytest.raises(ValueError, match=r"row 7 of layer 2 of X holds NaN \(column 1\)"):
        engine.stack(X, 2, where=where)
    X[1, 9] = 0
    with pytest.raises(ValueError, match="row 9 of layer 1 of X is a zero vector"):
        engine.stack(X, 2, where=where)
    X[2, 7, 1] = 1
    assert engine.stack(X, 2, "euclidean", where=where)[0].shape == (3, 50, 2)


def test_bad_queries(engine):
    X, Y = np.ones((2, 50, 6)), np.ones((2, 9, 6))
    Y[1, 3, 2] = np.nan
    with pytest.raises(ValueError, match=r"row 3 of layer 1 of queries holds NaN \(column 2\)"):
        engine.stack([X, Y], 2, n_base=50)
    Y[1, 3] = 0
    with pytest.raises(ValueError, match="row 3 of layer 1 of queries is a zero vector"):
        engine.stack([X, Y], 2, n_base=50)
    X[0, 8, 0] = np.nan  # searched rows are named first
    Y[0, 3] = 0
    with pytest.raises(ValueError, match="row 8 of layer 0 of X holds NaN"):
        engine.stack([X, Y], 2, n_base=50)


@pytest.mark.parametrize(
    ("k", "n_base", "message"),
    [
        (20, 0, "n_neighbors=20 needs at least 21 rows, got 20"),
        (31, 0, "n_neighbors=31 needs at least 32 rows, got 20"),
        (0, 0, "n_neighbors=0 must be at least 1"),
        (-3, 0, "n_neighbors=-3 must be at least 1"),
        (11, 10, "n_neighbors=11 needs at least 11 rows, got 10"),
        (1, 21, "n_base=21 is more than all 20 rows"),
    ],
)
def test_wrong_numbers(k, n_base, message, engine):
    with pytest.raises(ValueError, match=message):
        engine.graph(np.ones((20, 2)), k, n_base=n_base)


def test_wrong_options(engine):
    with pytest.raises(ValueError, match="magic"):
        engine.graph(np.ones((20, 2)), 2, product="magic")
    if engine.real:  # the emulator is one device, whatever its number
        with pytest.raises(ValueError, match="99"):
            engine.graph(np.ones((20, 2)), 2, device=99)


# ---- many small cases


def test_random_small_cases(engine, rng_and_seed):
    """Any shape, data, dtype, place, and any path at once."""
    rng, seed = rng_and_seed
    for case in range(engine.size(40, 400)):
        n, d = int(rng.integers(5, 140)), int(rng.choice([1, 2, 3, 8, 33, 64, 70]))
        layers = int(rng.choice([1, 1, 2]))
        X = np.stack([test_graph.make(_any_name(rng), rng, n, d) for _ in range(layers)])
        X = (X * 10.0 ** rng.integers(-8, 8)).astype(rng.choice(["float32", "float64"]))
        cuts = np.sort(rng.integers(1, n, int(rng.integers(0, 3))))
        parts = [part for part in np.split(X, cuts, axis=1) if part.shape[1]]
        n_base = parts[0].shape[1] if len(parts) > 1 and rng.random() < 0.4 else 0
        most = n_base or n - 1
        options = {
            "k": int(rng.choice([1, min(5, most), most])),
            "metric": str(rng.choice(METRICS)),
            "product": str(rng.choice(["", *PRODUCTS])),
            "where": str(rng.choice(["device", "host"])),
            "n_base": n_base,
            "tile_rows": int(rng.choice([0, 64, 128])),
            "panel_rows": int(rng.choice([0, 0, 64, 128])),
            "capacity": int(rng.choice([0, 0, 32, 48])),
            "force_fallback": bool(rng.random() < 0.2),
        }
        engine.check(parts, message=f"{seed}, case {case}, {layers} x {n} x {d}", **options)


def _any_name(rng):
    return test_graph.NAMES[rng.integers(len(test_graph.NAMES))]
