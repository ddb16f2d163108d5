"""What the transformers ``Trainer`` is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ilo_fast.training.finetune.options import Options


def training_arguments(
    options: Options,
    folder: Path,
    device: torch.device,
    dtype: torch.dtype,
    *,
    learning_rate: float,
    total: int,
    every: int | None,
    from_start: bool,
) -> Any:
    """The ``TrainingArguments`` of a run.

    Parameters
    ----------
    dtype
        What the forward pass computes in.
    total
        Steps of the run.
    every
        Steps between evaluations; None: no evaluation.
    from_start
        Not resumed: the model is evaluated before the first step, too.
    """
    from transformers import TrainingArguments

    reports = options.report_to
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=total,
        learning_rate=learning_rate,
        weight_decay=options.weight_decay,
        warmup_steps=round(options.warmup * total),
        lr_scheduler_type="linear",
        optim="adamw_torch",
        per_device_train_batch_size=options.batch_size,
        per_device_eval_batch_size=options.batch_size,
        gradient_accumulation_steps=options.accumulate,
        seed=options.seed,
        data_seed=options.seed,
        use_cpu=device.type == "cpu",
        bf16=dtype == torch.bfloat16,
        fp16=dtype == torch.float16,
        eval_strategy="no" if every is None else "steps",
        eval_steps=every,
        eval_on_start=every is not None and from_start,
        save_strategy="no",  # Checkpoints asks for them
        save_total_limit=2,
        logging_steps=max(1, min(10, total // 20)),
        logging_first_step=True,
        logging_nan_inf_filter=False,  # or a loss that is no number would be logged as a mean
        report_to=reports if isinstance(reports, str) else list(reports),
        disable_tqdm=True,
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_pin_memory=device.type == "cuda",
    )
    if arguments.n_gpu > 1:
        # Several GPUs in one process would mean DataParallel, and batches of another size.
        arguments._n_gpu = 1
    return arguments
