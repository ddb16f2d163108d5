"""The folder of a training run: what is new, goes on, or is refused; and text that is none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ilo_fast.corpora.text import read_text
from ilo_fast.errors import CorpusError
from ilo_fast.training.run_folder import RunFolder, mark_complete


def with_checkpoint(path: Path) -> Path:
    run = RunFolder(path, {"seed": 1})
    run.begin({})
    (path / "checkpoint-3").mkdir()
    mark_complete(path / "checkpoint-3", {"step": 3})
    return path


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_same_settings_go_on_and_others_replace_only_where_asked(
    tmp_path: Path, overwrite: bool
) -> None:
    path = with_checkpoint(tmp_path / "run")
    same = RunFolder(path, {"seed": 1})
    assert same.examine(resume=True, overwrite=overwrite) == "interrupted"
    assert same.examine(resume=False, overwrite=overwrite) == "new"
    other = RunFolder(path, {"seed": 2})
    if overwrite:
        assert other.examine(resume=True, overwrite=True) == "new"
    else:
        with pytest.raises(ValueError, match="seed was 1, now 2"):
            other.examine(resume=True, overwrite=False)


def test_a_refused_run_leaves_no_folder_that_it_made(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(KeyError), RunFolder(tmp_path / "mine" / "a" / "b", {}).held():
        raise KeyError
    assert [p.name for p in tmp_path.rglob("*")] == ["mine"]


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
