"""Tokenizers that mark each sentence with its language (NLLB, mBART-50, M2M-100, Seamless)."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ilo_fast._util.messages import elide
from ilo_fast.corpora.languages import NTREX_CODES, other_names, without_variant

# eng_Latn, en_XX, en, eng, cmn_Hant; Seamless and M2M-100 write their tokens __eng__.
_SHAPE = re.compile(r"_{0,2}([a-z]{2,3}(_([A-Z]{2}|[A-Z][a-z]{3}))?)_{0,2}")
_LISTED = 1500  # characters of a list of codes: all of M2M-100's or NLLB's first hundred


def language_codes(
    tokenizer: Any, codes: Iterable[str], chosen: Mapping[str, str] | None
) -> dict[str, str]:
    """What a tokenizer calls each language; empty where it does not ask for the language.

    Parameters
    ----------
    codes
        The languages of the corpus.
    chosen
        The caller's choice for some of them, which goes first.

    Raises
    ------
    ValueError
        A language that the tokenizer lacks, or that it names in a way that is not known; lists
        what it has.
    """
    chosen = _checked(chosen)
    if not _takes_language(tokenizer):
        if chosen:
            raise ValueError(
                f"tokenizer_languages is given, but {type(tokenizer).__name__} does not depend on "
                "the language: leave it out"
            )
        return {}
    known = _known(tokenizer)
    found = {}
    for code in codes:
        name = chosen.get(code) or _match(code, known)
        if name not in known:
            raise ValueError(
                f"{code}: {type(tokenizer).__name__} marks each sentence with its language, and "
                f"{f'has no {name!r}' if name else 'none of its codes is known to mean this one'}: "
                f"choose one by tokenizer_languages={{{code!r}: ...}} from "
                f"{elide(', '.join(sorted(known)), _LISTED)}"
            )
        found[code] = name
    return found


@contextlib.contextmanager
def speaking(tokenizer: Any, language: str | None) -> Iterator[None]:
    """The tokenizer's source language for the block; afterwards it is as it was before."""
    if language is None:
        yield
        return
    before = dict(vars(tokenizer))
    backend = getattr(tokenizer, "_tokenizer", None)
    template = getattr(backend, "post_processor", None)
    try:
        tokenizer.src_lang = language
        yield
    finally:
        vars(tokenizer).clear()
        vars(tokenizer).update(before)
        if template is not None:
            backend.post_processor = template  # type: ignore[union-attr]


def _checked(chosen: Mapping[str, str] | None) -> Mapping[str, str]:
    if chosen is None:
        return {}
    if not isinstance(chosen, Mapping) or not all(
        isinstance(part, str) for pair in chosen.items() for part in pair
    ):
        raise TypeError(
            f"tokenizer_languages={chosen!r}: wanted a mapping from codes of the corpus to codes "
            "of the tokenizer, such as {'eng_Latn': 'en_XX'}"
        )
    return chosen


def _takes_language(tokenizer: Any) -> bool:
    """Whether setting the source language changes how sentences are encoded."""
    return isinstance(getattr(type(tokenizer), "src_lang", None), property)


def _known(tokenizer: Any) -> set[str]:
    """The codes that the tokenizer has a token for."""
    table: Mapping[str, Any] = getattr(tokenizer, "lang_code_to_id", None) or {}
    tokens = dict.fromkeys([*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()])
    named = {str(token): match[1] for token in tokens if (match := _SHAPE.fullmatch(str(token)))}
    ids = {code: number for code, number in table.items() if isinstance(number, int)} or {
        code: tokenizer.convert_tokens_to_ids(token) for token, code in named.items()
    }
    unknown = getattr(tokenizer, "unk_token_id", None)
    return {code for code, number in ids.items() if number is not None and number != unknown}


def _match(code: str, known: set[str]) -> str | None:
    """The one code of the tokenizer that means the language of `code`; None if it is not clear."""
    code = without_variant(code) if code not in known else code
    names = [code, *(name.replace("-", "_") for name in other_names(code))]
    for name in names:
        if name in known:
            return name
    # mBART names a country, or XX: en_XX, de_DE. A country may imply another script: zh_CN.
    language, _, script = code.partition("_")
    for name in names:
        fitting = sorted(
            other
            for other in known
            if other.startswith(f"{name}_")
            and len(other) == len(name) + 3
            and NTREX_CODES.get(f"{language}-{other[-2:]}", code) == code
        )
        if len(fitting) == 1 and "_" not in name and script:
            return fitting[0]
    return None
