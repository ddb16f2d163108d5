"""The same lines in Latin script."""

from __future__ import annotations

import pytest

pytest.importorskip("uroman")

from ilo_fast import ParallelCorpus
from ilo_fast.transcoders import romanised
from ilo_fast.transcoders.multilingual.rates.romanise import romanised_code, script_of


def test_a_corpus_is_romanised_line_by_line_and_keeps_its_documents() -> None:
    corpus = ParallelCorpus(
        {
            "deu_Latn": ("Übung macht den Meister", "zwei"),
            "rus_Cyrl": ("Привет, мир", "книга"),
            "hin_Deva": ("नमस्ते दुनिया", "किताब"),
        },
        groups=("a", "b"),
    )
    found = romanised(corpus)
    assert found.languages == ("deu_Latn", "rus_Latn", "hin_Latn") and found.groups == ("a", "b")
    assert found.sentences["deu_Latn"] == corpus.sentences["deu_Latn"]
    assert found.sentences["rus_Latn"] == ("Privet, mir", "kniga")
    assert found.sentences["hin_Latn"][0].startswith("namaste")
    assert all(
        text.isascii() for code in ("rus_Latn", "hin_Latn") for text in found.sentences[code]
    )
    assert found.info["romanised"]["languages"] == ["rus_Cyrl", "hin_Deva"]
    assert found.info["romanised"]["by"].startswith("uroman ")


def test_a_mapping_gives_a_mapping_and_text_in_latin_script_needs_no_library() -> None:
    assert romanised({"rus_Cyrl": ["да", ""], "eng_Latn": ["yes"]}) == {
        "rus_Latn": ["da", ""],
        "eng_Latn": ["yes"],
    }
    assert romanised_code("zho_Hans_CN") == "zho_Latn_CN" and script_of("zho_Hans_CN") == "Hans"


def test_codes_without_a_script_or_that_become_one_are_refused() -> None:
    with pytest.raises(ValueError, match="names no script"):
        romanised({"rus": ["да"]})
    with pytest.raises(ValueError, match="srp_Cyrl and srp_Latn, which both become srp_Latn"):
        romanised({"srp_Cyrl": ["да"], "srp_Latn": ["da"]})
