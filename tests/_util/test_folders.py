"""Folders are made for the work alone, and what other settings made is refused."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ilo_fast._util.folders import made_folder, refuse_other


def test_folder_that_stays_empty_is_taken_away_with_its_parents(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), made_folder(tmp_path / "a" / "b", "-o"):
        assert (tmp_path / "a" / "b").is_dir()
        raise KeyboardInterrupt
    assert not (tmp_path / "a").exists()


def test_folder_that_holds_something_stays(tmp_path: Path) -> None:
    with made_folder(tmp_path / "a" / "b", "-o"):
        (tmp_path / "a" / "b" / "scores").touch()
    assert (tmp_path / "a" / "b" / "scores").exists()


def test_empty_folder_that_was_there_before_stays(tmp_path: Path) -> None:
    with made_folder(tmp_path, "-o"):
        pass
    assert tmp_path.is_dir()


def test_file_in_place_of_the_folder_is_refused_and_the_argument_named(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.touch()
    with (
        pytest.raises(NotADirectoryError, match=f"^output_dir {path} is a file; give a folder$"),
        made_folder(path, "output_dir"),
    ):
        pytest.fail("the block was entered")
    assert path.is_file()


def test_folder_that_cannot_be_written_is_named_and_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(dir: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", f"{dir}/tmp1234")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    wanted = f"-o {tmp_path} cannot be written to .Read-only file system.: give another folder"
    with pytest.raises(OSError, match=wanted) as caught, made_folder(tmp_path, "-o"):
        pytest.fail("the block was entered")
    assert "tmp1234" not in str(caught.value)


def test_other_settings_are_refused_and_named(tmp_path: Path) -> None:
    before, now = {"k": 5, "seed": 0}, {"k": 10, "seed": 0}
    with pytest.raises(ValueError, match="holds scores of other settings") as caught:
        refuse_other(tmp_path, before, now, holds="scores", remedy="choose another -o")
    message = str(caught.value)
    assert str(tmp_path) in message and message.endswith(": choose another -o")
    assert "k" in message and "10" in message and "seed" not in message


def test_settings_that_are_the_same_as_json_are_taken(tmp_path: Path) -> None:
    before = {"layers": [0, 1]}
    refuse_other(tmp_path, before, {"layers": (0, 1), "k": None}, holds="scores", remedy="")
