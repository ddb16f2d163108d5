"""`ilo-fast clt steer`: what it prints and writes, its flags, its errors."""

from __future__ import annotations

import functools
import json
import shlex
from pathlib import Path

import pytest
from cli.test_clt_train import subparser
from helpers.figures import leave_out_figures
from helpers.html import Page

from ilo_fast.cli import main
from ilo_fast.transcoders.files import opening
from ilo_fast.transcoders.multilingual.steering.result import SteeringResult

open_once = functools.cache(opening.open_transcoder)
QUICK = [
    "clt", "steer", "--languages", "eng_Latn,rus_Cyrl", "--pairs", "eng_Latn:rus_Cyrl",
    "--n-prompts", "8", "--max-new-tokens", "4", "--strengths", "2", "--device", "cpu", "--quiet",
]  # fmt: skip

KINDS = ("png", "svg", "pdf")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(opening, "open_transcoder", open_once)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_it_prints_and_writes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, "--n-random", "1", "-o", "out"]) == 0
    shown = capsys.readouterr().out
    assert "demo model, cross-layer transcoder demo\n4 test prompts of 4 documents" in shown
    assert "The identifier is right about pieces of 30 characters: eng_Latn" in shown
    assert "Unsteered continuations that it takes for the prompt's language: eng_Latn" in shown
    assert "eng_Latn > rus_Cyrl: 30 features of eng_Latn, 30 of rus_Cyrl" in shown
    for mode in ("unsteered", "suppression", "substitution", "random", "mean difference"):
        assert f"\n  {mode} " in shown
    assert "substitution minus " in shown and "All 1 pair, substitution minus" in shown
    files = {str(path.relative_to(here)) for path in (here / "out").rglob("*") if path.is_file()}
    assert files == {
        "out/settings.json", "out/steering.json", "out/pairs/eng_Latn__rus_Cyrl.json",
        "out/steering.html",
        *(f"out/swap.{kind}" for kind in ("png", "svg", "pdf")),
        *(f"out/dose_eng_Latn.{kind}" for kind in ("png", "svg", "pdf")),
    }  # fmt: skip
    assert all(line in shown for line in files if "/s" in line and "settings" not in line)
    assert max(map(len, shown.splitlines())) <= 100
    text = (here / "out" / "steering.html").read_text()
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    assert all(address.startswith(("#", "data:")) for address in page.addresses)
    assert text.index("A switch of language is easy") < text.index("<section")
    assert text.count("<figure>") == 2 and "Examples" in text
    found = SteeringResult.from_json(here / "out")
    # The same again is kept; other settings are refused.
    assert main([*QUICK, "--n-random", "1", "-o", "out", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again.pop("model") == "demo model" and again.pop("transcoder")
    assert again == found.to_dict()
    assert main([*QUICK, "--n-random", "2", "-o", "out"]) != 0
    error = capsys.readouterr().err
    assert "was 1, now 2" in error and "random" in error, error


def test_features_and_background_of_ones_own(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_out_figures(monkeypatch)
    (here / "features.json").write_text(json.dumps({"eng_Latn": [3, 700], "rus_Cyrl": [5]}))
    (here / "text").mkdir()
    (here / "text" / "eng_Latn.txt").write_text("the sea is deep and cold here\n" * 12)
    (here / "text" / "rus_Cyrl.txt").write_text("море здесь глубокое и холодное\n" * 12)
    more = ["--features", "features.json", "--background", "text", "--baselines", "-o", "out"]
    assert main([*QUICK, *more, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["columns"]["eng_Latn"]) <= {3, 700} and found["info"]["baselines"] == []
    assert found["info"]["identifier_lines"] == {"eng_Latn": 12, "rus_Cyrl": 12}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--pairs", "eng_Latn"], "--pairs eng_Latn: give SOURCE:TARGET"),
        (["--pairs", "eng_Latn:deu_Latn"], "pairs holds ('eng_Latn', 'deu_Latn')"),
        (["--n-prompts", "100"], "needs 50 lines for the validation half"),
        (["--strengths", "-1"], "must be at least one number, all above 0"),
        (["--features", "none.json"], "none.json"),
    ],
)
def test_errors(more: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, *more]) != 0
    assert message in capsys.readouterr().err


def test_examples_of_the_help_run_as_printed(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_out_figures(monkeypatch)
    title, *lines = subparser("clt", "steer").epilog.splitlines()
    assert title == "examples:" and len(lines) == 3
    quick = [
        "--quiet",
        "--device",
        "cpu",
        "--n-prompts",
        "6",
        "--max-new-tokens",
        "2",
        "--n-random",
        "1",
    ]
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "ilo-fast"
        output = [] if "-o" in arguments else ["-o", str(len(arguments))]
        assert main([*arguments, *quick, *output]) == 0, line
        shown = capsys.readouterr().out
        if "--json" in arguments:
            assert json.loads(shown)["info"]["baselines"] == ["mean_difference"]
        else:
            assert "substitution" in shown
    assert (here / "steered" / "steering.json").exists()
