"""Tokenizers that mark the language get each sentence's own, or the call is refused."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest
import torch
import transformers as hf
from helpers.tiny_models import (
    SENTENCES,
    build,
    marking_tokenizer,
    published,
    run,
    tokenizer,
)
from transformers.models.m2m_100.tokenization_m2m_100 import FAIRSEQ_LANGUAGE_CODES

from ilo_fast.representations.language_codes import language_codes, speaking


class M2M:
    """What M2M-100 says of its languages (its tokenizer needs a file of sentencepiece)."""

    all_special_tokens = ()
    unk_token_id = 3
    src_lang = property(lambda self: "en")
    lang_code_to_id = MappingProxyType(
        {code: 10 + i for i, code in enumerate(FAIRSEQ_LANGUAGE_CODES["m2m100"])}
    )

    def get_added_vocab(self):
        return {}


class Seamless(M2M):
    lang_code_to_id = None
    all_special_tokens = ("<s>", "__eng__", "__cmn__", "__cmn_Hant__", "__ekk__", "<unk>")

    def convert_tokens_to_ids(self, token):
        return 3 if token == "__ekk__" else 50


@pytest.mark.parametrize(
    ("tok", "expected"),
    [
        (marking_tokenizer("eng_Latn", "zho_Hant"), {
            "eng_Latn_GB": "eng_Latn", "zho_Hant": "zho_Hant",
        }),
        (hf.MBart50Tokenizer(), {
            "eng_Latn": "en_XX", "deu_Latn": "de_DE", "zho_Hans": "zh_CN", "arb_Arab": "ar_AR",
            "ekk_Latn": "et_EE", "swh_Latn": "sw_KE", "pes_Arab": "fa_IR",
        }),
        (M2M(), {
            "eng_Latn": "en", "zho_Hant": "zh", "ast_Latn": "ast",
            "plt_Latn": "mg", "fil_Latn": "tl",
        }),
        (Seamless(), {"eng_Latn": "eng", "zho_Hans": "cmn", "zho_Hant": "cmn_Hant"}),
        (tokenizer(), {}),
    ],
    ids=["nllb", "mbart50", "m2m100", "seamless", "none"],
)  # fmt: skip
def test_codes_of_the_tokenizer_are_found(tok, expected):
    assert language_codes(tok, expected, None) == expected


@pytest.mark.parametrize(
    ("tok", "code"),
    [
        (marking_tokenizer("eng_Latn", "srp_Cyrl"), "srp_Latn"),
        (hf.MBart50Tokenizer(), "zho_Hant"),
        (hf.MBart50Tokenizer(), "min_Latn"),
        (Seamless(), "est_Latn"),  # named, but without a token of its own
    ],
)
def test_language_that_cannot_be_known_is_refused_and_can_be_chosen(tok, code):
    with pytest.raises(ValueError, match=rf"{code}: .*tokenizer_languages=.*from .*en") as caught:
        language_codes(tok, [code], None)
    choice = str(caught.value).rsplit(" ", 1)[1]
    assert language_codes(tok, [code], {code: choice}) == {code: choice}
    with pytest.raises(ValueError, match="has no 'xx'"):
        language_codes(tok, [code], {code: "xx"})


@pytest.mark.parametrize(
    ("tok", "chosen", "error", "says"),
    [
        (marking_tokenizer("eng_Latn"), ["eng_Latn"], TypeError, "wanted a mapping"),
        (marking_tokenizer("eng_Latn"), {"eng_Latn": 3}, TypeError, "wanted a mapping"),
        (tokenizer(), {"eng_Latn": "en"}, ValueError, "does not depend on the language"),
    ],
)
def test_wrong_choice_of_languages_is_refused(tok, chosen, error, says):
    with pytest.raises(error, match=f"tokenizer_languages.*{says}"):
        language_codes(tok, ["eng_Latn"], chosen)


def test_tokenizer_is_as_before_afterwards():
    tok = hf.MBart50Tokenizer()
    tok.set_tgt_lang_special_tokens("fr_XX")
    before = tok("a")["input_ids"]
    with pytest.raises(KeyError), speaking(tok, "de_DE"):
        assert tok("a")["input_ids"] != before
        raise KeyError
    assert tok("a")["input_ids"] == before and tok.src_lang == "en_XX"


def test_each_language_is_encoded_with_its_own_token(tmp_path):
    torch.manual_seed(0)
    model, tok = build("m2m_100"), marking_tokenizer(*SENTENCES)
    model.resize_token_embeddings(len(tok) + 8)
    got = run(model, tok=tok, cache=tmp_path)
    assert got.info["language_codes"] == {code: code for code in SENTENCES}
    for code, sentences in SENTENCES.items():
        tok.src_lang = code
        expected = published(model, tok, sentences)
        np.testing.assert_allclose(got[code], expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    one = {"eng_Latn": SENTENCES["eng_Latn"]}
    other = run(model, one, tok=tok, cache=tmp_path, tokenizer_languages={"eng_Latn": "deu_Latn"})
    assert other.info["language_codes"] == {"eng_Latn": "deu_Latn"}
    assert other.info["cache_hits"] == [] and np.abs(other["eng_Latn"] - got["eng_Latn"]).max() > 0
