"""How many tokens are kept per sentence."""

from __future__ import annotations

import logging

import pytest
from helpers.tiny_models import assert_same, build, run
from helpers.unusual_models import build_unusual


def test_long_text_is_truncated_and_counted(caplog):
    model = build("llama")
    corpus = {"eng_Latn": ["a" * 200, "short"], "deu_Latn": ["b", "c"]}
    with caplog.at_level(logging.WARNING, "ilo_fast"):
        got = run(model, corpus)
    assert got.info["truncated"] == {"eng_Latn": 1} and got.info["max_length"] == 128
    assert "truncated (eng_Latn: 1)" in caplog.text
    cut = run(model, {"eng_Latn": ["a" * 126, "short"]})  # <s> and </s> survive the cut
    assert_same(got["eng_Latn"], cut["eng_Latn"])


def test_positions_counted_from_the_padding_index_leave_less_room():
    # RoBERTa counts from its padding index: 128 rows hold 126 positions.
    got = run(build("xlm_roberta"), {"eng_Latn": ["a" * 200]})
    assert got.info["max_length"] == 126


def test_model_without_a_limit_truncates_nothing():
    assert run(build("bloom"), {"eng_Latn": ["a" * 300]}).info["truncated"] == {}


def test_max_length_is_kept_to_and_checked():
    model = build("llama")
    got = run(model, max_length=6)
    assert got.info["truncated"]["eng_Latn"] == 5
    with pytest.raises(ValueError, match="model's 128 positions: pass at most 128"):
        run(model, max_length=129)
    with pytest.raises(ValueError, match=r"no room for text: .* pass at least 3"):
        run(model, max_length=2)


@pytest.mark.parametrize(("name", "kept"), [("led", 128), ("ibert", 126)])
def test_positions_under_other_names_are_a_limit_too(name, kept):
    assert run(build_unusual(name), {"eng_Latn": ["a" * 200, "b"]}).info["max_length"] == kept
