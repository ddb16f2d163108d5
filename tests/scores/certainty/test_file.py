"""Intervals and tests in scores.json: read back as they were, and refused where they are not."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers.scores import overlap_scores

from ilo_fast.scores.result import OverlapScores


@pytest.mark.parametrize("parallel", [True, False])
def test_all_that_stands_beside_the_scores_is_read_back(parallel: bool) -> None:
    scores = overlap_scores(parallel=parallel, certain=True)
    assert scores.intervals is not None and scores.mixing_test is not None
    scores.intervals.low["ilo"][1, 2] = scores.intervals.high["ilo"][1, 2] = np.nan
    found = OverlapScores.from_json(scores.to_json())
    assert found == scores
    assert found.limits is not None and scores.limits is not None
    np.testing.assert_allclose(found.limits.ilo_under_mixing, scores.limits.ilo_under_mixing)
    assert (found.mixing_test is not None) and (
        (found.mixing_test.p_translation is not None) is parallel
    )


def test_rows_have_a_value_for_every_name_and_none_for_what_was_not_measured() -> None:
    certain, bare = overlap_scores(certain=True).rows(), overlap_scores().rows()
    assert list(certain[0]) == list(bare[0])
    wanted = [f"{x}_{end}" for x in ("ilo", "bridge", "reach") for end in ("low", "high")]
    wanted += [
        "translation_share_low", "translation_share_high", "ilo_under_mixing", "reach_max",
        "bridge_under_mixing", "reach_under_mixing", "translation_share_max", "translation_chance",
        "translation_chance_given_graph", "p_mixing",
    ]  # fmt: skip
    assert set(wanted) <= set(certain[0])
    assert all(row[name] is not None for row in certain for name in wanted)
    assert bare[0]["ilo_low"] is None and bare[0]["p_mixing"] is None


def test_version_1_is_read_and_gets_its_limits() -> None:
    scores = overlap_scores(certain=True)
    data = json.loads(scores.to_json()) | {"schema_version": 1}
    del data["intervals"], data["mixing_test"]
    old = ("bridge", "reach", "ilo", "translation_share", "translation_chance", "n_sentences")
    data["rows"] = [{k: row[k] for k in ("layer", "language", *old)} for row in data["rows"]]
    found = OverlapScores.from_dict(data)
    assert found == overlap_scores()
    assert found.limits is not None and found.intervals is None


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: d["rows"][0].update(ilo_low=2.0), "ilo_low|interval"),
        (lambda d: d["rows"][0].update(ilo_low=None), "its interval"),
        (lambda d: d["rows"][0].update(ilo_high=0.0, ilo_low=0.0), "its interval"),
        (lambda d: d["rows"][0].update(p_mixing=-1), "p_mixing"),
        (lambda d: d["rows"][0].pop("p_mixing"), "incomplete: there is no 'p_mixing'"),
        (lambda d: d["intervals"].update(level=7), "level is 7"),
        (lambda d: d["intervals"].update(unit="word"), "unit is 'word'"),
        (lambda d: d["intervals"].update(reasons={"99": "few"}), "reasons are of columns 99"),
        (lambda d: d["intervals"]["means"].pop(), "2 means for 3 layers"),
        (lambda d: d["mixing_test"]["means"].pop(), "2 means for 3 layers"),
        (lambda d: d.update(intervals=[]), "damaged"),
    ],
)
def test_what_no_measurement_gives_is_refused(
    spoil: Callable[[dict[str, Any]], Any], message: str
) -> None:
    data = copy.deepcopy(overlap_scores(certain=True).to_dict())
    spoil(data)
    with pytest.raises(ValueError, match=message):
        OverlapScores.from_dict(data)


def test_selection_keeps_what_is_known_of_it_and_nothing_else() -> None:
    scores = overlap_scores(certain=True)
    part = scores.select(["fra_Latn", "eng_Latn"], [2, 0])
    assert part.intervals is not None and scores.intervals is not None
    assert part.intervals.low["ilo"][0, 1] == scores.intervals.low["ilo"][2, 0]
    assert np.isnan(part.intervals.mean_low["ilo"]).all()  # of the mean over two, nothing is known
    assert part.mixing_test is not None and scores.mixing_test is not None
    assert part.mixing_test.p_mixing[1, 0] == scores.mixing_test.p_mixing[0, 1]
    assert part.limits is not None and scores.limits is not None
    assert part.limits.reach_max[1] == scores.limits.reach_max[0]
    assert OverlapScores.from_json(part.to_json()) == part
    layers = scores.select(layers=[1])
    assert layers.intervals is not None
    assert layers.intervals.mean_low["ilo"][0] == scores.intervals.mean_low["ilo"][1]
