"""``ilo-fast finetune``: files, table, a second run, interruption, clean errors."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers as hf
from helpers import tiny_models

import ilo_fast.cli as cli
from ilo_fast._util import progress
from ilo_fast.cli import finetune as command
from ilo_fast.cli import flags
from ilo_fast.cli.training import written
from ilo_fast.models.output import suppress_output
from ilo_fast.training.records import read_overlap_log
from ilo_fast.training.trainer import Checkpoints

Run = Callable[..., int]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    torch.manual_seed(0)
    with suppress_output():
        config = tiny_models.ARCHITECTURES["llama"][0]()
        hf.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tiny_models.tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Parallel text, which serves to measure, and text to train on beside it."""
    root = tmp_path_factory.mktemp("texts")
    for name in ("parallel", "train"):
        (root / name).mkdir()
    for code, lines in tiny_models.SENTENCES.items():
        (root / "parallel" / f"{code}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        lines = tuple(f"{line} {word}" for line in lines for word in ("now", "then", "again"))
        (root / "train" / f"{code}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path, texts: Path) -> Run:
    """``ilo-fast finetune`` in a folder of its own, on the tiny model; more flags as given."""
    monkeypatch.chdir(tmp_path)

    def call(*more: str) -> int:
        base = ["finetune", "-m", str(model), "--data", str(texts / "train")]
        base += ["--corpus", str(texts / "parallel"), "-k", "2", "--threshold", "1"]
        base += ["--device", "cpu", "--max-steps", "4", "--batch-size", "4"]
        return cli.main([*base, "--learning-rate", "1e-2", *more])

    return call


def test_run_writes_everything_and_prints_layers_before_and_after(
    run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "_EVERY_S", 0.0)
    assert run("--freeze", "0", "--every", "2") == 0
    out, err = capsys.readouterr()
    assert "model: tiny\n" in err and "train 2/4 steps: 50 %, about " in err
    folder = tmp_path / "ilo_fast_results" / "finetune__tiny__train__freeze-0"
    names = {"model", "run_card.json", "overlap.jsonl"}
    names |= {f"trajectory.{kind}" for kind in ("png", "svg", "pdf")}
    names.add("report.html")
    assert {path.name for path in folder.iterdir()} == names
    assert all(f"finetune__tiny__train__freeze-0/{name}" in out for name in names)
    card = json.loads((folder / "run_card.json").read_text(encoding="utf-8"))
    assert card["settings"]["freeze"] == [0] and card["frozen"]["layers"] == [0]
    assert "frozen: blocks 0, embeddings, final norm, head" in out
    assert f"{card['evaluations'][0]['perplexity']:.4g} before" in out

    records = read_overlap_log(folder / "overlap.jsonl")
    assert [r.step for r in records] == [0, 2, 4]
    for layer in range(4):
        line = re.search(rf"^ +{layer}  .*$", out, re.MULTILINE)
        assert line is not None
        shown = [float(number) for number in re.findall(r"[+-]?\d\.\d+", line[0])]
        for record, at in ((records[0], 0), (records[-1], 1)):
            assert record.scores is not None and record.scores.translation_share is not None
            assert shown[at] == pytest.approx(record.scores.ilo[layer].mean(), abs=6e-4)
            share = record.scores.translation_share[layer].mean()
            assert shown[at + 3] == pytest.approx(share, abs=6e-4)
        assert line[0].endswith("frozen") == (layer < 2)
    # What lies below the last frozen block is measured as before, to the bit.
    assert np.array_equal(records[0].scores.ilo[:2], records[-1].scores.ilo[:2])


def test_second_run_keeps_the_first_and_other_settings_are_refused(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("-o", "out", "--corpus", "none") == 0
    first = capsys.readouterr().out
    before = (tmp_path / "out" / "run_card.json").read_bytes()
    assert run("-o", "out", "--corpus", "none") == 0
    again = capsys.readouterr()
    assert again.out == first and "holds this run, finished" in again.err
    assert run("-o", "out", "--corpus", "none", "--seed", "1") == 1
    assert "seed was 0, now 1" in capsys.readouterr().err
    assert (tmp_path / "out" / "run_card.json").read_bytes() == before
    assert run("-o", "out", "--corpus", "none", "--seed", "1", "--overwrite") == 0
    card = json.loads((tmp_path / "out" / "run_card.json").read_text(encoding="utf-8"))
    assert card["settings"]["seed"] == 1


def test_interrupted_run_says_how_to_go_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:

        def stop(
            self: object, args: object, state: hf.TrainerState, *a: object, **k: object
        ) -> None:
            if state.global_step == 2:
                raise KeyboardInterrupt

        patch.setattr(Checkpoints, "on_step_begin", stop)
        assert run("-o", "out", "--save-steps", "1") == 130
        assert "The same command goes on from the last checkpoint in out" in capsys.readouterr().err
        assert run("-o", "anew", "--save-steps", "1", "--overwrite") == 130
        assert "The same command without --overwrite goes on" in capsys.readouterr().err
    assert run("-o", "out", "--save-steps", "1") == 0
    assert "goes on from checkpoint-2" in capsys.readouterr().err
    assert run("-o", "whole", "-q") == 0
    ours, theirs = (Path(o, "model", "model.safetensors").read_bytes() for o in ("out", "whole"))
    assert ours == theirs


def test_folder_of_labelled_files_makes_a_classifier(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "topics").mkdir()
    rows = [
        {"text": f"{text} {i}", "label": label, "split": split}
        for split, n in (("train", 6), ("dev", 2))
        for i in range(n)
        for text, label in (("snow", "cold"), ("sun", "warm"))
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "topics" / "eng_Latn.jsonl").write_text(text, encoding="utf-8")
    assert run("--data", "topics", "--corpus", "none", "-o", "out", "--lora", "2") == 0
    out = capsys.readouterr().out
    assert "classification" in out and "accuracy" in out and "adapters of rank 2" in out
    loaded = hf.AutoModelForSequenceClassification.from_pretrained(tmp_path / "out" / "model")
    assert loaded.config.label2id == {"cold": 0, "warm": 1}
    assert run("--data", "topics", "--task", "causal-lm", "-o", "lm") == 1
    assert "eng_Latn.jsonl holds labelled examples" in capsys.readouterr().err


def test_errors_leave_no_folder_behind(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for more, status, message in (
        (("--language", "swe_Latn"), 1, "swe_Latn"),
        (("--freeze", "0-7"), 1, "3"),
        (("--freeze", "published"), 1, "3"),
        (("-m", "./nowhere"), 3, "does not exist"),
        (("--data", "nowhere.txt"), 3, "nowhere.txt"),
    ):
        assert run("-o", "out", *more) == status
        error = capsys.readouterr().err
        assert message in error and "error:" in error
        assert not (tmp_path / "out").exists()
    with pytest.raises(SystemExit) as usage:
        run("--freeze", "first")
    assert usage.value.code == 2


def test_blocks_are_printed_as_flags_take_them() -> None:
    assert command._ranges([0, 1, 2, 5, 7, 8]) == "0-2, 5, 7-8"
    assert flags.layer_list(command._ranges([0, 1, 2, 5])) == (0, 1, 2, 5)


def test_quiet_run_prints_the_table_alone(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("-q", "-o", "out", "--name", "mine") == 0
    assert read_overlap_log(Path("out/overlap.jsonl"))[0].settings["model"] == "mine"
    printed = capfd.readouterr()
    assert printed.err == "" and "ILO" in printed.out


def test_what_compare_needs_is_among_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def undrawn() -> None:
        raise ImportError("no matplotlib")

    monkeypatch.setattr("ilo_fast.report.files.check_can_draw", undrawn)
    result = SimpleNamespace(path=tmp_path / "model")
    records = [object()]
    assert tmp_path / "overlap_scores" not in written(result, records, "")  # type: ignore[arg-type]
    (tmp_path / "overlap_scores").mkdir()
    assert tmp_path / "overlap_scores" in written(result, records, "")  # type: ignore[arg-type]
