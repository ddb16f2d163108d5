"""The loop of every training: a transformers ``Trainer`` with data in order, in a run's folder."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler
from transformers import (
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from ilo_fast._util.progress import CostBar, cost_bar
from ilo_fast.training.callback import OverlapCallback
from ilo_fast.training.checkpoint_mark import mark_complete
from ilo_fast.training.checkpoint_pace import CheckpointPace
from ilo_fast.training.options import TrainingOptions
from ilo_fast.training.run_folder import RunFolder

logger = logging.getLogger(__name__)

# Nats per target that no guess among any number of tokens or labels comes near.
_GUESSING = 20.0
_METRICS = ("loss", "accuracy", "macro_f1", "token_loss", "perplexity")


@dataclass(frozen=True)
class Evaluation:
    """What is evaluated meanwhile, and how: the arguments of ``Trainer`` that say so."""

    examples: Sequence[Any]
    every: int
    reduce: Callable[[Any, torch.Tensor], torch.Tensor]
    metrics: Callable[[Any], dict[str, float]]


class OrderedTrainer(Trainer):
    """A ``Trainer`` that takes its data in a given order.

    Parameters
    ----------
    order
        The sampler of the training data; None: as they come.
    mean_loss
        The loss is a mean over the batch whatever else it is told, as every classification head's:
        where steps accumulate batches, the Trainer shall divide it. Left to itself, the Trainer
        takes ``**kwargs`` in the model's signature for a promise to divide by
        ``num_items_in_batch`` (transformers issue 47688).
    """

    def __init__(self, *, order: Sampler[int] | None, mean_loss: bool, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._order = order
        if mean_loss:
            self.model_accepts_loss_kwargs = False

    def get_train_dataloader(self) -> Any:
        data: Any = self.train_dataset
        loader: Any = DataLoader(
            data,
            batch_size=self._train_batch_size,
            sampler=self._order,
            shuffle=False,
            collate_fn=self.data_collator,
            pin_memory=self.args.dataloader_pin_memory,
        )
        return self.accelerator.prepare(loader)

    def floating_point_ops(self, inputs: Any) -> int:
        return 0  # not reported; the Trainer's estimate wants batches of its own kind


class Training:
    """A training that has not begun; made, it has been refused where its options cannot be.

    Parameters
    ----------
    total
        Steps of the run.
    data, collate, order
        The training data, what makes a batch of some, and the sampler.
    optimizers
        An optimizer and its schedule; None: AdamW, with a linear warm-up and a linear decay to 0.
    kind
        A subclass, for a loss of one's own.
    """

    def __init__(
        self,
        model: Any,
        run: RunFolder,
        options: TrainingOptions,
        total: int,
        *,
        data: Any,
        collate: Callable[[Any], Any],
        order: Sampler[int] | None = None,
        mean_loss: bool = False,
        optimizers: tuple[Any, Any] = (None, None),
        evaluation: Evaluation | None = None,
        callbacks: Sequence[TrainerCallback] = (),
        kind: Callable[..., OrderedTrainer] = OrderedTrainer,
    ) -> None:
        self._run = run
        self._total = total
        self._shows_progress = options.progress
        self._measuring = [c for c in callbacks if isinstance(c, OverlapCallback)]
        self._checkpoints = Checkpoints(options.save_steps, run.seconds_spent())
        self._trainer = kind(
            order=order,
            mean_loss=mean_loss,
            model=model,
            args=_arguments(run, options, total, evaluation),
            train_dataset=data,
            data_collator=collate,
            optimizers=optimizers,
            callbacks=[*callbacks, self._checkpoints],
            eval_dataset=None if evaluation is None else evaluation.examples,
            compute_metrics=None if evaluation is None else evaluation.metrics,
            preprocess_logits_for_metrics=None if evaluation is None else evaluation.reduce,
        )
        # Both print to standard output; Progress stands for them.
        self._trainer.remove_callback(PrinterCallback)
        self._trainer.remove_callback(ProgressCallback)

    def go(self) -> dict[str, Any]:
        """Train, on from the run's checkpoint if it has one; the results for the card."""
        checkpoint = self._run.checkpoint
        if checkpoint is not None:
            logger.info("%s: training goes on from %s", self._run.path, checkpoint.name)
        with cost_bar(
            self._shows_progress, "train", cost=self._total, items=self._total, unit="step"
        ) as bar:
            self._trainer.add_callback(Progress(bar))
            self._trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        state = self._trainer.state
        history = state.log_history
        evaluations = [
            {"step": entry["step"]}
            | {name: entry[f"eval_{name}"] for name in _METRICS if f"eval_{name}" in entry}
            for entry in history
            if "eval_loss" in entry
        ]
        last = evaluations[-1] if evaluations else {}
        return {
            "steps": state.global_step,
            "epochs": state.epoch,
            "seconds": round(self._checkpoints.seconds, 3),
            "seconds_measuring": round(
                sum(record.seconds for c in self._measuring for record in c.records), 3
            ),
            "losses": [
                {name: entry[name] for name in ("step", "loss", "learning_rate")}
                for entry in history
                if "loss" in entry
            ],
            "evaluations": evaluations,
            "metrics": {name: value for name, value in last.items() if name != "step"},
        }


