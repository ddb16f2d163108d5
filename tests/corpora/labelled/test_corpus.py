"""LabelledCorpus: classes, splits, fingerprint, selection."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from ilo_fast.corpora.labelled.corpus import LabelledCorpus
from ilo_fast.errors import CorpusError

ENGLISH = {"train": (["sun", "rain", "snow"], ["good", "bad", "bad"]), "test": (["fog"], ["bad"])}


GERMAN = {"test": (["Sonne", "Regen"], ["good", "bad"])}


@pytest.fixture
def corpus() -> LabelledCorpus:
    return LabelledCorpus.from_dict({"eng_Latn": ENGLISH, "deu_Latn": GERMAN})


def test_labels_become_positions_in_the_sorted_classes(corpus: LabelledCorpus) -> None:
    assert corpus.languages == ("eng_Latn", "deu_Latn")
    assert corpus.labels == ("bad", "good")
    assert corpus.splits == ("train", "test")
    assert corpus.splits_of("deu_Latn") == ("test",)
    assert corpus.texts("deu_Latn", "test") == ("Sonne", "Regen")
    targets = corpus.targets("eng_Latn", "train")
    assert targets.dtype == np.int64
    assert targets.tolist() == [1, 0, 0]
    assert corpus.n("eng_Latn", "train") == 3


def test_numbers_as_labels_are_sorted_as_numbers() -> None:
    labels = [10, 2, "1"]
    corpus = LabelledCorpus.from_dict({"eng_Latn": {"test": (["a", "b", "c"], labels)}})
    assert corpus.labels == ("1", "2", "10")
    assert corpus.targets("eng_Latn", "test").tolist() == [2, 1, 0]


def test_fingerprint_depends_on_content_alone(corpus: LabelledCorpus) -> None:
    swapped = LabelledCorpus.from_dict({"deu_Latn": GERMAN, "eng_Latn": ENGLISH}, name="other")
    assert swapped.fingerprint() == corpus.fingerprint()
    for texts, labels in (
        (["Sonne", "Regen"], ["bad", "good"]),
        (["Sonn", "eRegen"], GERMAN["test"][1]),
    ):
        changed = {"eng_Latn": ENGLISH, "deu_Latn": {"test": (texts, labels)}}
        assert LabelledCorpus.from_dict(changed).fingerprint() != corpus.fingerprint()
    renamed = {"eng_Latn": ENGLISH, "deu_Latn": {"dev": GERMAN["test"]}}
    assert LabelledCorpus.from_dict(renamed).fingerprint() != corpus.fingerprint()


def test_select_keeps_the_classes(corpus: LabelledCorpus) -> None:
    part = corpus.select("deu_Latn")
    assert part.languages == ("deu_Latn",)
    assert part.labels == corpus.labels
    with pytest.raises(CorpusError, match=r"no labelled examples in 'fra_Latn'; it has eng_Latn"):
        corpus.select(["deu_Latn", "fra_Latn"])


def test_pickle_and_info_describe_the_corpus(corpus: LabelledCorpus) -> None:
    assert pickle.loads(pickle.dumps(corpus)).fingerprint() == corpus.fingerprint()
    info = json.loads(json.dumps(corpus.info))
    assert info["n"] == {"eng_Latn": {"train": 3, "test": 1}, "deu_Latn": {"test": 2}}
    assert "2 classes; train 3, test 3" in repr(corpus)


def test_language_or_split_without_data_is_refused(corpus: LabelledCorpus) -> None:
    with pytest.raises(CorpusError, match=r"'fra_Latn'; it has eng_Latn, deu_Latn"):
        corpus.texts("fra_Latn", "test")
    with pytest.raises(CorpusError, match=r"deu_Latn has no split 'train' in 'dict'; it has test"):
        corpus.targets("deu_Latn", "train")
