"""Data made to break a filter in low precision: the answer must stay what float64 says.

Each set of data aims at one term of the bound (csrc/knn/certificate.h), or at the lists of
candidates. It is new in every run; every instruction set and every path meets the same one.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest
from graph.test_queries import METRICS, assert_same, nearest
from helpers.engine import every_level
from oracles import knn as reference

from ilo_fast import _core_testing

# Filters that round to bfloat16.
HALF = ("avx512_bf16", "amx_bf16", "amx_bf16_emulated", "neon_bf16")


def run(X, k, metric, simd, **options):
    """Indices, distances and info of one layer; the wanted instruction set must have run."""
    indices, distances, info, ran = _core_testing.knn_graph(
        [X[np.newaxis]],
        X.dtype.name,
        k,
        cosine=metric == "cosine",
        simd=simd,
        **{"n_threads": 2, **options},
    )
    assert ran == simd
    assert info[0]["certified_rows"] + info[0]["widened_rows"] == len(X)
    return indices[0], distances[0], info[0]


def signs(rng, *shape):
    return rng.choice([-1.0, 1.0], shape)


def mirrored(half):
    """Rows whose mean is exactly 0: centring then leaves every value as it was made."""
    return np.concatenate([half, -half])


def on_grid(rng, n, d, bits):
    """Values with `bits` bits of significand, of several sizes and both signs."""
    whole = 2 ** (bits - 1) + rng.integers(0, 2 ** (bits - 1), (n, d))
    return whole * 2.0 ** (1 - bits - rng.integers(0, 3, (n, d))) * signs(rng, n, d)


def ulps(rng, n, d, bits):
    """A few points, every value a few units in the last of `bits` bits off."""
    return rng.standard_normal((4, d))[rng.integers(0, 4, n)] * (
        1 + 2.0 ** (1 - bits) * rng.integers(-3, 4, (n, d))
    )


def coherent(rng, n, d, bits):
    """Near-ties whose roundings do not cancel: all values of a row move the same way.

    That is where Cauchy-Schwarz holds with equality: |x.e| = |x||e|.
    """
    base = on_grid(rng, 1, d, bits)
    near = base * (1 + 2.0 ** (1 - bits) * rng.integers(0, 2, (n // 2, d)))
    return mirrored(near * (1 + 0.49 * 2.0 ** (1 - bits) * signs(rng, n // 2, 1)))


def hub(rng, n, d):
    """A row at the centre; rounding moves its nearest rows out, past all others, which stay."""
    unit = 2.0**-7  # in the last place of what follows
    steps = np.where(rng.random((n // 2, d)).argsort(axis=1) < d // 4, 0.0, 1.0)
    steps[:2] = 0.51
    return np.vstack([mirrored((1.5 + unit * steps) * signs(rng, n // 2, d)), np.zeros((1, d))])


def make(name, rng):
    n, d = int(rng.integers(130, 260)) // 2 * 2, int(rng.choice([3, 17, 64, 130]))
    base = rng.standard_normal((n, d))
    if name == "isotropic":
        return base
    if name == "bf16 ulps":
        return ulps(rng, n, d, 8)
    if name == "float32 ulps":
        return ulps(rng, n, d, 24).astype(np.float32)
    if name == "float64 ulps":
        return ulps(rng, n, d, 53)
    if name == "bf16 midpoints":
        return mirrored(on_grid(rng, n // 2, d, 8) * (1 + 2.0**-8))
    if name == "exact bf16 midpoints":  # one more bit, always set: halfway between two bf16
        whole = 2 * rng.integers(128, 256, (n // 2, d)) + 1
        return mirrored(whole * 2.0**-8 * signs(rng, n // 2, d))
    if name == "exact float32 midpoints":
        whole = 2 * rng.integers(2**23, 2**24, (n // 2, d)) + 1
        return mirrored(whole * 2.0**-24 * signs(rng, n // 2, d))
    if name == "coherent bf16":
        return coherent(rng, n, d, 8)
    if name == "coherent float32":
        return coherent(rng, n, d, 24)
    if name == "hub":
        return hub(rng, n, max(d, 17))
    if name == "one sign":  # every rounding of the sum may go the same way
        return mirrored(1 + rng.random((n // 2, d)) * 2.0**-6)
    if name == "common component 1e3":
        return base + 1e3 * rng.standard_normal(d)
    if name == "common component 1e6":
        return base + 1e6 * rng.standard_normal(d)
    if name == "common component 1e6, float32":
        return (base + 1e6 * rng.standard_normal(d)).astype(np.float32)
    if name == "two massive dimensions":
        base[:, rng.permutation(d)[:2]] *= rng.uniform(200, 900, 2)
        return base
    if name == "two massive dimensions and a common component":
        base[:, rng.permutation(d)[:2]] += rng.uniform(200, 900, 2)
        return (base + 5 * rng.standard_normal(d)).astype(np.float32)
    if name == "scale 1e-30":
        return (base * 1e-30).astype(np.float32)
    if name == "scale 1e30":
        return (base * 1e30).astype(np.float32)
    if name == "sizes within a row":
        return base * 10.0 ** rng.integers(-20, 5, (1, d))
    if name == "rows of all sizes":
        return base * 10.0 ** rng.integers(-30, 30, (n, 1))
    if name == "subnormal float32":
        return (base * 1e-42).astype(np.float32) + np.float32(1e-44)
    if name == "bits of float16":
        bits = rng.integers(0, 0x7C00, (n, d)) | rng.integers(0, 2, (n, d)) << 15
        return bits.astype(np.uint16).view(np.float16)
    if name == "tied but for what bf16 flushes":
        # Rows of a group differ by less than the smallest normal number (2^-126 of the largest
        # value), which AMX and VDPBF16PS take for 0.
        tiny = base * 2.0 ** -rng.integers(110, 145, (n, d))
        return np.hstack([rng.standard_normal((3, 4))[rng.integers(0, 3, n)], tiny])
    if name == "all but one row flushed":
        base *= 2.0 ** -rng.integers(115, 132, (n, 1))
        base[n // 3] *= 2.0**130
        return base
    if name == "one outlier 1e6":
        base[n // 2] *= 1e6
        return base
    if name == "one outlier 1e15":
        base[n // 2] *= 1e15
        return base
    if name == "duplicates":
        return base[rng.integers(0, n // 6, n)]
    if name == "duplicates of opposite rows":
        return np.concatenate([base[: n // 2], -base[: n // 2]])[rng.integers(0, n, n)]
    if name == "grid":
        return rng.integers(-2, 3, (n, d)) + 0.5
    if name == "clusters 1e-3":
        return rng.standard_normal((6, d))[rng.integers(0, 6, n)] + 1e-3 * base
    if name == "clusters 1e-6":
        return rng.standard_normal((6, d))[rng.integers(0, 6, n)] + 1e-6 * base
    if name == "clusters 1e-12":
        return rng.standard_normal((6, d))[rng.integers(0, 6, n)] + 1e-12 * base
    if name == "squares underflow":  # different rows at distance 0, or at a subnormal square
        tiny = base * 10.0 ** -rng.integers(150, 176, (n, 1))
        return np.hstack([rng.standard_normal((3, 4))[rng.integers(0, 3, n)], tiny])
    if name == "clusters of a grid":  # near-duplicates with exact ties
        steps = 2.0**-25 * rng.integers(0, 12, (n, 2)) @ rng.choice([-1.0, 0, 1], (2, d))
        return np.round(4 * rng.standard_normal((3, d)))[rng.integers(0, 3, n)] + steps
    if name == "clusters in clusters":
        for size in (1e-3, 1e-5, 1e-7, 1e-9):
            base = base[rng.integers(0, 6, n)] + size * rng.standard_normal((n, d))
        return base
    if name == "geometric line":  # every row's neighbourhood has a size of its own
        at = 2.0 ** -rng.uniform(0, 45, (n, 1)) * rng.standard_normal(d)
        return 1 + at + 1e-4 * at * base
    if name == "a line":  # distances grow so slowly that many columns lie within the bound
        return np.outer(1 + np.arange(n) / n, rng.standard_normal(d)) + 1e-9 * base
    if name == "a sphere":  # all nearly equally far from the first row
        return np.vstack([np.zeros((1, d)), base / np.linalg.norm(base, axis=1)[:, None]]) + 2
    raise AssertionError(name)


NAMES = (
    "isotropic",
    "bf16 ulps",
    "float32 ulps",
    "float64 ulps",
    "bf16 midpoints",
    "exact bf16 midpoints",
    "exact float32 midpoints",
    "coherent bf16",
    "coherent float32",
    "hub",
    "one sign",
    "common component 1e3",
    "common component 1e6",
    "common component 1e6, float32",
    "two massive dimensions",
    "two massive dimensions and a common component",
    "scale 1e-30",
    "scale 1e30",
    "sizes within a row",
    "rows of all sizes",
    "subnormal float32",
    "bits of float16",
    "tied but for what bf16 flushes",
    "all but one row flushed",
    "one outlier 1e6",
    "one outlier 1e15",
    "duplicates",
    "duplicates of opposite rows",
    "grid",
    "clusters 1e-3",
    "clusters 1e-6",
    "clusters 1e-12",
    "squares underflow",
    "clusters of a grid",
    "clusters in clusters",
    "geometric line",
    "a line",
    "a sphere",
)
# No filter can tell these apart: short lists overflow, no row is certified, and all fall back.
TOO_CLOSE = (
    "float32 ulps",
    "float64 ulps",
    "tied but for what bf16 flushes",
    "all but one row flushed",
)
# And here the filter has to be good enough for most rows, without the fallback.
EASY = ("isotropic", "common component 1e3", "scale 1e-30", "scale 1e30")


@functools.cache
def problem(name, metric):
    """The data, k, the oracle's answer, and what to print on failure."""
    seed = np.random.SeedSequence().entropy
    rng = np.random.default_rng(seed)
    X = make(name, rng)
    if metric == "cosine":
        X = X[np.abs(X).max(axis=1) > 0]
    k = int(rng.choice([1, 5, 12]))
    message = f"seed {seed}, {X.shape}, k={k}"
    return X, k, nearest(X, X, k, metric, np.arange(len(X))), message


