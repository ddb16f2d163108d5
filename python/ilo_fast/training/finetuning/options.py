"""The keywords of `finetune`, checked; where it runs and what it computes in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ilo_fast.loading import resolve_device, resolve_dtype
from ilo_fast.training.finetuning.heads import TASKS


@dataclass(frozen=True)
class Options:
    """The keywords of :func:`~ilo_fast.finetune`, which documents them."""

    language: str
    task: str
    tokenizer: Any
    freeze: Any
    freeze_embeddings: bool
    freeze_head: bool
    lora: Any
    corpus: Any
    overlap_options: Mapping[str, Any]
    epochs: float
    max_steps: int | None
    learning_rate: float | None
    weight_decay: float
    warmup: float
    batch_size: int
    accumulate: int
    max_length: int | None
    heldout: float
    seed: int
    device: Any
    dtype: Any
    evaluate_every: int | None
    save_every: int | None
    keep_checkpoints: bool
    report_to: str | Sequence[str]
    callbacks: tuple[Any, ...]
    revision: str | None
    trust_remote_code: bool
    progress: bool

    def __post_init__(self) -> None:
        for name in ("batch_size", "accumulate"):
            _check_count(name, getattr(self, name))
        for name in ("max_steps", "max_length", "evaluate_every", "save_every"):
            if getattr(self, name) is not None:
                _check_count(name, getattr(self, name))
        if not self.epochs > 0:
            raise ValueError(f"epochs={self.epochs!r}: wanted a number above 0")
        if self.learning_rate is not None and not self.learning_rate > 0:
            raise ValueError(f"learning_rate={self.learning_rate!r}: wanted a number above 0")
        for name in ("heldout", "warmup"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"{name}={getattr(self, name)!r}: wanted a share from 0 to below 1"
                )
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise ValueError(f"seed={self.seed!r}: wanted a whole number of at least 0")
        if self.task != "auto" and self.task not in TASKS:
            raise ValueError(f"task={self.task!r}: wanted 'auto', {' or '.join(map(repr, TASKS))}")


def training_device(device: Any) -> torch.device:
    """Where the Trainer will train; a ValueError for a GPU that it would not take."""
    found = resolve_device(device)
    if found.index not in (None, 0):
        raise ValueError(
            f"device={str(device)!r}: the Trainer takes the first GPU that it sees; choose another "
            f"with CUDA_VISIBLE_DEVICES={found.index} and device='cuda'"
        )
    return found


def precision(dtype: Any, device: torch.device) -> torch.dtype:
    """What the forward pass computes in."""
    wanted = resolve_dtype(dtype)
    if wanted is None:
        able = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if able else torch.float32
    if wanted == torch.float64:
        raise ValueError("dtype='float64': wanted 'float32', 'bfloat16', 'float16' or None")
    if wanted == torch.float16 and device.type != "cuda":
        raise ValueError("dtype='float16' trains on GPUs only: take 'bfloat16' or 'float32'")
    return wanted


def _check_count(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name}={value!r}: wanted a whole number of at least 1")
