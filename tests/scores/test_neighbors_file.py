"""``neighbors.npz``: the graph that scores were counted in, kept beside them."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from ilo_fast import OverlapScores, knn_graph, overlap
from ilo_fast.report.files import write_scores
from ilo_fast.scores.neighbors_file import NEIGHBORS_FILE


def _vectors(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {code: rng.standard_normal((2, 20, 8)) for code in ("a", "b", "c", "d")}


@pytest.mark.parametrize("more", [{}, {"intervals": True}, {"n_permutations": 3}])
def test_the_graph_is_that_of_the_pool(more: dict) -> None:
    vectors = _vectors()
    scores = overlap(vectors, neighbors=True, parallel=True, **more)
    assert scores.neighbors == knn_graph(np.concatenate(list(vectors.values()), axis=1), 5)
    assert scores.neighbors.info["backend"] == "exact"
    assert overlap(vectors, parallel=True, **more).neighbors is None
    assert scores == overlap(vectors, parallel=True, **more)  # it is no part of what was measured


def test_it_comes_back_with_the_scores(tmp_path: Path) -> None:
    scores = overlap(_vectors(), neighbors=True)
    assert tmp_path / NEIGHBORS_FILE in write_scores(scores, tmp_path)
    assert OverlapScores.from_json(tmp_path).neighbors == scores.neighbors
    # Scores without one replace it.
    write_scores(overlap(_vectors()), tmp_path)
    assert OverlapScores.from_json(tmp_path).neighbors is None


def test_of_a_selection(tmp_path: Path) -> None:
    scores = overlap(_vectors(), neighbors=True)
    assert scores.select(layers=[1]).neighbors == scores.neighbors[1:2]
    assert scores.select(languages=["a", "b"]).neighbors is None


def test_that_of_other_scores_is_said_and_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_scores(overlap(_vectors(1), neighbors=True), tmp_path / "other")
    write_scores(overlap(_vectors(), neighbors=True), tmp_path)
    (tmp_path / "other" / NEIGHBORS_FILE).rename(tmp_path / NEIGHBORS_FILE)
    with caplog.at_level(logging.WARNING):
        assert OverlapScores.from_json(tmp_path).neighbors is None
    assert "belongs to other scores" in caplog.text


def test_damage_is_said_and_the_scores_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scores = overlap(_vectors(), neighbors=True)
    write_scores(scores, tmp_path)
    (tmp_path / NEIGHBORS_FILE).write_bytes(b"PK nothing")
    with caplog.at_level(logging.WARNING):
        assert OverlapScores.from_json(tmp_path) == scores
    assert "damaged" in caplog.text