@every_level
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", NAMES)
def test_equals_float64_brute_force(name, metric, simd):
    X, k, wanted, message = problem(name, metric)
    unique = run(X, k, metric, simd)[2]["unique_rows"]
    for options in (
        {},
        {"block_rows": 64, "max_memory": 1, "n_threads": 3},
        {"max_candidates": k, "n_threads": 1},  # lists overflow; what they lose is found again
        {"force_fallback": True},
        {"force_fallback": True, "block_rows": 64, "max_memory": 1, "max_candidates": k},
    ):
        indices, distances, info = run(X, k, metric, simd, **options)
        assert_same((indices, distances), wanted, f"{message}, {options}")
        assert info["unique_rows"] == unique
        if options.get("max_memory") and unique > 128:
            assert info["superblocks"] > 1, message
        if options.get("force_fallback") and unique > 1:
            assert info["widened_rows"] == len(X), message
        if "max_candidates" in options and name in TOO_CLOSE and metric == "euclidean" and k < 12:
            assert info["widened_rows"] > 0, message
        if not options and name in EASY:
            assert info["certified_rows"] >= 0.7 * len(X), message


@functools.cache
def true_distances(name, metric):
    """Distinct rows, and how far apart they are, in extended precision."""
    X = np.unique(problem(name, metric)[0], axis=0)[:90]
    if metric == "cosine":  # rows may differ and yet have one direction
        units = reference.unit_rows(X.astype(np.float64))
        X = X[np.unique(units, axis=0, return_index=True)[1]]
    U = reference.as_definition(X, metric)[0].astype(np.longdouble)
    return X, np.stack([np.sqrt(((U - u) ** 2).sum(axis=1)) for u in U])


