"""OverlapCallback on real Trainers: what it measures, when, and that training does not notice."""

from __future__ import annotations

import json
import logging
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from helpers import tiny_models
from transformers import Trainer, TrainerCallback, TrainingArguments

from ilo_fast import ParallelCorpus, measure
from ilo_fast.errors import AccessError, CorpusError
from ilo_fast.training import callback as module
from ilo_fast.training.callback import OverlapCallback
from ilo_fast.training.records import OverlapRecord, RecordFile, read_overlap_log

CORPUS = ParallelCorpus.from_dict(tiny_models.SENTENCES, name="tiny")
OPTIONS = {"n_neighbors": 4, "threshold": 2}
TOKENIZER = tiny_models.tokenizer()
MODELS = {
    "gpt2": (hf.GPT2LMHeadModel, "gpt2"),
    "bert": (hf.BertForSequenceClassification, "bert"),
    "llama": (hf.LlamaForCausalLM, "llama"),
}


def make_model(name: str = "gpt2", seed: int = 0) -> Any:
    kind, config = MODELS[name]
    torch.manual_seed(seed)
    return kind(tiny_models.ARCHITECTURES[config][0]())


def examples(labels: bool = False, n: int = 12) -> list[dict[str, Any]]:
    lines = tiny_models.SENTENCES["eng_Latn"]
    rows = [TOKENIZER(f"{lines[i % 5]} {'abcdefghijkl'[i % 12]}") for i in range(n)]
    return [{**row, "labels": i % 2} if labels else dict(row) for i, row in enumerate(rows)]


def make_trainer(
    folder: Path,
    callbacks: list[Any],
    model: Any = None,
    kind: type[Trainer] = Trainer,
    **arguments: Any,
) -> Trainer:
    model = make_model() if model is None else model
    labels = "SequenceClassification" in type(model).__name__
    settings: dict[str, Any] = {
        "max_steps": 4,
        "per_device_train_batch_size": 2,
        "learning_rate": 1e-2,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "use_cpu": True,
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "seed": 3,
        **arguments,
    }
    collate = (
        hf.DataCollatorWithPadding(TOKENIZER)
        if labels
        else hf.DataCollatorForLanguageModeling(TOKENIZER, mlm=False)
    )
    return kind(
        model=model,
        args=TrainingArguments(str(folder), **settings),
        train_dataset=examples(labels),
        eval_dataset=examples(labels, n=4),
        data_collator=collate,
        processing_class=TOKENIZER,
        callbacks=callbacks,
    )


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def random_state() -> tuple[Any, ...]:
    numpy = np.random.get_state()
    return (random.getstate(), numpy[1].tolist(), numpy[2], torch.get_rng_state().tolist())  # type: ignore[union-attr,index]


