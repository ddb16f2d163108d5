"""Bridge, reach, ILO and translation share against the point-by-point definition."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest
from oracles import knn as reference

from ilo_fast import OverlapScores, overlap


def pooled(reps, layer=0):
    arrays = [a if a.ndim == 2 else a[layer] for a in reps.values()]
    labels = np.repeat(np.arange(len(arrays)), [len(a) for a in arrays])
    return np.concatenate(arrays), labels


def random_languages(rng, n_languages, d, sizes, offset):
    return {
        f"l{c:03d}": (rng.standard_normal((n, d)) + offset * rng.standard_normal(d)).astype("f4")
        for c, n in zip(range(n_languages), sizes, strict=True)
    }


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("offset", [0.0, 0.5, 2.0, 50.0])
def test_scores_equal_the_definition(offset, metric):
    seed = np.random.SeedSequence().entropy
    rng = np.random.default_rng(seed)
    n_languages = int(rng.integers(2, 9))
    sizes = rng.integers(3, 40, n_languages)  # languages may differ in length
    k = int(rng.integers(1, 8))
    threshold = int(rng.integers(1, min(k, n_languages - 1) + 1))
    reps = random_languages(rng, n_languages, 12, sizes, offset)
    scores = overlap(reps, n_neighbors=k, threshold=threshold, metric=metric)
    X, labels = pooled(reps)
    indices, _ = reference.knn(X, k, metric)
    bridge, reach, ilo = reference.overlap(indices, labels, n_languages, threshold)
    message = f"seed {seed}"
    np.testing.assert_array_equal(scores.bridge[0], bridge, err_msg=message)
    np.testing.assert_array_equal(scores.reach[0], reach, err_msg=message)
    np.testing.assert_array_equal(scores.ilo[0], ilo, err_msg=message)
    assert scores.translation_share is None
    assert scores.n_sentences == tuple(sizes)


@pytest.mark.parametrize("n_languages", [2, 63, 64, 65, 128, 204, 300])
def test_scores_of_any_number_of_languages_equal_the_definition(n_languages):
    """Sets of languages are bit sets: their words end at 64, 128, ..."""
    rng = np.random.default_rng(n_languages)
    reps = random_languages(rng, n_languages, 5, [3] * n_languages, 0.3)
    k, threshold = 10, min(4, n_languages - 1)
    scores = overlap(reps, n_neighbors=min(k, 3 * n_languages - 1), threshold=min(threshold, 5))
    X, labels = pooled(reps)
    indices, _ = reference.knn(X, min(k, 3 * n_languages - 1), "cosine")
    bridge, reach, ilo = reference.overlap(indices, labels, n_languages, min(threshold, 5))
    np.testing.assert_array_equal(scores.bridge[0], bridge)
    np.testing.assert_array_equal(scores.reach[0], reach)
    np.testing.assert_array_equal(scores.ilo[0], ilo)


@pytest.mark.parametrize("case", ["duplicates", "identical", "copies across languages"])
def test_scores_of_duplicated_points_equal_the_definition(case):
    """Where the published code takes a duplicate for the point itself."""
    rng = np.random.default_rng(1)
    base = rng.standard_normal((12, 6)).astype("f4")
    reps = {
        "duplicates": {c: base[rng.integers(0, 4, 12)] for c in "abcde"},
        "identical": {c: np.ones((9, 6), "f4") for c in "abcde"},
        "copies across languages": {c: base for c in "abcde"},
    }[case]
    scores = overlap(reps, parallel=True)
    X, labels = pooled(reps)
    indices, _ = reference.knn(X, 5, "cosine")
    bridge, reach, ilo = reference.overlap(indices, labels, 5, 3)
    np.testing.assert_array_equal(scores.bridge[0], bridge)
    np.testing.assert_array_equal(scores.reach[0], reach)
    np.testing.assert_array_equal(scores.ilo[0], ilo)
    if case == "copies across languages":
        assert (scores.ilo == 1).all()
        assert (scores.translation_share == 4 / 5).all()


def test_translations_are_found_if_meaning_is_there_and_not_if_shuffled():
    rng = np.random.default_rng(2)
    meaning = rng.standard_normal((30, 10))
    reps = {
        c: (meaning + 0.8 * rng.standard_normal((30, 10))).astype("f4")[np.newaxis]
        for c in "abcdef"
    }
    scores = overlap(reps, parallel=True)
    X, labels = pooled(reps)
    indices, _ = reference.knn(X, 5, "cosine")
    wanted = reference.translation_share(indices, labels, np.tile(np.arange(30), 6), 6)
    np.testing.assert_allclose(scores.translation_share[0], wanted, rtol=1e-12)
    np.testing.assert_allclose(scores.translation_chance, 5 / 179)
    assert scores.translation_share.mean() > 3 * scores.translation_chance.mean()
    # Shuffled within each language, the mixing stays and the meaning goes.
    shuffled = {c: r[:, rng.permutation(30)] for c, r in reps.items()}
    control = overlap(shuffled, parallel=True)
    np.testing.assert_allclose(control.ilo.mean(), scores.ilo.mean(), atol=0.05)
    assert control.translation_share.mean() < 0.1


def test_ilo_of_noise_is_near_one():
    """ILO measures mixing: the caveat that the README states."""
    rng = np.random.default_rng(3)
    scores = overlap({f"l{c}": rng.standard_normal((300, 32)) for c in range(31)})
    assert scores.ilo.mean() > 0.97


def test_layers_of_a_stack_are_scored_each_by_itself():
    class Stub(dict):
        layers = (0, 4)
        parallel = True

    rng = np.random.default_rng(4)
    reps = Stub({c: rng.standard_normal((2, 20, 8)).astype("f4") for c in "abcd"})
    reps.info = {"model": "stub"}
    scores = overlap(reps)
    assert scores.layers == (0, 4)
    assert scores.info["representations"] == {"model": "stub"}
    assert [i["layer"] for i in scores.info["layers"]] == [0, 4]
    assert scores.translation_share.shape == (2, 4)
    for h in range(2):
        one = overlap({c: r[h] for c, r in reps.items()}, parallel=True)
        np.testing.assert_array_equal(scores.ilo[h], one.ilo[0])


def test_bfloat16_tensors_and_mixed_memory_orders_give_the_same_scores():
    torch = pytest.importorskip("torch")
    tensors = {c: torch.randn(2, 15, 7).bfloat16() for c in "abcd"}
    as_float = {c: t.float().numpy() for c, t in tensors.items()}
    np.testing.assert_array_equal(overlap(tensors).ilo, overlap(as_float).ilo)
    as_float["b"] = np.asfortranarray(as_float["b"])
    np.testing.assert_array_equal(overlap(tensors).ilo, overlap(as_float).ilo)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_scores_with_any_number_of_threads_are_the_same(threads):
    rng = np.random.default_rng(5)
    reps = {c: rng.standard_normal((3, 100, 9)) for c in "abcd"}
    np.testing.assert_array_equal(overlap(reps, n_threads=threads).ilo, overlap(reps).ilo)


def test_hnsw_scores_are_near_the_exact_ones_and_say_their_recall():
    rng = np.random.default_rng(6)
    reps = {c: rng.standard_normal((100, 9)).astype("f4") for c in "abcd"}
    scores = overlap(reps, backend="hnsw")
    assert scores.info["backend"] == "hnsw"
    assert scores.info["layers"][0]["recall"] > 0.9
    np.testing.assert_allclose(scores.ilo, overlap(reps).ilo, atol=0.05)


# ---- bad input

GOOD = {c: np.random.default_rng(7).standard_normal((2, 10, 4)) for c in "abcde"}


def with_value(language, index, value):
    array = GOOD[language].copy()
    array[index] = value
    return {**GOOD, language: array}


@pytest.mark.parametrize(
    ("reps", "options", "error", "message"),
    [
        ({}, {}, ValueError, "at least 2|has 0"),
        ({"a": GOOD["a"]}, {}, ValueError, r"has 1 language\(s\)"),
        ([GOOD["a"], GOOD["b"]], {}, TypeError, "must map each language"),
        ({**GOOD, "c": GOOD["c"][:, :0]}, {}, ValueError, r"\['c'\] has no sentences: leave it"),
        ({**GOOD, "c": GOOD["c"][:1]}, {}, ValueError, r"\['c'\] has 1 layers .* 'a' has 2"),
        ({**GOOD, "c": GOOD["c"][..., :3]}, {}, ValueError, "dimension 3"),
        ({**GOOD, "c": GOOD["c"].astype("f4")}, {}, ValueError, "float32, but 'a' has .* float64"),
        ({**GOOD, "c": np.array(["x"])}, {}, TypeError, r"\['c'\] has dtype"),
        (GOOD, {"threshold": 0}, ValueError, "threshold=0 must be at least 1"),
        (GOOD, {"threshold": 2.5}, TypeError, "threshold must be an int, got 2.5"),
        (GOOD, {"threshold": True}, TypeError, "threshold must be an int"),
        (GOOD, {"n_neighbors": 0}, ValueError, "n_neighbors=0 must be at least 1"),
        (GOOD, {"n_threads": "2"}, TypeError, "n_threads must be an int"),
        (GOOD, {"threshold": 5}, ValueError, "threshold=5 cannot be reached with 5 languages"),
        (GOOD, {"n_neighbors": 2}, ValueError, "n_neighbors=2: use threshold=2 or less"),
        (
            GOOD,
            {"n_neighbors": 50},
            ValueError,
            "n_neighbors=50 needs at least 51 sentences.*use n_neighbors=49",
        ),
        (GOOD, {"metric": "dot"}, ValueError, "metric='dot' is not known"),
        (
            {**GOOD, "c": GOOD["c"][:, :9]},
            {"parallel": True},
            ValueError,
            "same number of sentences in every language, got a: 10, b: 10, c: 9",
        ),
        (
            with_value("c", (1, 7, 2), np.nan),
            {},
            ValueError,
            r"\['c'\], sentence 7, layer 1 holds NaN \(column 2\)",
        ),
        (
            with_value("e", (0, 0, 0), np.inf),
            {},
            ValueError,
            r"\['e'\], sentence 0, layer 0 holds infinity",
        ),
        (
            with_value("b", (0, 9), 0.0),
            {},
            ValueError,
            r"\['b'\], sentence 9, layer 0 is a zero vector",
        ),
    ],
)
def test_bad_input_is_refused_with_its_name(reps, options, error, message):
    with pytest.raises(error, match=message):
        overlap(reps, **options)


def test_numpy_numbers_as_options_reach_the_file():
    rng = np.random.default_rng(8)
    x, y = rng.standard_normal((2, 30))
    reps = {"a": x[:, None], "b": y[:, None].copy(), "c": (x * y)[::-1][:, None]}
    scores = overlap(
        reps,
        n_neighbors=np.int64(4),
        threshold=np.int32(2),
        n_threads=np.int64(2),
        metric="euclidean",
    )
    assert OverlapScores.from_json(scores.to_json()).n_neighbors == 4


def test_import_of_the_package_loads_neither_torch_nor_matplotlib():
    code = """
        import sys
        import ilo_fast
        from ilo_fast import overlap, knn_graph
        assert not {"torch", "transformers", "pandas", "matplotlib"} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, capture_output=True)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_beyond_the_input_is_half_a_gib_at_most():
    """Half a GiB at most, however many layers; here two superblocks are forced by 600 MB layers."""
    code = """
        import numpy as np, re
        from ilo_fast import overlap

        def status(field):
            return int(re.search(field + r":\\s+(\\d+) kB", open("/proc/self/status").read())[1])

        rng = np.random.default_rng(0)
        reps = {c: rng.random((2, 600, 65536), dtype=np.float32) for c in "abcd"}
        open("/proc/self/clear_refs", "w").write("5")  # resets the peak
        before = status("VmRSS")
        overlap(reps)
        print((status("VmHWM") - before) // 1024)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], check=True, capture_output=True, text=True
    )
    assert int(done.stdout) <= 512


@pytest.mark.parametrize("parallel", ["no", 1, 0])
def test_parallel_that_is_no_bool_is_refused(parallel):
    reps = {"a": np.eye(4), "b": np.eye(4)}
    with pytest.raises(TypeError, match="wanted True, False or None"):
        overlap(reps, n_neighbors=2, threshold=1, parallel=parallel)


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        (1, TypeError, "codes of languages, strings, got 1"),
        ("", ValueError, "a code is empty"),
        ("\ud800", ValueError, "a code is UTF-8"),
    ],
)
def test_a_code_that_no_file_gives_back_is_refused(code, error, said):
    rows = np.random.default_rng(0).normal(size=(2, 9, 3))
    with pytest.raises(error, match=said):
        overlap({"eng_Latn": rows[0], code: rows[1]}, n_neighbors=2, threshold=1)


def test_partitioned_scores_of_few_sentences_are_the_exact_ones():
    reps = {code: np.random.default_rng(i).standard_normal((30, 8)) for i, code in enumerate("abc")}
    scores = overlap(reps, threshold=1, backend="partitioned")
    assert scores.info["backend"] == "partitioned"
    np.testing.assert_array_equal(scores.ilo, overlap(reps, threshold=1).ilo)
