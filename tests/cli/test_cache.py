"""``ilo-fast cache``: what is listed and cleared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ilo_fast.cli import main

Run = Callable[..., int]


def test_cache_is_listed_and_cleared(
    run: Run, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cache", "list"]) == 0
    assert capsys.readouterr().out == f"{here / 'cache'} holds nothing\n"
    assert run("-q", "-o", "reps", command="extract") == 0
    capsys.readouterr()
    assert main(["cache", "list"]) == 0
    head, row, _, total = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["model", "size", "languages", "sentences"]
    assert row.split()[-4:] == ["20", "3", "mean", "today"] and total.endswith(str(here / "cache"))
    assert main(["cache", "clear", "--model", "another"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("0 B cleared from ")
    assert "nothing of --model another to clear; the cache holds " in err and "tiny" in err
    assert main(["cache", "clear", "--cache", str(here / "cache")]) == 0
    assert main(["cache", "list"]) == 0
    assert capsys.readouterr().out.endswith("holds nothing\n")


def test_embedded_model_is_listed_by_its_name(
    here: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["extract", "-q", "--corpus", str(corpus), "--layers", "0", "-o", "reps"]) == 0
    capsys.readouterr()
    assert main(["cache", "list"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("demo ")


def test_flags_of_clear_are_wrong_for_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "list", "--model", "m"]) == 2
    assert "cache clear" in capsys.readouterr().err
