"""``ilo-fast transfer``: exit status, files, tables, clean errors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ilo_fast._util import progress
from ilo_fast.cli import main
from ilo_fast.evaluation.result import TransferScores
from ilo_fast.scores.overlap import OverlapScores
from ilo_fast.training.records import OverlapRecord, RecordFile

LABELS = ("dry", "wet")
TEXT = {
    "eng_Latn": ("it rains", "sun and sand", "a wet street", "dust"),
    "deu_Latn": ("es regnet", "sonne und sand", "nasse strassen", "staub"),
    "fra_Latn": ("il pleut", "soleil et sable", "une rue humide", "poussiere"),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    import transformers
    from helpers import tiny_models

    folder = tmp_path_factory.mktemp("models") / "wet-or-dry"
    config = tiny_models.ARCHITECTURES["bert"][0]()
    config.num_labels, config.id2label = 2, dict(enumerate(LABELS))
    torch.manual_seed(0)
    transformers.AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    tiny_models.tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labelled") / "weather"
    folder.mkdir()
    for code, texts in TEXT.items():
        rows = [
            {"text": text, "label": LABELS[i % 2], "split": "test"} for i, text in enumerate(texts)
        ]
        lines = (json.dumps(row) for row in rows)
        (folder / f"{code}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.fixture
def overlap_file(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str, codes: Any = tuple(TEXT), n_layers: int = 3) -> Path:
        ilo = np.random.default_rng(len(name)).random((n_layers, len(codes)))
        layers = tuple(range(n_layers))
        sizes = (9,) * len(codes)
        scores = OverlapScores(ilo, ilo, ilo, layers, tuple(codes), sizes, 5, 3, "cosine")
        scores.to_json(tmp_path / f"{name}.json")
        return tmp_path / f"{name}.json"

    return write


def test_run_writes_tables_and_files(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["transfer", str(model), "--data", str(data), "-o", str(out), "-q"]) == 0
    printed = capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == {"transfer.json", "transfer.csv"}
    scores = TransferScores.from_json(out / "transfer.json")
    assert scores.languages == tuple(sorted(TEXT))
    assert scores.source == "eng_Latn"
    for row in scores.rows():
        shown = f"{row['accuracy']:.3f} [{row['accuracy_low']:.3f}, {row['accuracy_high']:.3f}]"
        line = next(x for x in printed.splitlines() if row["language"] in x)
        assert shown in line
        assert line.startswith("*") == (row["language"] == "eng_Latn")
    assert "* eng_Latn was trained on, and is in no group." in printed
    group = next(line for line in printed.splitlines() if line.startswith("  Latn "))
    assert group.split()[-1] == "2"
    assert f"{scores.groups('script')[0].accuracy:.3f}" in group
    table = (out / "transfer.csv").read_text().splitlines()
    assert len(table) == 4


def test_log_says_how_far_it_has_come(
    model: Path,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "_EVERY_S", 0.0)
    command = ["transfer", str(model), "--data", str(data), "-o", str(tmp_path / "out")]
    assert main([*command, "--batch-tokens", "1"]) == 0
    assert "transfer 6/12 texts: " in capsys.readouterr().err


def test_second_run_keeps_scores_of_its_settings_and_refuses_others(
    model: Path,
    data: Path,
    tmp_path: Path,
    overlap_file: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("matplotlib")
    before, after = overlap_file("before"), overlap_file("after")
    out = tmp_path / "out"
    command = ["transfer", str(model), "--data", str(data), "-o", str(out), "-q"]
    drawn = ["--before", str(before), "--after", str(after), "--group-by", "family"]
    assert main([*command, "-l", "fra_Latn,deu_Latn", *drawn]) == 0
    assert "mean ILO of 2 languages" in capsys.readouterr().out
    assert (out / "transfer.png").read_bytes().startswith(b"\x89PNG")
    first = (out / "transfer.json").read_text()
    assert main(command) == 1
    said = capsys.readouterr().err
    assert "holds scores of other settings" in said and "data_sha256" in said
    assert "languages was" in said and "--overwrite" in said
    (out / "transfer.csv").unlink()
    assert main([*command, "-l", "fra_Latn,deu_Latn"]) == 0
    assert (out / "transfer.csv").exists() and not (out / "transfer.png").exists()
    assert (out / "transfer.json").read_text() == first
    assert main([*command, "-l", "fra_Latn,deu_Latn", "--seed", "1"]) == 1
    assert "seed was 0, now 1" in capsys.readouterr().err
    assert main([*command, "--overwrite", "--source", "none"]) == 0
    assert {path.name for path in out.iterdir()} == {"transfer.json", "transfer.csv"}
    assert TransferScores.from_json(out / "transfer.json").source is None


def test_scores_of_other_weights_under_one_name_are_refused(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoModelForSequenceClassification

    own = tmp_path / model.name
    shutil.copytree(model, own)
    command = ["transfer", str(own), "--data", str(data), "-o", str(tmp_path / "out"), "-q"]
    assert main(command) == main(command) == 0
    trained = AutoModelForSequenceClassification.from_pretrained(own)
    trained.classifier.bias.data += 1
    trained.save_pretrained(own)
    assert main(command) == 1
    assert "weights_sha256 was" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0
    (tmp_path / "out" / "transfer.json").write_text("{}")
    assert main(command) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_overlap_log_stands_for_before_and_after(
    model: Path,
    data: Path,
    tmp_path: Path,
    overlap_file: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("matplotlib")
    files = [overlap_file(name) for name in ("before", "meanwhile", "after")]
    log = RecordFile(tmp_path / "overlap.jsonl")
    for step, file in enumerate(files):
        log.append(OverlapRecord(step, None, "step", 1.0, OverlapScores.from_json(file)))
    log.append(OverlapRecord(3, None, "end", 1.0, None, failed="not finite"))
    command = ["transfer", str(model), "--data", str(data), "-q"]
    first = [*command, "-o", str(tmp_path / "a"), "--overlap", str(log.path)]
    pair = ["--before", str(files[0]), "--after", str(files[2])]
    assert main(first) == 0 and main([*command, "-o", str(tmp_path / "b"), *pair]) == 0
    one, other = ((tmp_path / name / "transfer.png").read_bytes() for name in "ab")
    assert one == other
    assert main([*first, "--overwrite", *pair]) == 2
    assert "--overlap stands for" in capsys.readouterr().err


def test_scores_are_kept_without_matplotlib(
    model: Path,
    data: Path,
    tmp_path: Path,
    overlap_file: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *a: None if name == "matplotlib" else find(name, *a),
    )
    before = str(overlap_file("before"))
    out = tmp_path / "out"
    command = ["transfer", str(model), "--data", str(data), "-o", str(out)]
    assert main([*command, "--before", before, "--after", before]) == 0
    assert "pip install 'ilo_fast[report]'" in capsys.readouterr().err
    assert {path.name for path in out.iterdir()} == {"transfer.json", "transfer.csv"}


def test_unknown_language_is_refused_unless_allowed(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for code in ("eng_Latn", "my_own"):
        (folder / f"{code}.jsonl").write_bytes((data / "deu_Latn.jsonl").read_bytes())
    command = ["transfer", str(model), "--data", str(folder), "-o", str(tmp_path / "out"), "-q"]
    assert main(command) == 1
    assert "--allow-unknown" in capsys.readouterr().err
    assert main([*command, "--allow-unknown", "-l", "my_own,eng_Latn"]) == 0
    assert TransferScores.from_json(tmp_path / "out" / "transfer.json").languages == (
        "my_own", "eng_Latn",
    )  # fmt: skip


def test_language_that_lacks_a_class_is_evaluated(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "mine", tmp_path / "out"
    folder.mkdir()
    lines = (data / "deu_Latn.jsonl").read_text("utf-8").splitlines()
    (folder / "deu_Latn.jsonl").write_text("\n".join(lines[::2]), "utf-8")  # all of them dry
    assert main(["transfer", str(model), "--data", str(folder), "-o", str(out)]) == 0
    assert "no examples of the model's classes wet" in capsys.readouterr().err
    assert TransferScores.from_json(out / "transfer.json").labels == LABELS


def test_error_names_what_is_wrong_and_leaves_no_folder(
    model: Path,
    data: Path,
    tmp_path: Path,
    overlap_file: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["transfer", str(model), "--data", str(data), "-o", str(tmp_path / "out"), "-q"]
    whole, part = str(overlap_file("whole")), str(overlap_file("part", tuple(TEXT)[:2]))
    few = str(overlap_file("few", n_layers=2))
    cases = {
        ("--split", "dev"): "has no split 'dev'",
        ("-l", "spa_Latn"): "no file in",
        ("--labels", "dry"): "labels: 1 names (dry), but model",
        ("--labels", "dry,moist"): "classes do not match",
        ("--before", part, "--after", part): "lack fra_Latn",
        ("--before", whole, "--after", few): "differ in layers",
    }
    cases |= {
        ("--source", "english"): "did you mean eng_Latn",
        ("--seed", "-1"): "--seed -1",
        ("--tokenizer-languages", "fra_Latn=fr"): "--tokenizer-languages is given, but",
    }
    for flags, message in cases.items():
        assert main([*command, *flags]) == 1, flags
        assert message in capsys.readouterr().err
    for wrong in (("--before", whole), ("--group-by", "script")):
        assert main([*command, *wrong]) == 2
        assert "--before and --after" in capsys.readouterr().err
    assert main(["transfer", str(tmp_path / "absent"), *command[2:]]) == 3
    assert main([*command[:2], "--data", str(tmp_path / "absent")]) == 3
    gone = str(tmp_path / "absent.json")
    for flags in (("--overlap", gone), ("--before", gone, "--after", whole)):
        capsys.readouterr()
        assert main([*command, *flags]) == 3, flags
        assert f"{flags[0]}: there is no file" in capsys.readouterr().err
    assert main([*command, "--before", whole, "--after", gone]) == 3
    assert f"--after: there is no file '{gone}'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    with pytest.raises(SystemExit):
        main(["transfer", str(model)])
