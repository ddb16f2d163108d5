"""The files of token statistics: all numbers, a table, and the figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from ilo_fast._util.messages import counted, plain
from ilo_fast.evaluation.tokens_result import TOKENS_FILE, TokenComparison
from ilo_fast.report.files import check_can_draw, rendered, write_files
from ilo_fast.report.token_tables import (
    by_premium,
    comparison_tables,
    head_line,
    inequality_line,
    label,
    legend,
    statistics_tables,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TITLES: Final = {
    "premium": "tokens beside {reference}",
    "fertility": "tokens for a word",
    "single_token_words": "words of one token",
    "characters_per_token": "characters in a token",
}
_FIGURES: Final = ("tokens.png", "tokens.svg", "tokens.pdf", "tokens.html")
_NOTES: Final = (
    "Of this text alone: another domain has other words. Text that a tokenizer was trained on "
    "flatters it. The rows of scripts are means over the languages at hand, not over all "
    "languages of a script.",
    "Words are what spaces and punctuation part: languages that write long words have more tokens "
    "for each whatever the tokenizer does. Compare languages by the premium.",
)


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


def tokens_page(found: TokenComparison) -> str:
    """One HTML page, caveats first."""
    from ilo_fast.report.sections import Section, sections_page

    every = list(found.statistics.values())
    figure = (
        tokens_figure_of(found),
        "Languages from the dearest; lines: 95 % over documents.",
    )
    sections = [Section("At a glance", legend(found), [figure])]
    if tables := comparison_tables(found):
        sections.append(Section("Beside each other", tables=tables))
    sections += [
        Section(own.name, [head_line(own), inequality_line(own)], tables=statistics_tables(own))
        for own in every
    ]
    return sections_page(
        f"What {plain(every[0].name)} gives each language"
        if len(every) == 1
        else f"What {len(every)} tokenizers give each language",
        sections,
        kicker="Tokens",
        notes=_NOTES,
        settings=every[0].info,
    )


def write_tokens(found: TokenComparison, folder: Path) -> list[Path]:
    """Write ``tokens.json``, ``tokens.csv``, the figure, and all of it as ``tokens.html``.

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
    contents["tokens.html"] = tokens_page(found).encode()
    return write_files(folder, contents, stale=_FIGURES)
