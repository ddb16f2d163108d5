"""A tiny pretraining run in three languages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    TrainerCallback,
)

from ilo_fast import OverlapOptions, Pretrained, pretrain

TEXTS = {
    "eng_Latn": [f"the water is cold in house {i}" for i in range(40)],
    "deu_Latn": [f"das wasser ist kalt in haus {i}" for i in range(30)],
    "fra_Latn": [f"l'eau est froide dans la maison {i}" for i in range(20)],
}

SMALL: dict[str, Any] = {
    "vocab_size": 300, "tokenizer_lines": 20, "hidden_size": 16, "num_attention_heads": 2,
    "num_hidden_layers": 2, "intermediate_size": 24, "context": 12, "batch_size": 8,
    "max_steps": 12, "learning_rate": 1e-2, "device": "cpu", "progress": False,
}  # fmt: skip
DEMO = OverlapOptions(n_neighbors=2, threshold=2)


def run(folder: Path, texts: Any = TEXTS, **changes: Any) -> Pretrained:
    return pretrain(texts, folder, **(SMALL | changes))


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def assert_same_weights(a: Any, b: Any) -> None:
    first, second = weights(a), weights(b)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


class Stop(TrainerCallback):
    """Ends the process, as it were, after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        if state.global_step == self.step:
            raise KeyboardInterrupt
