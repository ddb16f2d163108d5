"""The examples at the end of the help of finetune, pretrain and transfer run as printed."""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
from pathlib import Path

import pytest
import torch
import transformers as hf
from helpers import tiny_models
from helpers.training import FEW, LINES, train

from ilo_fast import LabelledCorpus, ParallelCorpus
from ilo_fast.cli import build_parser, main
from ilo_fast.models.output import suppress_output

COMMANDS = ("finetune", "pretrain", "transfer")


def examples(command: str) -> list[str]:
    actions = build_parser()._actions
    (commands,) = [a for a in actions if isinstance(a, argparse._SubParsersAction)]
    epilog = commands.choices[command].epilog
    assert epilog is not None
    title, *lines = epilog.splitlines()
    assert title == "examples:"
    return [line.strip() for line in lines]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the examples name: a model, texts, labelled texts, a run."""
    root = tmp_path_factory.mktemp("examples")
    torch.manual_seed(0)
    with suppress_output():
        config = tiny_models.ARCHITECTURES["llama"][0]()
        hf.AutoModelForCausalLM.from_config(config).save_pretrained(root / "my-model")
    tiny_models.tokenizer().save_pretrained(root / "my-model")
    (root / "my-texts").mkdir()
    (root / "my-labelled").mkdir()
    for code in ("eng_Latn", *ParallelCorpus.demo().languages[:4]):
        (root / "my-texts" / f"{code}.txt").write_text("\n".join(LINES) + "\n")
    splits = ("train", "dev", "test")
    for code in tiny_models.SENTENCES:
        rows = [
            {"text": line, "label": ("cold", "warm")[i % 2], "split": splits[i % 3]}
            for i, line in enumerate(LINES[:24])
        ]
        content = "".join(json.dumps(row) + "\n" for row in rows)
        (root / "my-labelled" / f"{code}.jsonl").write_text(content)
    data = LabelledCorpus.from_dir(root / "my-labelled")
    train(root / "my-model", root / "my-run", data, max_steps=2, overlap_options=FEW,
          corpus=tiny_models.SENTENCES)  # fmt: skip
    shutil.copytree(root / "my-run" / "model", root / "my-classifier")
    return root


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_of_a_help_run_as_printed(
    command: str, theirs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(theirs, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    found = examples(command)
    assert len(found) == 3
    for line in found:
        program, *arguments = shlex.split(line)
        assert program == "ilo-fast" and arguments[0] == command
        assert main([*arguments, "--quiet", "--device", "cpu"]) == 0, line
