"""Notes of a transcoder's features in a file, so that they need not be made again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ilo_fast._util.checks import path_of, real_number, share, whole_number
from ilo_fast._util.files import replace_atomically
from ilo_fast._util.schema import (
    check_schema,
    damage_refused,
    list_of,
    object_of,
    read_result,
    text_of,
    texts_of,
)
from ilo_fast.models.identity import hash_state
from ilo_fast.transcoders.features.notes import Context, FeatureNote
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

NOTES_FILE: Final = "features.json"
_KIND: Final = "ilo_fast.feature_notes"
_VERSION: Final = 1
_FIX: Final = "make them again with feature_notes()"
_DIGITS: Final = 6

Notes = Mapping[tuple[int, int], FeatureNote]


def save_notes(
    notes: Notes, path: str | os.PathLike[str], transcoder: CrossLayerTranscoder
) -> None:
    """Write a JSON file, which appears when it is complete; numbers have six digits.

    Parameters
    ----------
    notes
        As of `feature_notes`.
    path
        The file, or a folder that is there: then ``features.json`` in it.
    transcoder
        Whose features they are.

    Raises
    ------
    ValueError
        A note is of no feature of the transcoder.
    OSError
        `path` cannot be written to, or the disk is full.
    """
    table: dict[str, int] = {}  # of texts, each once

    def word(text: str) -> int:
        return table.setdefault(text, len(table))

    entries = [
        {
            "layer": note.layer,
            "feature": note.feature,
            "contexts": [
                {
                    "tokens": [word(token) for token in context.tokens],
                    "activations": [_short(value) for value in context.activations],
                    "peak": context.peak,
                    "language": word(context.language),
                }
                for context in note.contexts
            ],
            "top_logits": [[word(token), _short(value)] for token, value in note.top_logits],
            "bottom_logits": [[word(token), _short(value)] for token, value in note.bottom_logits],
            "rates": [[word(code), _short(rate)] for code, rate in note.rates.items()],
            "density": _short(note.density),
            "max_activation": _short(note.max_activation),
            "description": note.description,
        }
        for note in notes.values()
    ]
    for note in notes.values():
        _check_place(note.layer, note.feature, transcoder)
    about = {
        "kind": _KIND,
        "schema_version": _VERSION,
        "transcoder_sha256": hash_state(transcoder),
        "texts": list(table),
        "notes": entries,
    }
    file = path_of("path", path)
    file = file / NOTES_FILE if file.is_dir() else file
    # Half a pair of surrogates, which hostile tokens may hold, is no UTF-8, but can be escaped.
    data = json.dumps(about, separators=(",", ":"), allow_nan=False).encode()
    with replace_atomically(file, len(data)) as out:
        out.write(data)


def load_notes(
    path: str | os.PathLike[str], transcoder: CrossLayerTranscoder
) -> dict[tuple[int, int], FeatureNote]:
    """What `save_notes` wrote. Nothing in it is believed.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is something else, damaged, of a newer version, or of another transcoder.
    """

    def build(about: Any) -> dict[tuple[int, int], FeatureNote]:
        check_schema(about, _KIND, _VERSION, _FIX)
        with damage_refused("the notes", _FIX):
            found, wanted = (
                text_of("transcoder_sha256", about["transcoder_sha256"]),
                hash_state(transcoder),
            )
            if found != wanted:
                raise ValueError(
                    f"transcoder_sha256 is {found[:16]!r}, the transcoder has {wanted[:16]!r}: "
                    f"they are notes of another transcoder; {_FIX}"
                )
            texts = texts_of("texts", about["texts"])
            notes: dict[tuple[int, int], FeatureNote] = {}
            for entry in list_of("notes", about["notes"]):
                note = _note(object_of("notes", entry), texts)
                _check_place(note.layer, note.feature, transcoder)
                if (note.layer, note.feature) in notes:
                    raise ValueError(
                        f"notes names feature {note.feature} of layer {note.layer} twice; {_FIX}"
                    )
                notes[note.layer, note.feature] = note
            return notes

    return read_result(path, NOTES_FILE, "feature notes", build)


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _check_place(layer: int, feature: int, transcoder: CrossLayerTranscoder) -> None:
    whole_number("layer", layer, 0, transcoder.n_layers - 1)
    whole_number("feature", feature, 0, transcoder.n_features - 1)


def _note(entry: Mapping[str, Any], texts: Sequence[str]) -> FeatureNote:
    def word(name: str, at: Any) -> str:
        return texts[whole_number(name, at, 0, len(texts) - 1)]

    def pairs(
        name: str, check: Callable[[str, Any], float] = real_number
    ) -> tuple[tuple[str, float], ...]:
        found = []
        for pair in list_of(name, entry[name]):
            text, number = list_of(name, pair)
            found.append((word(name, text), check(name, number)))
        return tuple(found)

    def context(values: Mapping[str, Any]) -> Context:
        tokens = tuple(word("tokens", at) for at in list_of("tokens", values["tokens"]))
        numbers = list_of("activations", values["activations"])
        if len(numbers) != len(tokens):
            raise ValueError(f"contexts has {len(tokens)} tokens and {len(numbers)} activations")
        return Context(
            tokens=tokens,
            activations=tuple(real_number("activations", value) for value in numbers),
            peak=whole_number("peak", values["peak"], 0, len(tokens) - 1),
            language=word("language", values["language"]),
        )

    contexts = list_of("contexts", entry["contexts"])
    return FeatureNote(
        layer=whole_number("layer", entry["layer"], 0),
        feature=whole_number("feature", entry["feature"], 0),
        contexts=tuple(context(object_of("contexts", one)) for one in contexts),
        top_logits=pairs("top_logits"),
        bottom_logits=pairs("bottom_logits"),
        rates=dict(pairs("rates", share)),
        density=share("density", entry["density"]),
        max_activation=real_number("max_activation", entry["max_activation"]),
        description=text_of("description", entry["description"]),
    )
