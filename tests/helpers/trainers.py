"""A transformers Trainer on a tiny model, and a callback that sees what others see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers as hf
from helpers import tiny_models
from transformers import Trainer, TrainerCallback, TrainingArguments

from ilo_fast import ParallelCorpus

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
