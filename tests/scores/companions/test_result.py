"""The file of companions: what it holds, and what it refuses."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from ilo_fast.scores.companions.directions_result import DirectionsRemoved
from ilo_fast.scores.companions.result import Companion, Companions


@pytest.fixture
def found():
    rng = np.random.default_rng(1)
    values = rng.random((2, 3))
    values[1, 2] = np.nan
    scores = (
        Companion(
            "cka", "CKA", "About.", 0.0, 1.0, values, np.nanmean(values, axis=1),
            chance=np.full((2, 3), 0.1), low=values - 0.1, high=values + 0.1,
            means_chance=np.full(2, 0.1),
        ),
        Companion("isoscore", "IsoScore", "About.", 0.0, 1.0, None, rng.random(2)),
    )  # fmt: skip
    matrix = rng.random((2, 3, 3))
    matrix[:, [0, 1, 2], [0, 1, 2]] = np.nan
    removed = DirectionsRemoved((0, 4), (-1, 0, 1), rng.random((3, 2)), rng.random((3, 2)), 10, 10)
    return Companions(
        (0, 4), ("deu", "eng", "swa"), scores, {"cka": matrix}, 0.9, removed, {"a": 1}
    )


def test_what_is_written_is_read(found, tmp_path):
    assert Companions.from_json(found.to_json()) == found
    found.to_json(tmp_path / "companions.json")
    again = Companions.from_json(tmp_path)
    assert again == found and again.info == {"a": 1} and again.removed == found.removed


def test_scores_are_found_by_name(found):
    assert found["cka"].title == "CKA" and "isoscore" in found and "ilo" not in found
    with pytest.raises(KeyError, match="cka, isoscore"):
        found["ilo"]


def test_rows_have_all_scores_of_a_layer_and_language(found):
    rows = found.rows()
    assert len(rows) == 6 and (rows[5]["layer"], rows[5]["language"]) == (4, "swa")
    assert rows[5]["cka"] is None and rows[5]["cka_chance"] == 0.1
    assert rows[3]["isoscore"] == rows[4]["isoscore"] == found["isoscore"].means[1]
    assert found.to_csv().count("\n") == 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(kind="ilo_fast.scores"), "another kind"),
        (lambda d: d.update(schema_version=2), "measure the companions again"),
        (lambda d: d.pop("matrices"), "incomplete: there is no 'matrices'"),
        (lambda d: d.update(level=2), "level"),
        (lambda d: d.update(languages=["deu", "deu", "swa"]), "names one twice: deu"),
        (lambda d: d.update(languages=["deu", "", "swa"]), "no code that is empty"),
        (lambda d: d.update(languages=["deu", 3, "swa"]), "languages must be a text, got 3"),
        (lambda d: d["scores"][0].update(lowest=10**400), "cka.lowest is too large"),
        (lambda d: d["scores"][0].update(title=3), "cka.title must be a text, got 3"),
        (lambda d: d["scores"][0].update(means=["1", 2.0]), "cka.means holds a str"),
        (lambda d: d["scores"][0].update(means=[True, 2.0]), "cka.means holds a bool"),
        (lambda d: d["scores"][0].update(means=[10**400, 2.0]), "cka.means holds a number that"),
        (lambda d: d["scores"].append(None), "scores must be an object, got None"),
        (lambda d: d.update(matrices=[]), "matrices must be an object"),
        (lambda d: d.update(removed="x"), "removed must be an object, got 'x'"),
        (
            lambda d: d["scores"][0].update(means=[1.0]),
            r"cka.means has shape \(1,\), wanted \(2,\)",
        ),
        (lambda d: d["scores"][0].update(values="x"), r"cka.values has shape \(\)"),
        (lambda d: d["scores"].append(d["scores"][0]), "twice"),
        (lambda d: d["matrices"].update(cka=[[1]]), "matrices"),
        (lambda d: d["removed"].update(ranks=[-2, 0, 1]), "ranks"),
        (lambda d: d.update(scores=3), "scores must be a list, got 3"),
    ],
)
def test_a_file_that_no_measurement_gives_is_refused(found, change, message):
    data = json.loads(found.to_json())
    change(data)
    with pytest.raises(ValueError, match=message):
        Companions.from_dict(copy.deepcopy(data))
