"""What a folder of results gives the page."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import numpy as np
import pytest
from helpers.runs import companions_of, full_run, measured

from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.report.files import BESIDE, write_scores
from ilo_fast.report.reading import (
    POSITIONS_FILE,
    read_positions,
    read_run,
    recorded_texts,
    write_positions,
)


def _written(folder: Path) -> Path:
    run = full_run()
    write_scores(run.scores, folder)
    run.companions.to_json(folder / "companions.json")
    run.structure.to_json(folder / "structure.json")
    write_positions(run.positions, folder)
    return folder


def test_everything_beside_the_scores_is_read(tmp_path: Path) -> None:
    folder = _written(tmp_path / "out")
    run = read_run(folder)
    assert run.name == "out" and read_run(folder / "scores.json", name="mine").name == "mine"
    assert run.companions == full_run().companions
    assert run.structure is not None and run.structure.labels is not None
    assert np.array_equal(run.positions, full_run().positions)
    assert run.scores.neighbors is not None and run.texts is None


def test_what_is_damaged_or_of_other_scores_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = _written(tmp_path)
    companions_of(measured(n_layers=2)).to_json(folder / "companions.json")
    (folder / "structure.json").write_text("{")
    (folder / POSITIONS_FILE).write_bytes(b"PK\3\4 no archive")
    with caplog.at_level(logging.WARNING):
        run = read_run(folder)
    assert run.companions is run.structure is run.positions is None
    assert len([r for r in caplog.records if "left out of the report" in r.message]) == 3


def test_new_scores_take_away_what_was_measured_with_the_old(tmp_path: Path) -> None:
    folder = _written(tmp_path)
    assert all((folder / name).exists() for name in BESIDE)
    write_scores(measured(seed=9), folder)
    assert not any((folder / name).exists() for name in BESIDE)


@pytest.mark.parametrize("dtype", [bool, complex, "M8[s]", np.float64])
def test_positions_of_another_type_are_refused(dtype, tmp_path: Path) -> None:
    path = tmp_path / POSITIONS_FILE
    np.savez_compressed(path, positions=np.zeros((1, 2, 2), dtype))
    with pytest.raises(ValueError, match="wanted float32"):
        read_positions(path)


def test_positions_that_are_none_are_refused(tmp_path: Path) -> None:
    write_positions(np.full((1, 2, 2), np.nan), tmp_path)
    with pytest.raises(ValueError, match="wanted finite numbers"):
        read_positions(tmp_path / POSITIONS_FILE)


def test_texts_come_from_the_corpus_that_was_scored_and_no_other(tmp_path: Path) -> None:
    corpus = ParallelCorpus.demo(["eng_Latn", "fra_Latn"], limit=12)
    scores = measured(codes=("eng_Latn", "fra_Latn"), n_sentences=12, threshold=1)
    run = {"corpus": "demo", "corpus_sha256": corpus.fingerprint(), "limit": 12}
    named = dataclasses.replace(scores, info={"run": run})
    assert recorded_texts(named) == corpus.sentences
    for change in (
        {"corpus_sha256": "0" * 64},
        {"limit": 11},
        {"corpus": "flores200"},
        {"corpus": str(tmp_path / "gone")},
        {"corpus": None},
    ):
        other = dataclasses.replace(scores, info={"run": {**run, **change}})
        assert recorded_texts(other) is None
