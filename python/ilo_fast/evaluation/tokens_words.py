"""Words of a text, and the tokens that each is made of, for any kind of tokenizer."""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

# Scripts whose writing does not put spaces between words: Thai to Khmer, the Tai scripts, Javanese,
# Chinese and Japanese. Korean has spaces.
_UNSPACED: Final = re.compile(
    "[\u0e00-\u109f\u1780-\u17ff\u1950-\u19ff\u1a20-\u1aaf\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029"
    "\u3038-\u303b\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua980-\ua9ff\uaa60-\uaadf"
    "\uf900-\ufaff\uff66-\uff9f\U0001b000-\U0001b16f\U00020000-\U0003ffff]"
)
_LETTER: Final = re.compile(r"[^\W\d_]")
_SPACE: Final = "\u2581"
"""What sentencepiece writes for a space: a token of it alone holds no character of a word."""
_BYTE_SPACE: Final = "\u0120"
"""The same of byte-level vocabularies; elsewhere it is a letter of Maltese."""
_BYTE: Final = re.compile(r"<0x[0-9A-Fa-f]{2}>")


@dataclass(frozen=True)
class Pieces:
    """One text as tokens.

    Attributes
    ----------
    ids : tuple of int
        Without special tokens.
    words : tuple of tuple of int
        Of each word its tokens, by id; empty where the tokenizer dropped it.
    places : tuple of (first, last) or None
        Of each word the places of its first and last token in `ids`; None: not known, as the
        tokenizer does not say which characters a token holds, or dropped the word.
    partial : tuple of bool, or None
        Of each token whether it holds less than a character; None: not known.
    """

    ids: tuple[int, ...]
    words: tuple[tuple[int, ...], ...]
    places: tuple[tuple[int, int] | None, ...]
    partial: tuple[bool, ...] | None


def word_spans(text: str) -> list[tuple[int, int]]:
    """Where words begin and end.

    A word is a run of letters, marks and digits, with apostrophes and middle dots inside it, and
    dots and commas between digits; much as UAX #29 has it. Hyphens end a word. Words that hold a
    character of a script without spaces between words are left out.
    """
    return [m.span() for m in _word_pattern().finditer(text) if not _UNSPACED.search(m[0])]


def has_words(texts: Iterable[str]) -> bool:
    """Whether words are told by spaces: half of the letters or more are of scripts that do so."""
    letters = unspaced = 0
    for text in texts:
        letters += len(_LETTER.findall(text))
        unspaced += sum(_LETTER.match(c) is not None for c in _UNSPACED.findall(text))
    return letters > 0 and 2 * unspaced <= letters


@functools.cache
def _word_pattern() -> re.Pattern[str]:
    """Python's `re` has no class of marks: it is written out, once."""
    marks: list[list[int]] = []
    for point in range(sys.maxunicode + 1):
        if unicodedata.category(chr(point)).startswith("M"):
            if marks and marks[-1][1] == point - 1:
                marks[-1][1] = point
            else:
                marks.append([point, point])
    ranges = "".join(f"{re.escape(chr(a))}-{re.escape(chr(b))}" for a, b in marks)
    run = rf"\w[\w{ranges}\u00ad\u200c\u200d]*"
    return re.compile(rf"{run}(?:(?:['\u2019\u00b7\u05f3\u05f4]|(?<=\d)[.,](?=\d)){run})*")


def pieces_of(tokenizer: Any, texts: Sequence[str], *, with_words: bool = True) -> list[Pieces]:
    """Tokens of each text, and of each of its words.

    A token is of a word where it holds one of its characters; a token of two words is of both. One
    that holds nothing but the space before a word is of none. Where the tokenizer says which
    characters a token holds (a fast one), that is used. Else a word has the tokens that it adds to
    what stands before it: exact where no token joins words, as is usual.

    Parameters
    ----------
    tokenizer
        Of transformers, any kind.
    texts
    with_words
        False: `words` and `places` are empty.
    """
    if not texts:
        return []
    if getattr(tokenizer, "is_fast", False):
        return _by_offsets(tokenizer, texts, with_words)
    ids = [_plain_ids(tokenizer, text) for text in texts]
    known: dict[str, tuple[int, ...]] = {}
    found = []
    for text, row in zip(texts, ids, strict=True):
        spans = word_spans(text) if with_words else []
        words = tuple(_added(tokenizer, text, span, known) for span in spans)
        found.append(Pieces(row, words, (None,) * len(words), None))
    return found


