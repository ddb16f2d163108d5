"""`ilo-fast clt graph`: what it prints and writes, and from there to a changed prediction."""

from __future__ import annotations

import functools
import json
import re
import shlex
import shutil
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jinja2")

from cli.test_clt_intervene import folder as transcoder_folder
from cli.test_clt_train import subparser
from helpers.html import Page

from ilo_fast.cli import main
from ilo_fast.transcoders.attribution.graph import AttributionGraph
from ilo_fast.transcoders.files import opening
from ilo_fast.transcoders.files.graph_file import load_graph
from ilo_fast.transcoders.prompts import DEMO_PROMPT

folder = transcoder_folder  # of a small model that it names
open_once = functools.cache(opening.open_transcoder)
QUICK = ("--no-contexts", "--dtype", "float32", "--quiet", "--device", "cpu")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(opening, "open_transcoder", open_once)
    return tmp_path


def test_a_newcomer_traces_finds_a_feature_and_switches_it_off(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With no argument, offline, in less than 30 seconds."""

    def refused(*_: Any) -> None:
        raise AssertionError("something asks the network")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refused)
    start = time.process_time()
    assert main(["clt", "graph", "--quiet", "--device", "cpu"]) == 0
    assert time.process_time() - start < 30
    shown = capsys.readouterr().out
    written = here / "ilo_fast_results" / "graph__demo"
    saved = load_graph(written / "graph.npz")
    graph = AttributionGraph.from_file(written / "graph.npz")
    assert graph.prompt.endswith(DEMO_PROMPT.lower()) and 0 < graph.residual <= 1e-9
    assert f"{graph.n_features:,} active features" in shown
    assert f"rows add up to within {graph.residual:.0e}\n" in shown
    scores = graph.scores
    for title, pair in (
        ("whole", (scores.replacement, scores.completeness)),
        ("published", (scores.replacement_published, scores.completeness_published)),
    ):
        assert re.search(rf"{title} +{pair[0]:.3f} +{pair[1]:.3f}\n", shown)
    assert len(saved.notes) == len(graph.features())
    assert any(note.contexts for note in saved.notes.values())
    assert all(group.proposed for group in saved.supernodes) and saved.supernodes
    page = (written / "graph.html").read_text()
    assert Page(page).addresses == [] and max(map(len, shown.splitlines())) <= 104

    found = re.search(r"\n +[\d.]+% +(\d+)/(\d+) ", shown)
    assert found is not None
    layer, feature = map(int, found.groups())
    strongest = graph.influence[: graph.n_features].argmax()
    assert (graph.sources.layer[strongest], graph.sources.feature[strongest]) == (layer, feature)
    argv = ["clt", "intervene", "--feature", f"{layer}/{feature}=0", "--quiet", "--device", "cpu"]
    assert main([*argv, "--tokens", "2"]) == 0
    shown = capsys.readouterr().out
    likely = re.search(r"([\d.]+%) +([\d.]+%)", shown.partition("Next token")[2])
    assert likely is not None and likely[1] != likely[2]


def test_examples_of_the_help_run_as_printed(
    here: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The first one above."""
    # The small model takes 64 tokens, which are letters.
    monkeypatch.setattr("ilo_fast.transcoders.prompts.DEMO_PROMPT", "the sea")
    shutil.copytree(folder, here / "results" / "mine")
    (here / "texts").mkdir()
    lines = [f"the {word} sea of the {word}" for word in ("deep", "red", "dead", "calm")] * 20
    (here / "texts" / "eng_Latn.txt").write_text("\n".join(lines))
    title, first, *lines = subparser("clt", "graph").epilog.splitlines()
    assert title == "examples:" and first.strip() == "ilo-fast clt graph" and len(lines) == 3
    shown = []
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "ilo-fast"
        quick = QUICK[1:] if "--text" in arguments else QUICK
        assert main([*arguments, *quick]) == 0, line
        shown.append(capsys.readouterr().out)
    city, love, mine = shown
    assert re.search(r"Predicted\n  city .*%\n  house .*%\n", city)
    of_demo = load_graph(here / "ilo_fast_results" / "graph__demo" / "graph.npz").graph
    assert [target.label for target in of_demo.targets] == [" city", " house"]
    assert love.count("Predicted") == 2 and {p.name for p in (here / "love").iterdir()} == {
        "graph.npz", "beside.npz", "graph.html"
    }  # fmt: skip
    assert "cross-layer transcoder mine" in mine
    saved = load_graph(here / "ilo_fast_results" / "graph__mine" / "graph.npz")
    assert {language for note in saved.notes.values() for language in note.rates} == {"eng_Latn"}


def test_a_difference_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["clt", "graph", "the sea", "--transcoder", str(folder), *QUICK]
    assert main([*argv, "--target", "a", "--minus", "b", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["graphs"]
    (target,) = found["targets"]
    assert target["label"].replace(" ", "") == "a-b"
    assert (target["token_id"], target["probability"]) == (None, 1.0)
    assert main([*argv, "--target", "a", "b", "--json"]) == 0
    (both,) = json.loads(capsys.readouterr().out)["graphs"]
    a, b = (one["value"] for one in both["targets"])
    np.testing.assert_allclose(target["value"], a - b, rtol=1e-4)


def test_errors_speak_of_flags(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["clt", "graph", "--transcoder", str(folder), *QUICK]
    for words, code, message in (
        (["the sea", "--minus", "a"], 2, "give one --target"),
        (["the sea", "--target", "sea"], 1, "target 'sea' is no single token of this tokenizer"),
        (["the sea" * 40], 1, "prompt has 281 tokens, the model takes 64: shorten it"),
        ([""], 1, "prompt has 1 token, of which the first 1 are skipped"),
        (["the sea", "--probability", "2"], 1, "probability is 2, wanted a share"),
    ):
        with pytest.raises(SystemExit) as left:
            raise SystemExit(main([*argv, *words]))
        assert left.value.code == code
        assert message in capsys.readouterr().err
