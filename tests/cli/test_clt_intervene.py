"""`ilo-fast clt intervene`: what it prints, its flags, its errors."""

from __future__ import annotations

import argparse
import functools
import json
import shlex
from pathlib import Path

import pytest
import torch
from cli.test_clt_train import subparser
from helpers import transcoders
from helpers.clt_models import random_transcoder
from transformers import AutoModelForCausalLM

from ilo_fast.cli import main
from ilo_fast.cli.clt_intervene import feature_change, token_positions
from ilo_fast.transcoders.files import opening
from ilo_fast.transcoders.files.fitting import transcoded_model
from ilo_fast.transcoders.files.folder import save_transcoder
from ilo_fast.transcoders.info import TranscoderInfo
from ilo_fast.transcoders.interventions.intervene import intervene
from ilo_fast.transcoders.interventions.intervention import Intervention
from ilo_fast.transcoders.reading import MLPReader
from ilo_fast.transcoders.replacement import ReplacementModel

open_once = functools.cache(opening.open_transcoder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transcoder, beside the model that it names."""
    root = tmp_path_factory.mktemp("clt")
    model = AutoModelForCausalLM.from_pretrained(transcoders.saved_model(root / "model"))
    coder = random_transcoder(0).float()
    with torch.no_grad():
        coder.encoder_weight.mul_(0.3)
    found = transcoded_model(MLPReader(model), str(root / "model"))
    coder.info = TranscoderInfo(found, 16, 1, ("eng_Latn",), 1000, "nothing")
    save_transcoder(coder, root / "transcoder")
    return root / "transcoder"


@pytest.fixture(autouse=True)
def opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "open_transcoder", open_once)


def test_examples_of_the_help_run_as_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """On the embedded model; every one changes something."""
    title, *lines = subparser("clt", "intervene").epilog.splitlines()
    assert title == "examples:" and len(lines) == 3
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "ilo-fast"
        assert main([*arguments, "--quiet", "--device", "cpu"]) == 0, line
        shown = capsys.readouterr().out
        if "--json" in arguments:
            assert json.loads(shown)["prompts"][0]["kl"] > 1e-4
        else:
            assert "demo model, cross-layer transcoder demo\n" in shown
            assert "nothing changes" not in shown and "KL(before || after)" in shown
            assert "0 <s> · 1 " in shown and max(map(len, shown.splitlines())) <= 100


def test_what_it_prints_is_what_intervene_says(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["clt", "intervene", "the sea", "--transcoder", str(folder), "-q", "--device", "cpu",
            "--feature", "0/3=4", "--feature", "1/7+2.5", "--feature", "2/5*0", "--at", "1,-1",
            "--tokens", "4"]  # fmt: skip
    assert main([*argv, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["model"] == "model" and found["transcoder"] == str(folder)
    model = AutoModelForCausalLM.from_pretrained(folder.parent / "model").eval()
    coder = random_transcoder(0).float()
    with torch.no_grad():
        coder.encoder_weight.mul_(0.3)
    at = (1, -1)
    given = [
        Intervention(0, 3, value=4, positions=at),
        Intervention(1, 7, add=2.5, positions=at),
        Intervention(2, 5, scale=0, positions=at),
    ]
    it = ReplacementModel(model, coder)
    tokenizer = transcoders.tiny_models.tokenizer()
    wanted = intervene(it, None, "the sea", given, tokenizer=tokenizer, max_new_tokens=4).to_dict()
    (mine,), (theirs,) = found["prompts"], wanted["prompts"]
    assert mine["continuation_after"] == theirs["continuation_after"]
    assert mine["likely_after"] == [
        token | {k: pytest.approx(token[k], rel=1e-4) for k in ("before", "after")}
        for token in theirs["likely_after"]
    ]
    assert json.loads(json.dumps(wanted["interventions"])) == found["interventions"]
    assert main(argv) == 0
    shown = capsys.readouterr().out
    for text in ("model, cross-layer transcoder ", "0/3=4: ", "1/7+2.5: ", "2/5*0: ",
                 f"{theirs['likely_after'][0]['after']:.2%}", "before  ", "after   "):  # fmt: skip
        assert text in shown
    assert main([*argv[:-2], "--frozen", "all"]) == 0
    shown = capsys.readouterr().out
    assert "other activations are held" in shown and "goes on" not in shown


def test_errors_speak_of_flags(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["clt", "intervene", "the sea", "--transcoder", str(folder), "-q", "--feature"]
    for words, message in (
        (["0/3=4", "--at", "9"], "--at 9 is beyond prompt 0, which has"),
        (["0/3=4", "--at", "0"], "--at 0 of prompt 0 is never touched"),
        (["0/40=4"], "--feature 40 is out of range, layer 0 has features 0 to 39"),
    ):
        assert main([*argv, *words]) == 1
        assert message in capsys.readouterr().err
    for words, message in (
        (["0/3"], "'0/3' is no change of a feature: give LAYER/FEATURE=X"),
        (["0/3=nan"], "is no change of a feature"),
        (["0/3=4", "--at", "x"], "'x' names no tokens"),
        (["0/3=4", "--tokens", "4", "--frozen", "all"], "--tokens 4 with --frozen all"),
    ):
        with pytest.raises(SystemExit) as left:
            raise SystemExit(main([*argv, *words]))
        assert left.value.code == 2
        assert message in capsys.readouterr().err


def test_changes_and_positions_as_words() -> None:
    for text, wanted in (
        ("3/512=0", (3, 512, "value", 0.0)), ("4/17*2", (4, 17, "scale", 2.0)),
        ("2/9+1.5", (2, 9, "add", 1.5)), ("2/9-1e-3", (2, 9, "add", -0.001)),
        (" 2 / 9 = -2 ", (2, 9, "value", -2.0)),
    ):  # fmt: skip
        assert feature_change(text) == wanted
    for text, places in (
        ("4", 4), ("-1", -1), ("2,5", (2, 5)), ("2:5", slice(2, 5)), ("-1:", slice(-1, None)),
        (":", slice(None, None)), (" 3 , -2 ", (3, -2)),
    ):  # fmt: skip
        assert token_positions(text) == places
    for wrong in ("", "2-5", "1,,2", "1:2:3", "1.5"):
        with pytest.raises(argparse.ArgumentTypeError, match="names no tokens"):
            token_positions(wrong)
    for wrong in ("3/512", "a/3=1", "3/4=", "3/4=x", "3/4=1e999", "-1/4=1"):
        with pytest.raises(argparse.ArgumentTypeError, match="no change of a feature"):
            feature_change(wrong)
