"""Text in columns: of a terminal, where letters differ in width, or of a page."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def columns(text: str) -> int:
    """Columns that ``text`` takes in a terminal: wide characters two, combining ones none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def pad(text: str, width: int) -> str:
    """``text`` with spaces behind it, up to ``width`` columns."""
    return text + " " * max(0, width - columns(text))


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The first column to the left, the others to the right; an empty row is an empty line."""
    n = max(map(len, rows))
    wide = [max(columns(row[at]) for row in rows if row) for at in range(n)]
    return [
        "  ".join(
            pad(cell, w) if at == 0 else " " * (w - columns(cell)) + cell
            for at, (cell, w) in enumerate(zip(row, wide, strict=False))
        ).rstrip()
        for row in rows
    ]


def p_value(p: float) -> str:
    """Three decimals; of smaller ones no more than that they are."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"