def _by_offsets(tokenizer: Any, texts: Sequence[str], with_words: bool) -> list[Pieces]:
    encoded = tokenizer(
        list(texts), add_special_tokens=False, return_offsets_mapping=True, verbose=False
    )
    decoder = repr(getattr(getattr(tokenizer, "backend_tokenizer", None), "decoder", None))
    spaces = {_SPACE, _BYTE_SPACE} if "ByteLevel" in decoder else {_SPACE}
    kinds: dict[int, tuple[bool, bool]] = {}
    found = []
    for text, row, offsets in zip(
        texts, encoded["input_ids"], encoded["offset_mapping"], strict=True
    ):
        for token in row:
            if token not in kinds:
                name = str(tokenizer.convert_ids_to_tokens(token))
                kinds[token] = set(name) <= spaces, _BYTE.fullmatch(name) is not None
        blank = [kinds[token][0] for token in row]
        places = _places(word_spans(text), offsets, blank) if with_words else []
        words = tuple(
            () if place is None else tuple(row[place[0] : place[1] + 1]) for place in places
        )
        partial = tuple(
            kinds[token][1] or cut
            for token, cut in zip(row, _shared_characters(offsets, blank), strict=True)
        )
        found.append(Pieces(tuple(row), words, tuple(places), partial))
    return found


def _places(
    spans: Sequence[tuple[int, int]], offsets: Sequence[tuple[int, int]], blank: Sequence[bool]
) -> list[tuple[int, int] | None]:
    """First and last token of each word; both ascend."""
    found: list[tuple[int, int] | None] = []
    at = 0
    for start, end in spans:
        while at < len(offsets) and (offsets[at][1] <= start or blank[at]):
            at += 1
        last = at - 1
        for token in range(at, len(offsets)):
            if offsets[token][0] >= end:
                break
            if not blank[token] and offsets[token][1] > offsets[token][0]:
                last = token
        found.append((at, last) if last >= at else None)
    return found


def _shared_characters(offsets: Sequence[tuple[int, int]], blank: Sequence[bool]) -> list[bool]:
    """Whether a token shares a character with the one before or behind it."""
    shared = [False] * len(offsets)
    before = -1
    for at, (start, end) in enumerate(offsets):
        if blank[at] or end <= start:
            continue
        if before >= 0 and start < offsets[before][1]:
            shared[before] = shared[at] = True
        before = at
    return shared


def _plain_ids(tokenizer: Any, text: str) -> tuple[int, ...]:
    return tuple(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def _added(
    tokenizer: Any, text: str, span: tuple[int, int], known: dict[str, tuple[int, ...]]
) -> tuple[int, ...]:
    """Tokens that a word adds to those of what stands before it, without a token of space alone.

    Before it: what follows the last space but one. A space at the beginning would not do, as many
    tokenizers put one there themselves.
    """
    start, end = span
    begin = _back(text, len(text[: _back(text, start)].rstrip()))
    key = f"{start - begin} {text[begin:end]}"
    if key not in known:
        before = _plain_ids(tokenizer, text[begin:start].rstrip()) if start > begin else ()
        ids = _plain_ids(tokenizer, text[begin:end])
        if ids[: len(before)] != before:  # the word changes what stands before it
            ids, before = _plain_ids(tokenizer, text[start:end]), ()
        own = list(ids[len(before) :])
        names = [str(tokenizer.convert_ids_to_tokens(token)) for token in own]
        spaces = {_SPACE, _BYTE_SPACE} - {text[start]}
        while names and (names[0] in spaces or names[0].isspace()):
            del own[0], names[0]
        known[key] = tuple(own)
    return known[key]


def _back(text: str, end: int) -> int:
    """Where the characters before `end` begin that are no space."""
    while end > 0 and not text[end - 1].isspace():
        end -= 1
    return end
