"""What a tokenizer makes of each line of each language, counted."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.progress import cost_bar
from ilo_fast.corpora.opening import Corpus
from ilo_fast.evaluation.tokens_words import Pieces, has_words, pieces_of

COUNTED: Final = (
    "tokens", "characters", "bytes", "words", "pieces", "single", "unknown", "partial",
)  # fmt: skip
"""Of a line: tokens without special ones; code points and UTF-8 bytes of its NFC form; words, the
tokens that hold characters of them, words of one token; tokens for unknown text, and tokens that
hold less than a character."""

_LINES: Final = 512  # tokenised at once

Documents = Sequence[Any] | Mapping[str, Sequence[Any]] | None


@dataclass(frozen=True, eq=False)
class TokenCounts:
    """Counts of every line.

    Attributes
    ----------
    languages : tuple of str
    counts : tuple of (lines, len(COUNTED)) int64
        For each language.
    document : tuple of (lines,) int64
        Of each line, counted from 0; where `is_parallel`, the same for all languages.
    has_words : tuple of bool
        Whether words are told by spaces.
    knows_partial : bool
        False: the tokenizer does not say which characters a token holds.
    is_parallel : bool
    """

    languages: tuple[str, ...]
    counts: tuple[NDArray[np.int64], ...]
    document: tuple[NDArray[np.int64], ...]
    has_words: tuple[bool, ...]
    knows_partial: bool
    is_parallel: bool


def count_tokens(
    tokenizer: Any, corpus: Corpus, *, documents: Documents = None, progress: bool = False
) -> TokenCounts:
    """Tokenise and count; parameters and errors as of `token_statistics`."""
    rows, places, spaced = [], [], []
    total = sum(map(len, corpus.sentences.values()))
    unknown = getattr(tokenizer, "unk_token_id", None)
    with cost_bar(progress, "counting tokens", cost=total, items=total, unit="line") as bar:
        for code, lines in corpus.sentences.items():
            with_words = has_words(lines)
            table = np.zeros((len(lines), len(COUNTED)), np.int64)
            for start in range(0, len(lines), _LINES):
                part = lines[start : start + _LINES]
                made = pieces_of(tokenizer, part, with_words=with_words)
                for at, (line, pieces) in enumerate(zip(part, made, strict=True), start=start):
                    table[at] = _counted(line, pieces, unknown)
                bar.advance(len(part), len(part))
            rows.append(table)
            spaced.append(with_words)
            own = _documents_of(code, len(lines), corpus, documents)
            places.append(np.unique(own, return_inverse=True)[1])
    return TokenCounts(
        tuple(corpus.sentences), tuple(rows), tuple(places), tuple(spaced),
        bool(getattr(tokenizer, "is_fast", False)), corpus.parallel,
    )  # fmt: skip


def _counted(line: str, pieces: Pieces, unknown: int | None) -> list[int]:
    composed = unicodedata.normalize("NFC", line)
    return [
        len(pieces.ids),
        len(composed),
        len(composed.encode()),
        len(pieces.words),
        sum(map(len, pieces.words)),
        sum(len(word) == 1 for word in pieces.words),
        0 if unknown is None else pieces.ids.count(unknown),
        sum(pieces.partial or ()),
    ]


def _documents_of(
    code: str, n_lines: int, corpus: Corpus, documents: Documents
) -> Sequence[str] | NDArray[np.int64]:
    own: Sequence[Any] | None = corpus.groups
    if isinstance(documents, Mapping):
        if code not in documents:
            raise ValueError(f"documents has no language {code}")
        if corpus.parallel:
            raise ValueError(
                "documents is a mapping, wanted one id for each line, the same of all languages: "
                "the corpus is parallel"
            )
        own = documents[code]
    elif documents is not None:
        if not corpus.parallel:
            raise ValueError(
                "documents must be a mapping language -> ids, for the text is no ParallelCorpus"
            )
        own = documents
    if own is None:
        return np.arange(n_lines)
    if len(own) != n_lines:
        raise ValueError(
            f"documents has {len(own)} ids for the {n_lines} lines of {code}: one each"
        )
    return [str(name) for name in own]


def describe_tokenizer(tokenizer: Any) -> dict[str, Any]:
    """What a tokenizer is, JSON-able."""
    return {
        "class": type(tokenizer).__name__,
        "vocab_size": len(tokenizer),
        "words_by": "offsets" if getattr(tokenizer, "is_fast", False) else "prefixes",
    }
