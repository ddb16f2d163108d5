"""Text that is put before every sentence."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.tiny_models import build, tokenizer

from ilo_fast.representations.extraction import extract

TEXT = {"eng_Latn": ["a cold day", "we walk"], "deu_Latn": ["ein Tag", "wir gehen"]}


def test_a_prefix_gives_what_prefixed_sentences_give_and_stays_out_of_the_corpus() -> None:
    options = {"tokenizer": tokenizer(), "progress": False}
    model = build("bert")
    found = extract(model, TEXT, prefix="query: ", **options)
    by_hand = {code: [f"query: {line}" for line in lines] for code, lines in TEXT.items()}
    wanted, without = extract(model, by_hand, **options), extract(model, TEXT, **options)
    for code in TEXT:
        np.testing.assert_array_equal(found[code], wanted[code])
        assert not np.array_equal(found[code], without[code])
    assert (found.info["prefix"], without.info["prefix"]) == ("query: ", "")
    assert found.info["corpus_sha256"] == without.info["corpus_sha256"]


def test_a_prefix_that_is_no_text_is_refused() -> None:
    with pytest.raises(TypeError, match="prefix=3 must be a str"):
        extract(build("bert"), TEXT, tokenizer=tokenizer(), prefix=3)  # type: ignore[arg-type]