@pytest.mark.skipif(
    np.finfo(np.longdouble).eps > 1e-18, reason="no extended precision here to compare with"
)
@every_level
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", NAMES)
def test_the_bound_holds_for_every_pair(name, metric, simd):
    """A graph can come out right although the bound is wrong; here every pair counts."""
    X, truth = true_distances(name, metric)
    bounds, scale = _core_testing.certified_bounds(
        X[np.newaxis], X.dtype.name, cosine=metric == "cosine", simd=simd
    )
    assert (bounds <= truth * scale).all(), problem(name, metric)[3]


# ---- shapes


@functools.cache
def shaped(n, d, k, metric):
    seed = np.random.SeedSequence().entropy
    X = np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)
    rows = np.linspace(0, n - 1, min(n, 60)).astype(int)
    return X, rows, nearest(X, X[rows], k, metric, rows), f"seed {seed}"


@every_level
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("n", "d", "k"),
    [
        (200, 1, 5),
        (40, 16384, 3),
        (2, 5, 1),
        (6, 33, 5),  # n = k + 1
        (257, 20, 256),
        (1100, 16, 1024),
        (1025, 8, 1024),
    ],
)
def test_shapes(n, d, k, metric, simd):
    X, rows, wanted, message = shaped(n, d, k, metric)
    if d == 1 and metric == "cosine":
        X = np.abs(X)  # all directions are one
        rows, wanted = rows[:10], nearest(X, X[rows[:10]], k, metric, rows[:10])
    indices, distances, _ = run(X, k, metric, simd)
    assert_same((indices[rows], distances[rows]), wanted, message)


