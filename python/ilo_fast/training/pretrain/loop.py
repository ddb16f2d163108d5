"""What the ``Trainer`` of :mod:`.pretraining` does differently: data in order, rate, parts."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader, Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments

from ilo_fast.models.loading import resolve_device
from ilo_fast.training.loop import Bar, Checkpoints, own_randomness, silence
from ilo_fast.training.pretrain.mixture import MixedRows
from ilo_fast.training.run_folder import RunFolder, checkpoint_facts

logger = logging.getLogger(__name__)

Batch = Mapping[str, Any]
Batches = Callable[[int], "Batch | list[Batch]"]
Loss = Callable[[nn.Module, Batch], torch.Tensor]
OptimizerOf = Callable[[nn.Module], torch.optim.Optimizer]

# What the weights do not depend on.
_FREE = ("device", "save_every", "keep_checkpoints", "log_every", "report_to", "progress")
_OF_ROWS = ("context", "batch_size", "accumulate")
_OF_ADAM = ("learning_rate", "weight_decay", "betas")


@dataclass(frozen=True)
class Plan:
    """How a run goes; the names are those of :func:`~ilo_fast.pretrain`."""

    steps: int
    context: int
    batch_size: int
    accumulate: int
    learning_rate: float
    weight_decay: float
    betas: tuple[float, float]
    clip: float
    warmup_steps: int
    decay_share: float
    device: str | None
    dtype: str | None
    seed: int
    save_every: int | None
    keep_checkpoints: bool
    log_every: int
    report_to: str | list[str]
    progress: bool

    def __post_init__(self) -> None:
        whole = ("steps", "context", "batch_size", "accumulate", "warmup_steps", "log_every")
        for name in (*whole, "save_every"):
            value = getattr(self, name)
            if name == "save_every" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}={value!r}: wanted a whole number of at least 1")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise ValueError(f"seed={self.seed!r}: wanted a whole number of at least 0")
        if self.seed >= 2**32:  # NumPy's legacy generator, which the Trainer seeds, takes no more
            raise ValueError(f"seed={self.seed}: wanted a whole number below 2**32")
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"batch_size={self.batch_size} cannot be split into accumulate={self.accumulate} "
                "equal parts"
            )
        if self.context < 2:
            raise ValueError(f"context={self.context}: a token is predicted from those before it")
        if not 0 <= self.decay_share <= 1:
            raise ValueError(f"decay_share={self.decay_share}: a share of the steps is 0 to 1")
        for name in ("learning_rate", "clip"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name}={value!r}: wanted a number above 0")
        if self.dtype not in (None, "float32", "bfloat16"):
            raise ValueError(f"dtype={self.dtype!r}: wanted 'float32', 'bfloat16' or None")

    def identity(self, *, own_batches: bool, own_optimizer: bool) -> dict[str, Any]:
        """What the weights depend on; what the caller's own functions decide is left out."""
        free = {*_FREE, *(_OF_ROWS if own_batches else ()), *(_OF_ADAM if own_optimizer else ())}
        return {name: value for name, value in asdict(self).items() if name not in free}

    def rate(self, step: int) -> float:
        """Share of the full learning rate in `step` (from 0): up, level, then down to zero."""
        left = (self.steps - step) / max(1.0, self.decay_share * self.steps)
        return min(1.0, (step + 1) / self.warmup_steps, left)


class Steps(Dataset[Any]):
    """A callable step -> batch, as the data set of ``steps`` items that a ``Trainer`` takes."""

    def __init__(self, batches: Batches, steps: int) -> None:
        self._batches = batches
        self._steps = steps

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> Any:
        return self._batches(step)


def single(items: Sequence[Any]) -> Any:
    """Collate :class:`Steps`: the item is the batch."""
    return items[0]


def stacked(rows: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, torch.Tensor]:
    """Collate rows of equal length for a causal language model (it shifts the labels itself)."""
    ids = torch.stack([torch.from_numpy(row["input_ids"]) for row in rows])
    return {"input_ids": ids, "labels": ids.clone()}


