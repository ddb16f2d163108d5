"""Files and folders are whole or what they were before: full disks, errors, interruptions."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ilo_fast._util import files
from ilo_fast._util.files import (
    add_to_folder,
    finish_folder,
    is_leftover,
    parse_json,
    read_json,
    replace_atomically,
    replace_folder,
    write_json,
    write_text,
)

FAILURES = [RuntimeError("broken"), KeyboardInterrupt()]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def fail_at(monkeypatch: pytest.MonkeyPatch, name: str, at: int, error: BaseException) -> list[Any]:
    """Let call number `at` of os.<name> fail; returns the list of calls."""
    real, calls = getattr(os, name), []

    def call(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == at:
            raise error
        return real(*arguments)

    monkeypatch.setattr(os, name, call)
    return calls


def test_file_is_replaced_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with replace_atomically(path) as file:
        file.write(b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new" and names(tmp_path) == ["a"]


@pytest.mark.parametrize("error", FAILURES)
def test_file_stays_as_it_was_when_the_block_fails(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(type(error)), replace_atomically(path) as file:
        file.write(b"new")
        raise error
    assert path.read_text() == "old" and names(tmp_path) == ["a"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_file_stays_as_it_was_when_interrupted_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    calls = fail_at(monkeypatch, step, 1, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        write_text(path, "new")
    assert len(calls) == 1
    assert path.read_text() == "old" and names(tmp_path) == ["a"]


def test_full_disk_names_the_path_and_the_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    calls = fail_at(monkeypatch, "fsync", 1, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(OSError, match="disk is full: 3 bytes are needed") as caught:
        write_text(path, "new")
    assert len(calls) == 1
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(path)
    assert path.read_text() == "old" and names(tmp_path) == ["a"]


def test_other_errors_of_the_disk_are_passed_on(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="bad sector"), replace_atomically(tmp_path / "a"):
        raise OSError(errno.EIO, "bad sector")
    assert names(tmp_path) == []


def test_errors_name_the_file_that_was_wanted_and_not_the_temporary_one(tmp_path: Path) -> None:
    missing = tmp_path / "absent" / "a"
    with pytest.raises(FileNotFoundError) as caught:
        write_text(missing, "new")
    assert caught.value.filename == str(missing)
    (tmp_path / "file").touch()
    with pytest.raises(OSError) as raised, replace_folder(tmp_path / "file" / "a"):
        pytest.fail("the block was entered")
    assert ".tmp" not in str(raised.value)


def test_folder_without_a_name_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with replace_folder(Path()) as new:
        (new / "a").touch()
    assert names(tmp_path) == ["a", "here"]


def test_folder_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a"
    for text in ("one", "two"):
        with replace_folder(path) as new:
            (new / text).write_text(text)
    assert names(tmp_path) == ["a", "deep", "two"]


@pytest.mark.parametrize("error", FAILURES)
def test_folder_stays_as_it_was_when_the_block_fails(tmp_path: Path, error: BaseException) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").write_text("old")
    with pytest.raises(type(error)), replace_folder(tmp_path / "a") as new:
        (new / "new").write_text("new")
        raise error
    assert names(tmp_path) == ["a", "old"]


@pytest.mark.parametrize("at", [1, 2])
def test_folder_is_restored_when_interrupted_between_the_renames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").write_text("old")
    calls = fail_at(monkeypatch, "replace", at, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt), replace_folder(tmp_path / "a") as new:
        (new / "new").write_text("new")
    assert len(calls) >= at
    assert names(tmp_path) == ["a", "old"]


def test_folder_that_cannot_be_restored_is_kept_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").write_text("old")
    real, calls = os.replace, []

    def only_once(*paths: Any) -> None:
        calls.append(paths)
        if len(calls) > 1:
            raise OSError(errno.EIO, "bad sector")
        real(*paths)

    monkeypatch.setattr(os, "replace", only_once)
    with pytest.raises(OSError, match="bad sector"), replace_folder(tmp_path / "a") as new:
        (new / "new").write_text("new")
    assert len(calls) == 3
    assert [path.read_text() for path in tmp_path.rglob("*") if path.is_file()] == ["old"]


def test_json_is_read_back_and_damage_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert read_json(path) is None
    write_json(path, {"näme": [1, None]})
    assert read_json(path) == parse_json(path) == {"näme": [1, None]}
    for text in ('{"cut": ', "[1]", ""):
        path.write_text(text)
        assert read_json(path) is None


def test_incomplete_json_is_refused(tmp_path: Path) -> None:
    assert parse_json(' {"a": 1}') == {"a": 1}
    with pytest.raises(ValueError, match="is not complete JSON"):
        parse_json('{"a": ')


def test_temporary_names_follow_no_links(tmp_path, monkeypatch):
    outside = tmp_path / "outside"
    outside.write_text("mine")
    folder = tmp_path / "out"
    folder.mkdir()
    for name in (".finished", ".a.old"):
        link = folder / name
        link.symlink_to(outside)
        with pytest.raises(OSError, match="ours"):
            if name == ".finished":
                with add_to_folder(folder, last="last") as new:
                    (new / "last").touch()
            else:
                with replace_folder(folder / "a"):
                    pass
        link.unlink()
    assert outside.read_text() == "mine"


def test_killed_before_the_second_rename_the_folder_is_as_before(tmp_path):
    old = tmp_path / ".a.old"
    old.mkdir()
    (old / "file").write_text("before")
    with pytest.raises(KeyError), replace_folder(tmp_path / "a"):
        raise KeyError
    assert (tmp_path / "a" / "file").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_killed_while_files_move_the_rest_follow(tmp_path, monkeypatch, moved):
    (tmp_path / "last").write_text("before")
    real, count = os.replace, 0

    def dies(source, target):
        nonlocal count
        count += 1
        if count > 1 + moved:  # the first gives the folder its name
            raise KeyboardInterrupt
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", dies)
        with pytest.raises(KeyboardInterrupt), add_to_folder(tmp_path, last="last") as new:
            for name in ("a", "b", "last"):
                (new / name).write_text("after")
    finish_folder(tmp_path, last="last")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "a": "after", "b": "after", "last": "after",
    }  # fmt: skip


def test_leftovers_of_killed_processes_are_removed_by_the_next_writer(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with replace_atomically(tmp_path / "file") as file:
        mine = next(tmp_path.glob(".file.*"))
        left = mine.with_name(mine.name.replace(f"-{os.getpid()}-", f"-{dead.pid}-"))
        left.touch()
        write_text(tmp_path / "file", "x")
        assert mine.exists() and not left.exists() and is_leftover(mine)
        file.write(b"y")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_computers_whose_names_begin_alike_are_told_apart():
    """Or one would take for a leftover what another is writing in a shared folder."""
    long = "raycluster-kuberay-workergroup-"
    nodes = [f"{long}a", f"{long}b", "ip-1-21", "ip-12-1"]
    assert len({files._host(node) for node in nodes}) == len(nodes)
    assert all(files._host(node).isalnum() for node in [*nodes, ""])


def test_file_beyond_the_limit_of_the_system_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    said = r"no file of 3 bytes here: see 'ulimit -f'"
    with pytest.raises(OSError, match=said) as caught, replace_atomically(path, 3):
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    assert caught.value.filename == str(path) and not list(tmp_path.iterdir())
