"""Scores in files that were edited or damaged: what no measurement gives is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from helpers.scores import overlap_scores

from ilo_fast import OverlapScores

Edit = Callable[[dict[str, Any]], Any]

EDITS: dict[str, Edit] = {
    "ilo of layer 0, eng_Latn is 7.5": lambda d: d["rows"][0].update(ilo=7.5),
    "bridge of layer 0, fra_Latn is -0.1": lambda d: d["rows"][1].update(bridge=-0.1),
    "reach of layer 0, eng_Latn must be a number": lambda d: d["rows"][0].update(reach="0.5"),
    "the harmonic mean of bridge and reach is": lambda d: d["rows"][2].update(ilo=0.99999),
    "there is no 'bridge'": lambda d: d["rows"][3].pop("bridge"),
    "n_sentences of layer 2, fra_Latn is 11": lambda d: d["rows"][9].update(n_sentences=11),
    "translation_share of layer 1": lambda d: d["rows"][4].update(translation_share=None),
    "layer=-1 must be at least 0": lambda d: [row.update(layer=-1) for row in d["rows"][:4]],
    "layer must be an int": lambda d: [row.update(layer="0") for row in d["rows"][:4]],
    "language 3 is no language code": lambda d: [r.update(language=3) for r in d["rows"][::4]],
    "n_neighbors=0 must be": lambda d: d["settings"].update(n_neighbors=0),
    "metric='manhattan'": lambda d: d["settings"].update(metric="manhattan"),
    "n_neighbors is 5 in settings and 9": lambda d: d["info"].update(run={"n_neighbors": 9}),
    "different languages": lambda d: d["info"].update(run={"languages": ["eng_Latn"]}),
    "backend is 'exact' in settings": lambda d: d["settings"].update(backend="exact"),
    "info of 7": lambda d: d["info"].update(layers=[{"layer": 7}]),
    "info must be an object": lambda d: d.update(info=[1]),
    "scores are damaged": lambda d: d.update(rows=[1, 2]),
}


@pytest.mark.parametrize("problem", EDITS)
def test_scores_that_no_measurement_gives_are_refused(problem: str) -> None:
    data = json.loads(overlap_scores().to_json())
    EDITS[problem](data)
    with pytest.raises(ValueError, match=problem):
        OverlapScores.from_dict(data)


def test_text_with_nan_or_nested_without_end_is_refused_with_the_file(tmp_path: Any) -> None:
    path = tmp_path / "scores.json"
    text = overlap_scores().to_json()
    for damaged, problem in (
        (text.replace('"ilo": ', '"ilo": NaN, "was": ', 1), "holds NaN"),
        ('{"a":' * 100_000, "nested without end|not complete"),
        ("\x00\x01", "not complete JSON"),
    ):
        path.write_text(damaged)
        with pytest.raises(
            ValueError, match=rf"scores\.json is not a file of scores: .*({problem})"
        ):
            OverlapScores.from_json(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="not UTF-8"):
        OverlapScores.from_json(tmp_path)


def test_scores_are_read_from_the_folder_of_a_run(tmp_path: Any) -> None:
    scores = overlap_scores()
    scores.to_json(tmp_path / "scores.json")
    assert OverlapScores.from_json(tmp_path) == scores
