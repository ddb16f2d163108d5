"""Languages in groups."""

from __future__ import annotations

import pytest

from ilo_fast.corpora.grouping import group_languages


def test_languages_are_grouped_in_a_fixed_order() -> None:
    codes = ("eng_Latn", "rus_Cyrl", "deu_Latn", "xxx_Zyyy", "zho_Hans", "ban_Latn")
    assert group_languages(codes, "script") == {
        "Latn": ("eng_Latn", "deu_Latn", "ban_Latn"),
        "Cyrl": ("rus_Cyrl",),
        "Hans": ("zho_Hans",),
        "Zyyy": ("xxx_Zyyy",),
    }
    assert list(group_languages(codes, "region")) == [
        "Europe", "Southeast Asia", "East Asia", "unknown",
    ]  # fmt: skip
    assert list(group_languages(codes, "resource_class")) == ["0", "4", "5", "unknown"]
    assert next(iter(group_languages(codes, "family"))) == "Indo-European"
    assert group_languages(codes, "word_order") == {
        "SVO": ("eng_Latn", "rus_Cyrl", "zho_Hans"),
        "no dominant order": ("deu_Latn",),
        "unknown": ("xxx_Zyyy", "ban_Latn"),
    }
    with pytest.raises(ValueError, match="by='genus' is not known; use one of resource_class"):
        group_languages(codes, "genus")
