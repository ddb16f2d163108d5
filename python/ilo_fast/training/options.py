"""How a training loop goes: the options that finetune() and pretrain() share, checked once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from transformers import TrainerCallback
from transformers.integrations import (  # type: ignore[attr-defined]
    get_reporting_integration_callbacks,
)

from ilo_fast._util.checks import real_number, truth, whole_number
from ilo_fast._util.versions import versions
from ilo_fast.models.identity import NUMERIC_PACKAGES
from ilo_fast.models.loading import resolve_device, resolve_dtype

# What the weights do not depend on; a run that evaluates or measures adds `every` itself.
_FREE = (
    "device",
    "every",
    "save_steps",
    "logging_steps",
    "keep_checkpoints",
    "report_to",
    "progress",
)


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """Names and meanings are those of transformers' ``TrainingArguments``, where it has them.

    :func:`~ilo_fast.finetune` and :func:`~ilo_fast.pretrain` document them and have the defaults.
    """

    max_steps: int | None
    num_train_epochs: float | None = None  # where max_steps is None
    learning_rate: float
    weight_decay: float
    warmup_steps: float  # steps, or below 1 a share of them
    batch_size: int
    gradient_accumulation_steps: int
    max_grad_norm: float
    seed: int
    device: str | torch.device | None
    dtype: str | torch.dtype | None
    every: int | None
    save_steps: int | None
    logging_steps: int | None
    keep_checkpoints: bool
    report_to: str | Sequence[str]
    progress: bool

    def __post_init__(self) -> None:
        for name in ("batch_size", "gradient_accumulation_steps"):
            self._set(name, whole_number(name, getattr(self, name)))
        for name in ("max_steps", "every", "save_steps", "logging_steps"):
            if getattr(self, name) is not None:
                self._set(name, whole_number(name, getattr(self, name)))
        for name in ("learning_rate", "max_grad_norm", "num_train_epochs"):
            if getattr(self, name) is not None:
                self._set(name, real_number(name, getattr(self, name)))
                if getattr(self, name) <= 0:
                    raise ValueError(f"{name}={getattr(self, name)!r}: wanted a number above 0")
        if self.max_steps is not None:
            self._set("num_train_epochs", None)  # it does not matter
        elif self.num_train_epochs is None:
            raise TypeError("max_steps and num_train_epochs are both None: give one of them")
        for name in ("weight_decay", "warmup_steps"):
            self._set(name, real_number(name, getattr(self, name)))
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)!r}: wanted 0 or more")
        if self.warmup_steps > 1 and not self.warmup_steps.is_integer():
            raise ValueError(
                f"warmup_steps={self.warmup_steps!r}: wanted a whole number of steps, or a share "
                "below 1"
            )
        self._set("seed", whole_number("seed", self.seed, least=0))
        if self.seed >= 2**32:  # NumPy's legacy generator, which the Trainer seeds, takes no more
            raise ValueError(f"seed={self.seed}: wanted a whole number below 2**32")
        reports: Any = self.report_to
        reports = reports.split(",") if isinstance(reports, str) else reports
        if not isinstance(reports, Iterable) or not all(isinstance(r, str) for r in reports):
            raise TypeError(f"report_to must be names such as 'tensorboard', got {reports!r}")
        self._set("report_to", [name.strip() for name in reports])
        try:
            get_reporting_integration_callbacks(  # type: ignore[no-untyped-call]
                [name for name in self.report_to if name not in ("none", "all")]
            )
        except ValueError as error:
            raise ValueError(f"report_to={self.report_to!r}: {error}") from error
        for name in ("keep_checkpoints", "progress"):
            self._set(name, truth(name, getattr(self, name)))
        dtype = resolve_dtype(self.dtype)
        self._set("dtype", None if dtype is None else str(dtype).removeprefix("torch."))
        _ = self.place, self.precision  # an error now rather than later

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)  # of a frozen dataclass, while it is being made

    @property
    def place(self) -> torch.device:
        """Where the Trainer will train."""
        return resolve_place(self.device)

    @property
    def precision(self) -> str:
        """What the forward pass computes in."""
        return resolve_precision(self.dtype, self.device)

    def warmup(self, total: int) -> int:
        """Steps of the warm-up in a run of `total`."""
        return round(self.warmup_steps * (total if self.warmup_steps < 1 else 1))

    def identity(self) -> dict[str, Any]:
        """What the weights depend on, JSON-able."""
        return {name: value for name, value in asdict(self).items() if name not in _FREE}

    def metadata(self) -> dict[str, Any]:
        """Where and with what a run trains, for its card."""
        return {
            "device": str(self.place),
            "precision": self.precision,
            "threads": torch.get_num_threads(),
            "versions": versions(*NUMERIC_PACKAGES, "accelerate", "peft"),
        }


def resolve_place(device: str | torch.device | None) -> torch.device:
    """Where a Trainer trains that is asked for `device`.

    Raises
    ------
    ValueError
        A device that is not there, or a GPU that the Trainer would not take.
    """
    found = resolve_device(device)
    if found.index not in (None, 0):
        raise ValueError(
            f"device={str(device)!r}: the Trainer takes the first GPU that it sees; choose another "
            f"with CUDA_VISIBLE_DEVICES={found.index} and device='cuda'"
        )
    return found


def resolve_precision(dtype: str | torch.dtype | None, device: str | torch.device | None) -> str:
    """What a forward pass in training computes in.

    Raises
    ------
    ValueError
        What the device cannot train in.
    """
    on_gpu = resolve_device(device).type == "cuda"
    wanted = resolve_dtype(dtype)
    if wanted is None:
        able = on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
        return "bfloat16" if able else "float32"
    name = str(wanted).removeprefix("torch.")
    if name == "float64":
        raise ValueError("dtype='float64': wanted 'float32', 'bfloat16', 'float16' or None")
    if name == "float16" and not on_gpu:
        raise ValueError("dtype='float16' trains on GPUs only: take 'bfloat16' or 'float32'")
    return name


def checked_callbacks(callbacks: Any) -> tuple[TrainerCallback, ...]:
    """A caller's callbacks.

    Raises
    ------
    TypeError
        Something among them is none, nor a class of them.
    """
    given = list(callbacks) if isinstance(callbacks, Iterable) else [callbacks]
    for callback in given:
        kind = callback if isinstance(callback, type) else type(callback)
        if not issubclass(kind, TrainerCallback):
            raise TypeError(f"callbacks holds {callback!r}, wanted transformers.TrainerCallback")
    return tuple(given)
