"""Sentences that the tokenizer cannot represent, and tokens that do not count."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.tiny_models import SENTENCES, assert_same, build, run, tokenizer
from tokenizers.normalizers import Replace

from ilo_fast.errors import CorpusError


def without_x(specials):
    tok = tokenizer(specials=specials)
    tok.backend_tokenizer.normalizer = Replace("x", "")
    return tok


@pytest.mark.parametrize("special_tokens", ["include", "exclude"])
def test_line_without_tokens_is_named(special_tokens):
    lines = {"deu_Latn": ["a", "x"]}
    with pytest.raises(CorpusError, match="deu_Latn, line 2 yields"):
        run(build("llama"), lines, tok=without_x(True), special_tokens=special_tokens)
    with pytest.raises(CorpusError, match="deu_Latn, line 2 yields no tokens"):
        run(build("llama"), lines, tok=without_x(False))


def test_special_tokens_can_be_left_out_of_the_mean():
    model, tok = build("bert"), tokenizer()
    got = run(model, tok=tok, special_tokens="exclude")
    ids = tok(SENTENCES["eng_Latn"][0], return_tensors="pt")["input_ids"]
    with torch.no_grad():
        states = model(input_ids=ids, output_hidden_states=True).hidden_states
    theirs = np.stack([state[0, 1:-1].mean(dim=0).numpy() for state in states])
    assert_same(got["eng_Latn"][:, :1], theirs[:, None])
    assert got.info["special_tokens"] == "exclude"


def test_unknown_characters_count_and_are_not_special():
    got = run(build("bert"), {"xxx_Xxxx": ["ΑΒΓ", "abc"]}, special_tokens="exclude")
    assert got.info["n_tokens"] == {"xxx_Xxxx": 10}
