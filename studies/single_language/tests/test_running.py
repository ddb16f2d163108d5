"""The study of studies/single_language: stopping and going on, and the whole on a tiny model."""

from __future__ import annotations

import importlib.util
import json
import math
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

STUDY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(STUDY.parent))
sys.path.insert(0, str(STUDY.parent.parent / "tests"))

from single_language.journal import Journal, MismatchError, Progress
from single_language.plan import LM, Run, runs

# ---- stopping and going on


def test_finished_runs_are_kept_and_other_settings_refused(tmp_path: Path) -> None:
    journal, run = Journal(tmp_path), Run(LM, "path", "a model/x", "none", 0)
    settings = {"rate": 1e-3, "data": "abc", "layers": (1, 2)}
    assert journal.read(run, settings) is None
    journal.write(run, settings, {"value": 1.5})
    found = journal.read(run, settings)
    assert found is not None
    assert found["value"] == 1.5
    assert found["run"]["condition"] == "none"
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["lm-a-model-x-none-seed0"]
    with pytest.raises(MismatchError, match=r"rate was 0\.001, is 0\.002"):
        journal.read(run, {**settings, "rate": 2e-3})
    with pytest.raises(MismatchError, match="dtype was missing, is None"):
        journal.read(run, {**settings, "dtype": None})


def test_a_run_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    journal, run = Journal(tmp_path), Run(LM, "path", "model", "none", 0)
    with pytest.raises(TypeError, match="JSON"):
        journal.write(run, {}, {"value": object()})
    assert journal.read(run, {}) is None
    assert not journal.folder_of(run).exists() or not any(journal.folder_of(run).iterdir())


def test_numbers_that_are_not_finite_are_kept_as_null(tmp_path: Path) -> None:
    journal, run = Journal(tmp_path), Run(LM, "path", "model", "none", 0)
    journal.write(run, {}, {"card": {"losses": [1.0, math.nan, -math.inf]}, "n": (1, math.inf)})
    found = journal.read(run, {})
    assert found is not None
    assert found["card"] == {"losses": [1.0, None, None]}
    assert found["n"] == [1, None]


def test_a_run_is_claimed_once(tmp_path: Path) -> None:
    journal, other = Journal(tmp_path), Journal(tmp_path)
    run = Run(LM, "path", "model", "none", 0)
    assert not other.elsewhere(run)
    assert not (tmp_path / "runs").exists()
    with journal.claim(run) as ours, other.claim(run) as theirs:
        assert (ours, theirs) == (True, False)
        assert other.elsewhere(run)
    assert not other.elsewhere(run)
    with other.claim(run) as theirs:
        assert theirs