def without_overlap(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The log of training itself, without what is measured in seconds."""
    return [
        {k: v for k, v in entry.items() if "runtime" not in k and "per_second" not in k}
        for entry in history
        if not any(key.startswith("overlap") for key in entry)
    ]


class Spy(TrainerCallback):
    """What others see: the flags around each event, and all that is logged."""

    def __init__(self) -> None:
        self.logged: list[tuple[int, dict[str, Any]]] = []
        self.flags: list[tuple[Any, ...]] = []
        self.metrics: list[dict[str, Any]] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        self.logged.append((state.global_step, dict(logs)))

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.flags.append((state.global_step, *vars(control).values()))

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.flags.append((state.global_step, *vars(control).values()))

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any
    ) -> None:
        self.flags.append((state.global_step, *vars(control).values()))
        self.metrics.append(dict(metrics))


# ---- neutrality


def lora() -> Any:
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(target_modules=["q_proj", "v_proj"], lora_dropout=0.2, r=2)
    return peft.get_peft_model(make_model("llama"), config)


NEUTRAL: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "causal": (lambda: make_model("gpt2"), {}),
    "classifier": (lambda: make_model("bert"), {}),
    "bf16": (lambda: make_model("bert"), {"bf16": True}),
    "lora, checkpointing": (lora, {"gradient_checkpointing": True}),
}


# peft, and gradient checkpointing, still use names that the newest transformers deprecates.
@pytest.mark.filterwarnings("ignore:.*deprecated:FutureWarning")
@pytest.mark.parametrize("case", NEUTRAL)
def test_training_is_the_same_to_the_bit(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropout, accumulation, shuffling; and the measurement draws from every generator."""
    build, extra = NEUTRAL[case]

    def drawing(*args: Any, **kwargs: Any) -> Any:
        random.random(), np.random.random(), torch.rand(3)
        torch.set_num_threads(torch.get_num_threads() + 1)
        return measure(*args, **kwargs)

    monkeypatch.setattr(module, "measure", drawing)
    threads = torch.get_num_threads()
    outcome = []
    for with_it in (False, True):
        spy = Spy()
        measuring = [OverlapCallback(CORPUS, every=1, **OPTIONS)] if with_it else []
        random.seed(5)
        trainer = make_trainer(
            tmp_path / str(with_it), [*measuring, spy], build(),
            gradient_accumulation_steps=2, eval_strategy="steps", eval_steps=2, logging_steps=3,
            save_strategy="steps", save_steps=2, **extra,
        )  # fmt: skip
        before = [p.requires_grad for p in trainer.model.parameters()]
        trainer.train()
        assert [p.requires_grad for p in trainer.model.parameters()] == before
        modes = [m.training for m in trainer.model.modules()]
        history = without_overlap(trainer.state.log_history)
        outcome.append((weights(trainer.model), history, spy.flags, random_state(), modes))
        assert torch.get_num_threads() == threads
        if with_it:
            assert [r.step for r in measuring[0].records] == [0, 1, 2, 3, 4]
            assert all(r.failed is None for r in measuring[0].records)
    (plain, history, *rest), (watched, watched_history, *watched_rest) = outcome
    assert not same(plain, weights(build())), "the training did nothing: the test would be empty"
    assert same(plain, watched)
    assert any("loss" in entry for entry in history)
    assert history == watched_history
    assert rest == watched_rest


class Backbone(Trainer):
    """Trains a headless model, encoder-decoders too, on a loss of no meaning."""

    def compute_loss(self, model: Any, inputs: Any, *_: Any, **__: Any) -> Any:
        ids = {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"]}
        if model.config.is_encoder_decoder:
            ids["decoder_input_ids"] = inputs["input_ids"]
        return model(**ids).last_hidden_state.float().sin().mean()


@pytest.mark.parametrize("architecture", tiny_models.ARCHITECTURES)
def test_every_architecture_trains_on_as_if_nothing_had_been(
    architecture: str, tmp_path: Path
) -> None:
    """What a forward pass leaves in a module (a table of positions, say) must serve training."""
    outcome = []
    for with_it in (False, True):
        measuring = [OverlapCallback(CORPUS, every=1, **OPTIONS)] if with_it else []
        model = tiny_models.build(architecture)
        trainer = make_trainer(tmp_path, measuring, model, Backbone, max_steps=2)
        trainer.train()
        outcome.append(weights(model))
    assert [r.failed for r in measuring[0].records] == [None] * 3
    assert not same(outcome[0], weights(tiny_models.build(architecture)))
    assert same(*outcome)


def test_gradients_and_modes_survive_in_the_midst_of_accumulation(tmp_path: Path) -> None:
    """A subclass that evaluates between two backward passes loses no gradient by it."""

    class Midst(Trainer):
        def training_step(self, *args: Any, **kwargs: Any) -> Any:
            loss = super().training_step(*args, **kwargs)
            model = self.model
            model.transformer.h[1].eval()
            before = {n: p.grad.clone() for n, p in model.named_parameters()}
            modes = {n: m.training for n, m in model.named_modules()}
            self.evaluate()
            assert {n: m.training for n, m in model.named_modules()} != modes  # Trainer does that
            model.train()
            model.transformer.h[1].eval()
            spent = len(measuring.records)
            self.state.global_step += 100  # a step that is not measured yet
            self.callback_handler.on_evaluate(self.args, self.state, self.control, {})
            self.state.global_step -= 100
            assert len(measuring.records) == spent + 1
            assert {n: m.training for n, m in model.named_modules()} == modes
            assert all(torch.equal(p.grad, before[n]) for n, p in model.named_parameters())
            return loss

    measuring = OverlapCallback(CORPUS, **OPTIONS)
    trainer = make_trainer(
        tmp_path, [measuring], kind=Midst, max_steps=1, gradient_accumulation_steps=2
    )
    trainer.train()
    assert len(measuring.records) > 2


# ---- what is measured, and when


def test_the_scores_are_those_of_the_model_as_it_is(tmp_path: Path) -> None:
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
def test_the_moments_of_measurement(
    options: dict[str, Any], arguments: dict[str, Any], wanted: str, tmp_path: Path
) -> None:
    measuring = OverlapCallback(CORPUS, **options, **OPTIONS)
    trainer = make_trainer(tmp_path, [measuring], **{"max_steps": 6, **arguments})
    trainer.evaluate()
    trainer.train()
    trainer.evaluate()  # before and after training, evaluations are not ours
    assert ", ".join(f"{r.step} {r.event}" for r in measuring.records) == wanted
    assert read_overlap_log(tmp_path / "overlap.jsonl")[-1].step == measuring.records[-1].step


def test_tensorboard_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_the_best_model_is_chosen_without_it_and_the_end_is_not_the_best(
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


def test_an_overridden_log_keeps_what_it_gathers(tmp_path: Path) -> None:
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


def test_who_listens_to_the_log_may_stop_the_training(tmp_path: Path) -> None:
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


def test_two_on_one_trainer_and_one_added_later(tmp_path: Path) -> None:
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


def test_the_tokenizer_may_be_given_and_text_need_not_be_parallel(tmp_path: Path) -> None:
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


# ---- failures


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"neighbours": 5}, TypeError, "unknown option: neighbours"),
        ({"dtype": "float16"}, TypeError, "takes no dtype="),
        ({"every": 0}, ValueError, "every=0"),
        ({"name": "a/b"}, ValueError, "name='a/b'"),
        ({"corpus": "/nowhere/at/all"}, AccessError, "/nowhere/at/all"),
        ({"corpus": {"eng_Latn": ["a", " "]}}, CorpusError, "eng_Latn, line 2"),
    ],
)
def test_wrong_settings_fail_at_construction(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        OverlapCallback(**{"corpus": CORPUS, **options})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layers": [9]}, "layers holds 9"),
        ({"threshold": 3}, "threshold=3 cannot be reached"),
        ({"metric": "taxicab"}, "taxicab"),
    ],
)
def test_wrong_settings_fail_before_the_first_step(
    options: dict[str, Any], words: str, tmp_path: Path
) -> None:
    trainer = make_trainer(tmp_path, [OverlapCallback(CORPUS, **{**OPTIONS, **options})])
    before = weights(trainer.model)
    with pytest.raises(ValueError, match=words):
        trainer.train()
    assert trainer.state.global_step == 0 and same(weights(trainer.model), before)


