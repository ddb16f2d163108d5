"""What the tests of training share: text, tiny runs, callbacks that watch or stop them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from helpers import tiny_models
from safetensors.torch import load_file

from ilo_fast import FineTuned, LabelledCorpus, OverlapOptions, ParallelCorpus, finetune

# Folder of a tiny model of an architecture, see tests/training/conftest.py.
FolderOf = Callable[..., Path]

WORDS = [
    "water",
    "cold",
    "today",
    "river",
    "winter",
    "snow",
    "bread",
    "house",
    "green",
    "small",
    "walks",
    "reads",
    "rain",
    "old",
]


def sentences(n: int, seed: int = 0) -> list[str]:
    """Distinct sentences of two to twelve words."""
    rng = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < n:
        found[" ".join(rng.choices(WORDS, k=rng.randint(2, 12)))] = None
    return list(found)


LINES = sentences(40)


CORPUS = ParallelCorpus.from_dict(
    {code: tiny_models.SENTENCES[code] for code in ("eng_Latn", "deu_Latn", "fra_Latn")}
)

FEW = OverlapOptions(n_neighbors=2, threshold=1)


def train(model: Any, output: Path, data: Any = LINES, **options: Any) -> FineTuned:
    settings: dict[str, Any] = {
        "device": "cpu", "progress": False, "max_steps": 4, "batch_size": 4, "learning_rate": 1e-2,
    }  # fmt: skip
    return finetune(model, data, output, **(settings | options))


def weights(result: FineTuned) -> dict[str, torch.Tensor]:
    return load_file(result.path / "model.safetensors")


def assert_same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> None:
    assert left.keys() == right.keys()
    different = [name for name in left if not torch.equal(left[name], right[name])]
    assert not different


class StopAt(hf.TrainerCallback):
    """Raises after a step, as a power cut or Ctrl-C would end the run."""

    def __init__(self, step: int, error: type[BaseException] = RuntimeError) -> None:
        self.step, self.error = step, error

    def on_step_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        if state.global_step == self.step:
            raise self.error("stopped by the test")


class Watch(hf.TrainerCallback):
    """Keeps the weights at the start, and what is logged."""

    def __init__(self) -> None:
        self.start: dict[str, torch.Tensor] = {}
        self.logs: list[dict[str, float]] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **others: Any) -> None:
        self.logs.append(dict(logs))

    def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        self.start = {n: p.detach().clone() for n, p in others["model"].state_dict().items()}


def labelled(*, n: int = 24, dev: bool = True) -> LabelledCorpus:
    """Cold or warm, told apart by one word."""
    rows = [(f"{line} {('zzz', 'qqq')[i % 2]}", ("cold", "warm")[i % 2])
            for i, line in enumerate(sentences(n + 8, seed=1))]  # fmt: skip
    texts, labels = zip(*rows, strict=True)
    splits = {"train": (texts[:n], labels[:n])}
    if dev:
        splits["dev"] = (texts[n:], labels[n:])
    return LabelledCorpus.from_dict({"eng_Latn": splits, "deu_Latn": dict(splits)})
