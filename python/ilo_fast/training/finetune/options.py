"""The keywords of `finetune`, checked; where it runs and what it computes in."""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ilo_fast.models.loading import resolve_device, resolve_dtype
from ilo_fast.training.finetune.heads import TASKS


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
        """Check, and bring to plain Python what JSON is to hold."""
        for name in ("batch_size", "accumulate"):
            self._set(name, _count(name, getattr(self, name)))
        for name in ("max_steps", "max_length", "evaluate_every", "save_every"):
            if getattr(self, name) is not None:
                self._set(name, _count(name, getattr(self, name)))
        for name in ("epochs", "learning_rate", "weight_decay", "heldout", "warmup"):
            if name != "learning_rate" or self.learning_rate is not None:
                self._set(name, _real(name, getattr(self, name)))
        for name in ("epochs", "learning_rate"):
            if (value := getattr(self, name)) is not None and not value > 0:
                raise ValueError(f"{name}={value!r}: wanted a number above 0")
        if self.weight_decay < 0:
            raise ValueError(f"weight_decay={self.weight_decay!r}: wanted 0 or more")
        for name in ("heldout", "warmup"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"{name}={getattr(self, name)!r}: wanted a share from 0 to below 1"
                )
        self._set("seed", _count("seed", self.seed, least=0))
        if self.task != "auto" and self.task not in TASKS:
            raise ValueError(f"task={self.task!r}: wanted 'auto', {' or '.join(map(repr, TASKS))}")
        self._set("freeze", _layers(self.freeze))
        if self.lora is not None and not (self.freeze_embeddings and self.freeze_head):
            raise ValueError(
                "lora adapts linear layers of blocks alone, and trains neither the embeddings nor "
                "the output head: leave out freeze_embeddings=False and freeze_head=False, or lora"
            )
        self._set("lora", _plain("lora", self.lora))
        self._set("overlap_options", _plain("overlap_options", dict(self.overlap_options)))

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)  # of a frozen dataclass, while it is being made


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


def _count(name: str, value: Any, least: int = 1) -> int:
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
        if number < least:
            raise TypeError
    except TypeError:
        raise ValueError(f"{name}={value!r}: wanted a whole number of at least {least}") from None
    return number


def _real(name: str, value: Any) -> float:
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        raise ValueError(f"{name}={value!r}: wanted a finite number")
    return float(value)


def _layers(freeze: Any) -> tuple[int, ...] | str | None:
    """Block numbers as plain ints; which of them exist is not known yet."""
    if freeze is None or isinstance(freeze, str):
        return freeze
    items: list[Any]
    try:
        items = list(freeze)
    except TypeError:
        items = [freeze]  # a single number; another thing is refused below
    found = []
    for item in items:
        try:
            if isinstance(item, (bool, np.bool_)):
                raise TypeError
            found.append(operator.index(item))
        except TypeError:
            raise TypeError(f"freeze holds {item!r}, wanted whole numbers, e.g. range(8)") from None
    return tuple(found)


def _plain(name: str, value: Any) -> Any:
    """The same in types that JSON knows.

    Raises
    ------
    TypeError
        Where there is none, naming the option.
    """
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(f"{name}: {key}", entry) for key, entry in value.items()}
    if isinstance(value, Set):
        return sorted(_plain(name, entry) for entry in value)
    if isinstance(value, (list, tuple, range)):
        return [_plain(name, entry) for entry in value]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise TypeError(f"{name}={value!r}: wanted numbers, strings, and lists or mappings of them")
