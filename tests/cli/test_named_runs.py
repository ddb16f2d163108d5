"""Runs on the command line and their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from ilo_fast.cli.named_runs import distinct_names, named_path
from ilo_fast.cli.parser import UsageError


def test_a_name_stands_before_the_sign_unless_the_path_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lr=1").mkdir()
    assert named_path("big=runs/a") == ("big", Path("runs/a"))
    assert named_path("lr=1") == ("", Path("lr=1"))
    assert named_path("runs") == ("", Path("runs"))
    for word in ("=runs", "big="):
        with pytest.raises(UsageError, match="no NAME=RUN"):
            named_path(word)


def test_names_that_are_alike_become_those_of_folders_then_numbers(tmp_path: Path) -> None:
    for name in ("a/x", "b/y", "c/y"):
        (tmp_path / name).mkdir(parents=True)
    paths = [tmp_path / name for name in ("a/x", "b/y", "c/y")]
    assert distinct_names(["m", "n", "o"], paths) == ["m", "n", "o"]
    assert distinct_names(["m", "m", "o"], paths) == ["x", "y", "o"]
    assert distinct_names(["m", "m", "m"], paths) == ["x", "y", "y (2)"]
    (tmp_path / "a/x/scores.json").write_text("")
    assert distinct_names(["m", "m"], [paths[0] / "scores.json", paths[1]]) == ["x", "y"]
