"""The files of token statistics: all numbers, a table, and the figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from ilo_fast._util.messages import counted, plain
from ilo_fast.evaluation.tokens_result import TOKENS_FILE, TokenComparison
from ilo_fast.report.files import check_can_draw, rendered, write_files
from ilo_fast.report.token_tables import by_premium, label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TITLES: Final = {
    "premium": "tokens beside {reference}",
    "fertility": "tokens for a word",
    "single_token_words": "words of one token",
    "characters_per_token": "characters in a token",
}
_FIGURES: Final = ("tokens.png", "tokens.svg", "tokens.pdf")


def tokens_figure_of(found: TokenComparison) -> Figure:
    """Dots with intervals: premium, fertility, words of one token, characters for a token."""
    from ilo_fast.plots.tokens import TokenPanel, tokens_figure

    every = list(found.statistics.values())
    first = every[0]
    order = by_premium(first)
    panels = []
    for name, title in _TITLES.items():
        values = np.stack([own.of(name)[order] for own in every])
        if np.isnan(values).all():
            continue
        spans = np.stack([own.interval(name)[order] for own in every])
        mark = 1.0 if name in ("premium", "fertility") else None
        heading = title.format(reference=first.reference)
        panels.append(TokenPanel(heading, values, spans, mark, name == "single_token_words"))
    corpus = plain(first.info.get("corpus", {}).get("name", "text"))
    one = len(every) == 1
    lines = first.n_lines
    return tokens_figure(
        [label(first.languages[at]) for at in order],
        [first.script[at] for at in order],
        panels,
        list(found.statistics),
        title=f"What the tokenizer of {plain(first.name)} gives each language"
        if one
        else f"What {len(every)} tokenizers give each language",
        subtitle=f"{corpus}, {counted(int(lines.min()), 'line')} a language; lines: 95 % over "
        "documents; dashed: equal to the reference, one token for a word",
    )


def write_tokens(found: TokenComparison, folder: Path) -> list[Path]:
    """Write ``tokens.json``, ``tokens.csv``, and the figure.

    Raises
    ------
    ImportError
        matplotlib is missing.
    """
    check_can_draw()
    one = len(found.statistics) == 1
    content = next(iter(found.statistics.values())).to_dict() if one else found.to_dict()
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    contents = {TOKENS_FILE: text.encode(), "tokens.csv": found.to_csv().encode()}
    contents |= rendered("tokens", tokens_figure_of(found))
    return write_files(folder, contents, stale=_FIGURES)
