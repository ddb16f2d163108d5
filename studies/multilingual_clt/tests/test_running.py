"""The study on tiny models and text that is made up, in pieces that are kept."""

from __future__ import annotations

import json
from pathlib import Path

import multilingual_clt.__main__ as study
import multilingual_clt.tuning as tuning
import multilingual_clt.work as work
import numpy as np
import pytest
from multilingual_clt.pieces import Piece, Pieces
from multilingual_clt.verses import read_verses

WORDS = {
    "eng_Latn": ["the", "river", "runs", "cold", "and", "long", "beside", "old", "houses"],
    "deu_Latn": ["der", "Fluss", "läuft", "kalt", "und", "lang", "neben", "alten"],
    "rus_Cyrl": ["река", "течёт", "холодная", "и", "длинная", "мимо", "старых"],
}
SIZES = {
    "hidden-size": 16, "num-hidden-layers": 3, "vocab-size": 400, "context": 16, "batch-size": 4,
    "max-steps": 3, "features": 32, "k": 4, "transcoder-tokens": 2000,
}  # fmt: skip


@pytest.fixture
def corpora(tmp_path: Path) -> Path:
    """Thirty chapters of sixteen verses."""
    random = np.random.default_rng(0)
    for folder, first in (("bible_ot", 1), ("bible_nt", 40)):
        place = tmp_path / "corpora" / folder
        place.mkdir(parents=True)
        ids = [f"{first:02}{c:03}{v:03}\tx" for c in range(15) for v in range(16)]
        (place / "verse_ids.tsv").write_text("\n".join(ids) + "\n", encoding="utf-8")
        for code, words in WORDS.items():
            lines = [" ".join(random.choice(words, 12)) for _ in ids]
            lines[5] = "" if code == "deu_Latn" else lines[5]
            (place / f"{code}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path / "corpora"


def test_verses_that_a_language_lacks_are_left_out_and_chapters_stay_together(
    corpora: Path,
) -> None:
    verses = read_verses(corpora, list(WORDS))
    assert len(verses) == 2 * (15 * 16 - 1)
    train, held_out = verses.split(12)
    assert not set(train.chapters) & set(held_out.chapters)
    assert len(train) + len(held_out) == len(verses)
    corpus = held_out.corpus(10)
    assert corpus.n_sentences == 10 and corpus.groups is not None


def test_the_study_runs_goes_on_and_refuses_other_settings(
    corpora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    few = {name: study_part for name, study_part in work.MEASURED.items() if name == "loss"}
    monkeypatch.setattr(work, "MEASURED", few)
    monkeypatch.setattr(work, "TUNINGS", ())
    monkeypatch.setattr(work, "tuning_pieces", lambda *_: [])
    monkeypatch.setattr(tuning, "VOCABULARIES", (300,))
    out = tmp_path / "out"
    given = [str(corpora), "--out", str(out), "--seeds", "0", "--languages", *WORDS,
             "--conditions", "equal", "random"]  # fmt: skip
    for name, value in SIZES.items():
        given += [f"--{name}", str(value)]
    assert study.main(given) == 0
    made = {path.stem for path in (out / "pieces").glob("*.json")}
    assert made == {
        "vocabularies", "model-equal-0", "clt-equal-0", "plt-equal-0", "model-random-0",
        "clt-random-0", "plt-random-0", "loss-equal-0-model", "loss-random-0-model",
    }  # fmt: skip
    page = (out / "table.md").read_text(encoding="utf-8")
    assert "Bits per character" in page and (out / "vocabularies.png").is_file()
    assert json.loads((out / "results.json").read_text(encoding="utf-8"))["missing"] == []
    times = {path: path.stat().st_mtime_ns for path in (out / "pieces").glob("*.json")}
    assert study.main(given) == 0
    assert times == {path: path.stat().st_mtime_ns for path in (out / "pieces").glob("*.json")}
    assert study.main([*given, "--max-steps", "4"]) == 1
    assert "made with other settings (sizes)" in capsys.readouterr().err


def test_pieces_wait_for_what_they_need_and_for_each_other(tmp_path: Path) -> None:
    order: list[str] = []

    def piece(name: str, *needs: str) -> Piece:
        def make() -> dict[str, str]:
            order.append(name)
            return {"name": name}

        return Piece(name, {"a": 1}, make, needs)

    pieces = Pieces(tmp_path)
    plan = [piece("last", "first"), piece("first")]
    assert pieces.work(plan) == []
    assert order == ["first", "last"]
    assert pieces.made(plan)["last"]["result"] == {"name": "last"}


def test_what_cannot_be_made_is_said_and_the_rest_is_made(tmp_path: Path) -> None:
    def fails() -> dict[str, str]:
        raise RuntimeError("no such thing")

    pieces = Pieces(tmp_path)
    plan = [
        Piece("bad", {}, fails),
        Piece("after", {}, dict, ("bad",)),
        Piece("later", {}, dict, ("after",)),
        Piece("good", {}, dict),
    ]
    assert pieces.work(plan) == ["after", "bad", "later"]
    assert set(pieces.made(plan)) == {"good"}
    assert "no such thing" in (tmp_path / "pieces" / "bad.error.txt").read_text(encoding="utf-8")
    plan[0] = Piece("bad", {}, dict)
    assert pieces.work(plan) == []
    assert not (tmp_path / "pieces" / "bad.error.txt").is_file()


@pytest.mark.parametrize("left", ["", '{"settings": {', "{}", "[]"])
def test_a_piece_whose_file_is_damaged_is_made_again(tmp_path: Path, left: str) -> None:
    pieces = Pieces(tmp_path)
    plan = [Piece("one", {"a": 1}, lambda: {"value": 3}), Piece("two", {"a": 1}, dict, ("one",))]
    assert pieces.work(plan) == []
    (tmp_path / "pieces" / "one.json").write_text(left, encoding="utf-8")
    assert pieces.work(plan) == []
    assert pieces.made(plan)["one"]["result"] == {"value": 3}


def test_what_json_cannot_hold_is_one_failed_piece(tmp_path: Path) -> None:
    plan = [Piece("bad", {}, lambda: {"value": object()}), Piece("good", {}, dict)]
    assert Pieces(tmp_path).work(plan) == ["bad"]
    assert (tmp_path / "pieces" / "good.json").is_file()
