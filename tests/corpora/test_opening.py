"""open_corpus(): a name, a folder, a corpus or a mapping; one content hash for all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.parallel_text import DE, EN, as_text, write

from ilo_fast.corpora.opening import open_corpus
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.errors import AccessError, CorpusError

TOY = {"eng_Latn": EN, "deu_Latn": DE}


def test_equal_text_has_one_hash_whatever_it_is_opened_from(tmp_path: Path) -> None:
    write(tmp_path, eng_Latn=as_text(EN), deu_Latn=as_text(DE))
    corpus = ParallelCorpus.from_dict(TOY)
    opened = [open_corpus(source) for source in (tmp_path, str(tmp_path), corpus, TOY)]
    assert {found.sha256 for found in opened} == {corpus.fingerprint()}
    assert [found.parallel for found in opened] == [True, True, True, False]
    assert all(dict(found.sentences) == dict(corpus.sentences) for found in opened)
    assert open_corpus(opened[0]) is opened[0]


def test_name_is_loaded_and_unknown_name_is_an_access_error() -> None:
    assert open_corpus("demo").name == "demo"
    with pytest.raises(AccessError, match="names: demo"):
        open_corpus("no-such-corpus")


def test_mapping_need_not_be_parallel() -> None:
    opened = open_corpus({"eng_Latn": ["a", "b"], "x-toy": ["c"]})
    assert not opened.parallel and opened.info["languages"] == ["eng_Latn", "x-toy"]


@pytest.mark.parametrize("line", ["", "   ", "\t\u3000\n"])
def test_empty_line_is_named(line: str) -> None:
    with pytest.raises(CorpusError, match="empty or blank sentences: deu_Latn line 2"):
        open_corpus({"eng_Latn": ["a", "b"], "deu_Latn": ["a", line]})


@pytest.mark.parametrize(
    ("corpus", "says"),
    [
        ({}, "no language"),
        ({"eng_Latn": ["a"], "deu_Latn": []}, "no sentences: deu_Latn hold"),
        ({"eng_Latn": "one string"}, "sequence of strings, got str"),
        ({"eng_Latn": ["a", 5]}, "sentence 2: must be a string, got 5"),
        ({"../up": ["a"]}, "cannot name a file"),
        (["a"], "must be a mapping of language code to sentences, got list"),
    ],
)
def test_malformed_mapping_is_refused(corpus: Any, says: str) -> None:
    with pytest.raises(CorpusError, match=says):
        open_corpus(corpus)
