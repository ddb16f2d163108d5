"""Points of a page: which are kept, and that neighbours are found again."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("jinja2")

from helpers.javascript import Script
from helpers.runs import CODES, full_run, measured
from helpers.scores import overlap_scores

from ilo_fast.report.explorer import run_record
from ilo_fast.report.points import kept_rows, point_data
from ilo_fast.report.run_data import RunData


@pytest.fixture(scope="module")
def script() -> Script:
    return Script("bytes", "scales", "orders", "runs")


def test_rows_of_kept_sentences_go_language_by_language() -> None:
    rows = kept_rows(np.array([5, 2, 4]), np.array([0, 2, 4]))
    assert rows.tolist() == [0, 2, 4, 5, 7, 9]


def test_nothing_is_known_of_points_without_graph_and_map() -> None:
    assert point_data(RunData("x", overlap_scores()), 10**6) is None


@pytest.mark.parametrize("room", [10**6, 6000])
def test_neighbours_and_texts_are_those_of_the_graph(script: Script, room: int) -> None:
    run = full_run(scores=measured(n_sentences=60))
    scores = run.scores
    record = {**run_record(run), "points": point_data(run, room)}
    stride = record["points"]["stride"]
    assert (stride > 1) is (room < 10**6)
    rng = np.random.default_rng(0)
    for _ in range(20):
        h, language = int(rng.integers(3)), int(rng.integers(len(CODES)))
        sentence = int(rng.integers(60 // stride)) * stride
        row = language * 60 + sentence
        wanted = [divmod(int(i), 60) for i in scores.neighbors.indices[h, row]]
        point = {"language": language, "sentence": sentence}
        found, text = script(
            "(run => [run.neighbours(h, point), run.text(point.language, point.sentence)])"
            "(openRun(record, 0))",
            record=record,
            h=h,
            point=point,
        )
        assert [(one["language"], one["sentence"]) for one in found] == wanted
        assert text == f"{CODES[language]} says {sentence}"


def test_scores_of_the_record_are_those_of_the_run(script: Script) -> None:
    run = full_run()
    found = script(
        "(run => [run.at(run.score('ilo'), 'values', 2, 3), run.means(run.score('ilo')),"
        " run.mean(run.score('isoscore'), 'means', 1),"
        " run.at(run.score('isoscore'), 'values', 0, 0),"
        " Array.from(run.leaves(2)), run.label(2, 7)])(openRun(record, 0))",
        record={**run_record(run), "points": point_data(run, 10**6)},
    )
    assert found[0] == pytest.approx(run.scores.ilo[2, 3], abs=1e-4)
    assert found[1] == pytest.approx(run.scores.ilo.mean(axis=0), abs=1e-4)
    assert found[2] == pytest.approx(run.companions["isoscore"].means[1], abs=1e-2)
    assert found[3] == "NaN"
    assert found[4] == run.structure.orders[2].tolist()
    assert found[5] == run.structure.labels[2, 7] + 1