@every_level
@pytest.mark.parametrize("metric", METRICS)
def test_sum_of_many_terms_of_one_sign(metric, simd):
    """d = 16 384: what adding up costs is the larger part of the error."""
    seed = np.random.SeedSequence().entropy
    rng = np.random.default_rng(seed)
    base = 1 + rng.random(16384)
    X = mirrored(base * (1 + 1e-4 * rng.standard_normal((20, 1))) + 1e-5 * rng.random((20, 16384)))
    rows = np.arange(0, 40, 3)
    wanted = nearest(X, X[rows], 4, metric, rows)
    for options in ({}, {"max_candidates": 4}):
        indices, distances, _ = run(X, 4, metric, simd, **options)
        assert_same((indices[rows], distances[rows]), wanted, f"seed {seed}")


# ---- equal rows


@every_level
@pytest.mark.parametrize("metric", METRICS)
def test_equal_rows_by_the_thousand(metric, simd):
    seed = np.random.SeedSequence().entropy
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((30, 8))
    X = points[np.r_[np.arange(30), rng.choice(30, 3000, p=rng.dirichlet(np.full(30, 0.1)))]]
    X = rng.permutation(X).astype(np.float32)
    rows = rng.permutation(len(X))[:25]
    wanted = nearest(X, X[rows], 7, metric, rows)
    for options in ({}, {"force_fallback": True}, {"block_rows": 16, "max_memory": 1}):
        indices, distances, info = run(X, 7, metric, simd, **options)
        assert_same((indices[rows], distances[rows]), wanted, f"seed {seed}")
        assert info["unique_rows"] <= 30


