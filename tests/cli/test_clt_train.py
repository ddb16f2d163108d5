"""`ilo-fast clt train`: flags, table, files, what it says when it is stopped."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

import pytest
from helpers import transcoders

from ilo_fast.cli import build_parser, main
from ilo_fast.transcoders.activations import BatchTopK, JumpReLU, TopK
from ilo_fast.transcoders.files.folder import load_transcoder

SMALL = ("--tokens", "3000", "--features", "24", "--k", "4", "--context-length", "16",
         "--buffer-tokens", "2048", "--batch-tokens", "256", "--device", "cpu")  # fmt: skip


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model and texts; the embedded model is a tiny one."""
    transcoders.saved_model(tmp_path / "my-model")
    (tmp_path / "my-texts").mkdir()
    for code, word in (("eng_Latn", "the"), ("deu_Latn", "das")):
        text = "\n".join(transcoders.lines(400, word)) + "\n"
        (tmp_path / "my-texts" / f"{code}.txt").write_text(text)
    (tmp_path / "my.txt").write_text(text)
    monkeypatch.setattr(
        "ilo_fast.transcoders.training.train.demo_model_path", lambda: tmp_path / "my-model"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def subparser(*names: str) -> Any:
    parser: Any = build_parser()
    for name in names:
        (commands,) = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
        parser = commands.choices[name]
    return parser


def test_examples_of_the_help_run_as_printed(theirs: Path) -> None:
    title, *lines = subparser("clt", "train").epilog.splitlines()
    assert title == "examples:" and len(lines) == 3
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "ilo-fast"
        assert main([*arguments, "--quiet", "--device", "cpu"]) == 0, line


def test_table_says_how_good_every_layer_is(
    theirs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["clt", "train", "--text", "my-texts", "-q", *SMALL]) == 0
    folder = Path("ilo_fast_results/clt__demo__my-texts")
    metrics = load_transcoder(folder).info.metrics  # type: ignore[union-attr]
    assert metrics is not None
    printed = capsys.readouterr().out
    assert printed.startswith("Trained a cross-layer transcoder of demo model on ")
    for layer, (share, active) in enumerate(
        zip(metrics["explained_variance"], metrics["l0"], strict=True)
    ):
        (line,) = [row for row in printed.splitlines() if row.startswith(f"{layer:>5}  ")]
        assert f"{share:.1%}" in line and f"{active:.1f}" in line
    assert "never active" in printed and f"ilo-fast clt eval {folder}" in printed
    assert main(["clt", "train", "--text", "my-texts", "-q", *SMALL]) == 0
    assert capsys.readouterr().out == printed  # the run is kept
    assert main(["clt", "train", "--text", "my-texts", "-q", *SMALL, "--per-layer", "--k", "3",
                 "-o", str(folder)]) == 1  # fmt: skip
    assert "cross_layer was true, now false" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ((), TopK(16)),
        (("--k", "3"), TopK(3)),
        (("--activation", "batchtopk"), BatchTopK(16)),
        (("--activation", "jumprelu", "--k", "9"), JumpReLU()),
    ],
)
def test_flags_reach_the_function(
    words: tuple[str, ...], wanted: Any, theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def record(*data: Any, **options: Any) -> None:
        calls.append((data, options))
        raise ValueError("enough")

    monkeypatch.setattr("ilo_fast.transcoders.training.train.train_transcoder", record)
    argv = ["clt", "train", "my-model", "--text", "my.txt", "--language", "de", "--per-layer",
            "--eval-fraction", "0.1", "--eval-steps", "7", "--learning-rate", "0.5",
            "--sparsity-coefficient", "2", "--report-to", "tensorboard", "-q", *words]  # fmt: skip
    assert main(argv) == 1
    ((data, options),) = calls
    assert data == ("my-model", Path("my.txt"), Path("ilo_fast_results/plt__my-model__my.txt"))
    assert options["activation"] == wanted
    assert options["target_l0"] == (9 if isinstance(wanted, JumpReLU) else None)
    given = {
        "language": "de", "cross_layer": False, "eval_fraction": 0.1, "eval_steps": 7,
        "learning_rate": 0.5, "sparsity_coefficient": 2.0, "report_to": "tensorboard",
        "progress": False, "tokens": 1_000_000, "n_features": None, "initial": None,
    }  # fmt: skip
    assert {name: options[name] for name in given} == given


def test_ctrl_c_says_how_to_go_on(
    theirs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ilo_fast.transcoders.training.optimisation.Optimisation.step", stopped)
    assert main(["clt", "train", "--text", "my-texts", "-q", *SMALL, "-o", "out"]) == 130
    assert "The same command goes on from the last checkpoint in out" in capsys.readouterr().err


def test_text_that_is_too_short_and_wrong_words_are_said_in_flags(
    theirs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("short.txt").write_text("a\nb\n")
    assert main(["clt", "train", "--text", "short.txt", "-q", *SMALL]) == 1
    said = capsys.readouterr().err
    assert "und: its text to train on is" in said and "--context-length" in said
    with pytest.raises(SystemExit) as left:
        main(["clt", "train", "--text", "short.txt", "--tokenz", "3"])
    assert left.value.code == 2
    assert "did you mean --tokens?" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["clt"])
    assert "ilo-fast clt: error" in capsys.readouterr().err
