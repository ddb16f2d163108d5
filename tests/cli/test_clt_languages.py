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
from helpers.html import Page

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
        assert max(map(len, shown.splitlines())) <= 100
        assert "Over how many languages features spread" in shown
        assert ("Features that translations share" in shown) == ("--sharing" in arguments)
        found = json.loads((here / "ilo_fast_results/languages__demo/languages.json").read_text())
        assert ("probes" in found["sections"]) == ("--probes" in arguments)
        assert ("ablation" in found["sections"]) == ("--ablation" in arguments)
        assert ("sharing" in found["sections"]) == ("--sharing" in arguments)
        assert found["sections"]["rates"]["rates"]["min_firings"] == 10
        for name in found["sections"]:
            assert f"{name}.csv" in shown


def test_all_parts_at_once_with_figures_and_json(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    argv = ["clt", "languages", "-l", "eng_Latn,hin_Deva", "--limit", "20", "-o", "out", "-q",
            "--device", "cpu", "--min-firings", "10", "--permutations", "20", "--seed", "3",
            "--probes", "--tokens", "40", "--shuffles", "1", "--ablation", "--random", "2",
            "--lines", "3", "--sharing"]  # fmt: skip
    assert main(argv) == 0
    shown = capsys.readouterr().out
    for title in ("Features of single", "How well each layer", "Late language features",
                  "Loss where the features", "What languages share"):  # fmt: skip
        assert title in shown
    assert "each line a document" in shown
    for name in ("rates", "feature_map", "shared_space", "language_features", "probes", "ablation"):
        assert (here / "out" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert str(Path("out") / f"{name}.png") in shown
    text = (here / "out" / "languages.html").read_text()
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    assert all(address.startswith(("#", "data:")) for address in page.addresses)
    assert text.index("another seed of the transcoder") < text.index("<section")
    assert text.count("<figure>") == 6 and "own-others" in text and "out/languages.html" in shown
    saved = json.loads((here / "out" / "languages.json").read_text())
    features = saved["sections"]["language_features"]
    with open(here / "out" / "language_features.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(features["features"]) and features["options"]["seed"] == 3
    assert saved["corpus_sha256"] and saved["n_tokens"] > 500
    assert main([*argv, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["sections"] == saved["sections"]  # the same seed, the same numbers


def test_codes_that_name_no_script_are_not_split_by_it_and_the_page_escapes_them(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("jinja2")
    (here / "<b>text").mkdir()
    for code, word in (("one", "the sea is deep"), ("two", "das meer ist tief")):
        lines = "".join(f"{word} {n} {'and cold' * (n % 3)}\n" for n in range(12))
        (here / "<b>text" / f"{code}.txt").write_text(lines)
    argv = ["clt", "languages", "--corpus", "<b>text", "--allow-unknown", "-o", "out", "-q",
            "--device", "cpu", "--min-firings", "5", "--permutations", "20"]  # fmt: skip
    assert main(argv) == 0
    shown = capsys.readouterr().out
    assert "effective languages" in shown and "between scripts" not in shown
    text = (here / "out" / "languages.html").read_text()
    assert "&lt;b&gt;text corpus" in text and "<b>text" not in text


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
