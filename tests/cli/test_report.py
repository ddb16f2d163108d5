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
    # A single run has the name that it is given.
    assert main(["report", "-q", "mine=out", "-o", "copy"]) == 0
    page = (here / "copy" / files.REPORT_FILE).read_text(encoding="utf-8")
    assert "<title>mine " in page


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


def test_several_runs_stand_on_one_page_under_names_of_their_own(
    run: Run, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    assert run("-q", "-o", "one") == 0
    assert run("-q", "-o", "other", "-k", "4") == 0
    capsys.readouterr()
    assert main(["report", "small=one", "other/scores.json", "one", "-o", "all"]) == 0
    shown = capsys.readouterr()
    assert [p.name for p in (here / "all").iterdir()] == [files.REPORT_FILE]
    assert str(Path("all") / files.REPORT_FILE) in shown.out
    assert "no differences with intervals" in shown.err  # other settings
    page = (here / "all" / files.REPORT_FILE).read_text(encoding="utf-8")
    for name in ("small", "other", "one"):
        assert f"<h3>{name}</h3>" in page or f"<h3>{name} (" in page
    assert main(["report", "one", "other", "-o", "one"]) == 1
    assert "scores of its own" in capsys.readouterr().err
    assert main(["report", "one", "nowhere"]) == 3
    assert main(["report", "one", "=other"]) == 2


def test_report_of_runs_has_a_folder_of_its_own_by_default(run: Run, here: Path) -> None:
    pytest.importorskip("matplotlib")
    assert run("-q", "-o", "one") == 0
    assert main(["report", "-q", "a=one", "b=one"]) == 0
    assert (here / "ilo_fast_results" / "report__a__b" / files.REPORT_FILE).is_file()
