"""What tokenizers give each language, as tables for the terminal."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.messages import counted, elide, listed, plain
from ilo_fast.corpora.languages import describe_language
from ilo_fast.evaluation.tokens_estimates import STATISTICS
from ilo_fast.evaluation.tokens_result import TokenComparison, TokenStatistics
from ilo_fast.report.text_table import Table, wrapped

_SHOWN: Final[tuple[tuple[str, str, int, float, bool], ...]] = (
    ("premium", "premium", 2, 1.0, True),
    ("fertility", "tokens/word", 2, 1.0, True),
    ("single_token_words", "1-token", 0, 100.0, False),
    ("characters_per_token", "chars/token", 2, 1.0, False),
    ("partial", "cut chars", 0, 100.0, False),
    ("unknown", "unknown", 0, 100.0, False),
)  # statistic, heading, decimals, factor, with its interval
Floats = NDArray[np.float64]
_FEW: Final = 20  # documents, below which intervals are rough


def text_report(found: TokenComparison) -> str:
    """What ``ilo-fast tokens`` prints: languages, scripts, all tokenizers, and what is what."""
    every = list(found.statistics.values())
    blocks = []
    for own in every:
        blocks += [head_line(own), *(table.text() for table in statistics_tables(own))]
        if unequal := inequality_line(own):
            blocks.append(unequal)
    blocks += [table.text() for table in comparison_tables(found)]
    blocks.append("\n".join(wrapped(f"- {line}") for line in legend(found)))
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


def head_line(own: TokenStatistics) -> str:
    """Which tokenizer, on which text."""
    size = own.info.get("tokenizer", {}).get("vocab_size")
    corpus = plain(own.info.get("corpus", {}).get("name", "text"))
    lines = own.n_lines
    span = f"{lines.min():,}" if lines.min() == lines.max() else f"{lines.min():,}-{lines.max():,}"
    return (
        f"{plain(own.name)}: vocabulary of {size:,} · {corpus} · "
        f"{counted(len(own.languages), 'language')} x {span} lines"
    )


def statistics_tables(own: TokenStatistics) -> list[Table]:
    """Of languages, and of scripts."""
    shown = [
        row
        for row in _SHOWN
        if not np.isnan(own.of(row[0])).all() and (row[0] != "unknown" or own.of(row[0]).any())
    ]

    def row(name: str, values: Floats, spans: Floats) -> list[str]:
        at = [STATISTICS.index(statistic) for statistic, *_ in shown]
        return [name] + [
            _cell(values[i], spans[i], decimals, factor, spanned)
            for i, (_, _, decimals, factor, spanned) in zip(at, shown, strict=True)
        ]

    languages = [
        row(elide(label(own.languages[at]), 26), own.values[at], own.intervals[at])
        for at in by_premium(own)
    ]
    scripts = [
        row(
            f"{name}: mean of {counted(own.script.count(name), 'language')}",
            own.script_values[at],
            own.script_intervals[at],
        )
        for at, name in enumerate(own.scripts)
    ]
    headings = [heading for _, heading, *_ in shown]
    return [Table(["language", *headings], languages), Table(["script", *headings], scripts)]


def inequality_line(own: TokenStatistics) -> str:
    """How unequal languages are; empty where texts are not parallel."""
    if math.isnan(own.inequality[0]):
        return ""
    (low, high), (least, most) = own.inequality_intervals
    return (
        f"inequality over languages: Gini {own.inequality[0]:.3f} [{low:.3f}, {high:.3f}], "
        f"most over least tokens {own.inequality[1]:.2f} [{least:.2f}, {most:.2f}]"
    )


def _cell(value: float, span: Floats, decimals: int, factor: float, spanned: bool) -> str:
    if math.isnan(value):
        return "-"
    text = f"{value * factor:.{decimals}f}{' %' if factor == 100 else ''}"
    if spanned and not math.isnan(span[0]):
        text += f" [{span[0]:.{decimals}f}, {span[1]:.{decimals}f}]"
    return text


def comparison_tables(found: TokenComparison) -> list[Table]:
    """Tokens beside those of the first tokenizer, and how unequal each is; none of one."""
    names = [elide(plain(name), 24) for name in found.statistics]
    every = list(found.statistics.values())
    if len(every) < 2:
        return []
    first = every[0]
    ratios = [
        [elide(label(first.languages[at]), 26)]
        + [
            _cell(found.ratio[other, at], found.ratio_intervals[other, at], 2, 1.0, True)
            for other in range(1, len(every))
        ]
        for at in by_premium(first)
    ]
    title = f"tokens for the same text, beside {names[0]}"
    tables = [Table(["language", *names[1:]], ratios, title=title)]
    if math.isnan(first.inequality[0]):
        return tables
    rows = []
    for name, own in zip(names, every, strict=True):
        size = own.info.get("tokenizer", {}).get("vocab_size", 0)
        gini, most = own.inequality
        rows.append([name, f"{size:,}", f"{gini:.3f}", f"{most:.2f}"])
    return [*tables, Table(["tokenizer", "vocabulary", "Gini", "most/least"], rows)]


def legend(found: TokenComparison) -> list[str]:
    """What the columns are, and what must be known of this text."""
    every = list(found.statistics.values())
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
        "1-token: words of one token; chars/token: code points of the text in NFC, spaces included "
        "(bytes: in tokens.csv, by -o)",
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
    return said
