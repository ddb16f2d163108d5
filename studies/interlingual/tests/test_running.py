"""The whole study on the demo model and a few of its sentences; and going on after a stop."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from interlingual.__main__ import main

from ilo_fast import ParallelCorpus

CODES = ("eng_Latn", "deu_Latn", "fra_Latn", "rus_Cyrl")


@pytest.fixture
def corpora(tmp_path: Path) -> Path:
    folder = tmp_path / "corpora" / "flores200_devtest"
    folder.mkdir(parents=True)
    corpus = ParallelCorpus.demo(CODES, limit=24)
    for code in CODES:
        text = "".join(f"{sentence}\n" for sentence in corpus.sentences[code])
        (folder / f"{code}.txt").write_text(text, encoding="utf-8")
    return folder.parent


def test_the_whole_study(
    corpora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    out = tmp_path / "study"
    given = [str(corpora), "--out", str(out), "--models", "demo", "--permutations", "20"]
    assert main(given) == 0
    page = (out / "table.md").read_text(encoding="utf-8")
    found = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert found["sentences"] == 24
    rows = found["models"]["ilo_fast-demo"]["languages"]
    assert {row["language"] for row in rows} == set(CODES)
    for row in rows:
        assert f"| {row['language']} | {row['name']} |" in page
    for name in ("layers", "languages", "companions", "sizes"):
        assert (out / f"{name}.png").stat().st_size > 5_000

    monkeypatch.setattr("interlingual.measuring.extract", None)  # nothing is measured again
    monkeypatch.setattr("interlingual.measuring.companions", None)
    (out / "table.md").unlink()
    assert main(given) == 0
    assert (out / "table.md").read_text(encoding="utf-8") == page
    capsys.readouterr()
    assert main([*given, "--seed", "1"]) == 1
    assert "with other options" in capsys.readouterr().err