def divergence(results: Mapping[str, Any]) -> list[str]:
    """In which way a run's losses have exploded; [] where they have not.

    They are no numbers, or worse than guessing and than three times what they were at first.
    """
    losses = [float(entry["loss"]) for entry in results["losses"]]
    evaluated = [float(e["loss"]) for e in results.get("evaluations", ()) if "loss" in e]
    found = []
    for name, values in (("loss", losses), ("evaluation loss", evaluated)):
        if not values:
            continue
        first, last = values[0], values[-1]
        if not math.isfinite(last):
            found.append(f"{name} is {last}")
        elif last > max(_GUESSING, 3 * first):
            found.append(f"{name} is {last:.4g}, the first was {first:.4g}")
    return found


def warn_of_divergence(folder: Path, card: Mapping[str, Any]) -> None:
    """Log a warning where the run in a folder has come to nothing."""
    diverged = divergence(card)
    if diverged:
        logger.warning(
            "%s: training has diverged: the last %s; the model is of no use. Try a lower "
            "learning_rate, or more warmup_steps",
            folder, " and the last ".join(diverged),
        )  # fmt: skip


def _arguments(
    run: RunFolder, options: TrainingOptions, total: int, evaluation: Evaluation | None
) -> TrainingArguments:
    place = options.place
    arguments = TrainingArguments(
        output_dir=str(run.path),
        max_steps=total,
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        warmup_steps=options.warmup(total),
        lr_scheduler_type="linear",
        optim="adamw_torch",
        max_grad_norm=options.max_grad_norm,
        per_device_train_batch_size=options.batch_size,
        per_device_eval_batch_size=options.batch_size,
        gradient_accumulation_steps=options.gradient_accumulation_steps,
        seed=options.seed,
        data_seed=options.seed,
        use_cpu=place.type == "cpu",
        bf16=options.precision == "bfloat16",
        fp16=options.precision == "float16",
        eval_strategy="no" if evaluation is None else "steps",
        eval_steps=None if evaluation is None else evaluation.every,
        eval_on_start=evaluation is not None and run.checkpoint is None,
        save_strategy="no",  # Checkpoints asks for them
        save_total_limit=2,
        logging_steps=options.logging_steps or max(1, min(10, total // 20)),
        logging_first_step=True,
        logging_nan_inf_filter=False,  # or a loss that is no number would be logged as a mean
        report_to=list(options.report_to),
        disable_tqdm=True,
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_pin_memory=place.type == "cuda",
    )
    if arguments.n_gpu > 1:
        # Several GPUs in one process would mean DataParallel, and batches of another size.
        arguments._n_gpu = 1
    return arguments


class Checkpoints(TrainerCallback):
    """Asks for checkpoints and marks those that are complete; asks for a last evaluation.

    Parameters
    ----------
    every
        Steps; None: about once a minute, and never for more than a twentieth of the time.
    spent
        Seconds that the run took before it was resumed.
    """

    def __init__(self, every: int | None, spent: float) -> None:
        self._pace = CheckpointPace(every, spent)

    @property
    def seconds(self) -> float:
        """Of the whole run, this part included."""
        return self._pace.seconds

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> Any:
        if state.global_step >= state.max_steps:
            # What comes next is the result itself; and a Trainer that resumes from its last step
            # in the midst of an epoch would take one more.
            control.should_save = False
            # The result is evaluated whatever the interval.
            control.should_evaluate |= args.eval_strategy == "steps"
        elif self._pace.is_due(state.global_step):
            control.should_save = True
        return control

    def on_save(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        mark_complete(Path(args.output_dir) / f"checkpoint-{state.global_step}", self.seconds)
        self._pace.saved()  # an evaluation at the same step counts, no harm


class Progress(TrainerCallback):
    """Says after every step how far the training has come."""

    def __init__(self, bar: CostBar) -> None:
        self._bar = bar
        self._said = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        self._advance(state, free=True)  # the steps before the checkpoint

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        self._advance(state)

    def _advance(self, state: Any, *, free: bool = False) -> None:
        steps = state.global_step - self._said
        self._said = state.global_step
        self._bar.advance(steps, steps, free=free)
