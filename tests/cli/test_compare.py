"""``ilo-fast compare``: what it writes and prints, and what it refuses."""

from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.replicates import from_marks

from ilo_fast.cli import main
from ilo_fast.report import comparison_files
from ilo_fast.scores.certainty.replicates_file import write_replicates
from ilo_fast.scores.comparison.result import Comparison

FILES = {"comparison.json", "comparison.csv", *comparison_files.FIGURE_FILES}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folders one, other and third, the first two of models of the same name."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, model, share in (("one", "m", 0.7), ("other", "m", 0.4), ("third", "org/x", 0.4)):
        scores = from_marks(rng.random((3, 40, 4)) < share, units_sha256="a" * 64)
        info = {"run": {"command": "score", "model_name": model}}
        (tmp_path / name).mkdir()
        scores = dataclasses.replace(scores, info=info)
        scores.to_json(tmp_path / name / "scores.json")
        write_replicates(scores, tmp_path / name)
    return tmp_path


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the figure, which takes most of the time, where a test is not about it."""
    plain = comparison_files.write_comparison
    monkeypatch.setattr(
        comparison_files, "write_comparison", lambda c, folder, **_: plain(c, folder, draw=False)
    )


def test_two_runs_are_compared_in_tables_files_and_a_figure(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "one", "third", "-o", "out"]) == 0
    assert {p.name for p in (runs / "out").iterdir()} == FILES
    found = Comparison.from_json(runs / "out")
    assert found.names == ("m", "org/x")
    printed = capsys.readouterr().out
    assert "paired over 40 sentences" in printed
    assert "Mean ILO: m minus org/x" in printed
    (d,) = (d for d in found.select(score="ilo", at="layer", by="mean") if d.layer_a == 1)
    assert f"{d.difference:+.3f} [{d.low:+.3f}, {d.high:+.3f}]" in printed
    assert "script Cyrl" in printed
    assert all(str(Path("out") / name) in printed for name in FILES)
    assert max(map(len, printed.splitlines())) <= 100


def test_runs_of_one_model_are_told_apart_by_their_folders_and_by_given_names(
    runs: Path, undrawn: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "-q", "one", "other", "third/scores.json"]) == 0
    folder = runs / "ilo_fast_results" / "compare__one__other__org__x"
    assert Comparison.from_json(folder).names == ("one", "other", "org/x")
    assert "on trust" not in capsys.readouterr().out
    assert main(["compare", "-q", "before=one", "after=one", "-o", "named"]) == 0
    assert Comparison.from_json(runs / "named").names == ("before", "after")


def test_flags_reach_the_comparison(runs: Path, undrawn: None) -> None:
    flags = ["--level", "0.9", "--unpaired", "--seed", "7"]
    assert main(["compare", "-q", "one", "other", "-o", "out", *flags]) == 0
    found = Comparison.from_json(runs / "out")
    assert (found.level, found.paired, found.seed) == (0.9, False, 7)


def test_another_comparison_is_kept_unless_it_is_to_be_replaced(
    runs: Path, undrawn: None, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["compare", "-q", "one", "other", "-o", "out"]
    assert main(command) == main(command) == 0
    assert main([*command, "--level", "0.9"]) == 1
    assert "holds another comparison" in capsys.readouterr().err
    assert main([*command, "--level", "0.9", "--overwrite"]) == 0
    (runs / "out" / "comparison.json").write_text("{}")
    assert main(command) == 1
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["one"], 2, "a comparison needs two runs or more, got one"),
        (["one", "nowhere"], 3, "RUN nowhere does not exist"),
        (["one", "=other"], 2, "'=other' is no NAME=RUN"),
        (["one", "bare"], 3, "bare has scores without replicates.npz, .* `ilo-fast score` with"),
        (["one", "damaged"], 1, "replicates.npz is (damaged|not a file)"),
        (["one", "text"], 1, "differ in their text"),
        (["one", "other", "--level", "95"], 2, "95 is not between 0.5 and 1"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(
    runs: Path, capsys: pytest.CaptureFixture[str], words: list[str], status: int, message: str
) -> None:
    for name in ("bare", "damaged"):
        shutil.copytree("one", name)
    Path("bare/replicates.npz").unlink()
    Path("damaged/replicates.npz").write_bytes(b"PK\x03\x04")
    other = from_marks(np.random.default_rng(1).random((3, 40, 4)) < 0.5, units_sha256="b" * 64)
    Path("text").mkdir()
    other.to_json("text/scores.json")
    write_replicates(other, Path("text"))
    try:
        found = main(["compare", *words])
    except SystemExit as exit_:
        found = exit_.code
    assert found == status
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.search(message, error), error
    assert not Path("ilo_fast_results").exists()


def test_a_comparison_among_the_runs_is_named(
    runs: Path, undrawn: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "one", "third", "-o", "both"]) == 0
    assert main(["compare", "both", "one", "third"]) == 2
    assert "both holds a comparison, and no scores" in capsys.readouterr().err


def test_a_text_in_place_of_replicates_is_no_advice_to_trust_it(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (runs / "other" / "replicates.npz").write_text("hello")
    assert main(["compare", "one", "other"]) == 1
    said = capsys.readouterr().err
    assert "other/replicates.npz is damaged: it is no .npz file" in said
    assert "pickle" not in said
