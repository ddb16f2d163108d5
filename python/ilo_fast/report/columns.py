"""Text in columns: of a terminal, where letters differ in width, or of a page."""

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


def p_value(p: float) -> str:
    """Three decimals; of smaller ones no more than that they are."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"