def default_optimizer(model: nn.Module, plan: Plan) -> torch.optim.Optimizer:
    """AdamW; matrices decay, but embeddings, norms and biases do not."""
    # Tables of positions or types, too, and an output projection that is tied to one.
    tables = [module.weight for module in model.modules() if isinstance(module, nn.Embedding)]
    tables.append(model.get_input_embeddings().weight)  # type: ignore[operator]
    spared = {id(table) for table in tables}
    trained = [p for p in model.parameters() if p.requires_grad]
    decaying = [p for p in trained if p.dim() > 1 and id(p) not in spared]
    others = [p for p in trained if p.dim() <= 1 or id(p) in spared]
    groups = [
        {"params": decaying, "weight_decay": plan.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=plan.learning_rate,
        betas=plan.betas,
        fused=True,
    )


class PretrainingTrainer(Trainer):
    """A ``Trainer`` that takes its data in order, in parts, and any loss.

    A batch that is a list of batches is gone through one after the other; their gradients add up,
    and the graph of one is freed before the next is built.
    """

    def __init__(self, *, loss: Loss | None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._loss = loss
        if loss is not None:
            # It is a mean over the batch, which the Trainer shall divide where it accumulates.
            self.model_accepts_loss_kwargs = False

    def get_train_dataloader(self) -> Any:
        loader = DataLoader(
            cast("Dataset[Any]", self.train_dataset),
            batch_size=self._train_batch_size,
            collate_fn=self.data_collator,
            shuffle=False,
            pin_memory=self.args.dataloader_pin_memory,
        )
        return self.accelerator.prepare(loader)

    def training_step(self, model: nn.Module, inputs: Any, *rest: Any, **named: Any) -> Any:
        if not isinstance(inputs, list):
            return super().training_step(model, inputs, *rest, **named)
        losses = [super(PretrainingTrainer, self).training_step(model, part) for part in inputs]
        return torch.stack(losses).sum()

    def compute_loss(self, model: nn.Module, inputs: Any, *rest: Any, **named: Any) -> Any:
        if self._loss is None:
            return super().compute_loss(model, inputs, *rest, **named)
        return self._loss(model, inputs)

    def floating_point_ops(self, inputs: Any) -> int:
        return 0  # not reported; the Trainer's estimate wants batches of its own kind


def train(
    model: Any,
    run: RunFolder,
    plan: Plan,
    *,
    data: MixedRows | None,
    batches: Batches | None,
    loss: Loss | None,
    optimizer: OptimizerOf | None,
    callbacks: Sequence[TrainerCallback],
) -> dict[str, Any]:
    """Train `model` in place, on from the last checkpoint of `run`; results for the card."""
    checkpoint = run.last_checkpoint()
    if checkpoint is not None:
        logger.info("%s: training goes on from %s", run.path, checkpoint.name)
    spent = float(checkpoint_facts(checkpoint)["seconds"]) if checkpoint is not None else 0.0
    checkpoints = Checkpoints(plan.save_every, spent)
    use_cache = getattr(model.config, "use_cache", None)
    with own_randomness():
        arguments = _arguments(run, plan, own_batches=batches is not None)
        model.to(arguments.device)
        adam = default_optimizer(model, plan) if optimizer is None else optimizer(model)
        trainer = PretrainingTrainer(
            model=model,
            args=arguments,
            train_dataset=Steps(batches, plan.steps) if batches is not None else data,
            data_collator=single if batches is not None else stacked,
            optimizers=(adam, torch.optim.lr_scheduler.LambdaLR(adam, plan.rate)),
            callbacks=[*callbacks, checkpoints],
            loss=loss,
        )
        silence(trainer)
        trainer.add_callback(Bar("training") if plan.progress else _Lines())
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    if use_cache is not None:  # the Trainer turns it off, and so it would be saved
        model.config.use_cache = use_cache
    history = trainer.state.log_history
    measuring = sum(entry.get("overlap/seconds", 0.0) for entry in history)
    results: dict[str, Any] = {
        "seconds": round(checkpoints.seconds, 3),
        "seconds_measuring": round(measuring, 3),
        "optimizer": _described(adam),
        "device": str(arguments.device),
        "dtype": "bfloat16" if arguments.bf16 else "float32",
        "loss": [[entry["step"], entry["loss"]] for entry in history if "loss" in entry],
    }
    if data is not None:
        tokens = plan.steps * plan.batch_size * plan.context
        results["tokens_per_second"] = round(tokens / max(checkpoints.seconds - measuring, 1e-9))
    return results


def _arguments(run: RunFolder, plan: Plan, *, own_batches: bool) -> TrainingArguments:
    device = resolve_device(plan.device)
    bf16 = plan.dtype == "bfloat16"
    if plan.dtype is None and device.type == "cuda":
        bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    rows = 1 if own_batches else plan.batch_size // plan.accumulate
    arguments = TrainingArguments(
        output_dir=str(run.path),
        max_steps=plan.steps,
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=1 if own_batches else plan.accumulate,
        learning_rate=plan.learning_rate,
        max_grad_norm=plan.clip,
        bf16=bf16,
        use_cpu=device.type == "cpu",
        seed=plan.seed,
        logging_steps=plan.log_every,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        save_strategy="no",  # the callback asks
        save_total_limit=None if plan.keep_checkpoints else 1,
        report_to=plan.report_to,
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=device.type == "cuda",
    )
    if arguments.n_gpu > 1:
        # Several GPUs in one process would mean DataParallel, and batches of another size.
        arguments._n_gpu = 1
    return arguments


def _described(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    groups = [
        {
            "parameters": sum(p.numel() for p in group["params"]),
            "learning_rate": group.get("initial_lr", group.get("lr")),
            "weight_decay": group.get("weight_decay"),
            "betas": list(group.get("betas", ())),
        }
        for group in optimizer.param_groups
    ]
    return {"class": type(optimizer).__name__, "groups": groups}


class _Lines(TrainerCallback):
    """The loss, as lines of the log."""

    def on_log(
        self,
        args: Any,
        state: Any,
        control: Any,
        logs: Mapping[str, Any] | None = None,
        **others: Any,
    ) -> None:
        if logs and "loss" in logs:
            step, last = state.global_step, state.max_steps
            logger.info("step %d of %d: loss %.4f", step, last, logs["loss"])