def test_a_rate_that_diverges_is_the_worst(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from single_language import work

    losses = {1.0: math.nan, 0.1: 6.0, 0.01: 7.0}

    def train(run: Run, folder: Path, data: Any, options: Any, recipe: Any, *_: Any, **__: Any):
        return SimpleNamespace(metrics={"token_loss": losses[recipe.learning_rate]})

    monkeypatch.setattr(work, "train", train)
    run = Run(LM, "path", "model", "none", 0)
    tuned = work.tune(run, tmp_path, None, None, 1, list(losses))
    assert tuned["best"] == 0.1
    assert [trial["rate"] for trial in tuned["tried"]] == list(losses)
    with pytest.raises(ValueError, match="diverges with each"):
        work.tune(run, tmp_path, None, None, 1, [1.0])


def test_once_is_made_once(tmp_path: Path) -> None:
    calls = []

    def make() -> dict[str, int]:
        calls.append(1)
        return {"value": len(calls)}

    journal = Journal(tmp_path)
    assert journal.once("before/model", {"a": 1}, make)["value"] == 1
    assert journal.once("before/model", {"a": 1}, make)["value"] == 1
    assert len(calls) == 1


def test_the_time_left_follows_what_runs_took(capsys: pytest.CaptureFixture[str]) -> None:
    plan = runs({"m": "m"}, {LM: ("none", "first")}, 3, ["m"])
    progress = Progress(plan, lambda run: 10.0 if run.condition == "none" else 6.0)
    assert progress.estimate() == 3 * 16
    progress.done(plan[0], None)  # finished before: says nothing about this machine
    assert progress.estimate() == 2 * 10 + 3 * 6
    progress.done(plan[2], 20.0)  # twice as long as expected
    assert progress.estimate() == 20 + 3 * 12
    assert "about 0:56 min left for this process alone" in capsys.readouterr().err


# ---- the whole, on a model of nothing

WORDS = ["water", "cold", "today", "river", "winter", "snow", "bread", "house", "green", "small"]
MADE_UP = ("eng_Latn", "deu_Latn", "fra_Latn", "spa_Latn", "ita_Latn")


def made_up_text(n: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [
        " ".join(rng.choice(WORDS, 4)) + f" {'abcdefghijklmnopqrstuvwxyz'[i]}" for i in range(n)
    ]


@pytest.fixture
def little_corpora(tmp_path: Path) -> Path:
    """Letters as words, in the layout of the corpora: SIB has lines 0 to 3 of 12 of FLORES."""
    folder = tmp_path / "corpora"
    for name in ("sib200", "flores200_devtest", "nllb_seed"):
        (folder / name).mkdir(parents=True)
    halves = ["train", "train", "test", "test"]
    for number, code in enumerate(MADE_UP):
        flores = made_up_text(12, number)
        (folder / "flores200_devtest" / f"{code}.txt").write_text("\n".join(flores) + "\n")
        rows = [
            {"text": text, "label": ("wet", "dry")[i % 2], "flores": f"devtest:{i}", "split": split}
            for i, (text, split) in enumerate(zip(flores[:4], halves, strict=True))
        ]
        rows += [
            {"text": text, "label": ("wet", "dry")[i % 2], "flores": f"dev:{i}", "split": split}
            for split, n, seed in (("train", 6, 10), ("dev", 4, 20), ("test", 6, 30))
            for i, text in enumerate(made_up_text(n, seed + number))
        ]
        lines = "\n".join(map(json.dumps, rows))
        (folder / "sib200" / f"{code}.jsonl").write_text(lines + "\n")
    articles = ["a", "b", "a", "c", *"defghijk"]
    table = "URL\tdomain\n" + "".join(f"{article}\twiki\n" for article in articles)
    (folder / "flores200_devtest" / "metadata_devtest.tsv").write_text(table)
    (folder / "nllb_seed" / "eng_Latn.txt").write_text("\n".join(made_up_text(20, 99)) + "\n")
    return folder


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("single_language_script", STUDY / "__main__.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def save_tiny(folder: Path, seed: int = 0, **sizes: int) -> None:
    tiny_models = pytest.importorskip("helpers.tiny_models")
    import torch
    import transformers as hf

    config = tiny_models.ARCHITECTURES["llama"][0]()
    config.update(sizes)
    torch.manual_seed(seed)
    hf.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tiny_models.tokenizer().save_pretrained(folder)


def test_a_study_from_end_to_end(
    script: ModuleType,
    little_corpora: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for package in ("accelerate", "matplotlib", "scipy"):
        pytest.importorskip(package)
    save_tiny(tmp_path / "tiny")
    # A Hub name has a slash.
    from single_language import models

    monkeypatch.setattr(models, "find_models", lambda given: {"org/tiny": str(tmp_path / "tiny")})
    out = tmp_path / "study"
    flags = [str(little_corpora), "--out", str(out), "--seeds", "2", "--freeze-n", "1"]
    flags += ["--epochs", "1", "--batch-size", "4", "--conditions", "none", "first"]

    # Another process is at work on one run; this one does all others, and says so.
    taken = Run(LM, str(tmp_path / "tiny"), "org/tiny", "first", 1)
    with Journal(out).claim(taken) as ours:
        assert ours
        assert script.main(flags) == 0
    said = capsys.readouterr().err
    assert "8 runs, 0 finished" in said
    assert "7 of 8 runs are finished; 1 runs are another process's" in said
    table = (out / "table.md").read_text()
    assert "Not finished: 7 of 8 runs. 1 of the others are another process's." in table
    assert "Of 8 test sentences, 2 are from FLORES devtest" in table
    assert "1 of these (50%) are from articles that have training sentences" in table
    stamps = {path: path.stat().st_mtime_ns for path in out.glob("runs/*/result.json")}
    assert len(stamps) == 7

    # The other one goes on; what is there stays as it is.
    assert script.main(flags) == 0
    assert "8 runs, 7 finished" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    whole = (out / "table.md").read_text()
    assert "Not finished" not in whole
    results = json.loads((out / "results.json").read_text())
    assert (results["n_runs"], results["n_elsewhere"]) == (8, 0)
    assert str(tmp_path) not in json.dumps(results["runs"])
    assert {run["settings"]["precision"] for run in results["runs"]} == {"float32"}
    figures = {path.stem for path in out.glob("*.png")}
    assert figures == {
        "layers_classification_org-tiny",
        "layers_lm_org-tiny",
        "accuracy_differences",
        "accuracy_by_language",
    }

    # The report comes out the same without a run.
    (out / "table.md").unlink()
    assert script.main([*flags, "--report-only"]) == 0
    again = (out / "table.md").read_text()
    cut = again.index("## Conditions and settings")
    assert again[:cut] == whole[:cut]

    # Another model in the same folder is another study, even before training.
    shutil.rmtree(tmp_path / "tiny")
    save_tiny(tmp_path / "tiny", seed=1)
    assert script.main(flags) == 1
    assert "error:" in (said := capsys.readouterr().err)
    assert "weights_sha256 was" in said


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--conditions", "first", "last"], "compared with none"),
        (["--freeze-n", "0"], "--freeze-n 0: wanted at least 1"),
        (["--seeds", "0"], "--seeds 0"),
        (["--models", "no/such-model-anywhere"], "no/such-model-anywhere"),
        (["--dtype", "float16", "--device", "cpu"], "float16"),
        (["--lm-text", "nowhere"], "nowhere"),
        ([], "random has nothing to draw"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    script: ModuleType,
    little_corpora: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    message: str,
) -> None:
    if "--models" not in flags:
        save_tiny(tmp_path / "two", num_hidden_layers=2)
        flags = ["--models", str(tmp_path / "two"), *flags]
    assert script.main([str(little_corpora), "--out", str(tmp_path / "study"), *flags]) == 1
    said = capsys.readouterr().err
    assert said.splitlines()[-1].startswith("error:")
    assert message in said
    assert not (tmp_path / "study" / "runs").exists()
