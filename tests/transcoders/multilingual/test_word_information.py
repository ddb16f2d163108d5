"""Word features in made-up tables: planted ones are found, under the null no more than chance."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from helpers.seeds import fresh_seed

from ilo_fast.transcoders.multilingual.words.word_information import (
    Decoder,
    informations,
    permuted_words,
    word_entropy,
)
from ilo_fast.transcoders.multilingual.words.word_occurrences import Active, WordOccurrences
from ilo_fast.transcoders.multilingual.words.word_tests import (
    Swapped,
    decode_words,
    select_and_test,
    shares,
)

LAYERS, FEATURES = 2, 30


def oracle(word: list[int], group: list[int], fires: list[bool]) -> float:
    """I(fires; word | group), from the definition, sum by sum."""
    n = len(word)
    total = 0.0
    for g in set(group):
        inside = [at for at in range(n) if group[word[at]] == g]
        for w, f in itertools.product({word[at] for at in inside}, (False, True)):
            both = sum(word[at] == w and fires[at] == f for at in inside)
            if both:
                of_w = sum(word[at] == w for at in inside)
                of_f = sum(fires[at] == f for at in inside)
                total += both / n * np.log2(both * len(inside) / (of_w * of_f))
    return total


def pairs(fires: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.nonzero(fires)
    return rows.astype(np.int64), columns.astype(np.int64)


def test_information_is_that_of_the_definition() -> None:
    rng = np.random.default_rng(fresh_seed())
    for _ in range(20):
        group = np.sort(rng.integers(0, 3, 7))
        group = np.unique(group, return_inverse=True)[1]
        word = np.concatenate([np.arange(7), rng.integers(0, 7, 40)])
        fires = rng.random((47, 5)) < rng.random(5)
        found = informations(iter([word]), group[word], *pairs(fires), 5)[0]
        wanted = [oracle(word.tolist(), group.tolist(), fires[:, at].tolist()) for at in range(5)]
        np.testing.assert_allclose(found, wanted, atol=1e-12)
        # All of the word: one feature for each of two words.
        two = np.array([0, 0]), np.array([0] * 5 + [1] * 5)
        full = informations(iter([two[1]]), two[0][two[1]], *pairs((two[1] == 1)[:, None]), 1)[0]
        np.testing.assert_allclose(full, word_entropy(two[1], two[0]))


def test_permutation_keeps_every_group_and_reaches_every_order() -> None:
    word, group = np.array([0, 1, 2, 3, 0, 1]), np.array([0, 0, 1, 1])
    seen = set()
    for permuted in permuted_words(word, group, 200, (0,)):
        assert (group[permuted] == group[word]).all()
        assert (np.bincount(permuted) == np.bincount(word)).all()
        seen.add(tuple(permuted.tolist()))
    assert len(seen) == 6 * 2  # of 0, 0, 1, 1 and of 2, 3


def table(
    seed: int, *, planted: bool, follows: str = "pieces", n_groups: int = 6, per_word: int = 24
) -> tuple[WordOccurrences, Active, Swapped]:
    """Words in threes; features fire at random, and (planted) layer 1's first ones for one word.

    follows: what the planted ones read in swapped text, "pieces" or "context".
    """
    rng = np.random.default_rng(seed)
    n_words = 3 * n_groups
    group = np.repeat(np.arange(n_groups), 3)
    word = np.repeat(np.arange(n_words), per_word)
    document = np.arange(len(word))
    half = document % 2
    found = WordOccurrences(
        np.zeros(n_words, np.int64), group, tuple((at, int(group[at])) for at in range(n_words)),
        word, document, np.full(len(word), 3), document, half,
    )  # fmt: skip
    density = rng.uniform(0.05, 0.5, LAYERS * FEATURES)
    # By chance as by the last piece: what features may read without knowing the word.
    by_group = rng.uniform(0.3, 1.7, (n_groups, LAYERS * FEATURES))

    def fire(label: np.ndarray) -> np.ndarray:
        fires = rng.random((len(label), len(density))) < density * by_group[group[label]]
        if planted:
            for number in range(n_groups):
                fires[:, FEATURES + number] = np.where(
                    label == 3 * number, rng.random(len(label)) < 0.9, rng.random(len(label)) < 0.05
                )
        return fires

    rows, columns = pairs(fire(word))
    active = Active(rows, columns, len(word), LAYERS, FEATURES)
    occurrence = np.flatnonzero(half == 1)
    inserted = next(permuted_words(word[occurrence], group, 1, (seed, 9)))
    r, c = pairs(fire(inserted if follows == "pieces" else word[occurrence]))
    of_swaps = Active(r, c, len(occurrence), LAYERS, FEATURES)
    return found, active, Swapped(occurrence, inserted, of_swaps)


def test_planted_word_features_are_found_and_follow_the_pieces() -> None:
    found, active, swapped = table(fresh_seed(), planted=True, per_word=80)
    told = select_and_test(found, active, swapped, n_selected=6, n_permutations=300, seed=0)
    of_pieces, of_context = told.of_pieces, told.of_context
    assert of_pieces is not None and of_context is not None
    planted = (told.layer == 1) & (told.feature < 6)
    assert planted.sum() == 6  # the six of layer 1 that were selected are those
    assert (told.told.p[planted] < 0.05).all() and (of_pieces.p[planted] < 0.05).all()
    assert (told.word[planted] == 3 * told.feature[planted]).all()
    assert (told.rate[planted] > 0.5).all() and (told.rate_others[planted] < 0.3).all()
    assert told.told.by_layer[1] > told.told.null[1, 1] > 0 > told.told.null[1, 0]
    assert of_pieces.by_layer[1] > 5 * abs(of_context.by_layer[1])
    decoded, (as_inserted, as_original, _) = decode_words(found, active, swapped, n_null=5, seed=0)
    assert decoded.right.mean(axis=0)[1] > decoded.null[:, 1].max() + 0.05
    other = swapped.inserted != found.word[swapped.occurrence]
    # 0.24 on average, with a standard deviation of 0.04 over 40 seeds.
    assert as_inserted[other, 1].mean() > as_original[other, 1].mean() + 0.05


def test_features_of_the_context_tell_words_but_do_not_follow_the_pieces() -> None:
    found, active, swapped = table(fresh_seed(), planted=True, follows="context", per_word=80)
    told = select_and_test(found, active, swapped, n_selected=6, n_permutations=300, seed=0)
    planted = (told.layer == 1) & (told.feature < 6)
    assert told.of_pieces is not None and told.of_context is not None
    assert (told.told.p[planted] < 0.05).all()
    assert (told.of_pieces.p[planted] < 0.05).sum() < 4
    assert (told.of_context.p[planted] < 0.05).all()


def test_without_word_features_no_more_is_found_than_by_chance_over_20_seeds() -> None:
    start = fresh_seed()
    false, outside, above = 0, 0, 0
    for seed in range(start, start + 20):
        found, active, swapped = table(seed, planted=False, per_word=12)
        told = select_and_test(found, active, swapped, n_selected=5, n_permutations=120, seed=seed)
        assert told.of_pieces is not None
        false += int((told.told.p <= 0.05).any()) + int((told.of_pieces.p <= 0.05).any())
        low, high = told.told.null.T
        outside += int(((told.told.by_layer < low) | (told.told.by_layer > high)).sum())
        decoded, _ = decode_words(found, active, None, n_null=9, seed=seed)
        above += int((decoded.right.mean(axis=0) > decoded.null.max(axis=0)).sum())
    # 40 families at 5 %: 12 or more once in 10^6. 40 layers outside of 95 %: the same. 40 layers
    # above 9 of permuted words, one in ten: 17 or more.
    assert false < 13 and outside < 14 and above < 18


def test_permuted_words_hide_planted_features() -> None:
    start = fresh_seed()
    false = 0
    for seed in range(start, start + 20):
        found, active, _ = table(seed, planted=True, per_word=12)
        (word,) = permuted_words(found.word, found.group, 1, (seed, 1))
        hidden = WordOccurrences(
            found.language, found.group, found.pieces, word, found.line, found.end,
            found.document, found.half,
        )  # fmt: skip
        told = select_and_test(hidden, active, None, n_selected=5, n_permutations=120, seed=seed)
        assert told.of_pieces is None
        false += int((told.told.p <= 0.05).any())
    assert false < 9  # 20 at 5 %: less than once in 10^6


def slow_words(
    word: np.ndarray, group: np.ndarray, fires: np.ndarray, own: np.ndarray, tested: np.ndarray
) -> list[int]:
    """Naive Bayes, a word and a feature at a time."""
    found = []
    for at in range(len(own)):
        inside = group[word] == own[at]
        words = [int(w) for w in np.flatnonzero(group == own[at])]
        best, most = words[0], -np.inf
        for w in words:
            n = int((word == w).sum())
            score = np.log((n + 0.5) / (inside.sum() + 0.5 * len(words)))
            for feature in np.flatnonzero(tested[at]):
                rate = fires[inside, feature].mean() if inside.any() else 0.0
                if rate > 0:
                    of_word = fires[word == w, feature].sum()
                    score += np.log((of_word + rate) / (n + 1)) - np.log(rate)
            if score > most + 1e-9:
                best, most = w, score
        found.append(best)
    return found


def test_decoders_are_naive_bayes() -> None:
    rng = np.random.default_rng(fresh_seed())
    group = np.array([0, 0, 1, 1, 1])
    word = np.concatenate([np.arange(5), rng.integers(0, 5, 30)])
    fires, tested = rng.random((35, 8)) < 0.3, rng.random((20, 8)) < 0.3
    own = rng.integers(0, 2, 20)
    decoder = Decoder.fitted(word, group, *pairs(fires), 8)
    assert decoder.words(own, *pairs(tested)).tolist() == slow_words(
        word, group, fires, own, tested
    )
    common = [np.bincount(word, minlength=5)[:2].argmax(), np.bincount(word)[2:].argmax() + 2]
    assert decoder.likeliest(np.array([0, 1])).tolist() == common


def test_intervals_of_shares_hold_the_truth_where_documents_differ() -> None:
    rng = np.random.default_rng(fresh_seed())
    hits = 0
    for trial in range(300):
        rate = rng.beta(4, 2, 60)  # of a document; on average 2 / 3
        document = np.repeat(np.arange(60), 4)
        right = rng.random(240)[:, None] < rate[document][:, None]
        _, ((low, high),) = shares(right, document, n_bootstrap=300, seed=(trial,))
        hits += low <= 2 / 3 <= high
    assert hits >= 255  # of 300 at 93 %: less than once in 10^6
    value, span = shares(right[:4], document[:4], n_bootstrap=5, seed=(0,))
    assert value.shape == (1,) and np.isnan(span).all()
    assert np.isnan(shares(right[:0], document[:0], n_bootstrap=5, seed=(0,))[0]).all()
    with pytest.raises(StopIteration):
        next(permuted_words(np.array([0]), np.array([0]), 0, (0,)))
