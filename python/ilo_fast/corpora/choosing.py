"""Which part of a corpus is which language: names to codes, and what is taken of them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from ilo_fast._util.messages import elide, listed, plain
from ilo_fast.corpora.languages import (
    candidates,
    did_you_mean,
    find_language,
    resolve_codes,
    without_variant,
)
from ilo_fast.errors import CorpusError

logger = logging.getLogger(__name__)

Languages = str | Sequence[str] | Mapping[str, str] | None
"""What callers say: codes or sets, or code -> name in the corpus (also ``code=name``); None: all"""


class Named(Protocol):
    """A part of a corpus: the name of its language, its place for messages, its split."""

    @property
    def name(self) -> str: ...

    @property
    def place(self) -> str: ...

    @property
    def split(self) -> str | None: ...


_Item = TypeVar("_Item", bound=Named)


def codes_of(names: Iterable[str], given: Mapping[str, str] | None = None) -> dict[str, str]:
    """The code of each name: its canonical code, or the name itself where it has not one.

    The variant of a tag (``en-GB``) is part of the code (``eng_Latn_GB``) only where names of the
    same language differ in it: one file alone for English is ``eng_Latn``. A canonical code stays.
    """
    names = list(dict.fromkeys(names))
    found = {name: name for name in names if find_language(name) is not None} | dict(given or {})
    whole = {name: candidates(name)[0] for name in names if len(candidates(name)) == 1}
    variants: dict[str, set[str]] = {}
    for code in whole.values():
        variants.setdefault(without_variant(code), set()).add(code)
    for name in names:
        if name not in found and name in whole:
            base = without_variant(whole[name])
            found[name] = whole[name] if len(variants[base]) > 1 else base
    return {name: found.get(name, name) for name in names}


def split_names(languages: Languages) -> tuple[str | Sequence[str] | None, dict[str, str]]:
    """The codes asked for, and the names that the caller gives a code to (name -> code).

    Raises
    ------
    CorpusError
        A code or name that is no string, or a name with two codes.
    """
    if languages is None:
        return None, {}
    pairs: list[tuple[str, str | None]] = []
    if isinstance(languages, Mapping):
        pairs += languages.items()
    elif isinstance(languages, Collection) and not isinstance(languages, bytes):
        items = languages.split(",") if isinstance(languages, str) else list(languages)
        if not any(isinstance(item, str) and "=" in item for item in items):
            return languages, {}
        for item in items:
            own, _, called = str(item).partition("=")
            pairs.append((own, called or None))
    else:
        return languages, {}  # refused where codes are resolved
    codes: list[str] = []
    given: dict[str, str] = {}
    for code, name in pairs:
        if not isinstance(code, str) or not isinstance(name, str | None):
            raise CorpusError(
                f"languages: wanted code -> name in the corpus, strings, got {code!r}: {name!r}"
            )
        if name is not None and given.setdefault(name.strip(), code.strip()) != code.strip():
            raise CorpusError(f"languages gives {name!r} two codes: {given[name]} and {code}")
        codes.append(code.strip())
    return codes, given


def choose(
    items: Sequence[_Item],
    languages: Languages,
    where: str,
    *,
    allow_unknown: bool,
    skip_unknown: bool = False,
) -> list[tuple[str, _Item]]:
    """The parts of `languages` with their codes, in that order; None: all, sorted by code.

    Parameters
    ----------
    where
        The folder or file, for messages.
    allow_unknown
        Take names that are no code, or an ambiguous one, as codes of their own.
    skip_unknown
        Leave them out with a warning instead of an error, as most columns of a table are no
        languages.

    Raises
    ------
    CorpusError
        A name that is no known code, or may be several; a language without a part; two parts for
        one language and split.
    """
    spec, given = split_names(languages)
    names = [item.name for item in items]
    absent = [name for name in given if name not in names]
    if absent:
        raise CorpusError(
            f"languages: no {listed(absent, _short)} in {where}; it has {listed(names, _short)}"
        )
    given = {name: resolve_codes([c], allow_unknown=allow_unknown)[0] for name, c in given.items()}
    code_of = codes_of(names, given)
    by_code: dict[str, list[_Item]] = {}
    for item in items:
        code = code_of[item.name]
        if item.name in given or code not in given.values():
            by_code.setdefault(code, []).append(item)
    if spec is None:
        codes = _all_codes(by_code, where, allow_unknown=allow_unknown, skip_unknown=skip_unknown)
    else:
        codes = list(resolve_codes(spec, allow_unknown=allow_unknown, known=by_code))
        _check_present(codes, by_code, where)
    _check_distinct(codes, by_code, where)
    return [(code, item) for code in codes for item in by_code[code]]


def _all_codes(
    by_code: Mapping[str, Sequence[Named]], where: str, *, allow_unknown: bool, skip_unknown: bool
) -> list[str]:
    unknown = [code for code in sorted(by_code) if find_language(code) is None]
    # An ambiguous code is a language all the same: never skipped.
    ambiguous = [code for code in unknown if candidates(code)]
    if allow_unknown or not unknown:
        return sorted(by_code)
    if ambiguous:
        code = ambiguous[0]
        meant = candidates(code)
        raise CorpusError(
            f"path: {by_code[code][0].place} in {where} is ambiguous: {_short(code)!r} may mean "
            f"{', '.join(meant)}. Rename it to one of these, or say which: "
            f"languages={{{meant[0]!r}: {code!r}, ...}} (command line: --languages "
            f"{meant[0]}={code},...)"
        )
    if skip_unknown and len(unknown) < len(by_code):
        logger.warning(
            "%s: no languages, left out: %s (languages= or --languages names those to take)",
            where, listed(unknown, _short),
        )  # fmt: skip
        return [code for code in sorted(by_code) if code not in unknown]

    def show(code: str) -> str:
        hint = did_you_mean(code)
        place = _short(by_code[code][0].place)
        return f"{place} ({hint})" if hint else place

    raise CorpusError(
        f"path: names in {where} that are no language code: {listed(unknown, show)}. "
        "Rename them to a code such as eng_Latn or en, name those to take with languages= (command "
        "line: --languages), or pass allow_unknown=True (command line: --allow-unknown)"
    )


def _check_present(codes: Sequence[str], by_code: Mapping[str, object], where: str) -> None:
    missing = [code for code in codes if code not in by_code]
    if missing:

        def show(code: str) -> str:
            near = [name for name in by_code if code in candidates(name)]
            return f"{_short(code)} ({_short(near[0])} may be it: {code}={near[0]})" if near else (
                _short(code)
            )  # fmt: skip

        raise CorpusError(
            f"languages: no file in {where} for {listed(missing, show)}; it has "
            f"{', '.join(map(_short, sorted(by_code)))}"
        )


def _check_distinct(
    codes: Sequence[str], by_code: Mapping[str, Sequence[Named]], where: str
) -> None:
    for code in codes:
        items = by_code[code]
        for n, item in enumerate(items):
            for other in items[:n]:
                if other.split == item.split or None in (other.split, item.split):
                    raise CorpusError(
                        f"path: two files in {where} are {code}: {other.place} and {item.place}; "
                        "keep one, or name those to take with languages="
                    )


def _short(name: str) -> str:
    return elide(plain(name), 60)
