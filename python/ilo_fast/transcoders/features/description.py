"""A short description of a feature, by rule: a proposal, made of counts, for a person to check.

Each rule looks at one thing: the tokens at which the feature is strongest, their place in a line,
what stands before them, the languages that it is active in, the tokens that it predicts. A rule
that does not reach its bound says nothing; what it says ends with its support, in parentheses:
of so many contexts, or a share of rates. No language model is asked. The strongest contexts say
little of the weak ones, and a feature may well be about something that no rule looks at.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.messages import elide, plain
from ilo_fast.corpora.languages import find_language
from ilo_fast.transcoders.features.notes import Context, FeatureNote
from ilo_fast.transcoders.features.token_texts import PART

LEAST_CONTEXTS: Final = 5
"""Of fewer contexts nothing is said."""

SAME_TOKEN: Final = 0.6
"""Share of the contexts that one token, or one before it, must have."""

KIND: Final = 0.8
"""Share of the contexts that a kind of tokens, or a place, must have."""

LANGUAGE: Final = 0.5
"""Share of the sum of all rates that one language must have."""

GROUP: Final = 0.7
"""Share of the sum of all rates that a script or a branch must have."""

LIFT: Final = 0.8
"""Mean rate within a script or a branch over that and the mean rate outside, together."""

LEAST_FIRINGS: Final = 20
"""Of fewer tokens nothing is said of languages."""

OFTEN: Final = 0.2
NEARLY_ALWAYS: Final = 0.8
"""Shares of tokens from which on a feature counts as often, or nearly always, active."""

SAME_LINES: Final = 0.6
"""Share of the contexts whose line must have the number of another's in another language.

