"""The folder of a training run: what is new, goes on, or is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from ilo_fast.training.run_folder import RunFolder, mark_complete, read_card


@pytest.fixture
def interrupted(tmp_path: Path) -> Path:
    """A run that was interrupted while it wrote its second checkpoint."""
    run = RunFolder(tmp_path / "run", {"seed": 1})
    with run.held(overwrite=False):
        run.begin({})
        for step in (3, 12):
            (run.path / f"checkpoint-{step}").mkdir()
        mark_complete(run.path / "checkpoint-3", seconds=7.0)
    return run.path


def test_run_of_the_same_settings_goes_on_from_its_last_complete_checkpoint(
    interrupted: Path,
) -> None:
    run = RunFolder(interrupted, {"seed": 1})
    with run.held(overwrite=False) as finished:
        assert not finished
        assert run.checkpoint == interrupted / "checkpoint-3" and run.seconds_spent() == 7.0
        started = run.card["started"]
        run.begin({})
    assert run.card["started"] == started
    assert [path.name for path in interrupted.glob("checkpoint-*")] == ["checkpoint-3"]


def test_run_of_other_settings_is_refused_unless_it_overwrites(interrupted: Path) -> None:
    run = RunFolder(interrupted, {"seed": 2})
    with pytest.raises(ValueError, match=r"holds a run of other settings \(seed was 1, now 2\)"):
        run.held(overwrite=False).__enter__()
    assert (interrupted / "checkpoint-3").is_dir()
    for settings in ({"seed": 2}, {"seed": 1}):  # the same settings begin anew, too
        run = RunFolder(interrupted, settings)
        with run.held(overwrite=True) as finished:
            assert not finished and run.checkpoint is None
            run.begin({})
        assert not list(interrupted.glob("checkpoint-*"))


def test_finished_run_holds_its_results_and_no_checkpoint(interrupted: Path) -> None:
    run = RunFolder(interrupted, {"seed": 1})
    with run.held(overwrite=False):
        run.begin({"model": "m"})
        (interrupted / "model").mkdir()
        run.finish({"loss": math.nan}, keep_checkpoints=False)
    assert sorted(path.name for path in interrupted.iterdir()) == ["model", "run_card.json"]
    again = RunFolder(interrupted, {"seed": 1})
    with again.held(overwrite=False) as finished:
        assert finished and again.card["model"] == "m"
    assert again.card["loss"] == "nan"  # JSON has no such number


def test_refused_run_leaves_no_folder_that_it_made(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    run = RunFolder(tmp_path / "mine" / "a" / "b", {})
    with pytest.raises(KeyError), run.held(overwrite=False):
        raise KeyError
    assert [p.name for p in tmp_path.rglob("*")] == ["mine"]


def test_card_of_another_version_is_refused(interrupted: Path) -> None:
    card = read_card(interrupted)
    assert card is not None
    (interrupted / "run_card.json").write_text(json.dumps(card | {"format": 1}))
    with pytest.raises(ValueError, match="not written by a training run of this version"):
        read_card(interrupted)
