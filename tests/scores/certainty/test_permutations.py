"""Permutations against the same shuffles in Python, and what their p values promise."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest
from oracles import knn as reference
from oracles import permutations as oracle

from ilo_fast import _core
from ilo_fast.scores.certainty import nulls
from ilo_fast.scores.certainty.permutations import mixing_test


def random_pool(rng, n_languages, n, k, layers, *, parallel=True):
    """Languages of n points, neighbours drawn at random; points in any order."""
    order = rng.permutation(n_languages * n)
    languages = np.repeat(np.arange(n_languages, dtype=np.int32), n)[order]
    sentences = np.tile(np.arange(n), n_languages)[order] if parallel else None
    total = len(languages)
    graphs = [
        [rng.choice(np.delete(np.arange(total), i), k, replace=False) for i in range(total)]
        for _ in range(layers)
    ]
    return np.array(graphs, np.int32), languages, sentences


def counts(indices, languages, sentences, n_languages, threshold):
    """Bridging points, reached languages and translations by the definition."""
    points = np.bincount(languages, minlength=n_languages)
    bridge, reach, _ = reference.overlap(indices, languages, n_languages, threshold)
    share = reference.translation_share(indices, languages, sentences, n_languages)
    found = bridge * points, reach * (n_languages - 1), share * points * indices.shape[1]
    return [np.rint(x).astype(int) for x in found]


@pytest.mark.parametrize("n_languages", [2, 5, 64, 65, 130])
def test_counts_equal_the_definition_with_the_same_shuffles(n_languages):
    entropy = np.random.SeedSequence().entropy
    rng = np.random.default_rng(entropy)
    n, k, layers, n_permutations = int(rng.integers(2, 5)), int(rng.integers(1, 9)), 2, 18
    k = min(k, n_languages * n - 1)
    seed = int(rng.integers(0, 2**63))
    indices, languages, sentences = random_pool(rng, n_languages, n, k, layers)
    sentences = sentences * 10**12 - 5  # any numbers
    threshold = int(rng.integers(1, min(k, n_languages - 1) + 1))
    found = _core.overlap_permutations(
        indices, languages, sentences, n_languages=n_languages, threshold=threshold,
        n_permutations=n_permutations, seed=seed, n_threads=2,
    )  # fmt: skip
    for b in (0, 1, 2, 15, 16, 17, 18) if n_languages > 5 else range(n_permutations + 1):
        labels, moved = languages, sentences
        if b > 0:
            labels = oracle.shuffled(languages, sentences, seed, b, "languages")
            moved = oracle.shuffled(sentences, languages, seed, b, "sentences")
        for h in range(layers):
            bridging, reached, _ = counts(indices[h], labels, sentences, n_languages, threshold)
            *_, translations = counts(indices[h], languages, moved, n_languages, threshold)
            for got, wanted in zip(found, (bridging, reached, translations), strict=True):
                np.testing.assert_array_equal(got[b, h], wanted, err_msg=f"{entropy} {b}")


def test_text_that_is_not_parallel_is_shuffled_as_a_whole():
    rng = np.random.default_rng(1)
    indices, languages, _ = random_pool(rng, 4, 6, 3, 1, parallel=False)
    found = _core.overlap_permutations(
        indices, languages, None, n_languages=4, threshold=2, n_permutations=5, seed=3, n_threads=1
    )
    assert found[2] is None
    for b in range(1, 6):
        labels = oracle.shuffled(languages, [0] * 24, 3, b, "languages")
        bridge, *_ = reference.overlap(indices[0], labels, 4, 2)
        np.testing.assert_array_equal(found[0][b, 0], np.rint(bridge * 6))
    result = mixing_test(indices, languages, None, n_languages=4, threshold=2, n_permutations=9)
    assert result.p_translation is None and result.p_translation_mean is None
    assert result.shuffled_within == "corpus"


def test_languages_that_lack_sentences_keep_their_sizes():
    rng = np.random.default_rng(2)
    indices, languages, sentences = random_pool(rng, 5, 8, 4, 1)
    kept = np.flatnonzero((sentences < 5) | (languages % 2 == 0))
    languages, sentences = languages[kept], sentences[kept]
    indices = rng.integers(0, len(kept), (1, len(kept), 4)).astype(np.int32)
    labels = oracle.shuffled(languages, sentences, 0, 1, "languages")
    np.testing.assert_array_equal(np.bincount(labels), [8, 5, 8, 5, 8])
    bridging, *_ = _core.overlap_permutations(
        indices, languages, sentences, n_languages=5, threshold=2, n_permutations=1, seed=0,
        n_threads=1,
    )  # fmt: skip
    np.testing.assert_array_equal(bridging[1, 0], counts(indices[0], labels, sentences, 5, 2)[0])


def test_results_are_the_same_at_any_number_of_threads_and_of_layers():
    rng = np.random.default_rng(3)
    pool = random_pool(rng, 6, 20, 5, 3)
    options = {"n_languages": 6, "threshold": 3, "n_permutations": 70, "seed": 11}
    one = _core.overlap_permutations(*pool, **options, n_threads=1)
    for n_threads in (2, 3, 7):
        many = _core.overlap_permutations(*pool, **options, n_threads=n_threads)
        for a, b in zip(one, many, strict=True):
            np.testing.assert_array_equal(a, b)
    last = _core.overlap_permutations(pool[0][2:], *pool[1:], **options, n_threads=1)
    for a, b in zip(one, last, strict=True):
        np.testing.assert_array_equal(a[:, 2:], b)  # a shuffle is the same at all layers
    other = _core.overlap_permutations(*pool, **{**options, "seed": 12}, n_threads=1)
    assert (one[0][1:] != other[0][1:]).any()


def test_the_first_row_is_what_overlap_says():
    rng = np.random.default_rng(4)
    indices, languages, sentences = random_pool(rng, 7, 9, 5, 2)
    numbers = {"n_languages": 7, "threshold": 3}
    bridge, reach, _, share, cross = _core.overlap(
        indices.astype(np.int64), languages, sentences, n_threads=1, **numbers
    )
    bridging, reached, translations = _core.overlap_permutations(
        indices, languages, sentences, n_permutations=1, seed=0, n_threads=1, **numbers
    )
    np.testing.assert_array_equal(bridging[0] / 9, bridge)
    np.testing.assert_array_equal(reached[0] / 6, reach)
    np.testing.assert_array_equal(translations[0] / 45, share)
    wanted = [reference.cross_share(graph, languages, 7) for graph in indices]
    np.testing.assert_array_equal(cross, wanted)


def test_means_over_permutations_are_the_closed_forms():
    """Of 20 000 permutations, within five standard errors; any graph will do."""
    rng = np.random.default_rng(5)
    indices, languages, sentences = random_pool(rng, 4, 25, 5, 1)
    lacks = (indices[0] != 2).all(axis=1)
    indices[0, lacks & (np.arange(100) > 40), 0] = 2  # a hub
    numbers = {"n_languages": 4, "threshold": 3, "n_permutations": 20_000, "n_threads": 1}
    bridging, *_ = _core.overlap_permutations(indices, languages, None, seed=1, **numbers)
    _, _, translations = _core.overlap_permutations(
        indices, languages, sentences, seed=2, **numbers
    )
    wanted = nulls.bridge_under_mixing([25] * 4, 5, 3)
    cross = reference.cross_share(indices[0], languages, 4)
    chance = nulls.translation_chance_given_graph(cross, 25)
    for drawn, mean in ((bridging[1:, 0] / 25, wanted), (translations[1:, 0] / 125, chance)):
        error = drawn.std(axis=0) / np.sqrt(len(drawn))
        assert (np.abs(drawn.mean(axis=0) - mean) < 5 * error).all()


def test_reach_of_shuffled_labels_is_near_its_closed_form_and_below_it_with_hubs():
    rng = np.random.default_rng(6)
    indices, languages, _ = random_pool(rng, 40, 3, 5, 2, parallel=False)
    indices[1, :, :3] = [0, 1, 2]
    _, reached, _ = _core.overlap_permutations(
        indices, languages, None, n_languages=40, threshold=1, n_permutations=500, seed=1,
        n_threads=1,
    )  # fmt: skip
    random, hubs = reached[1:].mean(axis=(0, 2)) / 39
    wanted = nulls.reach_under_mixing([3] * 40, 5)[0]
    assert random == pytest.approx(wanted, abs=0.01)
    assert hubs < wanted - 0.05


def test_p_values_are_those_of_permutations_one_by_one():
    rng = np.random.default_rng(7)
    indices, languages, sentences = random_pool(rng, 4, 10, 4, 3)
    found = mixing_test(
        indices, languages, sentences, n_languages=4, threshold=2, n_permutations=40, seed=5,
        n_threads=1,
    )  # fmt: skip
    ilo, share = [], []
    for b in range(41):
        labels, moved = languages, sentences
        if b > 0:
            labels = oracle.shuffled(languages, sentences, 5, b, "languages")
            moved = oracle.shuffled(sentences, languages, 5, b, "sentences")
        ilo.append([reference.overlap(graph, labels, 4, 2)[2] for graph in indices])
        share.append([reference.translation_share(g, languages, moved, 4) for g in indices])
    ilo, share = np.array(ilo), np.array(share)
    for got, values in ((found.p_mixing, -ilo), (found.p_translation, share)):
        np.testing.assert_allclose(got.ravel(), oracle.step_down(values.reshape(41, -1)))
    np.testing.assert_allclose(found.p_mixing_mean, oracle.step_down(-ilo.mean(axis=2)))
    np.testing.assert_allclose(found.p_translation_mean, oracle.step_down(share.mean(axis=2)))
    np.testing.assert_allclose(found.ilo_mean, ilo[1:].mean(axis=0))
    np.testing.assert_allclose(found.ilo_sd, ilo[1:].std(axis=0, ddof=1))


def test_p_values_are_small_where_languages_lie_apart_and_translations_together():
    rng = np.random.default_rng(8)
    n_languages, n, k = 6, 30, 5
    languages = np.repeat(np.arange(n_languages, dtype=np.int32), n)
    sentences = np.tile(np.arange(n), n_languages)
    apart = [rng.choice(np.flatnonzero(languages == c), k, replace=False) for c in languages]
    together = [
        np.flatnonzero((sentences == s) & (languages != c))
        for c, s in zip(languages, sentences, strict=True)
    ]
    noise = [rng.choice(len(languages), k, replace=False) for _ in languages]
    found = mixing_test(
        np.array([apart, together, noise]), languages, sentences, n_languages=n_languages,
        threshold=3, n_permutations=199, n_threads=1,
    )  # fmt: skip
    np.testing.assert_array_equal(found.p_mixing[0], 1 / 200)
    assert found.p_mixing[1:].min() > 1 / 200
    np.testing.assert_array_equal(found.p_translation[1], 1 / 200)
    assert found.p_translation[[0, 2]].min() > 1 / 200
    assert found.p_mixing_mean[0] == found.p_translation_mean[1] == 1 / 200


def test_p_values_of_noise_hold_their_level():
    """Under the hypothesis the least of all p is at most 0.1 in a tenth of the cases."""
    rng = np.random.default_rng(9)
    least = []
    for seed in range(150):
        indices = rng.integers(0, 48, (3, 48, 4)).astype(np.int32)
        languages = np.repeat(np.arange(4, dtype=np.int32), 12)
        found = mixing_test(
            indices, languages, np.tile(np.arange(12), 4), n_languages=4, threshold=2,
            n_permutations=39, seed=seed, n_threads=1,
        )  # fmt: skip
        least.append([found.p_mixing.min(), found.p_translation.min()])
    share = (np.array(least) <= 0.1).mean(axis=0)
    assert (share < 0.1 + 3 * np.sqrt(0.09 / 150)).all()
    assert (share > 0.02).all()  # nor is it never


def test_one_sentence_and_constant_scores_give_no_evidence():
    languages = np.arange(4, dtype=np.int32)
    indices = np.array([[[1, 2], [2, 3], [3, 0], [0, 1]]])
    found = mixing_test(
        indices, languages, np.zeros(4, int), n_languages=4, threshold=2, n_permutations=9
    )
    np.testing.assert_array_equal(found.p_mixing, 1)
    np.testing.assert_array_equal(found.p_translation, 1)
    np.testing.assert_allclose(found.ilo_sd, 0, atol=1e-15)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"indices": np.zeros((4, 2), np.int32)}, "indices has 2 dimensions"),
        (
            {"indices": np.full((1, 4, 2), 4)},
            r"indices holds 4, wanted numbers of points in \[0, 4",
        ),
        ({"indices": np.full((1, 4, 2), 2**32)}, "indices holds numbers from 4294967296"),
        ({"languages": np.zeros(3, np.int32)}, r"languages has shape \(3,\), wanted \(4,\)"),
        ({"sentences": np.zeros(5, int)}, r"sentences has shape \(5,\), wanted \(4,\)"),
        ({"n_languages": 4}, "languages has no point of 2, 3: leave it out"),
        ({"n_languages": 2**16 + 1}, "n_languages=65537 is more than 65536"),
        ({"threshold": 0}, "threshold=0 must be at least 1"),
        ({"n_permutations": 0}, "n_permutations=0 must be at least 1"),
        ({"seed": -1}, "seed=-1 must be at least 0"),
        ({"n_threads": 0}, "n_threads=0 must be at least 1"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    given = {
        "indices": np.zeros((1, 4, 2), np.int32),
        "languages": np.repeat(np.arange(2, dtype=np.int32), 2),
        "sentences": np.tile(np.arange(2), 2),
        "n_languages": 2,
        "threshold": 1,
        **change,
    }
    with pytest.raises(ValueError, match=message):
        mixing_test(**given)


def test_progress_ends_the_call_where_it_raises():
    languages = np.repeat(np.arange(5, dtype=np.int32), 200)
    indices = np.random.default_rng(0).integers(0, 1000, (2, 1000, 5))

    def stop(share):
        assert 0 <= share <= 1
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        mixing_test(
            indices, languages, None, n_languages=5, threshold=2, n_permutations=10**5,
            n_threads=1, progress=stop,
        )  # fmt: skip


def test_an_interrupt_ends_the_call():
    code = """
        import os, signal, threading
        import numpy as np
        from ilo_fast.scores.certainty.permutations import mixing_test

        languages = np.repeat(np.arange(5, dtype=np.int32), 200)
        indices = np.random.default_rng(0).integers(0, 1000, (2, 1000, 5))
        def interrupt(share):
            os.kill(os.getpid(), signal.SIGINT)
        try:
            mixing_test(indices, languages, None, n_languages=5, threshold=2,
                        n_permutations=10**6, n_threads=1, progress=interrupt)
        except KeyboardInterrupt:
            print("interrupted")
    """
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert found.stdout == "interrupted\n"


@pytest.mark.parametrize("n_permutations", [-1, 2**62, 2**63 - 1])
def test_the_core_refuses_more_permutations_than_it_can_count(n_permutations):
    pool = random_pool(np.random.default_rng(0), 2, 3, 1, 1)
    options = {"n_languages": 2, "threshold": 1, "seed": 0, "n_threads": 1}
    with pytest.raises(ValueError, match="n_permutations="):
        _core.overlap_permutations(*pool, n_permutations=n_permutations, **options)
