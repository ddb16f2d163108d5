"""OverlapCallback on real Trainers: what it measures, and when."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import tiny_models
from helpers.trainers import (
    CORPUS,
    OPTIONS,
    TOKENIZER,
    Spy,
    make_model,
    make_trainer,
    same,
    weights,
)
from transformers import Trainer, TrainerCallback

from ilo_fast import ParallelCorpus, measure, pipeline
from ilo_fast.scores.result import OverlapScores
from ilo_fast.training.callback import OverlapCallback
from ilo_fast.training.records import read_overlap_log


def test_scores_are_those_of_the_model_at_that_step(tmp_path: Path) -> None:
    spy, measuring = Spy(), OverlapCallback(CORPUS, layers=[0, -1], **OPTIONS)
    start = make_model()
    trainer = make_trainer(tmp_path, [measuring, spy])
    trainer.train()
    first, last = read_overlap_log(tmp_path / "overlap.jsonl")
    assert (first.event, first.step, last.event, last.step) == ("start", 0, "end", 4)
    for record, model in ((first, start), (last, trainer.model)):
        wanted = measure(
            model, CORPUS, tokenizer=TOKENIZER, layers=[0, -1], progress=False, **OPTIONS
        )
        assert record.scores is not None and wanted.translation_share is not None
        for name in ("bridge", "reach", "ilo", "translation_share"):
            np.testing.assert_array_equal(getattr(record.scores, name), getattr(wanted, name))
        logged = next(
            logs
            for step, logs in spy.logged
            if step == record.step and any(key.startswith("overlap/") for key in logs)
        )
        for h, layer in enumerate((0, 3)):
            for score, table in (
                ("ilo", wanted.ilo), ("bridge", wanted.bridge),
                ("reach", wanted.reach), ("translations", wanted.translation_share),
            ):  # fmt: skip
                assert logged[f"overlap/{score}_layer_{layer:02d}"] == table[h].mean()
        assert logged["overlap/seconds"] == record.seconds > 0
    assert not np.array_equal(first.scores.ilo, last.scores.ilo)  # type: ignore[union-attr]
    assert first.share_of_time is None
    assert last.share_of_time is not None and 0 < last.share_of_time < 1
    settings = last.settings
    assert settings["corpus_fingerprint"] == CORPUS.fingerprint()
    assert (settings["n_neighbors"], settings["threshold"], settings["metric"]) == (4, 2, "cosine")
    assert settings["languages"] == list(CORPUS.languages) and settings["corpus"] == "tiny"
    assert settings["model"] == "GPT2LMHeadModel"


@pytest.mark.parametrize(
    ("options", "arguments", "wanted"),
    [
        ({}, {"max_steps": 15}, "0 start, 15 end"),
        ({}, {"num_train_epochs": 1, "max_steps": -1}, "0 start, 6 end"),
        ({}, {"eval_strategy": "steps", "eval_steps": 4}, "0 start, 4 evaluate, 6 evaluate"),
        ({}, {"eval_strategy": "epoch", "max_steps": 9}, "0 start, 6 evaluate, 9 end"),
        (
            {"every": 3},
            {"eval_strategy": "steps", "eval_steps": 2},
            "0 start, 2 evaluate, 3 step, 4 evaluate, 6 step",
        ),
        (
            {"at_evaluation": False},
            {"eval_strategy": "steps", "eval_steps": 4},
            "0 start, 6 end",
        ),
        (
            {},
            {"eval_strategy": "steps", "eval_steps": 6, "eval_on_start": True},
            "0 start, 6 evaluate",
        ),
    ],
)
def test_measurements_come_at_start_evaluations_steps_and_end(
    options: dict[str, Any], arguments: dict[str, Any], wanted: str, tmp_path: Path
) -> None:
    measuring = OverlapCallback(CORPUS, **options, **OPTIONS)
    trainer = make_trainer(tmp_path, [measuring], **{"max_steps": 6, **arguments})
    trainer.evaluate()
    trainer.train()
    trainer.evaluate()  # before and after training, evaluations are not ours
    assert ", ".join(f"{r.step} {r.event}" for r in measuring.records) == wanted
    assert read_overlap_log(tmp_path / "overlap.jsonl")[-1].step == measuring.records[-1].step


def test_tensorboard_shows_every_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "board"))
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    measuring = OverlapCallback(CORPUS, every=2, name="tiny", **OPTIONS)
    make_trainer(tmp_path, [measuring], report_to=["tensorboard"]).train()
    (events,) = (tmp_path / "board").iterdir()
    board = accumulator.EventAccumulator(str(events))
    board.Reload()
    found = board.Scalars("train/tiny/ilo_layer_03")
    assert [point.step for point in found] == [0, 2, 4]
    for point, record in zip(found, measuring.records, strict=True):
        assert point.value == pytest.approx(record.scores.ilo[3].mean(), rel=1e-6)  # type: ignore[union-attr]
    assert len(board.Scalars("train/loss")) == 4
    assert (tmp_path / "tiny.jsonl").exists()


@pytest.mark.parametrize(("at_evaluation", "steps"), [(True, [0, 1, 2, 3, 4]), (False, [0, 4])])
def test_best_model_at_end_is_chosen_without_it(
    at_evaluation: bool, steps: list[int], tmp_path: Path
) -> None:
    class Judged(Trainer):
        def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
            quality = 1.0 if self.state.global_step == 2 else 0.0
            seen[self.state.global_step] = weights(self.model)
            return {**super().evaluate(*args, **kwargs), "eval_quality": quality}

    class Stop(TrainerCallback):
        def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_training_stop = state.global_step == 4

    seen: dict[int, Any] = {}
    spy, measuring = Spy(), OverlapCallback(CORPUS, at_evaluation=at_evaluation, **OPTIONS)
    trainer = make_trainer(
        tmp_path, [Stop(), measuring, spy], kind=Judged, max_steps=20,
        eval_strategy="steps", eval_steps=1, save_strategy="steps", save_steps=1,
        load_best_model_at_end=True, metric_for_best_model="quality", greater_is_better=True,
    )  # fmt: skip
    trainer.train()
    assert trainer.state.best_global_step == 2 and trainer.state.global_step == 4
    assert [r.step for r in measuring.records] == steps
    assert same(weights(trainer.model), seen[2])
    assert len(spy.metrics) == 4
    assert all(not key.startswith("overlap") for m in spy.metrics for key in m)
    last = make_model()
    last.load_state_dict(seen[4])
    wanted = measure(last, CORPUS, tokenizer=TOKENIZER, progress=False, **OPTIONS)
    np.testing.assert_array_equal(measuring.records[-1].scores.ilo, wanted.ilo)  # type: ignore[union-attr]


def test_overridden_log_keeps_what_it_gathers(tmp_path: Path) -> None:
    """Many subclasses empty a store of means whenever they log: not by our entries."""

    class Gathering(Trainer):
        count = 0

        def training_step(self, *args: Any, **kwargs: Any) -> Any:
            self.count += 1
            return super().training_step(*args, **kwargs)

        def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
            logs["gathered"] = self.count
            self.count = 0
            super().log(logs, *args, **kwargs)

    measuring = OverlapCallback(CORPUS, every=1, **OPTIONS)
    trainer = make_trainer(tmp_path, [measuring], kind=Gathering, max_steps=6, logging_steps=3)
    trainer.train()
    history = trainer.state.log_history
    assert [entry["gathered"] for entry in history if "loss" in entry] == [3, 3]
    assert sum("overlap/seconds" in entry for entry in history) == 7


def test_callback_that_hears_the_log_can_stop_the_training(tmp_path: Path) -> None:
    class Stop(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> Any:
            if state.global_step == 2 and "overlap/seconds" in logs:
                control.should_training_stop = True
            return control

    measuring = OverlapCallback(CORPUS, every=1, **OPTIONS)
    trainer = make_trainer(tmp_path, [Stop(), measuring])
    trainer.train()
    assert trainer.state.global_step == 2
    assert [r.step for r in measuring.records] == [0, 1, 2]


def test_two_on_one_trainer_measure_apart(tmp_path: Path) -> None:
    other = ParallelCorpus.from_dict(
        {code: lines[:4] for code, lines in tiny_models.SENTENCES.items()}
    )
    one = OverlapCallback(CORPUS, **OPTIONS)
    two = OverlapCallback(other, name="other", layers=2, **OPTIONS)
    trainer = make_trainer(tmp_path, [one])
    trainer.add_callback(two)
    trainer.train()
    assert [r.step for r in one.records] == [r.step for r in two.records] == [0, 4]
    keys = {key for entry in trainer.state.log_history for key in entry}
    assert {"overlap/ilo_layer_03", "other/ilo_layer_02"} <= keys
    assert "other/ilo_layer_03" not in keys
    assert read_overlap_log(tmp_path / "other.jsonl")[0].scores.n_sentences == (4, 4, 4)  # type: ignore[union-attr]


def test_own_tokenizer_and_plain_mapping_are_measured(tmp_path: Path) -> None:
    mapping = {"eng_Latn": ["a b", "c"], "deu_Latn": ["d e", "f", "g h"]}
    spy = Spy()
    measuring = OverlapCallback(
        mapping, tokenizer=tiny_models.tokenizer(offset=5), n_neighbors=2, threshold=1
    )
    trainer = make_trainer(tmp_path, [measuring, spy])
    trainer.train()
    wanted = measure(
        make_model(), mapping, tokenizer=tiny_models.tokenizer(offset=5), progress=False,
        n_neighbors=2, threshold=1,
    )  # fmt: skip
    np.testing.assert_array_equal(measuring.records[0].scores.ilo, wanted.ilo)  # type: ignore[union-attr]
    assert not any("translations" in key for _, logs in spy.logged for key in logs)


def test_documents_of_the_corpus_reach_the_scoring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = []
    real = pipeline.overlap
    monkeypatch.setattr(pipeline, "overlap", lambda r, **kw: scored.append(r) or real(r, **kw))
    groups = [f"document {n // 2}" for n in range(CORPUS.n_sentences)]
    corpus = ParallelCorpus.from_dict(CORPUS.sentences, groups=groups)
    make_trainer(tmp_path, [OverlapCallback(corpus, layers=[-1], **OPTIONS)]).train()
    assert [r.groups for r in scored] == [tuple(groups)] * 2


def test_process_other_than_zero_measures_nothing(tmp_path: Path) -> None:
    class Second(Trainer):
        def is_world_process_zero(self) -> bool:
            return False

    measuring, spy = OverlapCallback(CORPUS, every=1, **OPTIONS), Spy()
    make_trainer(tmp_path, [measuring, spy], kind=Second).train()
    assert measuring.records == [] and not (tmp_path / "overlap.jsonl").exists()
    assert not any("overlap/seconds" in logs for _, logs in spy.logged)


def test_pickled_callback_measures_again(tmp_path: Path) -> None:
    measuring = OverlapCallback(CORPUS, **OPTIONS)
    trainer = make_trainer(tmp_path / "a", [measuring])
    trainer.train()
    copy = pickle.loads(pickle.dumps(measuring))
    again = make_trainer(tmp_path / "b", [copy])
    again.train()
    one, two = (read_overlap_log(tmp_path / f / "overlap.jsonl") for f in "ab")
    np.testing.assert_array_equal(one[-1].scores.ilo, two[-1].scores.ilo)  # type: ignore[union-attr]


def test_numpy_numbers_are_taken_as_numbers(tmp_path: Path) -> None:
    numbers = {"n_neighbors": np.int64(3), "threshold": np.int64(2), "layers": np.arange(2)}
    measuring = OverlapCallback(CORPUS, **{**OPTIONS, **numbers})
    make_trainer(tmp_path, [measuring], max_steps=1).train()
    settings = read_overlap_log(tmp_path / "overlap.jsonl")[0].settings
    assert (settings["n_neighbors"], settings["layers"]) == (3, [0, 1])


def test_with_intervals_the_last_measurement_can_be_compared(tmp_path: Path) -> None:
    measuring = OverlapCallback(CORPUS, layers=[0, -1], intervals=True, **OPTIONS)
    make_trainer(tmp_path, [measuring]).train()
    last = read_overlap_log(tmp_path / "overlap.jsonl")[-1].scores
    assert last is not None and last.intervals is not None
    kept = OverlapScores.from_json(tmp_path / "overlap_scores")
    assert kept == last and (kept.replicates is not None or kept.intervals.reason)  # type: ignore[union-attr]
    assert all(r.scores is None or r.scores.replicates is None for r in measuring.records)


def test_a_failed_measurement_leaves_no_scores_of_an_earlier_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measuring = OverlapCallback(CORPUS, intervals=True, **OPTIONS)
    once = iter([True])

    def fails_later(*args: Any, **kwargs: Any) -> Any:
        if next(once, None):
            return measure(*args, **kwargs)
        raise FloatingPointError("not finite")

    monkeypatch.setattr("ilo_fast.training.callback.measure", fails_later)
    make_trainer(tmp_path, [measuring]).train()
    first, *_, last = read_overlap_log(tmp_path / "overlap.jsonl")
    assert first.scores is not None and last.failed is not None
    assert not list((tmp_path / "overlap_scores").glob("*"))


def test_mixing_is_logged_with_every_measurement(tmp_path: Path) -> None:
    spy = Spy()
    make_trainer(tmp_path, [OverlapCallback(CORPUS, **OPTIONS), spy]).train()
    logged = [logs for _, logs in spy.logged if any(key.startswith("overlap/") for key in logs)]
    assert logged and all(0 < logs["overlap/ilo_under_mixing"] <= 1 for logs in logged)
