"""OverlapCallback where something is wrong: before the first step an error, later a warning."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from helpers.trainers import (
    CORPUS,
    OPTIONS,
    Spy,
    make_model,
    make_trainer,
    same,
    weights,
)
from transformers import TrainerCallback

from ilo_fast.errors import AccessError, CorpusError
from ilo_fast.training import callback as module
from ilo_fast.training.callback import OverlapCallback
from ilo_fast.training.records import OverlapRecord, RecordFile, read_overlap_log


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"neighbours": 5}, TypeError, "neighbours"),
        ({"dtype": "float16"}, TypeError, "dtype"),
        ({"every": 0}, ValueError, "every=0"),
        ({"threshold": 0}, ValueError, "threshold=0"),
        ({"metric": "taxicab"}, ValueError, "taxicab"),
        ({"layers": "all"}, TypeError, "layers='all'"),
        ({"name": "a/b"}, ValueError, "name='a/b'"),
        ({"corpus": "/nowhere/at/all"}, AccessError, "/nowhere/at/all"),
        ({"corpus": {"eng_Latn": ["a", " "]}}, CorpusError, "eng_Latn line 2"),
    ],
)
def test_wrong_settings_are_refused_at_construction(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        OverlapCallback(**{"corpus": CORPUS, **options})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layers": [9]}, "layers holds 9"),
        ({"threshold": 3}, "threshold=3 cannot be reached"),
    ],
)
def test_settings_wrong_for_the_model_are_refused_before_the_first_step(
    options: dict[str, Any], words: str, tmp_path: Path
) -> None:
    trainer = make_trainer(tmp_path, [OverlapCallback(CORPUS, **{**OPTIONS, **options})])
    before = weights(trainer.model)
    with pytest.raises(ValueError, match=words):
        trainer.train()
    assert trainer.state.global_step == 0 and same(weights(trainer.model), before)


def test_twin_stranger_and_sharded_weights_are_refused(tmp_path: Path) -> None:
    twins = [OverlapCallback(CORPUS, **OPTIONS), OverlapCallback(CORPUS, **OPTIONS)]
    with pytest.raises(ValueError, match="two OverlapCallbacks"):
        make_trainer(tmp_path, twins).train()
    with pytest.raises(RuntimeError, match=r"other than a transformers\.Trainer"):
        twins[0].on_train_begin(None, None, None, model=make_model())
    model = make_model()
    next(model.parameters()).ds_id = 1  # the mark of DeepSpeed on what it has partitioned
    with pytest.raises(ValueError, match=r"sharded \(DeepSpeed ZeRO-3\)"):
        make_trainer(tmp_path, twins[:1], model).train()


def test_fully_sharded_model_is_refused(tmp_path: Path) -> None:
    distributed = pytest.importorskip("torch.distributed")
    fsdp = pytest.importorskip("torch.distributed.fsdp")
    if not hasattr(fsdp, "fully_shard"):
        pytest.skip("fully_shard came with torch 2.6: nothing to refuse here")
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        mesh = distributed.init_device_mesh("cpu", (1,))
        model = fsdp.fully_shard(make_model(), mesh=mesh)
        with pytest.raises(ValueError, match=r"sharded \(FSDP or tensor parallelism\)"):
            module._refuse_sharded(model)
    finally:
        distributed.destroy_process_group()


class Diverge(TrainerCallback):
    """At step 2 the weights are lost, at step 3 they come back."""

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        norm = model.transformer.h[1].ln_1.weight
        if state.global_step == 2:
            self.kept = norm.data.clone()
            norm.data.fill_(float("nan"))
        elif state.global_step == 3:
            model.load_state_dict(make_model().state_dict())


def test_measurement_that_fails_later_does_not_end_the_training(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    measuring = OverlapCallback(CORPUS, every=1, **OPTIONS)
    trainer = make_trainer(tmp_path, [Diverge(), measuring])
    with caplog.at_level(logging.WARNING, logger=module.__name__):
        trainer.train()
    assert trainer.state.global_step == 4
    records = read_overlap_log(tmp_path / "overlap.jsonl")
    assert [(r.step, r.failed is None) for r in records] == [
        (0, True), (1, True), (2, False), (3, True), (4, False),
    ]  # fmt: skip
    assert records[2].scores is None and "FloatingPointError" in str(records[2].failed)
    assert "step 2 failed, training goes on" in caplog.text and "layer 2" in caplog.text


def test_full_disk_does_not_end_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    append = RecordFile.append

    def full(self: RecordFile, record: OverlapRecord) -> None:
        if record.step == 2:
            raise OSError(28, "No space left on device")
        append(self, record)

    monkeypatch.setattr(RecordFile, "append", full)
    spy = Spy()
    make_trainer(tmp_path, [OverlapCallback(CORPUS, every=2, **OPTIONS), spy]).train()
    assert [r.step for r in read_overlap_log(tmp_path / "overlap.jsonl")] == [0, 4]
    assert "could not be written" in caplog.text
    assert any(step == 2 and "overlap/seconds" in logs for step, logs in spy.logged)


def test_resuming_from_diverged_weights_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    saving = {"save_strategy": "steps", "save_steps": 2}
    make_trainer(tmp_path, [Diverge()], **saving).train()
    measuring = OverlapCallback(CORPUS, **OPTIONS)
    trainer = make_trainer(tmp_path, [measuring], **saving)
    trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert trainer.state.global_step == 4
    assert measuring.records[0].step == 2 and measuring.records[0].failed
    assert "step 2 failed" in caplog.text
