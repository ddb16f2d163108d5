"""`LanguageIdentifier`: right about planted and real text, honest about how often."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.transcoders.multilingual.steering.language_id import LanguageIdentifier

CORPORA = os.environ.get("ILO_FAST_TEST_CORPORA")
LINES = {
    "a": ["the cat and the dog", "the house by the river"],
    "b": ["der hund und die katze", "das haus am fluss"],
}


def words(alphabet: str, n: int, seed: int) -> list[str]:
    random = np.random.default_rng(seed)
    return [
        " ".join(
            "".join(random.choice(list(alphabet), size=int(random.integers(2, 8))))
            for _ in range(12)
        )
        for _ in range(n)
    ]


def test_scores_are_those_of_the_formula() -> None:
    """Counted in dictionaries, no hashes: with so many buckets nothing of this text collides."""
    buckets = 2**22
    found = LanguageIdentifier.fit(LINES, orders=(1, 3), buckets=buckets)

    def grams(text: str) -> list[str]:
        padded = f" {text.casefold()} "
        single = [c for c in padded if c != " "]
        return single + [padded[at : at + 3] for at in range(len(padded) - 2)]

    texts = ["the hund", "Fluss 12 river", "cat"]
    for row, text in zip(found.scores(texts), texts, strict=True):
        for score, own in zip(row, LINES.values(), strict=True):
            counts = Counter(gram for line in own for gram in grams(line))
            total = sum(counts.values()) / 2 + 0.05 * buckets
            shown = " ".join("".join(" " if c.isdigit() else c for c in text).split())
            wanted = sum(np.log((counts[gram] + 0.05) / total) for gram in grams(shown))
            assert score == pytest.approx(wanted, rel=1e-5)
    assert found.predict(["dog by the house", "HUND AM HAUS"]) == ["a", "b"]


def test_text_without_letters_is_of_no_language() -> None:
    found = LanguageIdentifier.fit(LINES)
    assert found.predict(["", "  ", "12, 34.", "... !", "cat"]) == [None] * 4 + ["a"]
    assert found.scores([]).shape == (0, 2) and found.predict([]) == []


def test_planted_languages_are_told_apart_and_equal_ones_by_chance() -> None:
    text = {"a": words("abcdefgh", 60, 1), "b": words("cdefghij", 60, 2)}
    same = {"c": words("abcdefgh", 200, 3), "d": words("abcdefgh", 200, 4)}
    found = LanguageIdentifier.fit({code: own[:30] for code, own in text.items()})
    accuracy = found.accuracy({code: own[30:] for code, own in text.items()}, lengths=(30,))
    assert (accuracy.share >= 0.95).all() and accuracy.confusion.sum() == 60
    chance = LanguageIdentifier.fit({code: own[:100] for code, own in same.items()})
    shares = chance.accuracy({code: own[100:] for code, own in same.items()}, lengths=(30,))
    assert 0.3 < shares.share.mean() < 0.7


def test_accuracy_says_of_how_many_and_what_was_confused() -> None:
    found = LanguageIdentifier.fit(LINES)
    swapped = {"a": LINES["b"] * 5, "b": ["xx", *LINES["b"] * 2]}
    accuracy = found.accuracy(swapped, lengths=(10, 100), per_language=8)
    assert accuracy.n.tolist() == [[8, 4], [0, 0]]
    assert accuracy.confusion[0, 0].tolist() == [0, 8, 0]
    assert np.isnan(accuracy.share[1]).all()
    low, high = accuracy.interval(10, "a")
    assert low == 0 and 0.2 < high < 0.4
    assert len(accuracy.to_dataframe()) == 4
    assert accuracy.to_dict()["share"][1] == [None, None]
    again = found.accuracy(swapped, lengths=(10, 100), per_language=8)
    assert (again.confusion == accuracy.confusion).all()


def test_the_demo_corpus_is_told_apart_from_thirty_lines_of_each() -> None:
    codes = ["eng_Latn", "rus_Cyrl", "hin_Deva", "tha_Thai", "zho_Hans", "deu_Latn"]
    text = ParallelCorpus.demo().select(codes).sentences
    found = LanguageIdentifier.fit({code: own[:30] for code, own in text.items()})
    accuracy = found.accuracy({code: own[30:] for code, own in text.items()}, lengths=(10,))
    assert (accuracy.share > 0.8).all()


@pytest.mark.skipif(not CORPORA, reason="ILO_FAST_TEST_CORPORA is not set")
def test_real_text_of_many_languages_at_the_length_of_continuations() -> None:
    folder = Path(str(CORPORA)) / "flores200_devtest"
    codes = (
        "eng_Latn", "deu_Latn", "fra_Latn", "spa_Latn", "nld_Latn", "rus_Cyrl", "hin_Deva",
        "tha_Thai", "jpn_Jpan",
    )  # fmt: skip
    text = {
        code: (folder / f"{code}.txt").read_text(encoding="utf-8").splitlines() for code in codes
    }
    found = LanguageIdentifier.fit({code: own[:500] for code, own in text.items()})
    accuracy = found.accuracy({code: own[500:] for code, own in text.items()}, lengths=(8, 30))
    assert (accuracy.n[1] > 300).all()
    assert (accuracy.share[1] >= 0.95).all()
    assert (accuracy.share[1] > accuracy.share[0] - 0.01).all()


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="lines has 1 languages"):
        LanguageIdentifier.fit({"a": ["x"]})
    with pytest.raises(ValueError, match="lines of b hold no letter"):
        LanguageIdentifier.fit({"a": ["x"], "b": ["1 2"]})
    with pytest.raises(ValueError, match="orders is empty"):
        LanguageIdentifier.fit(LINES, orders=())
    with pytest.raises(ValueError, match="names c, which was not fitted"):
        LanguageIdentifier.fit(LINES).accuracy({"c": ["x"]})
