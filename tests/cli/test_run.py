"""``ilo-fast run``: files, tables, what a second run does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ilo_fast.cli import main
from ilo_fast.report import files
from ilo_fast.scores.result import OverlapScores

Run = Callable[..., int]
ALL_FILES = {
    files.SCORES_FILE, files.REPLICATES_FILE, files.TABLE_FILE, files.GROUPS_FILE,
    files.NEIGHBORS_FILE, *files.BESIDE, *files.DRAWN_FILES, *files.MORE_DRAWN_FILES,
}  # fmt: skip


def read(folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    return data


def test_run_writes_everything_and_prints_the_tables(
    drawing_run: Run, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert drawing_run() == 0
    out, err = capsys.readouterr()
    folder = here / "ilo_fast_results" / "tiny__text"
    assert {p.name for p in folder.iterdir()} == ALL_FILES
    assert "tiny · text · 4 languages" in out
    assert "French" in out
    assert str(Path("ilo_fast_results") / "tiny__text" / "report.html") in out
    assert "4 languages x 5 sentences" in err

    data = read(folder)
    assert (data["schema_version"], data["kind"]) == (2, "ilo_fast.scores")
    assert {"n_neighbors": 5, "threshold": 3, "metric": "cosine"}.items() <= data[
        "settings"
    ].items()
    assert len(data["rows"]) == 3 * 4
    assert {
        "layer", "language", "bridge", "reach", "ilo", "translation_share", "translation_chance",
        "n_sentences",
    } < set(data["rows"][0])  # fmt: skip
    settings = data["info"]["run"]
    assert settings["corpus_name"] == "text"
    assert len(settings["corpus_sha256"]) == 64
    assert settings["languages"] == ["deu_Latn", "eng_Latn", "fra_Latn", "spa_Latn"]
    assert settings["special_tokens"] == "include"
    assert data["info"]["representations"]["weights_sha256"] == settings["weights_sha256"]
    numbers = [v for row in data["rows"] for v in row.values() if isinstance(v, float)]
    assert np.isfinite(numbers).all()


def test_scores_of_run_equal_those_of_measure(
    run: Run, here: Path, model: Path, corpus: Path
) -> None:
    from ilo_fast import measure

    assert run("-q", "-k", "4", "--threshold", "2", "--layers", "0,-1", "-o", "out") == 0
    written = OverlapScores.from_json(here / "out" / "scores.json")
    options = {"n_neighbors": 4, "threshold": 2, "layers": [0, -1], "progress": False}
    scores = measure(model, corpus, device="cpu", **options)
    assert written.layers == scores.layers == (0, 2)
    np.testing.assert_allclose(written.ilo, scores.ilo, atol=1e-12)
    np.testing.assert_allclose(written.translation_share, scores.translation_share, atol=1e-12)


def test_quiet_run_says_nothing_but_the_result(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("-q") == 0
    out, err = capsys.readouterr()
    assert "layer" in out
    assert "extract:" not in err
    assert "text:" not in err


def test_second_run_keeps_the_scores_and_rebuilds_the_rest(
    drawing_run: Run,
    here: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert drawing_run("-o", "out") == 0
    before = (here / "out" / "scores.json").read_bytes()
    (here / "out" / "report.html").unlink()
    (here / "out" / "scores.csv").unlink()

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("scored again")

    monkeypatch.setattr("ilo_fast.scores.overlap.overlap", fail)
    assert drawing_run("-o", "out") == 0
    assert "kept" in capsys.readouterr().err
    assert (here / "out" / "scores.json").read_bytes() == before
    assert {p.name for p in (here / "out").iterdir()} == ALL_FILES


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (("-k", "4"), "--n-neighbors was 5, now 4"),
        (("--special-tokens", "exclude"), "--special-tokens was include, now exclude"),
        (("--layers", "1"), "layers was all, now [1]"),
        (("--limit", "4"), "corpus_sha256"),
    ],
)
def test_other_settings_are_refused_before_any_work(
    run: Run,
    here: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    changed: tuple[str, ...],
    named: str,
) -> None:
    assert run("-q", "-o", "out") == 0
    before = (here / "out" / "scores.json").read_bytes()
    monkeypatch.setattr("ilo_fast.models.source.ModelSource.open", None)
    assert run("-q", "-o", "out", *changed) == 1
    err = capsys.readouterr().err
    assert named in err
    assert "choose another -o, or replace them with --overwrite" in err
    assert (here / "out" / "scores.json").read_bytes() == before


def test_other_weights_under_the_same_name_are_refused(
    run: Run, here: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    assert run("-q", "-o", "out") == 0
    twin = here / "elsewhere" / model.name
    shutil.copytree(model, twin)
    assert run("-q", "-o", "out", "-m", str(twin)) == 0  # moved, but the same
    weights = load_file(twin / "model.safetensors")
    save_file(
        {k: 1.1 * v for k, v in weights.items()}, twin / "model.safetensors", {"format": "pt"}
    )
    assert run("-q", "-o", "out", "-m", str(twin)) == 1
    assert "weights_sha256 was" in capsys.readouterr().err


def test_overwrite_replaces_scores_of_other_settings(run: Run, here: Path) -> None:
    assert run("-q", "-o", "out") == 0
    assert run("-q", "-o", "out", "-k", "4", "--overwrite") == 0
    assert read(here / "out")["settings"]["n_neighbors"] == 4


def test_damaged_scores_are_refused_and_can_be_overwritten(
    run: Run, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "out").mkdir()
    (here / "out" / "scores.json").write_text('{"kind": "ilo_')
    assert run("-q", "-o", "out") == 1
    assert "cannot be read" in capsys.readouterr().err
    assert run("-q", "-o", "out", "--overwrite") == 0


def test_without_matplotlib_scores_are_written_and_the_cure_is_named(
    drawing_run: Run,
    here: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing() -> None:
        raise ImportError("this needs matplotlib: pip install 'ilo_fast[report]'")

    monkeypatch.setattr(files, "check_can_draw", missing)
    assert drawing_run("-o", "out") == 0
    wanted = ALL_FILES - {*files.DRAWN_FILES, *files.MORE_DRAWN_FILES}
    assert {p.name for p in (here / "out").iterdir()} == wanted
    err = capsys.readouterr().err
    assert "pip install 'ilo_fast[report]'" in err
    assert "ilo-fast report out" in err
    assert main(["report", "out"]) == 1


def test_output_that_is_a_file_is_refused_before_the_work(
    run: Run, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "out").write_text("mine")
    assert run("-q", "-o", "out") == 1
    assert "is a file" in capsys.readouterr().err
    assert (here / "out").read_text() == "mine"


def test_full_disk_is_a_clean_error_and_loses_nothing(
    run: Run, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("-q", "-o", "out") == 0
    before = {p.name: p.read_bytes() for p in (here / "out").iterdir()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "scores.json")

    monkeypatch.setattr(OverlapScores, "to_json", full)
    capsys.readouterr()
    assert run("-q", "-o", "out", "--overwrite") == 1
    assert "No space left on device" in capsys.readouterr().err
    assert {p.name: p.read_bytes() for p in (here / "out").iterdir()} == before


def test_quick_leaves_intervals_out_and_a_later_run_adds_them(
    run: Run, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("-q", "-o", "out", "--quick") == 0
    quick = read(here / "out")
    assert quick["intervals"] is None and quick["mixing_test"] is None
    assert not (here / "out" / files.REPLICATES_FILE).exists()
    assert run("-q", "-o", "out", "--permutations", "9") == 0
    full = read(here / "out")
    assert full["intervals"] is not None and full["mixing_test"]["n_permutations"] == 9
    assert [row["ilo"] for row in quick["rows"]] == [row["ilo"] for row in full["rows"]]
    assert run("-o", "out", "--quick") == 0  # what is there is more than what was asked for
    assert "kept" in capsys.readouterr().err
    assert read(here / "out") == full


def test_unit_that_the_corpus_does_not_know_is_refused(
    run: Run, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("-q", "-o", "out", "--unit", "document") == 2
    assert "--unit document" in capsys.readouterr().err


def test_sentences_are_in_the_report_unless_they_are_left_out(
    drawing_run: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(
        files, "write_drawn", lambda found, *_, **__: shown.append(found.texts) or []
    )
    assert drawing_run("-o", "out", "-q") == 0
    assert drawing_run("-o", "out", "-q", "--no-text") == 0
    assert main(["report", "out", "-q"]) == 0  # the corpus is still there
    assert shown[0] == shown[2]
    assert set(shown[0]) == {"deu_Latn", "eng_Latn", "fra_Latn", "spa_Latn"}
    assert shown[1] is None


def test_what_stands_beside_kept_scores_is_measured_where_it_is_missing(
    drawing_run: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ilo_fast.scores.companions import companions

    wanted: list[bool] = []
    measured = companions.companions
    monkeypatch.setattr(files, "write_drawn", lambda *_, **__: [])
    monkeypatch.setattr(
        companions,
        "companions",
        lambda *a, **k: (wanted.append(k["intervals"]), measured(*a, **k))[1],
    )
    assert drawing_run("-o", "out", "-q", "--quick") == 0
    folder = here / "out"
    assert not any((folder / name).exists() for name in (files.NEIGHBORS_FILE, *files.BESIDE))
    assert drawing_run("-o", "out", "-q") == 0  # scored again, since neighbours were not kept
    assert all((folder / name).exists() for name in (files.NEIGHBORS_FILE, *files.BESIDE))
    stamp = (folder / files.STRUCTURE_FILE).stat().st_mtime_ns
    (folder / files.COMPANIONS_FILE).write_text("{")  # half-written
    assert drawing_run("-o", "out", "-q") == 0
    assert drawing_run("-o", "out", "-q") == 0
    assert drawing_run("-o", "out", "-q", "--companion-intervals") == 0
    assert wanted == [False, False, True]
    assert (folder / files.STRUCTURE_FILE).stat().st_mtime_ns == stamp
