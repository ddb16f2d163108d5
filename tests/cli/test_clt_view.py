"""`ilo-fast clt view`: from files of graphs to a page."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

pytest.importorskip("jinja2")

from helpers.shown_graphs import random_graph, random_notes, random_supernodes

from ilo_fast.cli import main
from ilo_fast.cli.clt_view import add_parser
from ilo_fast.transcoders.files.graph_file import save_graph


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, seed in (("english", 1), ("german", 2)):
        graph = random_graph(seed, prompt=f"the {name} prompt")
        save_graph(f"{name}.npz", graph, random_notes(graph), random_supernodes(graph))
    return tmp_path


def _examples() -> list[str]:
    import argparse

    commands = argparse.ArgumentParser().add_subparsers()
    add_parser(commands)  # type: ignore[arg-type]
    return commands.choices["view"].epilog.splitlines()  # type: ignore[union-attr]


def test_examples_of_the_help_run_as_printed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    title, *lines = _examples()
    assert title == "examples:" and len(lines) == 3
    for line, written in zip(lines, ("english.html", "both.html", "english.html"), strict=True):
        program, *arguments = shlex.split(line)
        assert program == "ilo-fast"
        assert main(arguments) == 0, line
        assert capsys.readouterr().out == f"{written}\n"
    assert "the english prompt | the german prompt" in (folder / "both.html").read_text()
    page = (folder / "english.html").read_text()
    assert "<title>What comes after Sunday" in page and "group 0" in page


def test_a_saved_state_is_taken_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = {
        "kind": "ilo_fast.graph_state", "schema_version": 1,
        "thresholds": {"nodes": 0.8, "edges": 0.98},
        "graphs": [{"prompt": "the english prompt", "pins": ["token:-1:0:-1", "feature:9:9:9"],
                    "supernodes": [{"name": "mine", "proposed": False,
                                    "members": ["token:-1:1:-1"]}]}],
    }  # fmt: skip
    Path("state.json").write_text(json.dumps(state))
    assert main(["clt", "view", "english.npz", "--state", "state.json"]) == 0
    assert "the graph has not 1 node" in capsys.readouterr().err
    page = (folder / "english.html").read_text()
    assert '"name":"mine"' in page and "group 0" not in page
    assert main(["clt", "view", "german.npz", "--state", "state.json"]) != 0
    assert "other prompts" in capsys.readouterr().err


def test_what_is_no_graph_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "text.npz").write_text("no graph")
    for name in ("text.npz", "missing.npz"):
        assert main(["clt", "view", name]) != 0
        assert name in capsys.readouterr().err
    assert not (folder / "text.html").exists()


@pytest.mark.parametrize("output", ["english.npz", "german.npz", "./link.npz"])
def test_a_page_does_not_replace_its_graph(
    folder: Path, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "link.npz").symlink_to("english.npz")
    before = (folder / output).read_bytes()
    assert main(["clt", "view", "english.npz", "german.npz", "-o", output]) == 2
    assert "which would be lost: name another page" in capsys.readouterr().err
    assert (folder / output).read_bytes() == before
