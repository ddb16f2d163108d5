"""The curve over the number of sentences against scores of the parts one by one."""

from __future__ import annotations

import numpy as np
import pytest

from ilo_fast import overlap
from ilo_fast.scores.certainty.sample_size import size_curve, size_warnings


class Corpus(dict):
    layers = (0, 3)
    parallel = True
    groups = None


def corpus(n=96, n_languages=4, d=6):
    rng = np.random.default_rng(1)
    meaning = rng.standard_normal((2, n, d))
    return Corpus(
        {
            f"l{c}": (meaning + rng.standard_normal((2, n, d))).astype("f4")
            for c in range(n_languages)
        }
    )


def test_the_curve_ends_at_the_scores_of_the_whole_and_means_parts_before():
    reps = corpus()
    curve = size_curve(reps, threshold=2, seed=3)
    assert (curve.sizes, curve.n_blocks) == ((12, 24, 48, 96), (8, 4, 2, 1))
    assert (curve.layers, curve.languages) == ((0, 3), tuple(reps))
    whole = overlap(reps, threshold=2)
    for name in ("bridge", "reach", "ilo", "translation_share"):
        assert curve.means[name].shape == curve.spread[name].shape == (4, 2, 4)
        np.testing.assert_array_equal(curve.means[name][-1], whole.values(name))
        assert np.isnan(curve.spread[name][-1]).all()
    # The halves, by the seed: the oracle is told only which sentences were drawn first.
    drawn = np.random.default_rng([3, 96]).permutation(96)
    halves = [
        overlap(Corpus({c: a[:, rows] for c, a in reps.items()}), threshold=2).ilo
        for rows in (np.sort(drawn[:48]), np.sort(drawn[48:]))
    ]
    np.testing.assert_allclose(curve.means["ilo"][2], np.mean(halves, axis=0))
    np.testing.assert_allclose(curve.spread["ilo"][2], np.std(halves, axis=0, ddof=1))


def test_the_whole_is_not_scored_again_and_settings_are_taken():
    reps = corpus()
    whole = overlap(reps, threshold=2)
    again = size_curve(reps, whole=whole, threshold=2, seed=3)
    np.testing.assert_array_equal(
        again.means["ilo"], size_curve(reps, threshold=2, seed=3).means["ilo"]
    )


def test_documents_stay_whole():
    """All sentences of a document are alike, so that its parts would find each other."""
    rng = np.random.default_rng(2)
    groups = [str(s // 4) for s in range(96)]
    base = np.repeat(rng.standard_normal((24, 6)), 4, axis=0)
    reps = {c: (base + 0.01 * rng.standard_normal((96, 6))).astype("f4") for c in "abcd"}
    curve = size_curve(reps, parallel=True, threshold=2, groups=groups)
    assert curve.sizes == (12, 24, 48, 96)
    # Each point finds the 15 others of its document, whatever the size.
    np.testing.assert_allclose(curve.means["translation_share"][0].mean(), 0.2, atol=0.05)
    np.testing.assert_allclose(curve.means["translation_share"][3].mean(), 0.2, atol=0.05)


def test_documents_may_be_left_out_of_account_as_overlap_does():
    reps = corpus()
    reps.groups = [str(s // 4) for s in range(96)]
    for settings in ({"groups": False}, {"parallel": False}):
        found = size_curve(reps, threshold=2, seed=3, **settings)
        assert found.sizes == (12, 24, 48, 96)
    wanted = size_curve(corpus(), threshold=2, seed=3)
    found = size_curve(reps, threshold=2, seed=3, groups=False)
    np.testing.assert_array_equal(found.means["ilo"], wanted.means["ilo"])


def test_languages_of_different_sizes_shrink_alike_and_small_parts_are_left_out():
    rng = np.random.default_rng(3)
    reps = {c: rng.standard_normal((n, 5)) for c, n in (("a", 30), ("b", 160), ("c", 90))}
    curve = size_curve(reps, threshold=2)
    assert curve.n_blocks == (4, 2, 1)  # an eighth of 30 is less than 6
    assert curve.sizes[-1] == pytest.approx(280 / 3)
    assert set(curve.means) == {"bridge", "reach", "ilo"}


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ([1012] * 31, []),
        ([60] * 31, ["60 sentences per language are few"]),
        ([500, 99] * 10, ["99 sentences"]),
        ([500] * 4, ["4 languages are few: a point has 5 neighbours and must meet 3"]),
        ([20] * 3, ["20 sentences", "3 languages"]),
    ],
)
def test_small_corpora_warn(sizes, words):
    found = size_warnings(sizes, n_neighbors=5, threshold=3)
    assert len(found) == len(words)
    for text, word in zip(found, words, strict=True):
        assert word in text
