"""Lines of the pages that studies write: prose as wide as every other page of the project."""

from __future__ import annotations

import textwrap

WIDTH = 118


def wrapped(part: str) -> str:
    """Prose in lines; tables, headings, code and what is short enough stay as they are."""
    if len(part) <= WIDTH or "\n" in part or part.startswith(("|", "#", " ")):
        return part
    return textwrap.fill(part, WIDTH, break_long_words=False, break_on_hyphens=False)
