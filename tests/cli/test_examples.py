"""The examples at the end of every command's help run as printed, in a folder, offline.

The folder holds what the examples name: a model, texts, arrays, scores, a classifier, labelled text
and a training run. Training commands get flags after the printed ones that make them short.
"""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import tiny_models
from helpers.scores import overlap_scores

from ilo_fast import ParallelCorpus
from ilo_fast.cli import main
from ilo_fast.training.records import OverlapRecord, RecordFile

COMMANDS = (
    "run", "extract", "score", "report", "finetune", "transfer", "pretrain", "languages", "doctor",
)  # fmt: skip
SHORTER = {
    "finetune": ["--max-steps", "2", "--limit", "10"],
    "pretrain": ["--max-steps", "2", "--vocab-size", "600", "--hidden-size", "32", "--limit", "10"],
}
LANGUAGES = ("ces_Latn", "deu_Latn", "eng_Latn", "fra_Latn", "nld_Latn", "rus_Cyrl", "spa_Latn")
LABELS = ("dry", "wet")


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


def write_scores(folder: Path) -> None:
    (folder / "results").mkdir()
    overlap_scores().to_json(folder / "results" / "scores.json")


def write_classifier(folder: Path) -> None:
    """A classifier, text to evaluate it on, and the run that it came from."""
    import torch
    import transformers

    config = tiny_models.ARCHITECTURES["bert"][0]()
    config.num_labels, config.id2label = len(LABELS), dict(enumerate(LABELS))
    torch.manual_seed(0)
    model = transformers.AutoModelForSequenceClassification.from_config(config)
    for path in (folder / "my-classifier", folder / "my-run" / "model"):
        model.save_pretrained(path)
        tiny_models.tokenizer().save_pretrained(path)
    (folder / "my-labelled").mkdir()
    for code, texts in tiny_models.SENTENCES.items():
        rows = [
            {"text": text, "label": LABELS[i % 2], "split": split}
            for split in ("test", "dev")
            for i, text in enumerate(texts)
        ]
        lines = "\n".join(json.dumps(row) for row in rows)
        (folder / "my-labelled" / f"{code}.jsonl").write_text(lines, encoding="utf-8")
    log = RecordFile(folder / "my-run" / "overlap.jsonl")
    for step in (0, 10):
        scores = overlap_scores(codes=tuple(tiny_models.SENTENCES), seed=step)
        log.append(OverlapRecord(step, 0.0, "step", 1.0, scores))


WORLD = {
    "run": write_texts,
    "extract": write_texts,
    "score": write_arrays,
    "report": write_scores,
    "finetune": write_texts,
    "pretrain": write_texts,
    "transfer": write_classifier,
}


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_of_the_help_run_as_printed(
    command: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = examples(command, capsys)
    assert len(found) == 3
    WORLD.get(command, lambda folder: None)(folder)
    for example in found:
        program, *arguments = shlex.split(example)
        assert (program, arguments[0]) == ("ilo-fast", command)
        assert main([*arguments, *SHORTER.get(command, ())]) == 0, capsys.readouterr().err
        assert capsys.readouterr().out


def test_help_of_the_program_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    printed = capsys.readouterr().out
    for command in COMMANDS:
        assert f"\n    {command}" in printed
