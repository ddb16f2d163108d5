"""A folder of results: what is in it, and that nothing is half new."""

from __future__ import annotations

import builtins
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.scores import overlap_scores

from ilo_fast.report import files, html
from ilo_fast.report.run_data import RunData

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

_IMPORT = builtins.__import__


def test_new_scores_remove_the_figures_of_old_ones(tmp_path: Path) -> None:
    first = overlap_scores(2, ("eng_Latn", "fra_Latn"))
    files.write_scores(first, tmp_path)
    files.write_tables(first, tmp_path)
    files.write_drawn(RunData("one", first), tmp_path)
    expected = {files.SCORES_FILE, files.TABLE_FILE, files.GROUPS_FILE, *files.DRAWN_FILES}
    assert {p.name for p in tmp_path.iterdir()} == expected
    (tmp_path / "mine.txt").write_text("kept")
    files.write_scores(overlap_scores(2), tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {files.SCORES_FILE, "mine.txt"}


def test_progress_rises_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list[float]] = {}

    @contextlib.contextmanager
    def bar(show: bool, description: str) -> Iterator[Any]:
        yield seen.setdefault(description, []).append if show else None

    for module in (files, html):
        monkeypatch.setattr(module, "share_bar", bar)
    files.write_drawn(RunData("one", overlap_scores(2)), tmp_path, progress=True)
    assert seen.keys() == {"figures", "page"}
    for shares in seen.values():
        assert shares == sorted(set(shares)) and shares[-1] == 1
    seen.clear()
    files.write_drawn(RunData("one", overlap_scores(2)), tmp_path)
    assert not seen


def test_a_failure_while_drawing_leaves_the_folder_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in files.DRAWN_FILES:
        (tmp_path / name).write_text("of before")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def fail(*_: object, **__: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ilo_fast.report.html.report_of_runs", fail)
    with pytest.raises(OSError, match="No space left"):
        files.write_drawn(RunData("one", overlap_scores(2)), tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_full_disk_leaves_the_folder_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills while the second of the files is written."""
    for name in files.DRAWN_FILES:
        (tmp_path / name).write_text("of before")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    real = files.replace_atomically

    @contextlib.contextmanager
    def filling(path: Path, needed: int) -> Iterator[Any]:
        with real(path, needed) as file:
            if path.name == "heatmap.svg":
                raise OSError(28, "No space left on device")
            yield file

    monkeypatch.setattr(files, "replace_atomically", filling)
    with pytest.raises(OSError, match="disk is full"):
        files.write_drawn(RunData("one", overlap_scores(2)), tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_without_matplotlib_the_message_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'ilo_fast\[report\]'"):
        files.write_drawn(RunData("one", overlap_scores()), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_matplotlib_that_cannot_start_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtins, "__import__", _refusing)
    with pytest.raises(ImportError, match=r"cannot start \(Key backend: 'junk'.*\): correct MPLB"):
        files.check_can_draw()


def _refusing(name: str, *args: Any, **kwargs: Any) -> Any:
    if name == "matplotlib":
        raise ValueError("Key backend: 'junk' is not a valid value for backend")
    return _IMPORT(name, *args, **kwargs)
