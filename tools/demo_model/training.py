"""The demo's own part in its training: batches in parts, losses, optimizer, the held-out curve.

The loop, its checkpoints and the run folder are those of ``ilo_fast.training``.
"""

from __future__ import annotations

import csv
import logging
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.utils.data import Dataset
from transformers import TrainerCallback

from ilo_fast._util.files import replace_folder
from ilo_fast.models.identity import hash_state
from ilo_fast.models.output import suppress_output
from ilo_fast.training.options import TrainingOptions
from ilo_fast.training.pretrain.model import optimizer_and_schedule
from ilo_fast.training.process import preserve_random_state
from ilo_fast.training.run_folder import MODEL_FOLDER, RunFolder
from ilo_fast.training.trainer import OrderedTrainer, Training

from . import evaluate, network
from .data import AlignedSampler, PlainSampler
from .losses import ranking_loss

log = logging.getLogger("train_demo_model")


class Batches(Dataset[Any]):
    """The batch of a step, in two parts: single lines, and passages in several languages."""

    def __init__(
        self,
        plain: PlainSampler,
        aligned: AlignedSampler,
        *,
        steps: int,
        lines: int,
        max_tokens: int,
        passages: int,
        views: int,
        seed: int,
    ) -> None:
        self.steps = steps
        self.plain, self.aligned = plain, aligned
        self.lines, self.max_tokens = lines, max_tokens
        self.passages, self.views = passages, views
        self.seed = seed

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> list[dict[str, Any]]:
        rng = np.random.default_rng([self.seed, step])
        lines = self.plain.draw(rng, self.lines, self.max_tokens)
        sequences, passage = self.aligned.draw(rng, self.passages, self.views)
        return [
            {"sequences": lines},
            {"sequences": sequences, "passage": torch.from_numpy(passage)},
        ]


class Losses:
    """Next token for the one part, translation ranking for the other; and what they were.

    Attributes
    ----------
    seen : (language model, ranking) of each step since `forget`
    """

    def __init__(self, layers: Sequence[int], *, ranking_weight: float, temperature: float) -> None:
        self.layers = tuple(layers)
        self.ranking_weight = ranking_weight
        self.temperature = temperature
        self.seen: list[list[float]] = []

    def __call__(self, model: Any, batch: Mapping[str, Any]) -> torch.Tensor:
        if "passage" not in batch:
            loss = network.language_model_loss(model, batch["sequences"], chunks=2)
            self.seen.append([loss.item()])
            return loss
        means = network.sentence_means(model, batch["sequences"], self.layers, chunks=3)
        losses = [ranking_loss(means[h], batch["passage"], self.temperature) for h in self.layers]
        loss = torch.stack(losses).mean()
        self.seen[-1].append(loss.item())
        return self.ranking_weight * loss

    def forget(self) -> None:
        self.seen = []


def optimizer(model: Any, *, lr: float, embedding_lr: float) -> torch.optim.Optimizer:
    """AdamW; the embedding table has a rate of its own, and does not decay."""
    table = model.model.embed_tokens.weight
    blocks = [p for p in model.parameters() if p is not table]
    groups = [
        {"params": blocks, "lr": lr, "weight_decay": 0.01},
        {"params": [table], "lr": embedding_lr, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98), fused=True)


class PartsTrainer(OrderedTrainer):
    """Goes through the parts of a batch one after the other; their gradients add up.

    The graph of one part is freed before the next is built.
    """

    def __init__(self, *, losses: Losses, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._losses = losses

    def training_step(self, model: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
        parts = [super(PartsTrainer, self).training_step(model, part) for part in inputs]
        return torch.stack(parts).sum()

    def compute_loss(self, model: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
        return self._losses(model, inputs)


def fit(
    model: Any,
    batches: Batches,
    losses: Losses,
    adam: torch.optim.Optimizer,
    folder: Path,
    options: TrainingOptions,
    *,
    decay_share: float,
    settings: Mapping[str, Any],
    callbacks: Sequence[TrainerCallback],
) -> Path:
    """Train `model`, on from where an interrupted run of the same settings was; its folder."""
    run = RunFolder(
        folder,
        {"weights_sha256": hash_state(model), **options.identity(), "settings": dict(settings)},
    )
    with run.held(overwrite=False) as finished:
        if not finished:
            with suppress_output(), preserve_random_state():
                training = Training(
                    model, run, options, len(batches),
                    data=batches, collate=lambda items: items[0], mean_loss=True,
                    optimizers=optimizer_and_schedule(adam, options, decay_share),
                    callbacks=callbacks, kind=partial(PartsTrainer, losses=losses),
                )  # fmt: skip
                run.begin(options.metadata())
                results = training.go()
                with replace_folder(run.path / MODEL_FOLDER) as new:
                    model.save_pretrained(new)
            run.finish(results, keep_checkpoints=False)
    return run.path / MODEL_FOLDER


class Curve(TrainerCallback):
    """Scores held-out text every so many steps, and keeps the curve as a CSV file."""

    def __init__(
        self,
        path: Path,
        tokenizer: Tokenizer,
        heldout: Mapping[str, Sequence[str]],
        losses: Losses,
        every: int,
    ) -> None:
        self.path, self.tokenizer, self.heldout = path, tokenizer, heldout
        self.losses, self.every = losses, every
        self.minutes = 0.0
        self.began = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        if state.global_step == 0:
            self.path.unlink(missing_ok=True)
            self._record(0, others["model"])
        else:
            self._go_on(state.global_step)
        self.began = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        step = state.global_step
        self.minutes += (time.perf_counter() - self.began) / 60
        if step % 20 == 0:
            lm, ranking = np.mean(self.losses.seen[-20:], axis=0)
            log.info("step %d, %.1f min: LM %.3f, ranking %.3f", step, self.minutes, lm, ranking)
        if step % self.every == 0 or step == state.max_steps:
            self._record(step, others["model"])
        self.began = time.perf_counter()

    def _record(self, step: int, model: Any) -> None:
        """Append one line."""
        scores = evaluate.layer_scores(model, self.tokenizer, self.heldout)
        seen = self.losses.seen
        lm, ranking = np.mean(seen, axis=0) if seen else (float("nan"),) * 2
        self.losses.forget()
        row = {
            "step": step,
            "minutes": f"{self.minutes:.2f}",
            "lm_loss": f"{lm:.4f}",
            "ranking_loss": f"{ranking:.4f}",
        }
        for h, score in enumerate(scores):
            row[f"heldout_ilo_{h}"] = f"{np.mean(score['ilo']):.4f}"
        for h, score in enumerate(scores):
            row[f"heldout_translations_{h}"] = f"{np.mean(score['translations']):.4f}"
        row["heldout_chance"] = f"{scores[0]['chance']:.5f}"
        new = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, row)
            if new:
                writer.writeheader()
            writer.writerow(row)
        log.info("held out: %s", row)

    def _go_on(self, step: int) -> None:
        """After a resumption: drop the lines of steps that will be done again."""
        with self.path.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if int(row["step"]) <= step]
        partial = self.path.with_suffix(".part")
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        partial.replace(self.path)
        self.minutes = float(rows[-1]["minutes"])
