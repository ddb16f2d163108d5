"""The loop: when checkpoints are due, and what is said of a run that diverged."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from ilo_fast._util import progress
from ilo_fast._util.files import read_json
from ilo_fast.training.trainer import Checkpoints, Progress, divergence, warn_of_divergence


def saved_at(checkpoints: Checkpoints, total: int) -> list[int]:
    """The steps at whose end a checkpoint is asked for."""
    found = []
    for step in range(1, total + 1):
        control = SimpleNamespace(should_save=False, should_evaluate=False)
        state = SimpleNamespace(global_step=step, max_steps=total)
        checkpoints.on_step_end(SimpleNamespace(eval_strategy="no"), state, control)
        if control.should_save:
            found.append(step)
    return found


def test_checkpoint_is_due_by_steps_and_not_at_the_end() -> None:
    assert saved_at(Checkpoints(2, spent=0.0), total=6) == [2, 4]


def test_checkpoint_is_due_by_time_where_no_steps_are_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter(range(0, 10_000, 25))  # 25 s between two looks
    monkeypatch.setattr("time.perf_counter", lambda: float(next(clock)))
    checkpoints = Checkpoints(None, spent=0.0)
    assert saved_at(checkpoints, total=4) == [3]


def test_result_is_evaluated_whatever_the_interval() -> None:
    control = SimpleNamespace(should_save=True, should_evaluate=False)
    state = SimpleNamespace(global_step=5, max_steps=5)
    Checkpoints(5, spent=0.0).on_step_end(SimpleNamespace(eval_strategy="steps"), state, control)
    assert control.should_evaluate and not control.should_save


def test_saved_checkpoint_is_marked_with_the_seconds_of_the_whole_run(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-3").mkdir()
    args, state = SimpleNamespace(output_dir=str(tmp_path)), SimpleNamespace(global_step=3)
    Checkpoints(3, spent=100.0).on_save(args, state, None)
    mark = read_json(tmp_path / "checkpoint-3" / "complete.json")
    assert mark is not None and 100 < mark["seconds"] < 160


def test_progress_counts_steps_and_takes_those_before_a_checkpoint_as_free(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = iter([0.0, 1.0, 50.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with (
        caplog.at_level("INFO", logger="ilo_fast"),
        progress.lines_for_bars(True),
        progress.cost_bar(True, "train", cost=10, items=10, unit="step") as bar,
    ):
        says = Progress(bar)
        says.on_train_begin(None, SimpleNamespace(global_step=6), None)
        says.on_step_end(None, SimpleNamespace(global_step=7), None)
    assert caplog.messages == ["train 7/10 steps: 70 %, about 150 s left"]


def test_warning_of_divergence_names_the_folder(caplog: pytest.LogCaptureFixture) -> None:
    sound = {"losses": [{"loss": 1.0}], "metrics": {}}
    warn_of_divergence(Path("results/run"), sound)
    assert not caplog.records
    warn_of_divergence(Path("results/run"), {"losses": [{"loss": "nan"}], "metrics": {}})
    assert "results/run: training has diverged: the last loss is nan" in caplog.text


@pytest.mark.parametrize(
    ("losses", "evaluations", "diverged"),
    [
        ([9.2, 2.0], [9.3, 2.1], False),
        ([0.5, 4.0], [], False),  # worse, and no explosion
        ([12.0, 18.0], [], False),
        ([9.2, 400.0], [], True),
        ([9.2, "inf"], [], True),
        ([9.2, 3.0], [9.0, "nan"], True),
        ([9.2, 3.0], [9.0, 99.0], True),
        ([], [], False),
    ],
)
def test_losses_that_explode_are_a_divergence(
    losses: list[object], evaluations: list[object], diverged: bool
) -> None:
    results = {
        "losses": [{"loss": value} for value in losses],
        "evaluations": [{"step": 1, "loss": value} for value in evaluations],
    }
    assert bool(divergence(results)) == diverged
