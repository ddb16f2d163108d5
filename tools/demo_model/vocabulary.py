"""The tokenizer: that of ``ilo_fast.pretrain``, lower-cased, trained on aligned and plain lines."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from ilo_fast.training.pretrain.tokenizer import BOS, EOS, PAD, UNK
from ilo_fast.training.pretrain.tokenizer import train_tokenizer as train_on

from .data import Text


def train_tokenizer(
    text: Text, *, vocab_size: int, lines_per_language: int, seed: int
) -> Tokenizer:
    """Train on `lines_per_language` aligned lines and as many plain lines of each language."""
    rng = np.random.default_rng(seed)
    sample: list[str] = []
    for code in text.languages:
        pool = [line for corpus in text.aligned.values() for line in corpus.get(code, [])]
        for lines in (pool, text.plain.get(code, [])):
            take = rng.permutation(len(lines))[:lines_per_language]
            sample.extend(lines[i] for i in take)
    return train_on(sample, vocab_size=vocab_size, lowercase=True)


def save_tokenizer(tokenizer: Tokenizer, folder: Path, *, max_length: int) -> None:
    """Write tokenizer.json and tokenizer_config.json as ``AutoTokenizer`` wants them."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_length,
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": PAD,
        "unk_token": UNK,
        "padding_side": "right",
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
