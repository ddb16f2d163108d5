"""Labels that do not match and flawed examples are refused; smaller flaws are logged."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from ilo_fast.corpora.labelled.corpus import LabelledCorpus
from ilo_fast.errors import CorpusError

ENGLISH = {"train": (["sun", "rain", "snow"], ["good", "bad", "bad"]), "test": (["fog"], ["bad"])}


def test_labels_that_do_not_match_across_languages() -> None:
    odd = {"test": (["Sonne", "Regen"], ["Good", "bad"])}
    with pytest.raises(CorpusError, match=r"deu_Latn has Good, which eng_Latn \(bad, good\) lacks"):
        LabelledCorpus.from_dict({"eng_Latn": ENGLISH, "deu_Latn": odd})
    meant = LabelledCorpus.from_dict(
        {"eng_Latn": ENGLISH, "deu_Latn": odd}, labels=("good", "bad", "Good")
    )
    assert meant.targets("deu_Latn", "test").tolist() == [2, 1]
    with pytest.raises(CorpusError, match=r"lacks what examples have: 'Good' \(deu_Latn, test\)"):
        LabelledCorpus.from_dict({"deu_Latn": odd}, labels=("good", "bad"))


def test_labels_that_do_not_match_across_splits() -> None:
    parts = {"train": (["a", "b"], ["x", "y"]), "dev": (["c"], ["Y"])}
    with pytest.raises(CorpusError, match=r"eng_Latn, dev has Y, which no split 'train' \(x, y\)"):
        LabelledCorpus.from_dict({"eng_Latn": parts})


def test_class_that_a_language_lacks_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="ilo_fast"):
        LabelledCorpus.from_dict({"eng_Latn": ENGLISH, "deu_Latn": {"test": (["Regen"], ["bad"])}})
    assert "deu_Latn: good" in caplog.text


def test_text_in_two_splits_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="ilo_fast"):
        LabelledCorpus.from_dict(
            {"eng_Latn": {**ENGLISH, "dev": (["sun", "wind"], ["good", "bad"])}}
        )
    assert "two splits of a language (eng_Latn: 1)" in caplog.text


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ({}, "examples: none"),
        ({"eng_Latn": {"test": ([], [])}}, "eng_Latn, test has no examples"),
        ({"eng_Latn": {"test": (["a", " \t"], ["x", "y"])}}, r"blank texts \(id 2\)"),
        ({"eng_Latn": {"test": (["a", "b"], ["x"])}}, "2 texts but 1 labels"),
        ({"eng_Latn": {"test": (["a"], [True])}}, r"the label is True \(bool\)"),
        ({"eng_Latn": {"test": (["a"], [None])}}, "the label is None"),
        ({"eng_Latn": {"test": (["a"], [" "])}}, "the label is empty"),
        ({"eng_Latn": {"test": ([3], ["x"])}}, "sentence 1: must be a string, got 3"),
        ({"eng_Latn": {"test": "ab"}}, "wanted a pair"),
    ],
)
def test_flawed_examples_are_refused(examples: Any, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        LabelledCorpus.from_dict(examples)
