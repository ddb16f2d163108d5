"""The code of the README and of the pages of docs/, run as printed.

The blocks of a page run in order in one namespace, in a folder that holds what a reader has: the
demo as in a clone, and small local folders under the names that the pages use (``my-checkpoint``,
...). A value behind ``print(...)`` is checked. Commands run in the same folder, in the same order.
"""

from __future__ import annotations

import importlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import pages, tiny_models
from helpers.figures import leave_out_figures

from ilo_fast import ParallelCorpus
from ilo_fast.cli import build_parser, main

# Commands that are not run here, and why. Their flags are checked.
_HUB = "needs the Hub"
_FILLED_IN = "names folders that the reader fills in"
_SLOW = "half a minute; tests/cli runs it with fewer steps"
NOT_RUN = {
    "run --model meta-llama/Llama-3.1-8B --corpus flores200 --languages paper31": _HUB,
    "finetune --model FacebookAI/xlm-roberta-base --data ./labelled --freeze 0-7 "
    "--corpus ./my-corpus -o run_xlmr": _HUB,
    "extract --model MODEL_DIR --corpus FLORES_DIR -o reps": _FILLED_IN,
    "score reps -o scores": "scores what the command before it would have made",
    "run --model MODEL_DIR --corpus FLORES_DIR --backend cuda": "needs a GPU",
    "finetune": _SLOW,
    "finetune --freeze 0-2": _SLOW,
}
# Pages whose Python is compiled, and its imports looked up, but not run.
ONLY_COMPILED = {
    "docs/how-to/gpu.md": "needs a GPU",
    "docs/how-to/scale.md": "needs a Ray cluster",
}
# Pages about packages that an installation may lack, and that warn on their own account.
NEEDS = {
    "docs/how-to/harnesses.md": ("mteb", "lm_eval", "sentence_transformers", "evaluate"),
    "docs/how-to/pipelines.md": ("sklearn", "umap", "openTSNE", "xarray"),
}
PAGES = [page for page in pages.PAGES if page.startswith(("README", "docs"))]
LANGUAGES = ("eng_Latn", "deu_Latn", "fra_Latn", "spa_Latn", "swh_Latn", "tha_Thai")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all pages: the demo is extracted once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the pages name."""
    import torch
    import transformers as hf

    folder = tmp_path_factory.mktemp("laid_out")
    shutil.copytree(
        pages.ROOT / "python" / "ilo_fast" / "demo",
        folder / "python" / "ilo_fast" / "demo",
    )
    torch.manual_seed(0)
    tokenizer = tiny_models.tokenizer(model_max_length=128)
    for name, auto, architecture in (
        ("my-checkpoint", hf.AutoModelForCausalLM, "llama"),
        ("my-encoder", hf.AutoModel, "xlm_roberta"),
    ):
        auto.from_config(tiny_models.ARCHITECTURES[architecture][0]()).save_pretrained(
            folder / name
        )
        tokenizer.save_pretrained(folder / name)
    corpus = ParallelCorpus.demo(LANGUAGES)
    for name, part in (("my-corpus", slice(0, 20)), ("texts", slice(20, 60))):
        (folder / name).mkdir()
        for code in LANGUAGES:
            text = "\n".join(corpus.sentences[code][part]) + "\n"
            (folder / name / f"{code}.txt").write_text(text, encoding="utf-8")
    (folder / "labelled").mkdir()
    for code in LANGUAGES[:4]:
        rows = [
            {"text": line, "label": ("short", "long")[len(line) > 40], "split": split}
            for split, part in (
                ("train", slice(0, 24)),
                ("dev", slice(24, 32)),
                ("test", slice(32, 60)),
            )
            for line in corpus.sentences[code][part]
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "labelled" / f"{code}.jsonl").write_text(text, encoding="utf-8")
    rng = np.random.default_rng(0)
    np.save(folder / "vectors.npy", rng.standard_normal((400, 24), np.float32))
    np.save(folder / "asked.npy", rng.standard_normal((50, 24), np.float32))
    (folder / "my-vectors").mkdir()
    for code in LANGUAGES:
        np.save(folder / "my-vectors" / f"{code}.npy", rng.standard_normal((2, 30, 24), np.float32))
    return folder


@pytest.fixture
def reader(
    laid_out: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The folder that a reader of one page works in."""
    shutil.copytree(laid_out, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ILO_FAST_CACHE", str(cache))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    leave_out_figures(monkeypatch)
    yield tmp_path


def test_the_first_two_bash_blocks_are_those_that_ci_runs() -> None:
    first, second = pages.blocks("README.md", "bash")[:2]
    assert first.text.startswith("python3 -m venv .venv && .venv/bin/pip install ")
    assert first.text.rstrip().endswith(".venv/bin/ilo-fast run")
    assert ".[test]" in second.text and second.text.rstrip().endswith("-m pytest")


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.filterwarnings("default")] if page in NEEDS else ())
        for page in PAGES
        if pages.blocks(page)
    ],
)
def test_a_page_runs_as_printed(
    page: str, reader: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in NEEDS.get(page, ()):
        pytest.importorskip(package, reason=f"{page} shows {package}, which is not installed")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    printed: list[str] = []
    wrong: list[str] = []
    for block in pages.blocks(page):
        if block.kind == "python":
            check_imports(block)
            if page in ONLY_COMPILED:
                compile(block.text, block.place, "exec")
            else:
                wrong += pages.run_python(block, namespace)
        elif block.kind == "bash":
            for words in our_commands(block):
                if " ".join(words) in NOT_RUN:
                    continue
                capsys.readouterr()
                assert main(words) == 0, f"{block.place}: ilo-fast {' '.join(words)}"
                printed = capsys.readouterr().out.splitlines()
        elif block.kind == "yaml" and (named := re.match(r"# ([\w/.-]+)\n", block.text)):
            Path(named[1]).parent.mkdir(exist_ok=True)
            Path(named[1]).write_text(block.text, encoding="utf-8")
        elif block.kind == "text":  # what the command before it printed
            for line in block.text.splitlines():
                if line not in ("", "...", *printed):
                    wrong.append(f"{block.place}: not printed: {line}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", PAGES)
def test_commands_on_a_page_have_the_flags_they_use(page: str) -> None:
    parser = build_parser()
    for block in [*pages.blocks(page, "bash"), *pages.inline_code(page)]:
        for words in our_commands(block):
            try:
                parser.parse_args(words)
            except SystemExit:
                pytest.fail(f"{block.place}: ilo-fast {' '.join(words)}")


def test_everything_left_out_is_on_a_page() -> None:
    blocks = [block for page in PAGES for block in pages.blocks(page, "bash")]
    found = {" ".join(words) for block in blocks for words in our_commands(block)}
    assert NOT_RUN.keys() <= found
    assert ONLY_COMPILED.keys() | NEEDS.keys() <= set(PAGES)


def check_imports(block: pages.Block) -> None:
    for module, name in pages.imported_names(block.text):
        found = importlib.import_module(module)
        assert name is None or hasattr(found, name), f"{block.place}: {module} has no {name}"


def our_commands(block: pages.Block) -> Iterator[list[str]]:
    """The arguments of each ``ilo-fast`` command of a block, in order."""
    for words in pages.commands(block):
        if words[0].endswith("ilo-fast"):
            yield words[1:]
        elif words[1:3] == ["-m", "ilo_fast"]:
            yield words[3:]
