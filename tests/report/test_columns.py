"""Widths of text in a terminal."""

from __future__ import annotations

import pytest

from ilo_fast.report.columns import columns, pad


@pytest.mark.parametrize(
    ("text", "width"), [("", 0), ("abc", 3), ("言語", 4), ("e\N{COMBINING ACUTE ACCENT}", 1)]
)
def test_wide_letters_take_two_columns_and_combining_ones_none(text: str, width: int) -> None:
    assert columns(text) == width
    assert pad(text, 6) == text + " " * (6 - width)


def test_text_that_is_too_wide_is_left_as_it_is() -> None:
    assert pad("言語", 3) == "言語"
