"""A small model and text, and a folder of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ilo_fast.cli import main
from ilo_fast.report import files

TEXT = {
    "eng_Latn": "The cat sleeps.|Rain is falling.|We eat bread.|She reads a book.|He runs home.",
    "deu_Latn": "Die Katze schläft.|Es regnet.|Wir essen Brot.|Sie liest ein Buch.|Er rennt heim.",
    "fra_Latn": "Le chat dort.|Il pleut.|Nous mangeons du pain.|Elle lit un livre.|Il court.",
    "spa_Latn": "El gato duerme.|Llueve.|Comemos pan.|Ella lee un libro.|Él corre a casa.",
}

Run = Callable[..., int]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2 of two blocks and random weights, with a tokenizer of single bytes."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2Model, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<s>": 0, **{letter: i for i, letter in enumerate(letters, start=1)}}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="<s>")
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(vocabulary), n_embd=16, n_layer=2, n_head=2, n_positions=64,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("models") / "tiny"
    GPT2Model(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpora") / "text"
    folder.mkdir()
    for code, lines in TEXT.items():
        (folder / f"{code}.txt").write_text(lines.replace("|", "\n") + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder and a cache of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ILO_FAST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


@pytest.fixture
def drawing_run(here: Path, model: Path, corpus: Path) -> Run:
    """``ilo-fast run`` on the small model and text, with more flags."""

    def call(*more: str, command: str = "run") -> int:
        base = [command, "-m", str(model), "--corpus", str(corpus), "--device", "cpu"]
        return main([*base, *more])

    return call


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the figures, which take most of the time, where a test is not about them."""
    monkeypatch.setattr(files, "write_drawn", lambda scores, folder, **parts: [])


@pytest.fixture
def run(drawing_run: Run, undrawn: None) -> Run:
    """The same without figures."""
    return drawing_run
