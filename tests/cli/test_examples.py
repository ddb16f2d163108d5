"""The examples at the end of a command's help run as printed, in a folder, offline.

The folder holds what they name: a model, texts, arrays, scores. Examples of finetune, pretrain and
transfer: test_training_examples.py.
"""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.figures import leave_out_figures
from helpers.replicates import from_marks
from helpers.scores import overlap_scores

from ilo_fast import ParallelCorpus
from ilo_fast.cli import main
from ilo_fast.scores.certainty.replicates_file import write_replicates

COMMANDS = (
    "run", "extract", "score", "compare", "report", "tokens", "languages", "cache", "doctor",
    "completion",
)  # fmt: skip
ELSEWHERE = "ilo-fast run"  # the README's first command, run by tests/test_readme.py
LANGUAGES = ("ces_Latn", "deu_Latn", "eng_Latn", "fra_Latn", "nld_Latn", "rus_Cyrl", "spa_Latn")


def examples(command: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """As they stand at the end of the help."""
    with pytest.raises(SystemExit) as exit_:
        main([command, "--help"])
    assert exit_.value.code == 0
    printed = capsys.readouterr().out
    assert "-q, --quiet" in printed
    head, found, tail = printed.partition("\nexamples:\n")
    assert found, head
    return [line.strip() for line in tail.splitlines() if line.strip()]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ILO_FAST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    leave_out_figures(monkeypatch)
    return tmp_path


def write_texts(folder: Path) -> None:
    """Parallel text, and a model to run over it."""
    from ilo_fast.models.demo import demo_model_path

    shutil.copytree(demo_model_path(), folder / "my-model")
    (folder / "my-texts").mkdir()
    for code, lines in ParallelCorpus.demo().sentences.items():
        if code in LANGUAGES:
            text = "\n".join(lines[:12]) + "\n"
            (folder / "my-texts" / f"{code}.txt").write_text(text, encoding="utf-8")


def write_arrays(folder: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {code: rng.standard_normal((2, 12, 8)).astype("f4") for code in LANGUAGES}
    np.savez(folder / "my-arrays.npz", **arrays)
    (folder / "representations").mkdir()
    for code, array in arrays.items():
        np.save(folder / "representations" / f"{code}.npy", array)


def write_compared(folder: Path) -> None:
    """Three measurements of the same sentences, with replicates."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(("one", "other", "third")):
        where = folder / "results" / name
        where.mkdir(parents=True)
        scores = from_marks(rng.random((2, 20, 4)) < 0.3 + 0.1 * number)
        scores.to_json(where / "scores.json")
        write_replicates(scores, where)


def write_scores(folder: Path) -> None:
    """One measurement, and those that are compared in folders of it."""
    write_compared(folder)
    overlap_scores().to_json(folder / "results" / "scores.json")


WORLD = {
    "run": write_texts,
    "extract": write_texts,
    "score": write_arrays,
    "report": write_scores,
    "compare": write_compared,
    "tokens": write_texts,
}


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_of_the_help_run_as_printed(
    command: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = examples(command, capsys)
    assert len(found) == 3
    WORLD.get(command, lambda folder: None)(folder)
    for example in found:
        if example == ELSEWHERE:
            continue
        program, *arguments = shlex.split(example)
        assert (program, arguments[0]) == ("ilo-fast", command)
        assert main(arguments) == 0, capsys.readouterr().err
        assert capsys.readouterr().out


def test_help_of_the_program_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    printed = capsys.readouterr().out
    for command in (*COMMANDS, "finetune", "pretrain", "transfer", "clt"):
        assert f"\n    {command}" in printed