@every_level
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("n", "k"), [(2, 1), (9, 8), (3000, 6)])
def test_all_rows_equal(n, k, metric, simd):
    X = np.full((n, 21), 3.25, np.float32)
    for options in ({}, {"force_fallback": True}, {"max_candidates": 1}):
        indices, distances, info = run(X, k, metric, simd, **options)
        numbers = np.arange(k + 1)
        for row in {0, n // 2, n - 1}:
            np.testing.assert_array_equal(indices[row], np.delete(numbers, min(row, k)))
        assert (distances == 0).all()
        assert info["unique_rows"] == 1


@every_level
def test_all_rows_nearly_equal(simd):
    """Different rows, but after rounding the filter sees one: every list overflows."""
    seed = np.random.SeedSequence().entropy
    rng = np.random.default_rng(seed)
    X = 1 + 2.0**-52 * rng.integers(0, 200, (700, 6))
    rows = rng.permutation(700)[:40]
    X[0] = 100  # an outlier keeps the centre away from the rest
    wanted = nearest(X, X[rows], 5, "euclidean", rows)
    for options in ({}, {"max_candidates": 5}, {"block_rows": 64, "max_memory": 1}):
        indices, distances, info = run(X, 5, "euclidean", simd, **options)
        assert_same((indices[rows], distances[rows]), wanted, f"seed {seed}")
        assert info["widened_rows"] > 600


# ---- lists of candidates


@every_level
def test_overflow_falls_back_and_is_right(simd):
    """More columns lie within the bound than a short list holds: no proof, so another look."""
    seed = np.random.SeedSequence().entropy
    rng = np.random.default_rng(seed)
    spread = 1e-4 if simd in HALF else 1e-8
    X = rng.standard_normal((4, 32))[rng.integers(0, 4, 500)]
    X += spread * rng.standard_normal(X.shape)
    wanted = nearest(X, X[:50], 3, "euclidean", np.arange(50))
    for options in ({"max_candidates": 3}, {"max_candidates": 8, "block_rows": 64}):
        indices, distances, info = run(X, 3, "euclidean", simd, **options)
        assert_same((indices[:50], distances[:50]), wanted, f"seed {seed}")
        assert info["widened_rows"] > 400, f"seed {seed}"


@functools.cache
def nested_clusters():
    """Six clusters of sizes from 1e-2 to 1e-12, one within another, and rows that stand alone."""
    seed = np.random.SeedSequence().entropy
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((1400, 24))
    for cluster, size in enumerate((1e-2, 1e-4, 1e-5, 1e-6, 1e-9, 1e-12)):
        rows = slice(200 * cluster, 200 * (cluster + 1))
        X[rows] = X[200 * cluster] + size * X[rows]
    X[400:600] += X[200] - X[400]
    X[1000:1200:3] = X[1001:1200:3]
    X = rng.permutation(X)
    rows = rng.permutation(1400)[:150]
    own = nearest(X, X[rows], 6, "euclidean", rows)
    among = nearest(X[:1000], X[1000:1150], 6, "euclidean")
    return X, rows, own, among, f"seed {seed}"


@every_level
def test_near_duplicate_clusters(simd):
    X, rows, wanted, wanted_among, message = nested_clusters()
    for options in (
        {"max_candidates": 6},
        {"max_candidates": 6, "block_rows": 64, "max_memory": 1, "n_threads": 3},
        {"force_fallback": True},
    ):
        indices, distances, info = run(X, 6, "euclidean", simd, **options)
        assert_same((indices[rows], distances[rows]), wanted, f"{message}, {options}")
        assert info["widened_rows"] > 180, message
        indices, distances, *_ = _core_testing.knn_graph(
            [X[np.newaxis]],
            "float64",
            6,
            cosine=False,
            simd=simd,
            n_base=1000,
            queries=list(range(1000, 1150)),
            **{"n_threads": 2, **options},
        )
        assert_same((indices[0], distances[0]), wanted_among, f"{message}, {options}")


@every_level
def test_few_uncertified_rows(simd):
    """One row is equally far from a cluster whose members come in pairs: it alone falls back."""
    seed = np.random.SeedSequence().entropy
    rng = np.random.default_rng(seed)
    shell = np.repeat(rng.standard_normal((300, 40)), 2, axis=0)
    shell += 0.05 * rng.standard_normal(shell.shape)
    shell *= (1 + (1e-5 if simd in HALF else 1e-9) * rng.random((600, 1))) / np.linalg.norm(
        shell, axis=1, keepdims=True
    )
    far = rng.standard_normal((300, 40)) - 4  # moves the centre away
    X = np.vstack([np.zeros((1, 40)), shell, far]) + 1
    rows = np.r_[0, rng.integers(1, 901, 20)]
    wanted = nearest(X, X[rows], 4, "euclidean", rows)
    for options in ({"max_candidates": 4}, {"max_candidates": 4, "block_rows": 64}):
        indices, distances, info = run(X, 4, "euclidean", simd, **options)
        assert_same((indices[rows], distances[rows]), wanted, f"seed {seed}")
        assert 1 <= info["widened_rows"] < 90, f"seed {seed}"


@every_level
@pytest.mark.parametrize("metric", METRICS)
def test_the_answer_does_not_depend_on_the_order_of_rows(metric, simd):
    """The nearest come last, so that lists are full of worse ones when they are met."""
    seed = np.random.SeedSequence().entropy
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((900, 24))
    X = X[np.argsort(-np.linalg.norm(X - X[0], axis=1))].astype(np.float32)
    order = rng.permutation(len(X))
    for options in ({"max_candidates": 6}, {"block_rows": 64, "n_threads": 3}):
        sorted_graph = run(X, 6, metric, simd, **options)
        shuffled = run(X[order], 6, metric, simd, **options)
        np.testing.assert_array_equal(sorted_graph[0][order], order[shuffled[0]], f"seed {seed}")
        np.testing.assert_array_equal(sorted_graph[1][order], shuffled[1], f"seed {seed}")
