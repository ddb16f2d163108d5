"""Tiny models, texts and runs for the training of transcoders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from helpers import tiny_models
from transformers import LlamaConfig, LlamaForCausalLM

from ilo_fast.transcoders.activations import TopK
from ilo_fast.transcoders.training.train import TrainedTranscoder, train_transcoder

WORDS = ("water", "river", "winter", "cold", "she", "reads", "walks", "long", "house", "rain")


def lines(n: int, word: str = "") -> list[str]:
    """All different."""
    return [
        f"{word} {WORDS[i % 10]} {WORDS[i // 10 % 10]} {'a' * (i // 100 % 10)} and so on".strip()
        for i in range(n)
    ]


TEXTS = {"deu_Latn": lines(120, "das"), "eng_Latn": lines(120, "the")}


def model(seed: int = 0) -> Any:
    """A Llama of three layers."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=tiny_models.VOCABULARY, hidden_size=16, intermediate_size=24,
        num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=2,
        max_position_embeddings=64, bos_token_id=0, pad_token_id=1, eos_token_id=2,
        initializer_range=0.5,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def saved_model(folder: Path) -> Path:
    """With its tokenizer, which begins texts with <s>."""
    model().save_pretrained(folder)
    tiny_models.tokenizer().save_pretrained(folder)
    return folder


SMALL: dict[str, Any] = {
    "n_features": 24, "activation": TopK(4), "tokens": 4000, "context_length": 16,
    "batch_tokens": 256, "buffer_tokens": 2048, "dead_after": 600, "device": "cpu",
    "learning_rate": 1e-2, "eval_fraction": 0.1,
}  # fmt: skip


def train(folder: Path, model: Any, text: Any = None, **changes: Any) -> TrainedTranscoder:
    tokenizer = tiny_models.tokenizer() if isinstance(model, torch.nn.Module) else None
    options = SMALL | {"tokenizer": tokenizer} | changes
    return train_transcoder(model, TEXTS if text is None else text, folder, **options)


def assert_same(a: TrainedTranscoder, b: TrainedTranscoder) -> None:
    """To the bit."""
    first, second = a.transcoder.state_dict(), b.transcoder.state_dict()
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
