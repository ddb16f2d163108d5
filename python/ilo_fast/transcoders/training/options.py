"""How the training of a transcoder goes: options, checked once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import torch

from ilo_fast._util.checks import real_number, truth, whole_number
from ilo_fast._util.versions import versions
from ilo_fast.models.identity import NUMERIC_PACKAGES
from ilo_fast.models.loading import resolve_device
from ilo_fast.training.options import resolve_precision
from ilo_fast.transcoders.activations import (
    Activation,
    BatchTopK,
    JumpReLU,
    TopK,
    activation_to_dict,
)
from ilo_fast.transcoders.training.log import reporting_callbacks

# What the weights do not depend on.
_FREE: Final = (
    "device", "eval_steps", "save_steps", "logging_steps", "keep_checkpoints", "report_to",
    "progress",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TranscoderOptions:
    """`train_transcoder` documents them and has the defaults."""

    n_features: int
    activation: Activation
    cross_layer: bool
    tokens: int
    context_length: int
    batch_tokens: int
    buffer_tokens: int
    learning_rate: float
    warmup_share: float
    decay_share: float
    max_grad_norm: float
    target_l0: float | None
    sparsity_coefficient: float
    sparsity_warmup_share: float
    dead_after: int
    auxiliary_coefficient: float
    auxiliary_features: int | None
    eval_fraction: float
    eval_steps: int | None
    seed: int
    device: str | torch.device | None
    dtype: str | torch.dtype | None
    save_steps: int | None
    logging_steps: int | None
    keep_checkpoints: bool
    report_to: str | Sequence[str]
    progress: bool

    def __post_init__(self) -> None:
        if not isinstance(self.activation, (JumpReLU, TopK, BatchTopK)):
            raise TypeError(
                f"activation must be JumpReLU(), TopK(k) or BatchTopK(k), got {self.activation!r}"
            )
        for name in ("n_features", "tokens", "batch_tokens", "buffer_tokens", "dead_after"):
            self._set(name, whole_number(name, getattr(self, name)))
        self._set("context_length", whole_number("context_length", self.context_length, least=2))
        for name in ("eval_steps", "save_steps", "logging_steps", "auxiliary_features"):
            if getattr(self, name) is not None:
                self._set(name, whole_number(name, getattr(self, name)))
        self._set("seed", whole_number("seed", self.seed, least=0, most=2**32 - 1))
        for name in ("learning_rate", "max_grad_norm", "target_l0"):
            if getattr(self, name) is not None:
                self._set(name, real_number(name, getattr(self, name)))
                if getattr(self, name) <= 0:
                    raise ValueError(f"{name}={getattr(self, name)!r}: wanted a number above 0")
        for name in ("sparsity_coefficient", "auxiliary_coefficient"):
            self._set(name, real_number(name, getattr(self, name)))
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)!r}: wanted 0 or more")
        for name in ("warmup_share", "decay_share", "sparsity_warmup_share"):
            self._set(name, real_number(name, getattr(self, name)))
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)!r}: a share of the steps is 0 to 1")
        k = getattr(self.activation, "k", 1)
        whole_number("activation.k", k)
        if k > self.n_features:
            raise ValueError(f"activation: k={k} of n_features={self.n_features} features: lower k")
        for name in ("cross_layer", "keep_checkpoints", "progress"):
            self._set(name, truth(name, getattr(self, name)))
        reports: Any = self.report_to
        reports = reports.split(",") if isinstance(reports, str) else reports
        if not isinstance(reports, Iterable) or not all(isinstance(r, str) for r in reports):
            raise TypeError(f"report_to must be names such as 'tensorboard', got {reports!r}")
        self._set("report_to", tuple(r.strip() for r in reports if r.strip() != "none"))
        reporting_callbacks(self.report_to)  # an error now rather than later
        self._set("dtype", resolve_precision(self.dtype, self.device))

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)  # of a frozen dataclass, while it is being made

    @property
    def place(self) -> torch.device:
        """Where model and transcoder are."""
        return resolve_device(self.device)

    @property
    def autocast(self) -> torch.dtype | None:
        """What the language model's products are computed in; None: float32."""
        return None if self.dtype == "float32" else getattr(torch, str(self.dtype))

    @property
    def l0(self) -> float:
        """Features of a layer that are to fire for a token, at the start at least."""
        return self.target_l0 or float(getattr(self.activation, "k", 16))

    def identity(self) -> dict[str, Any]:
        """What the weights depend on, JSON-able."""
        found = {name: value for name, value in asdict(self).items() if name not in _FREE}
        return {**found, "activation": activation_to_dict(self.activation)}

    def metadata(self) -> dict[str, Any]:
        """Where and with what a run trains, for its card."""
        return {
            "device": str(self.place),
            "precision": self.dtype,
            "threads": torch.get_num_threads(),
            "versions": versions(*NUMERIC_PACKAGES),
        }
