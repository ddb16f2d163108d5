"""The tokenizer that is trained, and how lines are encoded."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from helpers.pretraining import TEXTS, run

from ilo_fast import AccessError
from ilo_fast.training.identity import tokenizer_hash
from ilo_fast.training.pretrain import tokenizer as tt


def test_lines_are_encoded_as_texts_with_an_end_between() -> None:
    core = tt.train_tokenizer(TEXTS["eng_Latn"], vocab_size=300)
    tokenizer = tt.as_pretrained(core, max_length=64)
    ids, offsets = tt.encode_lines(tokenizer, ["the water", "in house 7"])
    assert ids[: offsets[1]].tolist() == [*tokenizer("the water")["input_ids"], 2]
    assert ids[offsets[1] : offsets[2]].tolist() == [*tokenizer("in house 7")["input_ids"], 2]
    tokenizer.eos_token = None
    with pytest.raises(ValueError, match="neither eos_token nor sep_token"):
        tt.encode_lines(tokenizer, ["a"])


def test_encoding_leaves_the_tokenizer_as_it_was() -> None:
    core = tt.train_tokenizer(TEXTS["eng_Latn"], vocab_size=300)
    tokenizer = tt.as_pretrained(core, max_length=64)
    fast = tokenizer.backend_tokenizer
    plain = tt.encode_lines(tokenizer, ["the water is cold", "in"])
    fast.enable_truncation(3, stride=1, strategy="only_first", direction="left")
    fast.enable_padding(direction="left", pad_id=1, pad_token="<s>", pad_to_multiple_of=8)
    before = fast.to_str()
    found = tt.encode_lines(tokenizer, ["the water is cold", "in"])
    assert [part.tolist() for part in found] == [part.tolist() for part in plain]
    assert fast.to_str() == before


def test_decoded_tokens_are_the_text() -> None:
    text = ["Grüße aus Köln!", "नमस्ते दुनिया", "東京は大きい。", "a  b\t'c' 12,5 €", "ไทย 🙂"]
    core = tt.train_tokenizer(text * 3, vocab_size=400)
    tokenizer = tt.as_pretrained(core, max_length=64)
    for line in text:
        ids = tokenizer(line)["input_ids"]
        assert ids[0] == tokenizer.bos_token_id
        assert tokenizer.decode(ids, skip_special_tokens=True) == line
    # A word has one token, wherever it stands; its vowel signs do not cut it.
    assert tokenizer.tokenize("नमस्ते") == tokenizer.tokenize("नमस्ते नमस्ते")[1:]
    assert len(tokenizer.tokenize("नमस्ते")) == 1
    with pytest.raises(ValueError, match="vocab_size=259: at least 260"):
        tt.train_tokenizer(text, vocab_size=259)


def test_tokenizer_hash_depends_on_special_tokens_and_not_on_calls() -> None:
    core = tt.train_tokenizer(TEXTS["eng_Latn"], vocab_size=300)
    tokenizer = tt.as_pretrained(core, max_length=64)
    same, other = copy.deepcopy(tokenizer), copy.deepcopy(tokenizer)
    same("a text", truncation=True, max_length=3, padding="max_length")
    assert tokenizer_hash(same) == tokenizer_hash(tokenizer)
    other.eos_token = "<pad>"
    assert (
        tt.encode_lines(other, ["a"])[0].tolist() != tt.encode_lines(tokenizer, ["a"])[0].tolist()
    )
    assert tokenizer_hash(other) != tokenizer_hash(tokenizer)


def test_tokenizer_that_is_not_there_is_an_access_error(tmp_path: Path) -> None:
    for name in ("nosuch/tok", tmp_path, str(tmp_path / "gone")):
        with pytest.raises(AccessError, match="tokenizer"):
            run(tmp_path / "run", {"eng_Latn": []}, tokenizer=name)  # before the text is looked at
    assert not (tmp_path / "run").exists()


def test_tokenizer_sees_as_many_lines_of_each_language() -> None:
    texts = {"eng_Latn": [f"e{i}" for i in range(50)], "deu_Latn": ["d0", "d1", "d2"]}
    sample = tt.sample_lines(texts, 10, seed=0)
    english = [line for line in sample if line.startswith("e")]
    assert len(english) == len(set(english)) == 10
    german = [line for line in sample if line.startswith("d")]
    assert sorted(german.count(line) for line in texts["deu_Latn"]) == [3, 3, 4]
