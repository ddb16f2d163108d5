"""Text of several languages to train on, and the share of each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ilo_fast._util.checks import path_of
from ilo_fast._util.messages import listed
from ilo_fast.corpora.checks import canonical
from ilo_fast.corpora.languages import find_language, resolve_codes
from ilo_fast.corpora.text import find_joined, is_text, read_joined
from ilo_fast.errors import CorpusError

Texts = Mapping[str, Iterable[str]] | str | os.PathLike[str] | Sequence["str | os.PathLike[str]"]


def read_texts(
    source: Texts,
    languages: str | Sequence[str] | None = None,
    *,
    allow_unknown: bool = False,
    keep_blank: bool = False,
) -> dict[str, list[str]]:
    """The text of every language, sorted by code; empty lines are left out.

    Parameters
    ----------
    source
        Language -> lines; or a folder or table as for `ParallelCorpus.from_dir`, or several,
        whose lines are joined.
    languages
        Codes or named sets to take. None: all.
    allow_unknown
        Take codes that are not known (see ``ilo-fast languages``).
    keep_blank
        Keep empty lines, so that line n stays line n.

    Raises
    ------
    CorpusError
        No text at all, a language without text, an unknown code, something that is no line.
    AccessError
        A folder or file cannot be read.
    """
    texts: dict[str, list[str]] = {}
    if isinstance(source, Mapping):
        for code, lines in canonical(source).items():
            texts[code] = _lines(code, lines)
    else:
        one = isinstance(source, (str, bytes)) or not isinstance(source, Iterable)
        folders: Any = [source] if one else source
        paths = [path_of("texts", folder) for folder in folders]
        found = find_joined(paths, allow_unknown=allow_unknown)
        texts = {code: read_joined(found, code) for code in found}
    if languages is not None:
        codes = resolve_codes(languages, allow_unknown=allow_unknown, known=texts)
        missing = [code for code in codes if code not in texts]
        if missing:
            raise CorpusError(
                f"languages: no text for {listed(missing)}; there is text for "
                f"{', '.join(sorted(texts)) or 'no language'}"
            )
        texts = {code: texts[code] for code in codes}
    unknown = [code for code in sorted(texts) if find_language(code) is None]
    if unknown and not allow_unknown:
        raise CorpusError(
            f"texts: no language codes: {listed(unknown)}. Rename them to codes such as eng_Latn, "
            "choose with languages= (command line: --languages), or pass allow_unknown=True "
            "(command line: --allow-unknown)"
        )
    shown = {code: [line for line in texts[code] if is_text(line)] for code in sorted(texts)}
    empty = [code for code, lines in shown.items() if not lines]
    if empty or not texts:
        raise CorpusError(
            f"texts: {listed(empty)}: no line that is not empty" if empty else "texts is empty"
        )
    return {code: texts[code] for code in shown} if keep_blank else shown


def complete_shares(
    mixture: Mapping[str, float] | None, languages: Sequence[str]
) -> dict[str, float]:
    """The share of every language: those named as they are, the rest shared equally.

    Parameters
    ----------
    mixture
        Language -> share of the tokens, 0 to 1. None, or empty: equal shares.
    languages
        All languages that have text.

    Returns
    -------
    dict
        Language -> share, in the order of `languages`; sums to 1. A language that is given 0, and
        one for which nothing is left, is there with 0.

    Raises
    ------
    ValueError
        A language without text, a share outside 0 to 1, a sum above 1, or below 1 with no other
        language to take the rest.
    """
    if mixture is not None and not isinstance(mixture, Mapping):
        raise TypeError(f"mixture must map language codes to shares, got {mixture!r}")
    named = dict(mixture or {})
    missing = [code for code in named if code not in languages]
    if missing:
        raise ValueError(
            f"mixture: no text for {', '.join(missing)}; there is text for {', '.join(languages)}"
        )
    for code, share in named.items():
        number = isinstance(share, (int, float)) and not isinstance(share, bool)
        if not number or not 0 <= share <= 1:
            raise ValueError(
                f"mixture[{code!r}]={share!r}: a share of the tokens is from 0 to 1"
                + (f"; write {share / 100:g} for {share:g} %" if number and share > 1 else "")
            )
    total = sum(named.values())
    others = [code for code in languages if code not in named]
    if total > 1 + 1e-9:
        raise ValueError(f"mixture: the shares sum to {total:g}; they may not exceed 1")
    if not others and abs(total - 1) > 1e-9:
        raise ValueError(
            f"mixture names every language, and the shares sum to {total:g}: make them sum to 1, "
            "or leave languages out, which then share the rest equally"
        )
    left = max(0.0, 1.0 - total) if total < 1 - 1e-9 else 0.0
    shares = {code: float(named.get(code, left / max(1, len(others)))) for code in languages}
    return {code: share / sum(shares.values()) for code, share in shares.items()}


def _lines(code: str, lines: Any) -> list[str]:
    if isinstance(lines, (str, bytes)):
        raise CorpusError(f"texts[{code!r}] is one string; wanted lines: texts[{code!r}] = [...]")
    if not isinstance(lines, Iterable):
        raise CorpusError(f"texts[{code!r}] is {lines!r}; wanted lines: texts[{code!r}] = [...]")
    found = list(lines)
    for number, line in enumerate(found, start=1):
        if not isinstance(line, str):
            raise CorpusError(f"texts[{code!r}], line {number} is {type(line).__name__}, not str")
    return found
