"""`ilo-fast clt languages`: what it prints and writes, its parts, its errors."""

from __future__ import annotations

import csv
import functools
import json
import shlex
from pathlib import Path

import pytest
from cli.test_clt_train import subparser
from helpers.figures import leave_out_figures

from ilo_fast.cli import main
from ilo_fast.transcoders.files import opening

open_once = functools.cache(opening.open_transcoder)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(opening, "open_transcoder", open_once)
    return tmp_path


def test_examples_of_the_help_run_as_printed(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a few lines of the demo corpus."""
    leave_out_figures(monkeypatch)
    title, *lines = subparser("clt", "languages").epilog.splitlines()
    assert title == "examples:" and len(lines) == 3
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "ilo-fast"
        few = ["--limit", "16", "--quiet", "--device", "cpu", "--min-firings", "10",
               "--permutations", "20"]  # fmt: skip
        if "--probes" in arguments:
            few += ["--tokens", "40"]
        assert main([*arguments, *few]) == 0, line
        shown = capsys.readouterr().out
        assert "Features of single languages" in shown and "demo corpus: " in shown
        assert max(map(len, shown.splitlines())) <= 130
        found = json.loads((here / "ilo_fast_results/languages__demo/languages.json").read_text())
        assert ("probes" in found["sections"]) == ("--probes" in arguments)
        assert ("ablation" in found["sections"]) == ("--ablation" in arguments)
        for name in found["sections"]:
            assert f"{name}.csv" in shown


def test_all_parts_at_once_with_figures_and_json(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    argv = ["clt", "languages", "-l", "eng_Latn,hin_Deva", "--limit", "20", "-o", "out", "-q",
            "--device", "cpu", "--min-firings", "10", "--permutations", "20", "--seed", "3",
            "--probes", "--tokens", "40", "--shuffles", "1", "--ablation", "--random", "2",
            "--lines", "3"]  # fmt: skip
    assert main(argv) == 0
    shown = capsys.readouterr().out
    for title in ("Features of single", "How well each layer", "Late language features",
                  "Loss where the features"):  # fmt: skip
        assert title in shown
    for name in ("language_features", "probes", "ablation"):
        assert (here / "out" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert str(Path("out") / f"{name}.png") in shown
    saved = json.loads((here / "out" / "languages.json").read_text())
    features = saved["sections"]["language_features"]
    with open(here / "out" / "language_features.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(features["features"]) and features["options"]["seed"] == 3
    assert saved["corpus_sha256"] and saved["n_tokens"] > 500
    assert main([*argv, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["sections"] == saved["sections"]  # the same seed, the same numbers


def test_errors_speak_of_flags(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["clt", "languages", "-q", "--device", "cpu", "--limit", "8"]
    for words, message in (
        (["-l", "eng_Latn"], "a feature is selective among several"),
        (["-l", "eng_Latn,deu_Latn", "--limit", "3"], "at least 4 are needed"),
        (["-l", "eng_Latn,deu_Latn", "--selectivity", "2"], "wanted a share from 0 to 1"),
    ):
        assert main([*base, *words]) == 1
        assert message in capsys.readouterr().err
        assert not (here / "ilo_fast_results").exists()
