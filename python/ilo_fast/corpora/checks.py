"""What makes text a parallel corpus: flaws that are errors, and flaws that are warnings."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, Final, TypeVar

from ilo_fast._util.messages import elide, listed
from ilo_fast.corpora.choosing import codes_of
from ilo_fast.corpora.languages import candidates, did_you_mean, find_language
from ilo_fast.corpora.lines import is_blank
from ilo_fast.errors import CorpusError

logger = logging.getLogger(__name__)

_Value = TypeVar("_Value")
_COUNTS_SHOWN: Final = 8
_NOT_IN_FILE_NAMES: Final = frozenset('/\\:*?"<>|')


def check_sentences(
    sentences: Mapping[str, Iterable[str]], *, allow_unknown: bool, parallel: bool = True
) -> dict[str, tuple[str, ...]]:
    """The sentences as tuples.

    Parameters
    ----------
    sentences
        Language code -> sentences, any iterable of strings.
    allow_unknown
        Take codes that are not in `LANGUAGES`; if not `parallel`, all as they are.
    parallel
        Every language must have the same number of sentences; False: at least one.

    Raises
    ------
    CorpusError
        See `ilo_fast.corpora.parallel.ParallelCorpus`.
    """
    sentences = _as_mapping(sentences)
    if not isinstance(sentences, Mapping):
        raise CorpusError(
            f"sentences must be a mapping of language code to sentences, "
            f"got {type(sentences).__name__}"
        )
    if not sentences:
        raise CorpusError("sentences: no language; give at least one, {'eng_Latn': [...]}")
    checked = {}
    for code, lines in canonical(sentences, keep=allow_unknown and not parallel).items():
        _check_known(code, allow_unknown=allow_unknown)
        checked[code] = _as_tuple(code, lines)
        check_strings(code, checked[code])
    if parallel:
        _check_alignment(checked)
    _check_empty(checked)
    return checked


def canonical(by_code: Mapping[str, _Value], *, keep: bool = False) -> dict[str, _Value]:
    """The same values by canonical codes (``en`` becomes ``eng_Latn``), in the same order.

    With `keep`, codes stay as they are.

    Raises
    ------
    CorpusError
        A code that cannot name a file, two names of one language, or codes that differ in nothing
        but the case of letters, whose files would be one on many systems.
    """
    for code in by_code:
        check_code(code)
    code_of = {code: code for code in by_code} if keep else codes_of(by_code)
    found: dict[str, str] = {}
    for name, code in code_of.items():
        other = found.setdefault(code.casefold(), name)
        if other != name:
            raise CorpusError(f"sentences: {other!r} and {name!r} are one language code; keep one")
    return {code_of[name]: value for name, value in by_code.items()}


def check_code(code: object) -> None:
    """Raise where a language code cannot name a file."""
    if not isinstance(code, str):
        raise CorpusError(
            f"sentences: a language code must be a string, got {elide(repr(code), 80)}"
        )
    wrong = not code.strip() or code[0] == "." or not code.isprintable() or len(code) > 100
    if wrong or set(code) & _NOT_IN_FILE_NAMES:
        raise CorpusError(
            f"sentences: language code {elide(code, 80)!r} cannot name a file; use codes like "
            "'eng_Latn'"
        )


def _as_mapping(sentences: Any) -> Any:
    """A table of pandas or `datasets` as a mapping of its columns; anything else as it is."""
    if hasattr(sentences, "column_names") and hasattr(sentences, "select_columns"):
        return {name: sentences[name] for name in sentences.column_names}
    if hasattr(sentences, "columns") and hasattr(sentences, "items"):
        columns = list(sentences.items())
        if len(dict(columns)) < len(columns):
            raise CorpusError(
                f"sentences: two columns of the table have one name: {listed(list(sentences))}"
            )
        return dict(columns)
    return sentences


def _check_known(code: str, *, allow_unknown: bool) -> None:
    if allow_unknown or find_language(code) is not None:
        return
    if meant := candidates(code):
        raise CorpusError(
            f"sentences: language code {code!r} is ambiguous: it may mean {', '.join(meant)}"
        )
    raise CorpusError(
        f"sentences: unknown language code {code!r}: "
        f"{did_you_mean(code) or 'no known code is near.'} allow_unknown=True takes it as it "
        "is, without name, family and region"
    )


def _as_tuple(code: str, lines: object) -> tuple[str, ...]:
    """The items of any iterable: a list, a generator, an array, a column of a table."""
    if isinstance(lines, str | bytes | bytearray | Mapping | Set) or not isinstance(
        lines, Iterable
    ):
        raise CorpusError(
            f"sentences[{code!r}] must be a sequence of strings, got {type(lines).__name__}; "
            "one string per sentence"
        )
    shape = getattr(lines, "shape", None)
    if shape is not None and len(shape) != 1:
        raise CorpusError(
            f"sentences[{code!r}] has shape {tuple(shape)}; wanted one dimension: one string per "
            "sentence"
        )
    # NumPy's own kind of string becomes the plain one, which every tokenizer takes.
    return tuple(str(line) if isinstance(line, str) else line for line in lines)


def _is_nan(value: object) -> bool:
    return type(value).__name__ in {"NAType", "NaTType"} or (
        isinstance(value, float) and value != value
    )


def check_strings(place: str, lines: Sequence[object]) -> None:
    """Raise a CorpusError that names place and number of what is not text."""
    for number, line in enumerate(lines, 1):
        # NaN and pandas' own NA, as tables have them.
        if line is None or _is_nan(line):
            raise CorpusError(f"{place}, sentence {number}: is missing ({line}); fill it in")
        if not isinstance(line, str):
            raise CorpusError(
                f"{place}, sentence {number}: must be a string, got {elide(repr(line), 80)} "
                f"({type(line).__name__})"
            )
        if "\0" in line:
            raise CorpusError(f"{place}, sentence {number}: holds a NUL character; remove it")
        try:
            line.encode()
        except UnicodeEncodeError as error:
            raise CorpusError(
                f"{place}, sentence {number}: holds half a surrogate pair "
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

    def show(code: str) -> str:
        blank = sum(map(is_blank, sentences[code]))
        note = f", {blank} of them blank" if blank else ""
        inside = sum("\r" in line for line in sentences[code])
        note += f", {inside} with a carriage return inside" if inside else ""
        return f"{code} ({len(sentences[code])}{note})"

    if len(most) > len(second):
        odd = [code for _, codes in ranked[1:] for code in codes]
        verdict = f" Not {usual} lines as the majority has: {listed(odd, show)}."
    else:
        noted = [code for code in sentences if "," in show(code)]
        verdict = f" Look at {listed(noted, show)}." if noted else ""
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
        if is_blank(line)
    ]
    if places:
        shown = listed(places, lambda place: f"{place[0]} line {place[1]}")
        raise CorpusError(
            f"empty or blank sentences: {shown}. Fill them in, or remove the line from every "
            "language, so that the others stay aligned"
        )


def find_flaws(sentences: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """What `ParallelCorpus.info` says of the text itself."""
    return {
        "duplicated_sentences": count_duplicates(sentences),
        "identical_languages": find_identical(sentences),
        "not_nfc": count_not_nfc(sentences),
        "unknown_languages": [code for code in sentences if find_language(code) is None],
    }


def count_duplicates(sentences: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    """Code -> number of sentences that repeat an earlier one, for languages with any."""
    counts = {code: len(lines) - len(set(lines)) for code, lines in sentences.items()}
    return {code: count for code, count in counts.items() if count}


def count_not_nfc(sentences: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    """Code -> number of sentences that are not in Unicode's composed form (NFC), where any."""
    counts = {
        code: sum(not unicodedata.is_normalized("NFC", line) for line in lines)
        for code, lines in sentences.items()
    }
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
