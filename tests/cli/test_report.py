"""``ilo-fast report``: everything that is drawn, again, from scores.json."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ilo_fast.cli import main
from ilo_fast.report import files

Run = Callable[..., int]
ALL_FILES = {
    files.SCORES_FILE, files.REPLICATES_FILE, files.TABLE_FILE, files.GROUPS_FILE,
    *files.DRAWN_FILES,
}  # fmt: skip


def test_report_rebuilds_from_scores_alone(
    drawing_run: Run, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert drawing_run("-q", "-o", "out") == 0
    pictures = {name: (here / "out" / name).read_bytes() for name in ALL_FILES}
    for name in ALL_FILES - {files.SCORES_FILE, files.REPLICATES_FILE}:
        (here / "out" / name).unlink()
    assert main(["report", "out"]) == 0
    assert {name: (here / "out" / name).read_bytes() for name in ALL_FILES} == pictures


def test_report_elsewhere_never_mixes_with_other_scores(
    run: Run, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("-q", "-o", "out") == 0
    assert run("-q", "-o", "other", "-k", "4") == 0
    assert main(["report", "-q", "out/scores.json", "-o", "copy"]) == 0
    assert {p.name for p in (here / "copy").iterdir()} == {files.TABLE_FILE, files.GROUPS_FILE}
    capsys.readouterr()
    assert main(["report", "-q", "out", "-o", "other"]) == 1
    assert "scores of its own" in capsys.readouterr().err
    assert main(["report", "nowhere"]) == 3
    (here / "bad.json").write_text("{}")
    assert main(["report", "bad.json"]) == 1
    assert "not a file of scores" in capsys.readouterr().err
