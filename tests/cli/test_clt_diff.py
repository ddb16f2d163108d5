"""`ilo-fast clt diff`: what it prints and writes, its flags, its errors."""

from __future__ import annotations

import copy
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from cli.test_clt_train import subparser
from helpers import tiny_models, transcoders
from helpers.clt_models import random_transcoder
from helpers.html import Page
from transformers import LlamaForCausalLM

from ilo_fast.cli import main
from ilo_fast.models.identity import hash_state
from ilo_fast.transcoders.files.fitting import transcoded_model
from ilo_fast.transcoders.files.folder import save_transcoder
from ilo_fast.transcoders.info import TranscoderInfo
from ilo_fast.transcoders.reading import MLPReader

FIGURES = ("diff_layer.png", "diff_language.png")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model and its transcoder, with noise, as if they had been trained on."""
    root = tmp_path_factory.mktemp("diff")
    random = torch.Generator().manual_seed(0)

    def disturbed(module: Any, size: float) -> Any:
        module = copy.deepcopy(module)
        with torch.no_grad():
            for weight in module.parameters():
                noise = torch.randn(weight.shape, generator=random)
                weight.add_(size * float(weight.std()) * noise)
        return module

    torch.manual_seed(0)
    shape = transcoders.model().config
    shape.max_position_embeddings = 512
    model = LlamaForCausalLM(shape).eval()
    for name, size in (("model", 0.0), ("tuned", 0.1), ("control", 0.02)):
        disturbed(model, size).save_pretrained(root / "results" / name)
        tiny_models.tokenizer().save_pretrained(root / "results" / name)
    model = LlamaForCausalLM.from_pretrained(root / "results" / "model")
    found = transcoded_model(MLPReader(model), str(root / "results" / "model"))
    base = random_transcoder(0).float()
    sha = hash_state(base, computed=False)
    for name, size, options in (
        ("base", 0.0, {}), ("refitted", 0.1, {"initial_sha256": sha}),
        ("refitted_base", 0.03, {"initial_sha256": sha}),
    ):  # fmt: skip
        other = disturbed(base, size)
        other.info = TranscoderInfo(found, 16, 1, ("eng_Latn",), 1000, "nothing", options)
        save_transcoder(other, root / "results" / name)
    return root


def test_examples_of_the_help_run_as_printed(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(results)
    title, *lines = subparser("clt", "diff").epilog.splitlines()
    assert title == "examples:" and len(lines) == 3
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "ilo-fast"
        fewer = ["--limit", "12", *(["--prompts", "2"] if "0" not in arguments else [])]
        assert main([*arguments, *fewer, "-q", "--device", "cpu", "-o", "out"]) == 0, line
        shown = capsys.readouterr().out
        found = json.loads(Path("out/diff.json").read_text())
        assert all((Path("out") / name).stat().st_size > 5000 for name in FIGURES)
        text = Path("out/diff.html").read_text()
        page = Page(text)
        assert len(page.ids) == len(set(page.ids))
        assert all(address.startswith(("#", "data:")) for address in page.addresses)
        assert text.index("Features that changed are not") < text.index("<section")
        if "--json" in arguments:
            assert json.loads(shown) == found
            continue
        assert max(map(len, shown.splitlines())) <= 100
        without = "--seed-control" not in arguments
        assert ("No seed control was given" in shown) == without
        for event in found["events"]:
            (row,) = [x for x in shown.splitlines() if x.startswith(f"{event['kind']:<16}  ")]
            assert f"{event['found']:,}" in row and (event["control_share"] is None) == without
        if without:
            assert "the same transcoder on both models" in shown
            assert found["edges"]["prompts"] == 2 and "middle links stronger (raw)" in shown
        else:
            assert "a transcoder refitted from the other's weights" in shown
            assert found["correspondence"] == "number" and "Features matched" in shown
            assert "seed control: base of model -> refitted_base of model" in shown
    assert found["seed_controls"][0]["fit"] == "reused"  # --control-model


def test_wrong_calls_say_what_is_missing(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(results)
    for words, message in (
        (["results/base"], "give TUNED, or --tuned-model"),
        (["results/base", "results/base", "--seed-control", "a", "b", "c"], "--seed-control a b c"),
        (["results/base", "results/base", "--prompts", "-1"], "--prompts"),
    ):
        with pytest.raises(SystemExit) as left:
            raise SystemExit(main(["clt", "diff", *words, "-q"]))
        assert left.value.code == 2
        assert message in capsys.readouterr().err
    argv = [
        "clt",
        "diff",
        "results/base",
        "nowhere",
        "-q",
        "--limit",
        "4",
        "-l",
        "eng_Latn,deu_Latn",
    ]
    assert main(argv) == 1
    assert "nowhere" in capsys.readouterr().err
