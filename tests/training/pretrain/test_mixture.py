"""Text in several languages, and the share of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.pretraining import run

from ilo_fast import CorpusError
from ilo_fast.training.pretrain.mixture import complete_shares, read_texts


def test_languages_not_named_share_the_rest_equally() -> None:
    codes = ["eng_Latn", "deu_Latn", "fra_Latn"]
    assert complete_shares({"eng_Latn": 0.5}, codes) == {
        "eng_Latn": 0.5, "deu_Latn": 0.25, "fra_Latn": 0.25,
    }  # fmt: skip
    assert complete_shares({"eng_Latn": 0}, codes)["eng_Latn"] == 0
    assert complete_shares({"eng_Latn": 0}, codes)["deu_Latn"] == 0.5
    assert complete_shares(None, codes) == dict.fromkeys(codes, pytest.approx(1 / 3))
    assert complete_shares({"eng_Latn": 1}, codes) == {
        "eng_Latn": 1, "deu_Latn": 0, "fra_Latn": 0,
    }  # fmt: skip
    shares = complete_shares({"eng_Latn": 0.1, "deu_Latn": 0.2, "fra_Latn": 0.7}, codes)
    assert shares == {
        "eng_Latn": pytest.approx(0.1), "deu_Latn": pytest.approx(0.2),
        "fra_Latn": pytest.approx(0.7),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("mixture", "message"),
    [
        ({"eng_Latn": 0.6, "deu_Latn": 0.5}, r"sum to 1\.1"),
        ({"eng_Latn": -0.1}, r"mixture\['eng_Latn'\]=-0\.1"),
        ({"eng_Latn": 50}, r"write 0\.5 for 50 %"),
        ({"eng_Latn": True}, "share of the tokens"),
        ({"eng_Latn": float("nan")}, "share of the tokens"),
        ({"eng_Latn": 0.5, "tha_Thai": 0.1}, "no text for tha_Thai; there is text for deu_Latn"),
        ({"eng_Latn": 0.3, "deu_Latn": 0.3, "fra_Latn": 0.3}, r"names every language.*0\.9"),
        ({"eng_Latn": 0, "deu_Latn": 0, "fra_Latn": 0}, "names every language"),
    ],
)
def test_mixture_that_cannot_be_is_refused(tmp_path: Path, mixture: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(tmp_path / "run", mixture=mixture)
    assert not (tmp_path / "run").exists()


def test_texts_from_folders_are_joined_by_language(tmp_path: Path) -> None:
    for folder, text in (("a", "one\n\ntwo\n"), ("b", "three\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "eng_Latn.txt").write_text(text)
    (tmp_path / "b" / "deu_Latn.txt").write_text("eins\n")
    both = read_texts([tmp_path / "a", tmp_path / "b"])
    assert both == {"deu_Latn": ["eins"], "eng_Latn": ["one", "two", "three"]}
    assert list(read_texts(tmp_path / "b", "eng_Latn")) == ["eng_Latn"]
    with pytest.raises(CorpusError, match=r"no text for fra_Latn; there is text for deu_Latn, eng"):
        read_texts([tmp_path / "a", tmp_path / "b"], "fra_Latn")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"eng_Latn": ["a"], "deu_Latn": ["", " "]}, "deu_Latn: no line that is not empty"),
        ({"eng_Latn": "one string"}, "one string; wanted lines"),
        ({"eng_Latn": ["a", 3]}, r"texts\['eng_Latn'\], line 2 is int"),
        ({"english": ["a"]}, "no language codes: english"),
        ({}, "texts is empty"),
    ],
)
def test_wrong_text_is_refused(texts: Any, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        read_texts(texts)
