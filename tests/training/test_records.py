"""overlap.jsonl: resumed, truncated, someone else's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.scores import overlap_records
from helpers.trainers import (
    CORPUS,
    OPTIONS,
    make_trainer,
)

from ilo_fast.training.callback import OverlapCallback
from ilo_fast.training.records import OverlapRecord, RecordFile, read_overlap_log


def test_resumed_training_goes_on_in_the_same_file(tmp_path: Path) -> None:
    def run(folder: Path, resume: Any = None, **options: Any) -> OverlapCallback:
        measuring = OverlapCallback(CORPUS, every=1, **{**OPTIONS, **options})
        trainer = make_trainer(
            folder, [measuring], save_strategy="steps", save_steps=2, max_steps=5
        )
        trainer.train(resume_from_checkpoint=resume)
        return measuring

    folder, file = tmp_path / "run", tmp_path / "run" / "overlap.jsonl"
    whole = [record.scores for record in run(folder).records]
    lines = file.read_bytes().splitlines(keepends=True)
    assert len(lines) == 6
    # Killed while it wrote the record of step 4, after the checkpoint of step 2.
    file.write_bytes(b"".join(lines[:4]) + lines[4][:100])
    assert [r.step for r in read_overlap_log(file)] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="n_neighbors was 4, now 5"):
        run(folder, str(folder / "checkpoint-2"), n_neighbors=5)
    assert file.read_bytes() == b"".join(lines[:4]) + lines[4][:100]
    resumed = run(folder, str(folder / "checkpoint-2"))
    assert file.read_bytes().splitlines(keepends=True)[:3] == lines[:3]
    records = read_overlap_log(file)
    assert [r.step for r in records] == [r.step for r in resumed.records] == [0, 1, 2, 3, 4, 5]
    for record, wanted in zip(records, whole, strict=True):
        np.testing.assert_array_equal(record.scores.ilo, wanted.ilo)  # type: ignore[union-attr]
    # Anew, not resumed: what was measured is set aside.
    kept = file.read_bytes()
    run(folder)
    assert (folder / "overlap.1.jsonl").read_bytes() == kept
    assert [r.step for r in read_overlap_log(file)] == [0, 1, 2, 3, 4, 5]


def test_resuming_between_measurements_adds_none(tmp_path: Path) -> None:
    def run(folder: Path, resume: Any = None) -> list[int]:
        measuring = OverlapCallback(CORPUS, every=2, **OPTIONS)
        saving = {"save_strategy": "steps", "save_steps": 3}
        make_trainer(folder, [measuring], max_steps=5, **saving).train(
            resume_from_checkpoint=resume
        )
        return [record.step for record in read_overlap_log(folder / "overlap.jsonl")]

    assert run(tmp_path) == [0, 2, 4, 5]
    assert run(tmp_path, str(tmp_path / "checkpoint-3")) == [0, 2, 4, 5]


@pytest.mark.parametrize(
    "content", ["my notes\n", "my notes", '{"loss": 1}\n', "[1]\n", '{"loss": 1}']
)
def test_file_of_someone_else_is_left_alone(content: str, tmp_path: Path) -> None:
    file = tmp_path / "overlap.jsonl"
    file.write_text(content)
    with pytest.raises(FileExistsError, match="line 1 is no overlap record"):
        make_trainer(tmp_path, [OverlapCallback(CORPUS, **OPTIONS)]).train()
    assert file.read_text() == content
    with pytest.raises(ValueError, match="line 1 is no overlap record"):
        read_overlap_log(file)


def test_file_truncated_at_any_byte_gives_the_whole_records(tmp_path: Path) -> None:
    """Cut at any byte, the file gives the whole records before, and can be written on."""
    records = [OverlapRecord(s, 0.1 * s, "step", 0.5, None, "none") for s in (1, 2, 3)]
    file = RecordFile(tmp_path / "x.jsonl")
    for record in records:
        file.append(record)
    content = file.path.read_bytes()
    ends = {i + d for i, byte in enumerate(content) if byte == 10 for d in (-1, 0, 1, 2)}
    for cut in sorted({*range(0, len(content) + 1, 41), *ends} - {len(content) + 1}):
        file.path.write_bytes(content[:cut])
        n = content[:cut].count(b"\n")
        assert read_overlap_log(file.path) == records[:n]
        assert file.begin(2, {}) == records[: min(n, 2)]
        file.append(records[2])
        assert read_overlap_log(file.path) == [*records[: min(n, 2)], records[2]]


def test_record_of_another_schema_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    data = OverlapRecord(0, 0.0, "start", 0.5, None, "none").to_dict()
    file.write_text(json.dumps({**data, "schema_version": 99}) + "\n")
    with pytest.raises(ValueError, match="schema_version=99"):
        read_overlap_log(file)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"step": -1}, "step=-1 must be at least 0"),
        ({"seconds": -2.0}, "seconds is -2.0, below 0"),
        ({"share_of_time": 1.5}, "share_of_time is 1.5"),
        ({"failed": "no"}, "either scores, or what went wrong"),
        ({"settings": {"n_neighbors": 9}}, "n_neighbors is 9 in settings, 5 in scores"),
    ],
)
def test_records_that_no_training_writes_are_refused(
    change: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    good = overlap_records()[0].to_dict()
    file = tmp_path / "overlap.jsonl"
    file.write_text(json.dumps(good) + "\n" + json.dumps({**good, **change}) + "\n")
    with pytest.raises(ValueError, match=rf"line 2 is no overlap record \(.*{problem}"):
        read_overlap_log(file)


def test_steps_that_run_backwards_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "overlap.jsonl"
    first, second, _ = (json.dumps(record.to_dict()) for record in overlap_records())
    file.write_text(f"{second}\n{first}\n")
    with pytest.raises(ValueError, match="step 0 after step 10"):
        read_overlap_log(file)
