"""Tokenizers of every kind, trained offline on a little text, and one that hides its offsets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from ilo_fast.training.pretrain.tokenizer import as_pretrained, train_tokenizer

TEXT = (
    "the water is cold today and the river is unbelievably long, isn't it?",
    "das Wasser ist heute kalt; der Fluss fließt unter der alten Brücke entlang",
    "l'eau est froide aujourd'hui, où est la gare très éloignée?",
    "नमस्ते दुनिया, यह एक छोटा वाक्य है और पानी ठंडा है",
    "вода сегодня холодная, и река очень длинная",
    "今日は水が冷たい。川はとても長い。",
    "in 1,234 words or 3.5 of them (see below) it is x-rayed",
)


def wrapped(core: Tokenizer, **special: str) -> Any:
    return PreTrainedTokenizerFast(
        tokenizer_object=core, clean_up_tokenization_spaces=False, **special
    )


def own_bpe(size: int = 420, text: Iterable[str] = TEXT) -> Any:
    """As `pretrain` trains it."""
    return as_pretrained(train_tokenizer(text, vocab_size=size), max_length=512)


def gpt_bpe(size: int = 420, text: Iterable[str] = TEXT) -> Any:
    """Byte-level, split as newer models do: no space is added, three digits at a time."""
    core = Tokenizer(models.BPE())
    split = r" ?[\p{L}\p{M}]+|\p{N}{1,3}| ?[^\s\p{L}\p{M}\p{N}]+|\s+"
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    core.train_from_iterator(
        text,
        trainers.BpeTrainer(
            vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=["<|end|>"], show_progress=False,
        ),
    )  # fmt: skip
    return wrapped(core, eos_token="<|end|>")


def wordpiece(size: int = 160, text: Iterable[str] = TEXT) -> Any:
    core = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer(strip_accents=False, lowercase=True)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.decoder = decoders.WordPiece()
    core.train_from_iterator(
        text,
        trainers.WordPieceTrainer(vocab_size=size, special_tokens=["[UNK]"], show_progress=False),
    )
    return wrapped(core, unk_token="[UNK]")


def unigram(size: int = 150, text: Iterable[str] = TEXT) -> Any:
    """As sentencepiece: a mark in place of every space and before the first word."""
    core = Tokenizer(models.Unigram())
    core.normalizer = normalizers.NFKC()
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    core.decoder = decoders.Metaspace()
    core.train_from_iterator(
        text,
        trainers.UnigramTrainer(
            vocab_size=size, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False
        ),
    )
    return wrapped(core, unk_token="<unk>")


def byte_fallback(words: Sequence[str] = ("the", "water")) -> Any:
    """As Llama 2: words of a list, letters a to z, and bytes for what is not among them."""
    names = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁"]
    names += [chr(97 + at) for at in range(26)]
    merges: list[tuple[str, str]] = []
    for word in words:
        made = "▁"
        for letter in word:
            if (made, letter) not in merges:
                merges.append((made, letter))
                names.append(made + letter)
            made += letter
    vocabulary = {name: at for at, name in enumerate(names)}
    core = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True))
    core.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return wrapped(core, unk_token="<unk>")


KINDS = {
    "own BPE": own_bpe,
    "GPT BPE": gpt_bpe,
    "WordPiece": wordpiece,
    "Unigram": unigram,
    "byte fallback": byte_fallback,
}


class WithoutOffsets:
    """What a slow tokenizer offers of a fast one."""

    is_fast = False

    def __init__(self, fast: Any) -> None:
        self._fast = fast
        self.unk_token_id = fast.unk_token_id

    def __len__(self) -> int:
        return len(self._fast)

    def __call__(self, text: Any, **options: Any) -> Any:
        assert "return_offsets_mapping" not in options
        return self._fast(text, **options)

    def convert_ids_to_tokens(self, ids: Any) -> Any:
        return self._fast.convert_ids_to_tokens(ids)

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        return self._fast.convert_tokens_to_ids(tokens)