def test_a_twin_a_stranger_and_sharded_weights_are_refused(tmp_path: Path) -> None:
    twins = [OverlapCallback(CORPUS, **OPTIONS), OverlapCallback(CORPUS, **OPTIONS)]
    with pytest.raises(ValueError, match="two OverlapCallbacks"):
        make_trainer(tmp_path, twins).train()
    with pytest.raises(RuntimeError, match=r"other than a transformers\.Trainer"):
        twins[0].on_train_begin(None, None, None, model=make_model())
    model = make_model()
    next(model.parameters()).ds_id = 1  # the mark of DeepSpeed on what it has partitioned
    with pytest.raises(ValueError, match=r"sharded \(DeepSpeed ZeRO-3\)"):
        make_trainer(tmp_path, twins[:1], model).train()


def test_fsdp_is_refused(tmp_path: Path) -> None:
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


def test_a_measurement_that_fails_later_does_not_end_the_training(
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


def test_a_full_disk_does_not_end_the_training(
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


def test_only_process_zero_measures(tmp_path: Path) -> None:
    class Second(Trainer):
        def is_world_process_zero(self) -> bool:
            return False

    measuring, spy = OverlapCallback(CORPUS, every=1, **OPTIONS), Spy()
    make_trainer(tmp_path, [measuring, spy], kind=Second).train()
    assert measuring.records == [] and not (tmp_path / "overlap.jsonl").exists()
    assert not any("overlap/seconds" in logs for _, logs in spy.logged)


def test_it_can_be_pickled_and_trains_again(tmp_path: Path) -> None:
    measuring = OverlapCallback(CORPUS, **OPTIONS)
    trainer = make_trainer(tmp_path / "a", [measuring])
    trainer.train()
    copy = pickle.loads(pickle.dumps(measuring))
    again = make_trainer(tmp_path / "b", [copy])
    again.train()
    one, two = (read_overlap_log(tmp_path / f / "overlap.jsonl") for f in "ab")
    np.testing.assert_array_equal(one[-1].scores.ilo, two[-1].scores.ilo)  # type: ignore[union-attr]


# ---- the file


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
    with pytest.raises(ValueError, match="n_neighbors=4"):
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


def test_numpy_numbers_are_numbers(tmp_path: Path) -> None:
    numbers = {"n_neighbors": np.int64(3), "threshold": np.int64(2), "layers": np.arange(2)}
    measuring = OverlapCallback(CORPUS, **{**OPTIONS, **numbers})
    make_trainer(tmp_path, [measuring], max_steps=1).train()
    settings = read_overlap_log(tmp_path / "overlap.jsonl")[0].settings
    assert (settings["n_neighbors"], settings["layers"]) == (3, [0, 1])


def test_resuming_from_diverged_weights_is_no_error(
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


@pytest.mark.parametrize(
    "content", ["my notes\n", "my notes", '{"loss": 1}\n', "[1]\n", '{"loss": 1}']
)
def test_a_file_of_someone_else_is_left_alone(content: str, tmp_path: Path) -> None:
    file = tmp_path / "overlap.jsonl"
    file.write_text(content)
    with pytest.raises(FileExistsError, match="line 1 is no overlap record"):
        make_trainer(tmp_path, [OverlapCallback(CORPUS, **OPTIONS)]).train()
    assert file.read_text() == content
    with pytest.raises(ValueError, match="line 1 is no overlap record"):
        read_overlap_log(file)


def test_a_torn_line_anywhere_in_it_is_survived(tmp_path: Path) -> None:
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


def test_a_record_of_another_schema_is_named(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    data = OverlapRecord(0, 0.0, "start", 0.5, None, "none").to_dict()
    file.write_text(json.dumps({**data, "schema_version": 99}) + "\n")
    with pytest.raises(ValueError, match="schema_version=99"):
        read_overlap_log(file)
