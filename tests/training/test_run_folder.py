"""The folder of a training run: what is new, goes on, or is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from ilo_fast.training.checkpoint_mark import mark_complete
from ilo_fast.training.run_folder import RunFolder, read_card


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


@pytest.mark.parametrize("kind", ["ilo_fast.training_run", "ilo_fast.finetune"])
def test_card_of_an_earlier_format_is_refused_unless_it_is_overwritten(
    interrupted: Path, kind: str
) -> None:
    card = read_card(interrupted)
    assert card is not None
    path = interrupted / "run_card.json"
    path.write_text(json.dumps(card | {"kind": kind, "format": 1}))
    run = RunFolder(interrupted, {"seed": 1})
    with pytest.raises(ValueError, match=rf"format 1 of {kind}.*overwrite=True .*--overwrite"):
        run.held(overwrite=False).__enter__()
    with run.held(overwrite=True) as finished:
        assert not finished and run.checkpoint is None
        run.begin({})
    assert read_card(interrupted) == run.card


def test_card_of_something_else_is_refused_also_where_it_would_be_overwritten(
    interrupted: Path,
) -> None:
    (interrupted / "run_card.json").write_text('{"kind": "payment"}')
    for overwrite in (False, True):
        with pytest.raises(ValueError, match="no metadata of a training run"):
            read_card(interrupted, overwrite=overwrite)


def test_finished_run_without_its_model_begins_again_and_forgets_its_results(
    interrupted: Path,
) -> None:
    run = RunFolder(interrupted, {"seed": 1})
    with run.held(overwrite=False):
        run.begin({})
        run.finish({"loss": 1.0}, keep_checkpoints=False)
    again = RunFolder(interrupted, {"seed": 1})
    with again.held(overwrite=False) as finished:
        assert not finished
        again.begin({})
    assert again.card["status"] == "running" and again.card["started"] == run.card["started"]
    assert "loss" not in again.card and "finished" not in again.card


def test_card_says_what_kind_of_training_it_was(tmp_path: Path) -> None:
    for task, wanted in (("pretraining", "pretraining"), ("causal-lm", "fine-tuning")):
        run = RunFolder(tmp_path / task, {"task": task})
        with run.held(overwrite=False):
            run.begin({})
        assert run.card["training"] == wanted


def test_run_that_diverged_has_ended_and_does_not_say_finished(interrupted: Path) -> None:
    run = RunFolder(interrupted, {"seed": 1})
    with run.held(overwrite=False):
        run.begin({})
        (interrupted / "model").mkdir()
        run.finish({}, keep_checkpoints=False, diverged=True)
    assert run.card["status"] == "diverged"
    with RunFolder(interrupted, {"seed": 1}).held(overwrite=False) as ended:
        assert ended
    with pytest.raises(ValueError, match="holds a run of other settings"):
        RunFolder(interrupted, {"seed": 2}).held(overwrite=False).__enter__()


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "\x00", "[" * 100_000])
def test_damaged_card_is_said_to_be_damaged_and_can_be_overwritten(
    interrupted: Path, text: str
) -> None:
    (interrupted / "run_card.json").write_text(text)
    run = RunFolder(interrupted, {"seed": 1})
    with pytest.raises(ValueError, match=r"run_card.json is damaged: .*--overwrite"):
        run.held(overwrite=False).__enter__()
    with run.held(overwrite=True) as finished:
        assert not finished
        run.begin({})
    assert read_card(interrupted) == run.card


def test_card_without_what_a_run_needs_is_refused(interrupted: Path) -> None:
    card = read_card(interrupted)
    assert card is not None
    for name in ("settings", "status"):
        left = {key: value for key, value in card.items() if key != name}
        (interrupted / "run_card.json").write_text(json.dumps(left))
        with pytest.raises(ValueError, match="lacks settings or status"):
            RunFolder(interrupted, {"seed": 1}).held(overwrite=False).__enter__()


@pytest.mark.parametrize(
    ("output", "error"), [("", ValueError), (3, TypeError), (None, TypeError), ("a\0b", ValueError)]
)
def test_folder_that_is_no_path_is_refused(output: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="output_dir"):
        RunFolder(output, {})  # type: ignore[arg-type]


def test_what_a_killed_run_left_of_its_first_file_is_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    # As _util.files names it, of a process number that no process has.
    leftover = folder / ".run_card.json.host-999999999-0123456789ab.tmp"
    leftover.write_text("{")
    run = RunFolder(folder, {"seed": 0})
    with run.held(overwrite=False) as finished:
        assert not finished
    (folder / "mine.txt").write_text("")
    wanted = pytest.raises(ValueError, match=r"holds something else \(mine\.txt\)")
    with wanted, run.held(overwrite=False):
        pass
