"""What makes text parallel: flaws that are refused, and flaws that are reported."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from helpers.parallel_text import DE, EN, FR

from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.errors import CorpusError


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        ({}, "no language"),
        ([("eng_Latn", EN)], "must be a mapping .* got list"),
        (
            {"englisch": EN},
            r"unknown language code 'englisch': did you mean eng_Latn\?.*allow_unknown=True",
        ),
        ({3: EN}, "a language code must be a string, got 3"),
        ({"../up": EN}, "'../up' cannot name a file"),
        ({"": EN}, "language code '' cannot name a file"),
        ({"eng_Latn": "One."}, r"sentences\['eng_Latn'\] must be a sequence of strings, got str"),
        ({"eng_Latn": b"One."}, "sequence of strings, got bytes"),
        ({"eng_Latn": None}, "got NoneType"),
        ({"eng_Latn": ["a", 2]}, r"eng_Latn, sentence 2: must be a string, got 2 \(int\)"),
        ({"eng_Latn": ["a", None]}, "sentence 2: is missing"),
        ({"eng_Latn": ["a\0b"]}, "eng_Latn, sentence 1: holds a NUL"),
        ({"eng_Latn": ["a", "\ud83d"]}, r"sentence 2: holds half a surrogate pair \(U\+D83D\)"),
        ({"eng_Latn": [], "deu_Latn": []}, "no sentences: eng_Latn, deu_Latn hold no line"),
        ({"eng_Latn": ["a", " \t"], "deu_Latn": ["", "b"]}, "eng_Latn line 2, deu_Latn line 1"),
        ({"eng_Latn": ["a", "\u3000\u2028"]}, "empty or blank sentences: eng_Latn line 2"),
    ],
)
def test_flawed_sentences_are_refused(sentences: Any, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        ParallelCorpus.from_dict(sentences)
    with pytest.raises(CorpusError, match=message):
        ParallelCorpus(sentences)


def test_misaligned_languages_are_named_against_the_majority() -> None:
    with pytest.raises(CorpusError) as caught:
        ParallelCorpus.from_dict(
            {"eng_Latn": EN, "deu_Latn": [*DE, ""], "fra_Latn": FR, "spa_Latn": ["Uno.", "Dos."]}
        )
    message = str(caught.value)
    assert "Not 3 lines as the majority has: deu_Latn (4, 1 of them blank), spa_Latn (2)" in message
    assert (
        "All counts: 3 lines: eng_Latn, fra_Latn; 4 lines: deu_Latn; 2 lines: spa_Latn" in message
    )


def test_misaligned_without_a_majority_lists_all_counts() -> None:
    with pytest.raises(CorpusError, match="not parallel") as caught:
        ParallelCorpus.from_dict({"eng_Latn": EN, "deu_Latn": DE[:2]})
    assert "majority" not in str(caught.value)
    assert "3 lines: eng_Latn; 2 lines: deu_Latn" in str(caught.value)


def test_one_empty_language_is_misaligned() -> None:
    with pytest.raises(CorpusError, match="0 lines: deu_Latn"):
        ParallelCorpus.from_dict({"eng_Latn": EN, "deu_Latn": []})


def test_many_blank_lines_are_named_up_to_a_few() -> None:
    with pytest.raises(CorpusError, match=r"eng_Latn line 8 and 12 more"):
        ParallelCorpus.from_dict({"eng_Latn": [""] * 20})


def test_duplicates_are_reported_not_refused(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        corpus = ParallelCorpus.from_dict(
            {"eng_Latn": ["a", "b", "a", "a"], "deu_Latn": ["a", "c", "d", "e"]}
        )
    assert corpus.info["duplicated_sentences"] == {"eng_Latn": 2}
    assert "eng_Latn 2 (line 3 is line 1)" in caplog.text
    assert corpus.select(limit=2).info["duplicated_sentences"] == {}


def test_copied_language_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        corpus = ParallelCorpus.from_dict({"eng_Latn": EN, "deu_Latn": DE, "fra_Latn": EN})
    assert corpus.info["identical_languages"] == [["eng_Latn", "fra_Latn"]]
    assert "eng_Latn and fra_Latn have exactly the same text" in caplog.text
