"""Training with an OverlapCallback gives the same weights, to the bit."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import tiny_models
from helpers.trainers import (
    CORPUS,
    OPTIONS,
    Spy,
    make_model,
    make_trainer,
    same,
    weights,
)
from transformers import Trainer

from ilo_fast import measure
from ilo_fast.training import callback as module
from ilo_fast.training.callback import OverlapCallback


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
def test_training_with_it_gives_the_same_weights_to_the_bit(
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
def test_every_architecture_trains_on_as_without_it(architecture: str, tmp_path: Path) -> None:
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


def test_measuring_between_accumulated_batches_keeps_gradients_and_modes(tmp_path: Path) -> None:
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
