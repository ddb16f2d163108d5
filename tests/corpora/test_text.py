"""Training text: what it is read from, what is refused, and lines shared with a corpus."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path

import pytest

from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.corpora.text import read_text, shared_lines
from ilo_fast.errors import AccessError, CorpusError


def test_text_is_read_from_files_folders_sentences_and_corpora(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder, text in ((first, "one\n\n two \n"), (second, "three\n")):
        folder.mkdir()
        (folder / "eng_Latn.txt").write_text(text, encoding="utf-8")
    (second / "deu_Latn.txt").write_text("drei\n", encoding="utf-8")
    corpus = ParallelCorpus.from_dict({"eng_Latn": ["x", "y"], "fra_Latn": ["z", "w"]})
    assert read_text(first, "eng_Latn") == ("one", " two ")
    assert read_text(str(first / "eng_Latn.txt"), "swe_Latn") == ("one", " two ")
    assert read_text([first, second], "eng_Latn") == ("one", " two ", "three")
    assert read_text([first, second], "deu_Latn") == ("drei",)
    assert read_text(["x", " ", "y"], "eng_Latn") == ("x", "y")
    assert read_text(corpus, "fra_Latn") == ("z", "w")


@pytest.mark.parametrize("kind", ["folder", "folders", "mapping", "demo"])
def test_language_without_text_names_those_that_have_some(kind: str, tmp_path: Path) -> None:
    for code in ("deu_Latn", "fra_Latn"):
        (tmp_path / f"{code}.txt").write_text("text\n", encoding="utf-8")
    source = {
        "folder": tmp_path,
        "folders": [tmp_path, tmp_path],
        "mapping": {"deu_Latn": ["a"], "fra_Latn": ["b"]},
        "demo": "demo",
    }[kind]
    has = "eng_Latn" if kind == "demo" else "deu_Latn, fra_Latn"
    with pytest.raises(CorpusError, match=rf"swe_Latn.*{has}"):
        read_text(source, "swe_Latn")


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="wanted sentences, got 3"):
        read_text(["a", 3], "eng_Latn")
    with pytest.raises(CorpusError, match="data is a int: wanted a file"):
        read_text(7, "eng_Latn")
    with pytest.raises(CorpusError, match="only blank lines"):
        read_text(["", "  "], "eng_Latn")
    with pytest.raises(AccessError, match=r"nowhere\.txt"):
        read_text(tmp_path / "nowhere.txt", "eng_Latn")


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".TSV"])
def test_labelled_files_are_not_read_as_text(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"eng_Latn{suffix}"
    path.write_text('{"text": "it rains", "label": "wet"}\n', encoding="utf-8")
    with pytest.raises(CorpusError, match=r"give its folder \(LabelledCorpus"):
        read_text(path, "eng_Latn")


def test_names_of_files_are_not_taken_for_sentences(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("it rains\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"pass \[Path"):
        read_text([os.fspath(path)], "eng_Latn")
    assert read_text([os.fspath(path), "it rains"], "eng_Latn")[1] == "it rains"
    long = "and it rains " * 400
    assert read_text([long], "eng_Latn") == (long,)


def test_shared_lines_are_found_whatever_their_case_and_spaces() -> None:
    corpus = {"eng_Latn": ["A  b.", "c", "\uff24"], "deu_Latn": ["x", "a B."]}
    found = shared_lines(["a b. ", "d", "not there"], corpus)
    assert found == [("eng_Latn", 1), ("eng_Latn", 3), ("deu_Latn", 2)]
    assert shared_lines(["a b"], corpus) == []


def letters(line: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", line).casefold() if c.isalnum())


def test_demo_text_is_distinct_and_not_in_the_demo_corpus() -> None:
    lines = read_text("demo", "eng_Latn")
    loose = [letters(line) for line in lines]
    assert 350 < len(lines) < 450 and len(set(loose)) == len(lines)
    assert all(line.isascii() or unicodedata.is_normalized("NFC", line) for line in lines)
    measured = {letters(s) for texts in ParallelCorpus.demo().sentences.values() for s in texts}
    assert not measured & set(loose)


def test_demo_text_is_in_no_test_corpus(corpora: Path) -> None:
    own = {letters(line) for line in read_text("demo", "eng_Latn")}
    files = sorted(corpora.rglob("eng_Latn.*"))
    assert files
    for path in files:
        for line in path.read_text(encoding="utf-8").splitlines():
            text = json.loads(line)["text"] if path.suffix == ".jsonl" else line
            assert letters(text) not in own, (path, text)
