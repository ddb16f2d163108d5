"""An interrupted run goes on to the same weights; a finished one comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers as hf
from helpers.training import (
    CORPUS,
    FEW,
    LINES,
    FolderOf,
    StopAt,
    assert_same,
    labelled,
    train,
    weights,
)

from ilo_fast import FineTuned
from ilo_fast.training.run_folder import read_card


@pytest.fixture(scope="session")
def straight(folder_of: FolderOf, tmp_path_factory: pytest.TempPathFactory) -> FineTuned:
    """GPT-2 has dropout; 36 lines in batches of 8 make epochs of 5 steps, two are begun."""
    return train(folder_of("gpt2"), tmp_path_factory.mktemp("straight") / "run", **RESUMED)


RESUMED: dict[str, Any] = {
    "max_steps": 8, "batch_size": 8, "eval_fraction": 0.1, "freeze": [0], "every": 4,
    "corpus": CORPUS, "overlap_options": FEW, "save_steps": 1,
}  # fmt: skip


@pytest.mark.parametrize("step", [3, 5, 7])
def test_interrupted_run_goes_on_to_the_same_weights(
    step: int, straight: FineTuned, folder_of: FolderOf, tmp_path: Path
) -> None:
    output = tmp_path / "run"
    with pytest.raises(RuntimeError, match="stopped by the test"):
        train(folder_of("gpt2"), output, callbacks=[StopAt(step)], **RESUMED)
    card = read_card(output)
    assert card is not None and card["status"] == "running" and not (output / "model").exists()
    result = train(folder_of("gpt2"), output, **RESUMED)
    assert_same(weights(straight), weights(result))
    assert [r.step for r in result.overlap] == [r.step for r in straight.overlap] == [0, 4, 8]
    ilo = {record.step: record.scores.ilo for record in result.overlap}
    for record in straight.overlap:
        assert np.array_equal(record.scores.ilo, ilo[record.step])
    assert result.metrics == straight.metrics
    assert result.card["started"] == card["started"]


@pytest.mark.parametrize(("name", "data"), [("gpt2", "text"), ("bert", "labels")])
def test_interrupted_accumulation_goes_on_to_the_same_weights(
    name: str, data: str, folder_of: FolderOf, tmp_path: Path
) -> None:
    # 5 batches an epoch, 2 to a step: the last step of an epoch has one.
    options = {
        "gradient_accumulation_steps": 2,
        "max_steps": 5,
        "save_steps": 2,
        "batch_size": 5,
        "eval_fraction": 0.0,
    }
    given = LINES[:24] if data == "text" else labelled()
    folder = folder_of(name)
    straight = train(folder, tmp_path / "a", given, **options)
    with pytest.raises(RuntimeError, match="stopped"):
        train(folder, tmp_path / "b", given, callbacks=[StopAt(3)], **options)
    assert_same(weights(straight), weights(train(folder, tmp_path / "b", given, **options)))


def test_half_written_checkpoint_is_not_resumed_from(
    straight: FineTuned, folder_of: FolderOf, tmp_path: Path
) -> None:
    class CutWhileSaving(hf.TrainerCallback):
        def on_save(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            if state.global_step == 4:  # the files are there, the run has not been told
                weights = Path(args.output_dir) / "checkpoint-4" / "model.safetensors"
                weights.write_bytes(weights.read_bytes()[:100])
                raise KeyboardInterrupt

    output = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(folder_of("gpt2"), output, callbacks=[CutWhileSaving()], **RESUMED)
    seen: list[int] = []

    class Note(hf.TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            seen.append(state.global_step)

    result = train(folder_of("gpt2"), output, callbacks=[Note()], **RESUMED)
    assert seen == [3]
    assert_same(weights(straight), weights(result))


@pytest.mark.parametrize("damage", ["flipped weights", "no optimizer", "truncated state"])
def test_damaged_checkpoint_is_not_resumed_from(
    damage: str, straight: FineTuned, folder_of: FolderOf, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    output = tmp_path / "run"
    with pytest.raises(RuntimeError, match="stopped"):
        train(folder_of("gpt2"), output, callbacks=[StopAt(5)], **RESUMED)
    last = output / "checkpoint-5"
    if damage == "no optimizer":
        (last / "optimizer.pt").unlink()
    else:
        file = last / ("model.safetensors" if damage == "flipped weights" else "trainer_state.json")
        data = bytearray(file.read_bytes())
        data[-9] ^= 64
        file.write_bytes(data if damage == "flipped weights" else data[: len(data) // 2])
    result = train(folder_of("gpt2"), output, **RESUMED)
    assert "checkpoint-5 is damaged" in caplog.text
    assert_same(weights(straight), weights(result))


def test_without_a_checkpoint_the_run_begins_again(
    straight: FineTuned, folder_of: FolderOf, tmp_path: Path
) -> None:
    options = RESUMED | {"save_steps": 100}
    output = tmp_path / "run"
    with pytest.raises(RuntimeError):
        train(folder_of("gpt2"), output, callbacks=[StopAt(5)], **options)
    result = train(folder_of("gpt2"), output, **options)
    assert_same(weights(straight), weights(result))
    assert [r.step for r in result.overlap] == [r.step for r in straight.overlap]


def test_finished_run_comes_back_without_training(
    straight: FineTuned, folder_of: FolderOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no(*args: Any, **options: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("ilo_fast.training.finetune.job.Training", no)
    again = train(folder_of("gpt2"), straight.path.parent, **RESUMED)
    assert again.card == straight.card and again.metrics == straight.metrics
    assert [r.step for r in again.overlap] == [0, 4, 8]
    assert_same(again.model.state_dict(), straight.model.state_dict())
    assert again.tokenizer("rain") == straight.tokenizer("rain")


def test_unfinished_run_with_nothing_to_lose_gives_way_to_other_settings(
    folder_of: FolderOf, tmp_path: Path
) -> None:
    model, output = folder_of("llama"), tmp_path / "run"
    with pytest.raises(RuntimeError, match="stopped"):
        train(model, output, callbacks=[StopAt(1)], seed=1)
    assert_same(
        weights(train(model, output, seed=2)), weights(train(model, tmp_path / "b", seed=2))
    )


def test_second_training_in_a_folder_at_work_is_refused(
    folder_of: FolderOf, tmp_path: Path
) -> None:
    model, output = folder_of("llama"), tmp_path / "run"

    class Second(hf.TrainerCallback):
        def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
            with pytest.raises(ValueError, match="another process trains in it"):
                train(model, output)
            self.refused = True

    second = Second()
    train(model, output, callbacks=[second])
    assert second.refused
    assert ".lock" not in {entry.name for entry in output.iterdir()}
