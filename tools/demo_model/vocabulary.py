"""The tokenizer: byte-level BPE, lower-cased, trained on an equal number of lines a language."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer

from .data import Text

BOS, EOS, PAD, UNK = "<s>", "</s>", "<pad>", "<unk>"
SPECIAL = [PAD, BOS, EOS, UNK]  # ids 0, 1, 2, 3

# Letters keep their combining marks (Indic vowel signs are \p{M}, not \p{L}): GPT-2's own
# pattern would cut every Hindi, Bengali and Telugu word at each of them.  Chinese and Japanese
# runs come first, so that no space sticks to them.
WORD = (
    r"[\p{Han}\p{Hiragana}\p{Katakana}ー]+| ?[\p{L}\p{M}]+| ?\p{N}"
    r"| ?[^\s\p{L}\p{M}\p{N}]+|\s+"
)


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

    tokenizer = Tokenizer(models.BPE(unk_token=None))
    # A space before the first word, so that a word has one token wherever it stands.
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Lowercase(), normalizers.Prepend(" ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORD), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    trainer = BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=24,
        show_progress=False,
    )
    tokenizer.train_from_iterator(sample, trainer)
    tokenizer.post_processor = TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, 1)]
    )
    return tokenizer


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
