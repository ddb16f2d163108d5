"""What tokenizers give each language, as tables for the terminal."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.messages import counted, elide, listed, plain
from ilo_fast.corpora.languages import describe_language
from ilo_fast.evaluation.tokens_estimates import STATISTICS
from ilo_fast.evaluation.tokens_result import TokenComparison, TokenStatistics
from ilo_fast.report.columns import aligned

_WIDTH: Final = 96
_SHOWN: Final[tuple[tuple[str, str, int, float, bool], ...]] = (
    ("premium", "premium", 2, 1.0, True),
    ("fertility", "tokens/word", 2, 1.0, True),
    ("single_token_words", "1-token words", 0, 100.0, False),
    ("characters_per_token", "chars/token", 2, 1.0, False),
    ("bytes_per_token", "bytes/token", 2, 1.0, False),
    ("partial", "cut chars", 0, 100.0, False),
    ("unknown", "unknown", 0, 100.0, False),
)  # statistic, heading, decimals, factor, with its interval
Floats = NDArray[np.float64]
_Row = tuple[str, Floats, Floats]  # name, statistics, their intervals
_FEW: Final = 20  # documents, below which intervals are rough


def text_report(found: TokenComparison) -> str:
    """What ``ilo-fast tokens`` prints: languages, scripts, all tokenizers, and what is what."""
    every = list(found.statistics.values())
    blocks = [_language_block(own) for own in every]
    if len(every) > 1:
        blocks.append(_side_by_side(found))
    blocks.append(_legend(every))
    return "\n\n".join(blocks) + "\n"


def by_premium(own: TokenStatistics) -> list[int]:
    """Languages from the dearest; by characters for a token where there is no premium."""
    premium = own.of("premium")
    if np.isnan(premium).all():
        return [int(at) for at in np.argsort(own.of("characters_per_token"), kind="stable")]
    return [int(at) for at in np.argsort(-premium, kind="stable")]


def label(code: str) -> str:
    """A language's name and code."""
    name = describe_language(code).get("name")
    return f"{name} ({code})" if name else code


def _language_block(own: TokenStatistics) -> str:
    size = own.info.get("tokenizer", {}).get("vocab_size")
    corpus = plain(own.info.get("corpus", {}).get("name", "text"))
    lines = own.n_lines
    span = f"{lines.min():,}" if lines.min() == lines.max() else f"{lines.min():,}-{lines.max():,}"
    head = (
        f"{plain(own.name)}: vocabulary of {size:,} · {corpus} · "
        f"{counted(len(own.languages), 'language')} x {span} lines"
    )
    rows: list[_Row | None] = [
        (elide(label(own.languages[at]), 30), own.values[at], own.intervals[at])
        for at in by_premium(own)
    ]
    scripts: list[_Row | None] = [
        (f"{name}: mean of {counted(own.script.count(name), 'language')}",
         own.script_values[at], own.script_intervals[at])
        for at, name in enumerate(own.scripts)
    ]  # fmt: skip
    lines_of = _table("language", [*rows, None, *scripts], own)
    text = f"{head}\n\n{lines_of}"
    if not math.isnan(own.inequality[0]):
        (low, high), (least, most) = own.inequality_intervals
        text += (
            f"\n\ninequality over languages: Gini {own.inequality[0]:.3f} [{low:.3f}, {high:.3f}], "
            f"most over least tokens {own.inequality[1]:.2f} [{least:.2f}, {most:.2f}]"
        )
    return text


def _table(first: str, rows: Sequence[_Row | None], own: TokenStatistics) -> str:
    shown = [
        row
        for row in _SHOWN
        if not np.isnan(own.of(row[0])).all() and (row[0] != "unknown" or own.of(row[0]).any())
    ]
    cells: list[list[str]] = [[first, *(heading for _, heading, *_ in shown)]]
    for row in rows:
        cells.append([])
        if row is not None:
            name, values, spans = row
            cells[-1].append(name)
            for statistic, _, decimals, factor, spanned in shown:
                at = STATISTICS.index(statistic)
                cells[-1].append(_cell(values[at], spans[at], decimals, factor, spanned))
    return "\n".join(aligned(cells))


def _cell(value: float, span: Floats, decimals: int, factor: float, spanned: bool) -> str:
    if math.isnan(value):
        return "-"
    text = f"{value * factor:.{decimals}f}{' %' if factor == 100 else ''}"
    if spanned and not math.isnan(span[0]):
        text += f" [{span[0]:.{decimals}f}, {span[1]:.{decimals}f}]"
    return text


def _side_by_side(found: TokenComparison) -> str:
    """Tokens beside those of the first tokenizer, and how unequal each is."""
    names = [elide(plain(name), 24) for name in found.statistics]
    every = list(found.statistics.values())
    first = every[0]
    cells = [[f"tokens for the same text, beside {names[0]}", *names[1:]]]
    for at in by_premium(first):
        ratios = [
            _cell(found.ratio[other, at], found.ratio_intervals[other, at], 2, 1.0, True)
            for other in range(1, len(every))
        ]
        cells.append([elide(label(first.languages[at]), 30), *ratios])
    text = "\n".join(aligned(cells))
    if math.isnan(first.inequality[0]):
        return text
    cells = [["tokenizer", "vocabulary", "Gini", "most/least"]]
    for name, own in zip(names, every, strict=True):
        size = own.info.get("tokenizer", {}).get("vocab_size", 0)
        gini, most = own.inequality
        cells.append([name, f"{size:,}", f"{gini:.3f}", f"{most:.2f}"])
    return text + "\n\n" + "\n".join(aligned(cells))


def _legend(every: list[TokenStatistics]) -> str:
    own = every[0]
    said = []
    if own.reference is not None:
        said.append(
            f"premium: tokens of a language over those of the same lines in {own.reference}, ratio "
            "of sums (Petrov et al., 2023)"
        )
    said += [
        "tokens/word: tokens that hold a character of the word; words are runs of letters, marks "
        "and digits (punctuation is none)",
        "chars/token, bytes/token: code points and UTF-8 bytes of the text in NFC, spaces included",
        "cut chars: tokens that hold less than a character; unknown: tokens for text that the "
        "vocabulary lacks",
        "[..]: 95 %, bootstrap over documents: of these languages on other text of this kind. "
        "Special tokens never count",
    ]
    bare = [code for at, code in enumerate(own.languages) if not own.count("words")[at]]
    if bare:
        said.append(f"-: no spaces between words, or no words: {listed(bare)}")
    few = [code for at, code in enumerate(own.languages) if own.n_documents[at] < _FEW]
    if few:
        said.append(f"fewer than {_FEW} documents, so intervals are rough: {listed(few)}")
    if any(s.info.get("tokenizer", {}).get("words_by") == "prefixes" for s in every):
        said.append(
            "a tokenizer that does not say which characters a token holds: a word has the tokens "
            "that it adds to what stands before it"
        )
    return "\n".join(
        textwrap.fill(line, _WIDTH, initial_indent="- ", subsequent_indent="  ") for line in said
    )
