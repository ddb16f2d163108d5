"""``ilo-fast tokens``: tables, files, trained tokenizers, clean errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers import text_tokenizers
from helpers.html import Page

from ilo_fast.cli import main
from ilo_fast.evaluation.tokens_result import TokenComparison, TokenStatistics


@pytest.fixture
def text(here: Path) -> Path:
    folder = here / "text"
    folder.mkdir()
    for at, code in enumerate(("eng_Latn", "deu_Latn", "hin_Deva", "jpn_Jpan")):
        line = text_tokenizers.TEXT[(0, 1, 3, 5)[at]]
        lines = "".join(f"{line} {number}\n" for number in range(12))
        (folder / f"{code}.txt").write_text(lines, encoding="utf-8")
    return folder


def test_the_demo_is_counted_without_a_model(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["-l", "eng_Latn,hin_Deva,tha_Thai", "--bootstrap", "50"]
    assert main(["tokens", *flags, "-o", "out"]) == 0
    shown = capsys.readouterr().out
    rows = [line for line in shown.splitlines() if "]" in line]
    assert rows[0].startswith("Thai (tha_Thai)") and " - " in rows[0]
    assert "demo model: vocabulary of 24,576" in shown and "Gini" in shown
    assert "Deva: mean of 1 language" in shown and "premium: tokens of a language over" in shown
    assert max(map(len, shown.splitlines())) <= 100
    text = (here / "out" / "tokens.html").read_text()
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    assert all(address.startswith(("#", "data:")) for address in page.addresses)
    assert text.index("Of this text alone") < text.index("<section")
    for name in ("tokens.json", "tokens.csv", "tokens.png", "tokens.svg", "tokens.pdf"):
        assert (here / "out" / name).stat().st_size and f"out/{name}" in shown
    found = TokenStatistics.from_json(here / "out")
    assert found.languages == ("eng_Latn", "hin_Deva", "tha_Thai")
    assert found.n_bootstrap == 50 and found.reference == "eng_Latn"


def test_tokenizers_are_trained_at_sizes_and_mixtures_and_compared(
    here: Path, text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--train", str(text), "--corpus", str(text), "--bootstrap", "20"]
    sizes = ["--vocab-sizes", "300", "340", "--mixture", "eng_Latn=0.9"]
    assert main(["tokens", *flags, *sizes, "-o", "out"]) == 0
    shown, said = capsys.readouterr()
    assert "100 % of the lines that are counted are lines of --train" in said
    content = json.loads((here / "out" / "tokens.json").read_text(encoding="utf-8"))
    names = ["equal 300", "equal 340", "eng_Latn=0.9 300", "eng_Latn=0.9 340"]
    found = TokenComparison.from_dict(content)
    assert list(found.statistics) == names
    # Much English makes English cheap and the others dear.
    english = found.statistics["equal 340"].languages.index("eng_Latn")
    ratio = found.ratio[3] / found.ratio[1]
    assert ratio[english] < 1 < max(ratio)
    assert "tokens for the same text, beside equal 300" in shown and "most/least" in shown
    folders = [here / "out" / "tokenizers" / name.replace(" ", "_") for name in names]
    assert all((folder / "tokenizer.json").is_file() for folder in folders)
    capsys.readouterr()
    again = ["tokens", f"A={folders[1]}", f"B={folders[3]}", "--corpus", str(text), "--json"]
    assert main(again) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told["statistics"]) == ["A", "B"]
    counts = told["statistics"]["B"]["counts"]
    assert counts == found.statistics["eng_Latn=0.9 340"].counts.tolist()


def test_a_model_folder_a_run_and_no_reference_are_taken(
    here: Path, text: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "run").mkdir()
    (here / "run" / "model").symlink_to(model)
    flags = ["--corpus", str(text), "--reference", "none", "--bootstrap", "5"]
    assert main(["tokens", str(model), str(here / "run"), *flags]) == 0
    shown = capsys.readouterr().out
    assert "premium" not in shown and "chars/token" in shown
    assert "fewer than 20 documents, so intervals are rough" in shown


@pytest.mark.parametrize(
    ("flags", "status", "said"),
    [
        (["--mixture", "eng_Latn=0.9"], 2, "--train"),
        (["--reference", "spa_Latn"], 1, "--reference"),
        (["--bootstrap", "0"], 2, "at least 1"),
        (["./nothing-here"], 3, "nothing-here"),
    ],
)
def test_wrong_flags_are_told(
    here: Path,
    text: Path,
    flags: list[str],
    status: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    try:
        found = main(["tokens", *flags, "--corpus", str(text)])
    except SystemExit as left:
        found = int(str(left.code))
    assert found == status and said in capsys.readouterr().err


def test_little_training_text_and_bad_shares_are_refused(
    here: Path, text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tokens", "--train", str(text), "--vocab-sizes", "100"]) == 1
    assert "vocab_size=100" in capsys.readouterr().err.replace("--vocab-size ", "vocab_size=")
