"""What the page's script knows of features beyond the prompt: contexts, logits, languages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from ilo_fast._util.messages import plain
from ilo_fast.corpora.languages import find_language
from ilo_fast.report.packing import packed, packed_codes, packed_texts
from ilo_fast.transcoders.features.notes import FeatureNote
from ilo_fast.transcoders.viewer.graph_record import visible_token

Notes = Mapping[tuple[int, int], FeatureNote]
_WIDTH: Final = 1 << 16


class _Words:
    """Tokens by number, each written once."""

    def __init__(self) -> None:
        self.words: dict[str, int] = {}

    def __call__(self, tokens: Iterable[str]) -> list[int]:
        return [self.words.setdefault(token, len(self.words)) for token in tokens]


def note_record(
    notes: Notes, wanted: Sequence[tuple[int, int]], *, n_contexts: int
) -> dict[str, Any]:
    """Of the features wanted, what is known, with so many contexts each."""
    known = [notes[key] for key in wanted if key in notes]
    languages = sorted(
        {language for note in known for language in note.rates}
        | {context.language for note in known for context in note.contexts}
    )
    words = _Words()
    contexts = [context for note in known for context in note.contexts[:n_contexts]]
    activations = [a for context in contexts for a in context.activations]
    largest = [
        note.max_activation or 1.0
        for note in known
        for context in note.contexts[:n_contexts]
        for _ in context.activations
    ]
    strength = np.asarray(activations, np.float64) / np.asarray(largest, np.float64)
    logits = [pair for note in known for pair in (*note.top_logits, *note.bottom_logits)]
    rates = [[note.rates.get(language, np.nan) for language in languages] for note in known]
    record: dict[str, Any] = {
        "languages": [_language(code) for code in languages],
        "layer": [note.layer for note in known],
        "feature": [note.feature for note in known],
        "description": packed_texts([visible_token(note.description) for note in known]),
        "density": packed([note.density for note in known]),
        "max_activation": [float(f"{note.max_activation:.5g}") for note in known],
        "rates": packed(np.asarray(rates, np.float64).reshape(len(known), len(languages))),
        "contexts": packed_codes(_counts(note.contexts[:n_contexts] for note in known)),
        "lengths": packed_codes(_counts(context.tokens for context in contexts)),
        "peaks": packed_codes(np.asarray([context.peak for context in contexts], np.int64)),
        "language": packed_codes(
            np.asarray([languages.index(context.language) for context in contexts], np.int64)
        ),
        "tokens": _codes(words(token for context in contexts for token in context.tokens)),
        "strength": packed(np.append(np.clip(strength, 0.0, 1.0), [0.0, 1.0]), bits=8),
        "top": packed_codes(_counts(note.top_logits for note in known)),
        "bottom": packed_codes(_counts(note.bottom_logits for note in known)),
        "logit_tokens": _codes(words(token for token, _ in logits)),
        "logits": packed([number for _, number in logits]),
    }
    return {**record, "words": packed_texts([visible_token(word) for word in words.words])}


def _counts(groups: Iterable[Sequence[Any]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.asarray([len(group) for group in groups], np.int64)


def _codes(numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Low halves and high halves: there may be more than 65 536 different tokens."""
    array = np.asarray(numbers, np.int64)
    return [packed_codes(array % _WIDTH), packed_codes(array // _WIDTH)]


def _language(code: str) -> dict[str, str]:
    known = find_language(code)
    return {"code": plain(code), "name": plain(known.name if known else code)}
