"""Notes in files: what is saved is loaded; what is something else is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ilo_fast.transcoders.activations import TopK
from ilo_fast.transcoders.features.files import NOTES_FILE, load_notes, save_notes
from ilo_fast.transcoders.features.notes import Context, FeatureNote
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

HOSTILE = "</script>\x1b[31m\u202e\ud800 \"'<&\n"


def transcoder_of(seed: int = 0) -> CrossLayerTranscoder:
    return CrossLayerTranscoder(2, 4, 6, activation=TopK(2), seed=seed)


def notes() -> dict[tuple[int, int], FeatureNote]:
    contexts = (
        Context(("a", " b", HOSTILE), (0.0, 2.5, 0.125), 1, "deu_Latn"),
        Context((" b",), (1.0,), 0, "eng_Latn"),
    )
    one = FeatureNote(
        layer=1, feature=5, contexts=contexts, top_logits=((" b", 3.0), (HOSTILE, 0.5)),
        bottom_logits=(("a", -1.25),), rates={"deu_Latn": 0.5, "eng_Latn": 0.25}, density=0.375,
        max_activation=2.5, description=HOSTILE,
    )  # fmt: skip
    none = FeatureNote(0, 0, (), (), (), {}, 0.0, 0.0, "")
    return {(1, 5): one, (0, 0): none}


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    it = transcoder_of()
    save_notes(notes(), tmp_path, it)
    assert [file.name for file in tmp_path.iterdir()] == [NOTES_FILE]
    assert load_notes(tmp_path, it) == load_notes(tmp_path / NOTES_FILE, it) == notes()
    save_notes({}, tmp_path / "other.json", it)
    assert load_notes(tmp_path / "other.json", it) == {}
    assert (tmp_path / NOTES_FILE).read_bytes().isascii()


def test_numbers_are_short(tmp_path: Path) -> None:
    it = transcoder_of()
    one = FeatureNote(0, 1, (), (("a", 1 / 3),), (), {"und": 1.0}, 2 / 3, 1e-7 / 3, "")
    save_notes({(0, 1): one}, tmp_path, it)
    found = load_notes(tmp_path, it)[0, 1]
    assert found.top_logits == (("a", 0.333333),) and found.density == 0.666667
    assert found.max_activation == pytest.approx(1e-7 / 3, rel=1e-5)


def test_notes_of_another_transcoder_are_refused(tmp_path: Path) -> None:
    save_notes(notes(), tmp_path, transcoder_of())
    with pytest.raises(ValueError, match="notes of another transcoder; make them again with feat"):
        load_notes(tmp_path, transcoder_of(seed=1))
    wrong = {(0, 6): FeatureNote(0, 6, (), (), (), {}, 0.0, 0.0, "")}
    with pytest.raises(ValueError, match="feature=6 must be at most 5"):
        save_notes(wrong, tmp_path, transcoder_of())
    assert load_notes(tmp_path, transcoder_of()) == notes()


def test_an_absent_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_notes(tmp_path / "nothing.json", transcoder_of())


def _set(*path: Any, to: Any) -> Callable[[Any], None]:
    def change(about: Any) -> None:
        for key in path[:-1]:
            about = about[key]
        about[path[-1]] = to

    return change


FIRST = ("notes", 0)
BREACHES: dict[str, tuple[Callable[[Any], None], str]] = {
    "kind": (_set("kind", to="else"), "kind='else', wanted"),
    "version": (_set("schema_version", to=2), "schema_version=2 cannot be read"),
    "hash": (_set("transcoder_sha256", to=3), "transcoder_sha256 must be a text"),
    "no notes": (lambda about: about.pop("notes"), "there is no 'notes'"),
    "notes": (_set("notes", to={}), "notes must be a list"),
    "texts": (_set("texts", to=["a", 1]), "texts must be a text"),
    "word": (_set(*FIRST, "contexts", 0, "tokens", 0, to=99), "tokens=99 must be at most"),
    "negative word": (_set(*FIRST, "contexts", 0, "tokens", 0, to=-1), "tokens=-1 must be at leas"),
    "peak": (_set(*FIRST, "contexts", 0, "peak", to=3), "peak=3 must be at most 2"),
    "lengths": (_set(*FIRST, "contexts", 0, "activations", to=[1.0]), "3 tokens and 1 activations"),
    "activation": (_set(*FIRST, "contexts", 0, "activations", 0, to="x"), "must be a number"),
    "rate": (_set(*FIRST, "rates", 0, 1, to=1.5), "rates is 1.5, wanted a share"),
    "pair": (_set(*FIRST, "top_logits", 0, to=[1, 2, 3]), "too many values"),
    "layer": (_set(*FIRST, "layer", to=2), "layer=2 must be at most 1"),
    "twice": (lambda about: about["notes"].append(about["notes"][0]), "feature 5 of layer 1 twice"),
    "description": (_set(*FIRST, "description", to=None), "description must be a text"),
    "number": (_set(*FIRST, "density", to=True), "density must be a number"),
}


@pytest.mark.parametrize("name", BREACHES)
def test_breaches_are_named(name: str, tmp_path: Path) -> None:
    save_notes(notes(), tmp_path, transcoder_of())
    file = tmp_path / NOTES_FILE
    about = json.loads(file.read_text())
    change, words = BREACHES[name]
    change(about)
    file.write_text(json.dumps(about))
    with pytest.raises(ValueError, match=words) as error:
        load_notes(file, transcoder_of())
    assert str(error.value).startswith(f"{file} is not a file of feature notes: ")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    save_notes(notes(), tmp_path, transcoder_of())
    file = tmp_path / NOTES_FILE
    file.write_text(file.read_text()[:-40])
    with pytest.raises(ValueError, match="not complete JSON"):
        load_notes(file, transcoder_of())
