"""Tokenizers of several sizes on several mixtures."""

from __future__ import annotations

import pytest
from helpers import text_tokenizers

from ilo_fast.training.pretrain.vocabularies import train_tokenizers

TEXTS = {"eng_Latn": list(text_tokenizers.TEXT[:1]), "rus_Cyrl": [text_tokenizers.TEXT[4]]}


def test_each_size_and_mixture_is_trained_and_shares_decide() -> None:
    found = train_tokenizers(
        TEXTS,
        vocab_sizes=(280, 300),
        mixtures={"equal": None, "none": {"rus_Cyrl": 0.0}},
        n_lines=9,
    )
    assert list(found) == ["equal 280", "equal 300", "none 280", "none 300"]
    assert [len(own) for own in found.values()] == [280, 300, 280, 300]

    def count(name: str, code: str) -> int:
        return len(found[name](TEXTS[code][0])["input_ids"])

    assert count("none 300", "eng_Latn") < count("equal 300", "eng_Latn")
    assert count("none 300", "rus_Cyrl") > count("equal 300", "rus_Cyrl")
    assert count("equal 300", "eng_Latn") < count("equal 280", "eng_Latn")


def test_one_mixture_of_equal_shares_is_the_default_and_wrong_ones_are_refused() -> None:
    (name,) = train_tokenizers(TEXTS, vocab_sizes=(270,), n_lines=3)
    assert name == "equal 270"
    with pytest.raises(ValueError, match="mixture"):
        train_tokenizers(TEXTS, vocab_sizes=(280,), mixtures={"x": {"deu_Latn": 0.5}})
    with pytest.raises(ValueError, match="n_lines"):
        train_tokenizers(TEXTS, n_lines=0)
