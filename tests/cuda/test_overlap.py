"""Overlap scores from the device: the bits that the CPU's give for the CPU's graph."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import knn as reference

from ilo_fast import _core, _core_testing


def pool(rng, sizes, d, spread, layers=1):
    """Languages one after the other, each moved by an offset of its own."""
    parts = [
        rng.standard_normal((layers, n, d)) + spread * rng.standard_normal((layers, 1, d))
        for n in sizes
    ]
    X = np.concatenate(parts, axis=1).astype(np.float32)
    return X, np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)


def on_device(engine, segments, k, languages, sentences, *, where="device", **options):
    metric = options.pop("metric", "cosine")
    placed, keep = engine.place(segments, where)
    *scores, infos = _core_testing.cuda_overlap(
        placed,
        segments[0].dtype.name,
        k,
        languages,
        sentences,
        cosine=metric == "cosine",
        machine=engine.machine,
        stream=engine.stream(),
        **options,
    )
    del keep
    assert len(infos) == len(scores[0])
    return scores


def check(engine, segments, k, languages, sentences, message="", **options):
    """Equal to the last bit, with and without sentences; gives what it found."""
    numbers = {name: options[name] for name in ("n_languages", "threshold")}
    indices, _ = engine.on_cpu(segments, k, options.get("metric", "cosine"))
    wanted = _core.overlap(indices, languages, sentences, n_threads=2, **numbers)
    got = on_device(engine, segments, k, languages, sentences, **options)
    for name, a, b in zip(("bridge", "reach", "ilo", "share", "cross"), got, wanted, strict=True):
        if b is None:
            assert a is None
            continue
        assert a.dtype == np.float64 and a.shape == b.shape
        np.testing.assert_array_equal(
            a.view(np.uint64), b.view(np.uint64), err_msg=f"{name}: {message}"
        )
    return got, indices


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("where", ["device", "host"])
@pytest.mark.parametrize("spread", [0.0, 0.5, 50.0])
def test_equals_the_cpu(spread, where, parallel, engine, rng_and_seed):
    rng, seed = rng_and_seed
    for metric in ("cosine", "euclidean"):
        n_languages = int(rng.integers(2, 9))
        sizes = rng.integers(3, engine.size(20, 200), n_languages)
        X, languages = pool(rng, sizes, 12, spread, layers=2)
        sentences = np.concatenate([np.arange(n) for n in sizes]) if parallel else None
        k = int(rng.integers(1, min(8, len(languages) - 1)))
        options = {"n_languages": n_languages, "threshold": int(rng.integers(1, 4))}
        found, indices = check(
            engine, [X], k, languages, sentences, seed, where=where, metric=metric, **options
        )
        bridge, reach, ilo = reference.overlap(indices[1], languages, *options.values())
        for got, wanted in zip(found, (bridge, reach, ilo), strict=False):
            np.testing.assert_array_equal(got[1], wanted, err_msg=seed)


@pytest.mark.parametrize("n_languages", [2, 63, 64, 65, 128, 129, 204, 300])
def test_any_number_of_languages(n_languages, engine):
    """Sets of languages are bit sets: their words end at 32, 64, 128, ..."""
    rng = np.random.default_rng(n_languages)
    X, languages = pool(rng, [3] * n_languages, 5, 0.3)
    sentences = np.tile(np.arange(3), n_languages)
    k = min(10, 3 * n_languages - 1)
    found, _ = check(
        engine, [X], k, languages, sentences, n_languages=n_languages, threshold=min(4, k)
    )
    assert (found[1] > 0).any()


@pytest.mark.parametrize(("n_languages", "k", "threshold"), [(40, 100, 30), (70, 130, 60)])
def test_many_neighbours(n_languages, k, threshold, engine):
    rng = np.random.default_rng(k)
    X, languages = pool(rng, [3] * n_languages, 8, 0.2)
    sentences = np.tile(np.arange(3), n_languages)
    for where in ("device", "host"):
        check(
            engine,
            [X],
            k,
            languages,
            sentences,
            where=where,
            n_languages=n_languages,
            threshold=threshold,
        )


@pytest.mark.parametrize("case", ["duplicates", "identical", "copies across languages"])
def test_duplicated_points(case, engine):
    rng = np.random.default_rng(1)
    base = rng.standard_normal((12, 6)).astype("f4")
    X = {
        "duplicates": base[rng.integers(0, 4, 60)],
        "identical": np.ones((60, 6), "f4"),
        "copies across languages": np.tile(base, (5, 1)),
    }[case]
    languages = np.repeat(np.arange(5, dtype=np.int32), 12)
    sentences = np.tile(np.arange(12), 5)
    found, _ = check(engine, [X[np.newaxis]], 5, languages, sentences, n_languages=5, threshold=3)
    if case == "copies across languages":
        assert (found[2] == 1).all()
        assert (found[3] == 4 / 5).all()


@pytest.mark.parametrize("options", [{"tile_rows": 64, "panel_rows": 64}, {"capacity": 16}])
def test_every_path(options, engine, rng_and_seed):
    """Languages in arrays of their own, streamed in panels; sentences with any numbers."""
    rng, seed = rng_and_seed
    sizes = rng.integers(10, engine.size(25, 60), 6)
    X, languages = pool(rng, sizes, 16, 0.4, layers=3)
    X[1, ::3] = X[1, 0]
    segments = np.split(X, np.cumsum(sizes)[:-1], axis=1)
    sentences = np.concatenate([rng.permutation(60)[:n] for n in sizes]) * 10**12 - 5
    for where in ("device", "host"):
        check(
            engine,
            segments,
            5,
            languages,
            sentences,
            seed,
            where=where,
            n_languages=6,
            threshold=2,
            **options,
        )


def test_languages_that_do_not_lie_together(engine, rng_and_seed):
    rng, seed = rng_and_seed
    X, languages = pool(rng, [30] * 5, 10, 0.5)
    order = rng.permutation(150)
    sentences = np.tile(np.arange(30), 5)[order]
    check(engine, [X[:, order]], 5, languages[order], sentences, seed, n_languages=5, threshold=2)


# ---- bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"languages": np.zeros(19, np.int32)}, r"languages has shape .*, wanted \(20,\)"),
        ({"sentences": np.zeros(21, np.int64)}, r"sentences has shape .*, wanted \(20,\)"),
        ({"languages": np.full(20, 4, np.int32)}, r"languages\[0\]=4 is not in \[0, 4\)"),
        ({"languages": np.full(20, -1, np.int32)}, r"languages\[0\]=-1"),
        ({"n_languages": 1}, "n_languages=1: overlap between languages needs at least 2"),
        ({"k": 20}, "n_neighbors=20 needs at least 21 rows, got 20"),
    ],
)
def test_wrong_arguments(change, message, engine):
    X = np.random.default_rng(0).standard_normal((1, 20, 3)).astype(np.float32)
    given = {
        "k": 2,
        "languages": np.repeat(np.arange(4, dtype=np.int32), 5),
        "sentences": np.tile(np.arange(5), 4),
        "n_languages": 4,
        "threshold": 1,
        **change,
    }
    with pytest.raises(ValueError, match=message):
        on_device(engine, [X], **given)


def test_bad_rows_name_the_layer(engine):
    X = np.ones((2, 20, 3), np.float32)
    X[1, 13, 2] = np.nan
    with pytest.raises(ValueError, match=r"row 13 of layer 1 of X holds NaN") as caught:
        on_device(
            engine,
            [X[:, :10], X[:, 10:]],
            2,
            np.repeat(np.arange(4, dtype=np.int32), 5),
            None,
            n_languages=4,
            threshold=1,
        )
    assert caught.value.row == 13
