"""What makes text a parallel corpus: flaws that are errors, and flaws that are warnings."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ilo_fast._util.messages import listed
from ilo_fast.corpora.languages import LANGUAGES, did_you_mean
from ilo_fast.errors import CorpusError

logger = logging.getLogger(__name__)

_COUNTS_SHOWN: Final = 8
_NOT_IN_FILE_NAMES: Final = frozenset('/\\:*?"<>|')


def check_sentences(
    sentences: Mapping[str, Iterable[str]], *, allow_unknown: bool, parallel: bool = True
) -> dict[str, tuple[str, ...]]:
    """The sentences as tuples.

    Parameters
    ----------
    sentences
        Language code -> sentences.
    allow_unknown
        Take codes that are not in `LANGUAGES`.
    parallel
        Every language must have the same number of sentences; False: at least one.

    Raises
    ------
    CorpusError
        See `ilo_fast.corpora.parallel.ParallelCorpus`.
    """
    if not isinstance(sentences, Mapping):
        raise CorpusError(
            f"sentences must be a mapping of language code to sentences, "
            f"got {type(sentences).__name__}"
        )
    if not sentences:
        raise CorpusError("sentences: no language; give at least one, {'eng_Latn': [...]}")
    checked = {}
    for code, lines in sentences.items():
        check_code(code)
        _check_known(code, allow_unknown=allow_unknown)
        if isinstance(lines, str | bytes) or not isinstance(lines, Iterable):
            raise CorpusError(
                f"sentences[{code!r}] must be a sequence of strings, got {type(lines).__name__}; "
                "one string per sentence"
            )
        checked[code] = tuple(lines)
        _check_strings(code, checked[code])
    if parallel:
        _check_alignment(checked)
    _check_empty(checked)
    return checked


def check_code(code: object) -> None:
    """Raise where a language code cannot name a file."""
    if not isinstance(code, str):
        raise CorpusError(f"sentences: a language code must be a string, got {code!r}")
    if not code.strip() or code[0] == "." or set(code) & _NOT_IN_FILE_NAMES:
        raise CorpusError(
            f"sentences: language code {code!r} cannot name a file; use codes like 'eng_Latn'"
        )


def _check_known(code: str, *, allow_unknown: bool) -> None:
    if code not in LANGUAGES and not allow_unknown:
        raise CorpusError(
            f"sentences: unknown language code {code!r}: "
            f"{did_you_mean(code) or 'no known code is near.'} allow_unknown=True takes it as it "
            "is, without name, family and region"
        )


def _check_strings(code: str, lines: tuple[str, ...]) -> None:
    for number, line in enumerate(lines, 1):
        if not isinstance(line, str):
            raise CorpusError(
                f"{code}, sentence {number}: must be a string, got {line!r} ({type(line).__name__})"
            )
        if "\0" in line:
            raise CorpusError(f"{code}, sentence {number}: holds a NUL character; remove it")
        try:
            line.encode()
        except UnicodeEncodeError as error:
            raise CorpusError(
                f"{code}, sentence {number}: holds half a surrogate pair "
                f"(U+{ord(line[error.start]):04X}), which is not text; decode the source as UTF-8"
            ) from None


def _check_alignment(sentences: dict[str, tuple[str, ...]]) -> None:
    by_count: dict[int, list[str]] = {}
    for code, lines in sentences.items():
        by_count.setdefault(len(lines), []).append(code)
    if len(by_count) == 1:
        return
    ranked = sorted(by_count.items(), key=lambda item: -len(item[1]))
    (usual, most), (_, second) = ranked[:2]
    verdict = ""
    if len(most) > len(second):

        def show(code: str) -> str:
            blank = sum(not line.strip() for line in sentences[code])
            note = f", {blank} of them blank" if blank else ""
            return f"{code} ({len(sentences[code])}{note})"

        odd = [code for _, codes in ranked[1:] for code in codes]
        verdict = f" Not {usual} lines as the majority has: {listed(odd, show)}."
    counts = "; ".join(f"{count} lines: {listed(codes)}" for count, codes in ranked[:_COUNTS_SHOWN])
    raise CorpusError(
        "not parallel: the languages have different numbers of lines, so line n cannot mean the "
        f"same in each.{verdict} All counts: {counts}. Align the files, or leave languages out"
    )


def _check_empty(sentences: dict[str, tuple[str, ...]]) -> None:
    without = [code for code, lines in sentences.items() if not lines]
    if without:
        raise CorpusError(f"no sentences: {listed(without)} hold no line; leave them out")
    places = [
        (code, number)
        for code, lines in sentences.items()
        for number, line in enumerate(lines, 1)
        if not line.strip()
    ]
    if places:
        shown = listed(places, lambda place: f"{place[0]} line {place[1]}")
        raise CorpusError(
            f"empty or blank sentences: {shown}. Fill them in, or remove the line from every "
            "language, so that the others stay aligned"
        )


def count_duplicates(sentences: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    """Code -> number of sentences that repeat an earlier one, for languages with any."""
    counts = {code: len(lines) - len(set(lines)) for code, lines in sentences.items()}
    return {code: count for code, count in counts.items() if count}


def find_identical(sentences: Mapping[str, tuple[str, ...]]) -> list[list[str]]:
    """Groups of two or more codes with exactly the same text."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for code, lines in sentences.items():
        groups.setdefault(lines, []).append(code)
    return [codes for codes in groups.values() if len(codes) > 1]


def warn_of_flaws(
    sentences: Mapping[str, tuple[str, ...]],
    name: str,
    duplicates: Mapping[str, int],
    identical: Sequence[Sequence[str]],
) -> None:
    """Log repeated sentences and copied languages.

    Parameters
    ----------
    duplicates, identical
        What `count_duplicates` and `find_identical` found in `sentences`.
    """
    if duplicates:

        def show(code: str) -> str:
            first, again = _first_duplicate(sentences[code])
            return f"{code} {duplicates[code]} (line {again} is line {first})"

        logger.warning(
            "corpus %r: sentences that repeat an earlier one of the same language: %s",
            name,
            listed(list(duplicates), show),
        )
    for codes in identical:
        logger.warning(
            "corpus %r: %s have exactly the same text; a file that was copied?",
            name,
            " and ".join(codes),
        )


def _first_duplicate(lines: Sequence[str]) -> tuple[int, int]:
    """The lines (from 1) of the first sentence that is repeated, and of its repetition."""
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if line in seen:
            return seen[line], number
        seen[line] = number
    raise ValueError("lines: all differ")
