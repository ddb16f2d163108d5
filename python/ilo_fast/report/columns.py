"""Text in columns of a terminal, where letters differ in width."""

from __future__ import annotations

import unicodedata


def columns(text: str) -> int:
    """Columns that ``text`` takes in a terminal: wide characters two, combining ones none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def pad(text: str, width: int) -> str:
    """``text`` with spaces behind it, up to ``width`` columns."""
    return text + " " * max(0, width - columns(text))
