"""Data made to break a filter in half precision on tensor cores; equal rows; lists that overflow.

The data sets of tests/test_graph_hard.py, and others that aim at float16 (11 bits, and a range that
ends at 65504 and 2^-24) and at tensor cores, which align what they add and cut it off.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest
from graph import test_hard_data as hard
from graph.test_knn import METRICS

PRODUCTS = ("library", "fused")
PATHS = (
    {},
    {"tile_rows": 64, "panel_rows": 64},
    {"capacity": 16},
    {"force_fallback": True},
    {"force_fallback": True, "tile_rows": 64, "panel_rows": 64, "capacity": 16},
)


@functools.cache
def problem(name, metric, largest):
    """Both products meet the same data."""
    seed = np.random.SeedSequence().entropy
    rng = np.random.default_rng(seed)
    X = made_for_half(name, rng) if name in HALF_NAMES else hard.make(name, rng)
    X = thinned(X, largest) if name in EXACT_CENTRE else rng.permutation(X)[:largest]
    if metric == "cosine":
        X = X[np.abs(X).max(axis=1) > 0]
    if X.dtype not in (np.float16, np.float32):
        X = np.asarray(X, np.float64)
    return X, int(rng.choice([1, 5, 12])), rng, f"{name}, seed {seed}"


def thinned(X, most):
    """Fewer of rows that are mirrored, with their mirror images."""
    half = len(X) // 2
    kept = min(half, most // 2)
    return np.concatenate([X[:kept], X[half : half + kept], X[2 * half :]])


# What these are made for needs their centre to stay at 0.
EXACT_CENTRE = (
    "bf16 midpoints",
    "exact bf16 midpoints",
    "exact float32 midpoints",
    "coherent bf16",
    "coherent float32",
    "hub",
    "one sign",
    "half midpoints",
    "coherent half",
    "subnormal in half",
    "beyond half's range",
)
HALF_NAMES = (
    "half ulps",
    "half midpoints",
    "coherent half",
    "subnormal in half",
    "beyond half's range",
    "sizes of columns",
)


def made_for_half(name, rng):
    n, d = int(rng.integers(60, 90)) // 2 * 2, int(rng.choice([3, 17, 64, 130]))
    if name == "half ulps":
        return hard.ulps(rng, n, d, 11)
    if name == "half midpoints":  # one more bit, always set: halfway between two float16
        whole = 2 * rng.integers(1024, 2048, (n // 2, d)) + 1
        return hard.mirrored(whole * 2.0**-11 * hard.signs(rng, n // 2, d))
    if name == "coherent half":
        return hard.coherent(rng, n, d, 11)
    if name == "subnormal in half":  # beside the largest value of a row, the rest loses its bits
        half = rng.standard_normal((n // 2, d)) * 2.0 ** -rng.integers(8, 26, (n // 2, d))
        half[:, rng.integers(d)] = 1
        return hard.mirrored(half)
    if name == "beyond half's range":
        return hard.mirrored(rng.standard_normal((n // 2, d)) * 2.0 ** rng.integers(0, 40, (1, d)))
    if name == "sizes of columns":
        return rng.standard_normal((n, d)) * 10.0 ** rng.integers(-4, 5, (1, d))
    raise AssertionError(name)


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", [*hard.NAMES, *HALF_NAMES])
def test_equals_float64_brute_force(name, metric, product, engine):
    X, k, rng, message = problem(name, metric, engine.size(56, 1000))
    paths = [PATHS[rng.integers(len(PATHS))]] if not engine.real else PATHS
    for options in paths:
        where = str(rng.choice(["device", "host"]))
        info = engine.check(
            X, k, metric, message, by_definition=True, product=product, where=where, **options
        )
        if options.get("force_fallback") and info["unique_rows"] > 1:
            assert info["widened_rows"] == len(X), message
        if options.get("panel_rows") and info["unique_rows"] > 128:
            assert info["panels"] > 1, message
        if engine.real and not options and name in hard.EASY:
            assert info["certified_rows"] >= 0.7 * len(X), message


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("n", "d", "k"), [(100, 1, 5), (12, 16384, 3), (2, 5, 1), (6, 33, 5), (130, 20, 129)]
)
def test_shapes(n, d, k, metric, engine, rng_and_seed):
    rng, seed = rng_and_seed
    X = rng.standard_normal((n, d)).astype(np.float32)
    if d == 1 and metric == "cosine":
        X = np.abs(X)  # all directions are one
    for where in ("device", "host"):
        engine.check(X, k, metric, seed, where=where)


# ---- what tensor cores make of a long sum


def products_cut_short(rng, d, groups, near, far, boundary):
    """Rows about a few bases: the nearest lose in every step of the sum, the next lose nothing.

    All values are float16 as they stand, all products of a group positive, so that nothing but the
    adding is in doubt. A tensor core that aligns its addends to the largest one, and cuts off what
    lies below its last bit, makes the products of the `near` rows smaller than they are, all the
    way in the same direction. The `far` rows, whose products fit, are farther by the least that
    whole units allow, and score more.

    boundary: the sum stands just above a power of two from its first product on, where what is cut
    off is largest compared with it.
    """
    unit = 2.0**-10
    parts = []
    for _ in range(groups):
        base = 1 + rng.integers(8, 1016, d) * unit  # within the same power of two, moved too
        total = float(base @ base)
        if boundary:
            top = 2.0 ** (np.ceil(np.log2(total)) + 1)
            base[0] = np.ceil(np.sqrt(top) * 64) / 64  # a few bits, so that it stays float16
            base[0] = np.float16(base[0])
            if base[0] ** 2 < top:
                base[0] = float(np.nextafter(np.float16(base[0]), np.float16(np.inf)))
            total = top
        last_bit = 2.0 ** (np.floor(np.log2(total)) - 23)
        steps = np.arange(-4, 5)
        cut = ((base[:, None] * (base[:, None] + steps * unit)) % last_bit) / last_bit
        cut[0] = 0  # the first value is the same in all rows of a group
        most, least = steps[cut.argmax(axis=1)], steps[cut.argmin(axis=1)]
        most[0] = least[0] = 0
        rows = [base]
        for count, choice in ((near, most), (far, least)):
            for _ in range(count):
                own = np.where(rng.random(d) < 0.95, choice, rng.choice(steps, d))
                own[0] = 0
                rows.append(own)
        wanted = max(int((own**2).sum()) for own in rows[1:]) + 8
        for i, own in enumerate(rows[1:], 1):
            # Squares of the nearest add up to a little less than those of the rest.
            goal = wanted - (2 * rng.integers(1, 3) if i <= near else 0)
            rows[i] = base + _of_length(rng, own, goal) * unit
        signs = rng.choice([-1.0, 1.0], d)
        parts.append(np.array(rows) * signs)
    X = hard.mirrored(np.concatenate(parts))
    assert (X.astype(np.float16) == X).all()
    return X


def _of_length(rng, steps, goal):
    """A few of the steps changed by one, so that their squares add up to the goal."""
    steps = steps.copy()
    missing = goal - int((steps**2).sum())
    while missing:
        at = int(rng.integers(1, len(steps)))
        by = int(rng.choice([-1, 1]))
        gain = 2 * by * int(steps[at]) + 1
        if abs(steps[at] + by) <= 6 and abs(missing - gain) < abs(missing):
            steps[at] += by
            missing -= gain
    return steps


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("boundary", [False, True])
@pytest.mark.parametrize("d", [256, 1024, 16384])
def test_sums_that_are_cut_short(d, boundary, product, engine, rng_and_seed):
    if d > engine.size(1024, 16384):
        pytest.skip("too large for the emulator")
    rng, seed = rng_and_seed
    near, far = engine.size((2, 12), (3, 150))
    X = products_cut_short(rng, d, engine.size(1, 4), near, far, boundary)
    order = rng.permutation(len(X))
    for dtype in ("float16", "float32"):
        for k in (1, near):
            for options in ({}, {"capacity": 16}):
                engine.check(
                    X[order].astype(dtype), k, "euclidean", seed, product=product, **options
                )
            if not engine.real:
                break


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("metric", METRICS)
def test_sum_of_many_terms_of_one_sign(metric, product, engine, rng_and_seed):
    """What adding up costs is the larger part of the error."""
    rng, seed = rng_and_seed
    d = engine.size(2048, 16384)
    base = 1 + rng.random(d)
    X = hard.mirrored(base * (1 + 1e-4 * rng.standard_normal((20, 1))) + 1e-5 * rng.random((20, d)))
    engine.check(X, 4, metric, seed, product=product)


# ---- equal rows


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("metric", METRICS)
def test_equal_rows_by_the_thousand(metric, product, engine, rng_and_seed):
    rng, seed = rng_and_seed
    points = rng.standard_normal((30, 8))
    cluster = rng.choice(30, engine.size(3000, 50_000), p=rng.dirichlet(np.full(30, 0.1)))
    X = rng.permutation(points[np.r_[np.arange(30), cluster]]).astype(np.float32)
    for options in ({}, {"force_fallback": True}, {"tile_rows": 64, "panel_rows": 64}):
        for where in ("device", "host"):
            info = engine.check(X, 7, metric, seed, product=product, where=where, **options)
            assert info["unique_rows"] <= 30


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("n", "k"), [(2, 1), (9, 8), (3000, 6)])
def test_all_rows_equal(n, k, metric, engine):
    X = np.full((n, 21), 3.25, np.float32)
    for options in ({}, {"force_fallback": True}, {"capacity": 16}):
        indices, distances, info = engine.graph(X, k, metric, **options)
        for row in {0, n // 2, n - 1}:
            np.testing.assert_array_equal(indices[row], np.delete(np.arange(k + 1), min(row, k)))
        assert (distances == 0).all()
        assert info["unique_rows"] == 1


def test_all_rows_nearly_equal(engine, rng_and_seed):
    """Different rows, but after rounding the filter sees one: every list overflows."""
    rng, seed = rng_and_seed
    n = engine.size(150, 4000)
    X = 1 + 2.0**-52 * rng.integers(0, 200, (n, 6))
    X[0] = 100  # an outlier keeps the centre away from the rest
    for options in ({}, {"capacity": 16}, {"tile_rows": 64, "panel_rows": 64}):
        info = engine.check(X, 5, "euclidean", seed, **options)
        if "capacity" in options or engine.real:  # few rows fit into the lists, all of them
            assert info["widened_rows"] > 0.8 * n


# ---- lists of candidates


@pytest.mark.parametrize("product", PRODUCTS)
def test_overflow_falls_back_and_is_right(product, engine, rng_and_seed):
    """More columns lie within the bound than a short list holds: no proof, so another look."""
    rng, seed = rng_and_seed
    n = engine.size(150, 3000)
    X = rng.standard_normal((4, 32))[rng.integers(0, 4, n)] + 1e-7 * rng.standard_normal((n, 32))
    for options in ({"capacity": 16}, {"capacity": 16, "tile_rows": 64, "panel_rows": 64}):
        info = engine.check(X, 3, "euclidean", seed, product=product, **options)
        assert info["widened_rows"] > 0.8 * n, seed


def test_near_duplicate_clusters(engine, rng_and_seed):
    """Crowds of all sizes from 1e-2 to 1e-12, one within another, and rows that stand alone."""
    rng, seed = rng_and_seed
    size = engine.size(30, 300)
    X = rng.standard_normal((7 * size, 24))
    for cluster, spread in enumerate((1e-2, 1e-4, 1e-5, 1e-6, 1e-9, 1e-12)):
        rows = slice(size * cluster, size * (cluster + 1))
        X[rows] = X[size * cluster] + spread * X[rows]
    X[2 * size : 3 * size] += X[size] - X[2 * size]
    X[5 * size : 6 * size : 3] = X[5 * size + 1 : 6 * size : 3]
    X = rng.permutation(X)
    for options in (
        {"capacity": 16},
        {"tile_rows": 64, "panel_rows": 64},
        {"force_fallback": True},
    ):
        engine.check(X, 6, "euclidean", seed, **options)
    engine.check([X[: 5 * size], X[5 * size :]], 6, "euclidean", seed, n_base=5 * size, capacity=16)


def test_few_uncertified_rows(engine, rng_and_seed):
    """One row is equally far from a cluster whose members come in pairs: few rows fall back."""
    rng, seed = rng_and_seed
    half = engine.size(150, 300)
    shell = np.repeat(rng.standard_normal((half // 2, 40)), 2, axis=0)
    shell += 0.05 * rng.standard_normal(shell.shape)
    lengths = np.linalg.norm(shell, axis=1, keepdims=True)
    shell *= (1 + 1e-7 * rng.random((len(shell), 1))) / lengths
    far = rng.standard_normal((half, 40)) - 4  # moves the centre away
    X = np.vstack([np.zeros((1, 40)), shell, far]) + 1
    for options in ({"capacity": 96}, {"capacity": 96, "tile_rows": 64, "panel_rows": 64}):
        info = engine.check(X, 4, "euclidean", seed, **options)
        assert 1 <= info["measured_rows"] <= info["widened_rows"] < 0.2 * len(X), seed


def test_the_answer_does_not_depend_on_the_order_of_rows(engine, rng_and_seed):
    """The nearest come last, so that lists are full of worse ones when they are met."""
    rng, seed = rng_and_seed
    n = engine.size(200, 5000)
    X = rng.standard_normal((n, 24))
    X = X[np.argsort(-np.linalg.norm(X - X[0], axis=1))].astype(np.float32)
    order = rng.permutation(n)
    for metric in METRICS:
        options = {"capacity": 16, "tile_rows": 64}
        straight = engine.graph(X, 6, metric, **options)
        shuffled = engine.graph(X[order], 6, metric, **options)
        np.testing.assert_array_equal(straight[0][order], order[shuffled[0]], err_msg=seed)
        np.testing.assert_array_equal(straight[1][order], shuffled[1], err_msg=seed)