Of ten contexts drawn by chance from sixty lines six have so once in a hundred times.
"""

_EVEN: Final = 0.97  # entropy of the rates over languages, of the most possible
_FOLLOWS: Final = 0.3  # share of the contexts in which a predicted token follows
_AFFIXES: Final = (4, 3, 2)  # letters
_LONGEST: Final = 24
_SCRIPTS: Final[Mapping[str, str]] = {
    "Arab": "Arabic", "Armn": "Armenian", "Beng": "Bengali", "Cyrl": "Cyrillic",
    "Deva": "Devanagari", "Ethi": "Ethiopic", "Geor": "Georgian", "Grek": "Greek",
    "Gujr": "Gujarati", "Guru": "Gurmukhi", "Hang": "Hangul", "Hans": "simplified Han",
    "Hant": "traditional Han", "Hebr": "Hebrew", "Jpan": "Japanese", "Khmr": "Khmer",
    "Knda": "Kannada", "Laoo": "Lao", "Latn": "Latin", "Mlym": "Malayalam", "Mymr": "Myanmar",
    "Orya": "Odia", "Sinh": "Sinhala", "Taml": "Tamil", "Telu": "Telugu", "Thai": "Thai",
    "Tibt": "Tibetan",
}  # fmt: skip

_SEPARATOR: Final = "; "


def describe(
    note: FeatureNote,
    firings: int,
    special: Collection[str] = (),
    lines: Sequence[int] | None = None,
) -> str:
    """What the rules say of a feature; empty where none applies.

    Parameters
    ----------
    note
        Of it; its own description is not looked at.
    firings
        Tokens at which it is active, on which the rates rest.
    special
        Special tokens, as contexts show them: lines begin and end there.
    lines
        The number of each context's line in the text of its language, which in parallel text are
        translations of each other. None: not known.
    """
    found: list[str] = []
    if len(note.contexts) >= LEAST_CONTEXTS:
        found += _at_peak(note.contexts, frozenset(special))
        found += _translations(note.contexts, lines or ())
    of_rates = [*_languages(note.rates, note.density, firings)]
    found += of_rates
    if not of_rates and len(note.contexts) >= LEAST_CONTEXTS and len(note.rates) > 2:
        found += _strongest_in(note.contexts)
    if len(note.contexts) >= LEAST_CONTEXTS:
        found += _predicted(note)
    return _SEPARATOR.join(found)


def statements(description: str) -> list[str]:
    """What a description says, without the support."""
    return [re.sub(r" \([^()]*\)$", "", part) for part in description.split(_SEPARATOR) if part]


def quoted(token: str) -> str:
    """A token within a sentence: harmless, short, its spaces to be seen."""
    return f"“{elide(plain(token).replace(';', ','), _LONGEST)}”"


def _at_peak(contexts: Sequence[Context], special: frozenset[str]) -> Iterator[str]:
    """Of the tokens at which the feature is strongest."""
    n = len(contexts)
    peaks = [context.tokens[context.peak] for context in contexts]
    before = [context.tokens[context.peak - 1] if context.peak else "" for context in contexts]
    behind = [[*context.tokens, ""][context.peak + 1] for context in contexts]
    if len(ends := [p for p in peaks if p in special]) >= SAME_TOKEN * n:
        yield f"end of a line ({_of(len(ends), n)})"
        return
    yield from _tokens([p for p in peaks if p not in special], n)
    first = sum(b in special for b in before)
    last = sum(b in special for b in behind)
    if first >= KIND * n:
        yield f"first token of a line ({_of(first, n)})"
    elif (early := sum(_early(context, special) for context in contexts)) >= KIND * n:
        yield f"within the first {_EARLY} tokens of a line ({_of(early, n)})"
    else:
        word, count = _most([b for b in before if b not in special])
        if count >= SAME_TOKEN * n:
            yield f"after {quoted(word)} ({_of(count, n)})"
    if last >= KIND * n:
        yield f"last token of a line ({_of(last, n)})"


_EARLY: Final = 3


def _translations(contexts: Sequence[Context], lines: Sequence[int]) -> Iterator[str]:
    """Of lines that have one number in several languages."""
    languages: dict[int, set[str]] = {}
    for context, line in zip(contexts, lines, strict=False):
        languages.setdefault(line, set()).add(context.language)
    shared = {line: codes for line, codes in languages.items() if len(codes) > 1}
    together = sum(map(len, shared.values()))
    if together < max(SAME_LINES * len(contexts), 3):
        return
    n = len(set().union(*shared.values()))
    peaks = [c.tokens[c.peak] for c, line in zip(contexts, lines, strict=False) if line in shared]
    few = "".join(f", {quoted(word)}" for word, _ in _ranked(peaks)[:3])
    yield f"same lines in {n} languages{few} ({_of(together, len(contexts))})"


def _early(context: Context, special: frozenset[str]) -> bool:
    return any(t in special for t in context.tokens[max(0, context.peak - _EARLY) : context.peak])


def _tokens(peaks: Sequence[str], n: int) -> Iterator[str]:
    """The same token, one of a few, tokens of a kind, or of many languages."""
    word, count = _most(peaks)
    if count >= SAME_TOKEN * n:
        yield f"token {quoted(word)} ({_of(count, n)})"
        return
    few = [pair for pair in _ranked(peaks)[:3] if pair[1] > 1]
    together = sum(count for _, count in few)
    if len(few) > 1 and together >= KIND * n:
        yield f"tokens {', '.join(quoted(word) for word, _ in few)} ({_of(together, n)})"
        return
    words = [_folded(peak) for peak in peaks]
    for size in _AFFIXES:
        for where, cut in (
            ("ending in -{}", slice(-size, None)),
            ("beginning with {}-", slice(size)),
        ):
            affixes = [word[cut] for word in words if len(word) > size and word[cut].isalpha()]
            affix, count = _most(affixes)
            kinds = {word for word in words if len(word) > size and word[cut] == affix}
            if count >= KIND * n and len(kinds) > 2:
                yield f"tokens {where.format(affix)} ({_of(count, n)})"
                return
    for name, belongs in _KINDS.items():
        count = sum(bool(peak.strip()) and belongs(peak.strip()) for peak in peaks)
        if count >= KIND * n:
            yield f"{name} ({_of(count, n)})"
            return


def _all(categories: str) -> Callable[[str], bool]:
    return lambda text: all(unicodedata.category(c)[0] in categories for c in text)


_KINDS: Final[Mapping[str, Callable[[str], bool]]] = {
    "digits": _all("N"),
    "parts of characters": lambda text: PART in text,
    "punctuation": _all("PS"),
    "capitalised tokens": lambda text: text[0].isupper(),
}


def _languages(rates: Mapping[str, float], density: float, firings: int) -> Iterator[str]:
    """Of where the feature is active, at all."""
    if density >= OFTEN:
        often = "nearly always" if density >= NEARLY_ALWAYS else "often"
        yield f"{often} active ({density:.0%} of tokens)"
    if firings < LEAST_FIRINGS or len(rates) < 2 or not sum(rates.values()):
        return
    support = f"of rates, {firings} firings"
    total = sum(rates.values())
    code, rate = max(rates.items(), key=lambda pair: pair[1])
    # Of two or three languages, each has a good share by itself.
    if rate / total >= max(LANGUAGE, 1.6 / len(rates)):
        yield f"{_name(code)} ({rate / total:.0%} {support})"
        return
    # Of a script and a branch of the same languages, the script is what can be seen.
    found = max(_groups(rates), key=lambda of: (of[0], of[2].endswith(" script")), default=None)
    if found is not None:
        _, share, name = found
        yield f"{name} ({share:.0%} {support})"
        return
    shares = np.array([*rates.values()]) / total
    entropy = -(shares * np.log(np.maximum(shares, 1e-300))).sum() / np.log(len(shares))
    if entropy >= _EVEN and firings >= LEAST_FIRINGS * len(rates):
        yield f"all {len(rates)} languages alike ({firings} firings)"


def _strongest_in(contexts: Sequence[Context]) -> Iterator[str]:
    code, count = Counter(context.language for context in contexts).most_common(1)[0]
    if count >= KIND * len(contexts):
        yield f"strongest in {_name(code)} ({_of(count, len(contexts))})"


def _name(code: str) -> str:
    known = find_language(code)
    return plain(code) if known is None else known.name


def _groups(rates: Mapping[str, float]) -> Iterator[tuple[float, float, str]]:
    """Scripts and branches that have most of the rates: how much more than others, share, name."""
    values = np.array([*rates.values()])
    for name, within in _known_groups(tuple(rates)).items():
        part, rest = values[within], values[~within]
        share = float(part.sum() / values.sum())
        if share < GROUP:
            continue
        lift = float(part.mean() / (part.mean() + rest.mean()))
        # Most of its languages take part, and it is not one with company.
        if lift >= LIFT and (part >= 0.3 * part.mean()).mean() >= 2 / 3:
            yield lift, share, name


@lru_cache(maxsize=8)
def _known_groups(codes: tuple[str, ...]) -> dict[str, NDArray[np.bool_]]:
    """Which of the languages are of each script and branch; of two or more, and not of all."""
    groups: dict[str, set[str]] = {}
    for code in codes:
        known = find_language(code)
        if known is not None:
            script = _SCRIPTS.get(known.script, known.script)
            groups.setdefault(f"{script} script", set()).add(code)
            if branch := known.branch or known.family:
                groups.setdefault(f"{branch} languages", set()).add(code)
    return {
        name: np.array([code in members for code in codes])
        for name, members in groups.items()
        if 1 < len(members) < len(codes)
    }


def _predicted(note: FeatureNote) -> Iterator[str]:
    """Tokens whose logits the feature raises, and which follow indeed."""
    n = len(note.contexts)
    following = Counter(
        _folded(context.tokens[context.peak + 1])
        for context in note.contexts
        if context.peak + 1 < len(context.tokens)
    )
    hits: dict[str, int] = {}
    for token, effect in note.top_logits:
        word = _folded(token)
        if effect > 0 and word and following[word] >= 2:
            hits[word] = following[word]
    together = sum(hits.values())
    if together >= _FOLLOWS * n:
        words = sorted(hits, key=lambda word: -hits[word])[:3]
        yield f"predicts {', '.join(map(quoted, words))} (follows in {_of(together, n)})"


def _of(count: int, n: int) -> str:
    return f"{count} of {n}"


def _folded(token: str) -> str:
    return token.strip().casefold()


def _ranked(tokens: Sequence[str]) -> list[tuple[str, int]]:
    """Tokens but for case and space, the most frequent first; of equal ones the first.

    Parts of characters are not told apart, and so left out.
    """
    words = [word for token in tokens if (word := _folded(token)) and PART not in word]
    return Counter(words).most_common()


def _most(tokens: Sequence[str]) -> tuple[str, int]:
    return next(iter(_ranked(tokens)), ("", 0))
