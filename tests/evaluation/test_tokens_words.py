"""Words of a text and their tokens: by hand, against an oracle, for every kind of tokenizer."""

from __future__ import annotations

import random
import secrets
import unicodedata
from typing import Any

import pytest
from helpers import text_tokenizers
from transformers import ByT5Tokenizer

from ilo_fast.evaluation.tokens_words import has_words, pieces_of, word_spans

ODD = (
    "", "   ", "\t", "👍🏽 ok 👩\u200d👩\u200d👧", "e\u0301te\u0301 cafe\u0301", "a\tb\t\tc", "…!?",
    "x", " lead and trail ", "don\u2019t l'eau rock'n'roll 'quoted'", "漢字 and kana カナ",
    "ক্ষ ক্\u200dষ", "1,234.5 3.5.", "state-of-the-art", "Ġaħda Ħamra", "naïve \ufb01sh ½",
    "_a_ b__c", "한국어 문장", "\u200bzero\u200bwidth", "ไทย abc",
)  # fmt: skip
LETTERS = "abcdefghijklmnopqrstuvwxyzéüñßжиدنमक漢字, . - ' 0123 👍 \t"


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in word_spans(text)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("The water, it's cold.", ["The", "water", "it's", "cold"]),
        ("l\u2019eau 'quoted' rock'n'roll", ["l\u2019eau", "quoted", "rock'n'roll"]),
        ("state-of-the-art", ["state", "of", "the", "art"]),
        ("1,234.5 km, 3.", ["1,234.5", "km", "3"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("ക്\u200dഷ", ["ക്\u200dഷ"]),
        ("cafe\u0301 été", ["cafe\u0301", "été"]),
        ("👍🏽 👩‍👩‍👧 …", []),
        ("a\tb\nc", ["a", "b", "c"]),
        ("see 漢字 here", ["see", "here"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("", []),
    ],
)
def test_words_are_runs_of_letters_marks_and_digits(text: str, wanted: list[str]) -> None:
    assert words(text) == wanted


def test_whether_spaces_tell_words_depends_on_the_letters() -> None:
    assert has_words(["the water", "ไทย"])
    assert has_words(["한국어 문장"]) and has_words(["नमस्ते"])
    for text in ("今日は水が冷たい", "ภาษาไทย abc", "ខ្មែរ", "မြန်မာ", "བོད་སྐད"):
        assert not has_words([text])
    assert not has_words(["👍 123 …"])


def oracle(tokenizer: Any, text: str) -> list[list[int]]:
    """Of each word the places of its tokens: character by character."""
    made = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    names = tokenizer.convert_ids_to_tokens(made["input_ids"])
    byte_level = "ByteLevel" in repr(tokenizer.backend_tokenizer.decoder)
    found = []
    for start, end in word_spans(text):
        own = []
        for place, (name, (low, high)) in enumerate(
            zip(names, made["offset_mapping"], strict=True)
        ):
            space = all(c == "▁" or (byte_level and c == "Ġ") for c in name)
            if not space and set(range(low, high)) & set(range(start, end)):
                own.append(place)
        found.append(own)
    return found


def drawn_texts(seed: int, n: int = 60) -> list[str]:
    random_ = random.Random(seed)
    known = [word for line in text_tokenizers.TEXT for word in line.split()]
    found = []
    for _ in range(n):
        parts = [
            random_.choice(known) if random_.random() < 0.6
            else "".join(random_.choices(LETTERS, k=random_.randint(1, 8)))
            for _ in range(random_.randint(1, 9))
        ]  # fmt: skip
        form = random_.choice(["NFC", "NFD"])
        found.append(unicodedata.normalize(form, random_.choice([" ", "", "  "]).join(parts)))
    return found


@pytest.mark.parametrize("kind", text_tokenizers.KINDS)
def test_tokens_of_words_are_those_of_the_oracle(kind: str) -> None:
    tokenizer = text_tokenizers.KINDS[kind]()
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    texts = [*text_tokenizers.TEXT, *ODD, *drawn_texts(seed)]
    for text, pieces in zip(texts, pieces_of(tokenizer, texts), strict=True):
        wanted = oracle(tokenizer, text)
        spans = [
            [] if place is None else list(range(place[0], place[1] + 1)) for place in pieces.places
        ]
        # A space mark inside a word stands between two of its pieces.
        assert [places and [places[0], places[-1]] for places in spans] == [
            places and [places[0], places[-1]] for places in wanted
        ], text
        assert [len(word) for word in pieces.words] == [len(places) for places in spans]
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert list(pieces.ids) == ids


@pytest.mark.parametrize("kind", text_tokenizers.KINDS)
def test_without_offsets_words_have_the_same_tokens(kind: str) -> None:
    tokenizer = text_tokenizers.KINDS[kind]()
    texts = [*text_tokenizers.TEXT, *ODD[:5], "(see) the 'water' is—so, so cold", *ODD[6:9]]
    fast = pieces_of(tokenizer, texts)
    slow = pieces_of(text_tokenizers.WithoutOffsets(tokenizer), texts)
    for text, a, b in zip(texts, fast, slow, strict=True):
        assert a.ids == b.ids
        assert a.words == b.words, text
        assert b.partial is None and set(b.places) <= {None}


def test_a_tokenizer_of_bytes_gives_a_word_its_bytes() -> None:
    (pieces,) = pieces_of(ByT5Tokenizer(), ["été, (là) x"])
    assert [len(word) for word in pieces.words] == [5, 3, 1]
    assert len(pieces.ids) == len("été, (là) x".encode())


def test_tokens_by_hand() -> None:
    tokenizer = text_tokenizers.byte_fallback(["the", "water"])
    (pieces,) = pieces_of(tokenizer, ["the water, cé 漢"])
    names = tokenizer.convert_ids_to_tokens(list(pieces.ids))
    assert names == [
        "▁the", "▁water", "<0x2C>", "▁", "c", "<0xC3>", "<0xA9>", "▁", "<0xE6>", "<0xBC>", "<0xA2>",
    ]  # fmt: skip
    assert pieces.places == ((0, 0), (1, 1), (4, 6))
    # The comma is a byte as well: the vocabulary lacks it.
    assert pieces.partial == (False, False, True, False, False, *[True] * 2, False, *[True] * 3)
    assert pieces_of(tokenizer, []) == []


def test_byte_level_tokens_that_cut_a_character_are_partial() -> None:
    tokenizer = text_tokenizers.gpt_bpe(257, ["a"])
    (pieces,) = pieces_of(tokenizer, ["aé 👍"])
    assert pieces.partial == (False, True, True, False, True, True, True, True)
