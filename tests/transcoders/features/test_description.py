"""Descriptions by rule: each rule where it holds, and just where it does not."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from ilo_fast.transcoders.features.description import describe, quoted, statements
from ilo_fast.transcoders.features.notes import Context, FeatureNote
from ilo_fast.transcoders.features.token_texts import PART

SPECIAL = ("<s>", "</s>")
_NUMBERS = itertools.count()
WORDS = ("river", "cold", "she", "walks", "long", "house", "winter", "and", "moon", "light")


def context(
    peak: str, before: Sequence[str] = (), behind: str = " q", language: str = "und"
) -> Context:
    """The token before is another each time, where none is said."""
    before = before or ("a", "b", "c", f"x{next(_NUMBERS)}")
    tokens = (*before, peak, behind)
    return Context(tokens, tuple(0.5 for _ in tokens), len(before), language)


def note(contexts: Sequence[Context] = (), **changes: Any) -> FeatureNote:
    values: dict[str, Any] = {
        "layer": 1, "feature": 2, "contexts": tuple(contexts), "top_logits": (),
        "bottom_logits": (), "rates": {}, "density": 0.01, "max_activation": 1.0,
        "description": "not looked at",
    }  # fmt: skip
    return FeatureNote(**values | changes)


def of_peaks(*peaks: str, **rest: Any) -> str:
    return describe(note([context(peak, **rest) for peak in peaks]), 100, SPECIAL)


def test_the_same_token_but_for_case_and_space() -> None:
    assert of_peaks(*[" the"] * 4, "The", "THE", *WORDS[:4]) == "token “the” (6 of 10)"
    assert of_peaks(*[" the"] * 5, *WORDS[:5]) == ""


def test_a_few_tokens() -> None:
    assert of_peaks(*["a"] * 4, *["the"] * 2, *["an"] * 2, *WORDS[:2]) == (
        "tokens “a”, “the”, “an” (8 of 10)"
    )
    assert of_peaks(*["a"] * 4, *["the"] * 3, *WORDS[:3]) == ""
    assert of_peaks(*["a"] * 4, *WORDS[:6]) == ""


def test_endings_and_beginnings() -> None:
    ing = ["going", " Reading", "singing", "walking"]
    assert of_peaks(*ing, *ing, *WORDS[:2]) == "tokens ending in -ing (8 of 10)"
    assert of_peaks(*ing, *ing[:3], *WORDS[:3]) == ""
    assert of_peaks("undo", "unfit", "unable", "unwell", "untie") == (
        "tokens beginning with un- (5 of 5)"
    )
    two = ["reading", "leading"]
    assert "ending" not in of_peaks(*two, *two, *two)


def test_kinds_of_tokens() -> None:
    assert of_peaks("1", "23", " 4", "५", "6", "7", "8", "9", "x", "y") == "digits (8 of 10)"
    assert of_peaks("1", "23", " 4", "५", "6", "7", "8", "z", "x", "y") == ""
    assert of_peaks(",", "।", " (", "!", "?") == "punctuation (5 of 5)"
    assert of_peaks("Anna", "Berlin", " Oslo", "Čapek", "Zoe") == "capitalised tokens (5 of 5)"
    assert of_peaks(*[PART] * 8, "x", "y") == "parts of characters (8 of 10)"
    assert of_peaks(*[PART] * 7, "x", "y", "z") == ""


def test_places_in_a_line() -> None:
    start = {"before": ("a", "</s>")}
    assert of_peaks(*WORDS, **start) == "first token of a line (10 of 10)"
    assert of_peaks(*WORDS, before=("b", "<s>", "a", "c")) == (
        "within the first 3 tokens of a line (10 of 10)"
    )
    assert of_peaks(*WORDS, before=("<s>", "b", "a", "c")) == "after “c” (10 of 10)"
    assert of_peaks(*["</s>"] * 6, *WORDS[:4]) == "end of a line (6 of 10)"
    found = describe(note([context(w, behind="</s>") for w in WORDS]), 9, SPECIAL)
    assert "last token of a line (10 of 10)" in found
    few = (
        [context(w, **start) for w in WORDS[:7]]
        + [  # type: ignore[arg-type]
            context(w, before=("a", "b", "c", "d", v))
            for w, v in zip(WORDS[7:], "efg", strict=True)
        ]
    )
    assert describe(note(few), 9, SPECIAL) == ""


def test_a_token_before() -> None:
    def found(times: int) -> str:
        before = [("a", " of")] * times + [("a", word) for word in WORDS[times:]]
        pairs = zip(WORDS[::-1], before, strict=True)
        return describe(note([context(w, before=b) for w, b in pairs]), 9, SPECIAL)

    assert found(6) == "after “of” (6 of 10)"
    assert found(5) == ""


def test_too_few_contexts_say_nothing() -> None:
    assert of_peaks(*["the"] * 5) != ""
    assert of_peaks(*["the"] * 4) == ""


def of_rates(rates: dict[str, float], firings: int = 100, density: float = 0.01) -> str:
    return describe(note(rates=rates, density=density), firings)


LATIN = {"deu_Latn": 0.01, "fra_Latn": 0.01, "eng_Latn": 0.01, "swh_Latn": 0.01}


def test_one_language() -> None:
    assert of_rates(LATIN | {"deu_Latn": 0.27}) == "German (90% of rates, 100 firings)"
    assert of_rates(LATIN | {"deu_Latn": 0.02}) == ""
    assert of_rates(LATIN | {"deu_Latn": 0.27}, firings=19) == ""
    assert of_rates({"deu_Latn": 0.02, "eng_Latn": 0.01}) == ""
    assert of_rates({"deu_Latn": 0.09, "xx\x1b": 0.91}) == "xx (91% of rates, 100 firings)"
    assert of_rates({"deu_Latn": 0.3}) == ""


def test_scripts_and_branches() -> None:
    slavic = {"rus_Cyrl": 0.1, "ukr_Cyrl": 0.08, "bel_Cyrl": 0.05}
    assert of_rates(LATIN | slavic) == "Cyrillic script (85% of rates, 100 firings)"
    assert "Slavic languages (87%" in of_rates(LATIN | slavic | {"pol_Latn": 0.04})
    # Most rates, but no more than others; one that others only belong to; none at all.
    assert of_rates(LATIN | {"rus_Cyrl": 0.012}, firings=50) == ""
    little = dict.fromkeys(LATIN, 0.002)
    cyrillic = ("rus_Cyrl", "ukr_Cyrl", "bel_Cyrl", "bul_Cyrl", "srp_Cyrl")
    two = dict(zip(cyrillic, (0.04, 0.04, 0.0, 0.0, 0.0), strict=True))
    assert of_rates(little | two) == ""
    assert of_rates(little | dict.fromkeys(two, 0.016)).startswith("Cyrillic script (91%")
    assert of_rates(dict.fromkeys(LATIN, 0.0)) == ""


def test_all_languages_alike() -> None:
    even = dict.fromkeys(("deu_Latn", "rus_Cyrl", "hin_Deva", "jpn_Jpan"), 0.02)
    assert of_rates(even, 80) == "all 4 languages alike (80 firings)"
    assert of_rates(even, 79) == ""
    assert of_rates(even | {"deu_Latn": 0.06}, 80) == ""


def test_density() -> None:
    assert of_rates({}, density=0.85) == "nearly always active (85% of tokens)"
    assert of_rates({}, density=0.3) == "often active (30% of tokens)"
    assert of_rates({}, density=0.19) == ""


def test_contexts_of_one_language_where_rates_say_nothing() -> None:
    rates = LATIN | {"swh_Latn": 0.02}
    mine = [context(w, language="swh_Latn") for w in WORDS[:8]]
    rest = [context(w, language="deu_Latn") for w in WORDS[8:]]
    assert describe(note([*mine, *rest], rates=rates), 100) == "strongest in Swahili (8 of 10)"
    assert describe(note([*mine[:7], *rest], rates=rates), 100) == ""


def test_translations() -> None:
    codes = ["deu_Latn", "fra_Latn", "rus_Cyrl", "hin_Deva", "fra_Latn"]
    it = note([context(w, language=c) for w, c in zip(WORDS[:5], codes, strict=True)])
    assert describe(it, 9, (), [7, 7, 7, 1, 2]) == (
        "same lines in 3 languages, “river”, “cold”, “she” (3 of 5)"
    )
    assert describe(it, 9, (), [7, 7, 8, 1, 2]) == ""
    assert describe(it, 9, (), [0, 7, 8, 1, 7]) == ""  # two lines of French
    assert describe(it, 9) == ""


@pytest.mark.parametrize(("follows", "found"), [(3, True), (2, False)])
def test_predictions_that_come_true(follows: int, found: bool) -> None:
    behind = [" of"] * follows + [f"{w}s" for w in WORDS[follows:]]
    contexts = [context(w, behind=b) for w, b in zip(WORDS[::-1], behind, strict=True)]
    top = ((" at", 2.0), (" Of", 1.5), ("s", 1.0))
    text = describe(note(contexts, top_logits=top), 9)
    assert text == ("predicts “of” (follows in 3 of 10)" if found else "")
    bottom = ((" of", -1.0), ("x", -2.0))
    assert describe(note(contexts, top_logits=bottom), 9) == ""


def test_what_several_rules_say_and_what_is_left_without_support() -> None:
    contexts = [context(" the", before=("</s>",)) for _ in range(6)]
    text = describe(note(contexts, rates=LATIN | {"eng_Latn": 0.27}), 50, SPECIAL)
    assert text == (
        "token “the” (6 of 6); first token of a line (6 of 6); English (90% of rates, 50 firings)"
    )
    assert statements(text) == ["token “the”", "first token of a line", "English"]
    assert statements("") == []


def test_hostile_tokens_are_harmless_in_a_description() -> None:
    hostile = "\x1b[31m\u202e;(9 of 9)\n" + "x" * 500
    text = of_peaks(*[hostile] * 6)
    assert text.isprintable() and len(text) < 60
    assert len(statements(text)) == 1
    assert quoted("a;b") == "“a,b”"
