"""How overlap is measured in the course of training."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from ilo_fast._util.checks import choice, truth, whole_number
from ilo_fast.graph.options import APPROXIMATE, check_metric, chosen_backend

# What scores do not depend on; the approximate backend is told apart below.
_POOLINGS: Final = ("mean", "last", "first", "weighted_mean", "max")
_FREE = ("backend", "n_threads", "batch_tokens", "verify", "intervals")


@dataclass(frozen=True)
class OverlapOptions:
    """How overlap is measured in the course of training; the keywords of :func:`~ilo_fast.measure`.

    What is not here does not apply to a model that is in memory and being trained.
    """

    layers: int | Sequence[int] | None = None
    n_neighbors: int = 5
    threshold: int = 3
    metric: str = "cosine"
    backend: str = "auto"
    n_threads: int | None = None
    parallel: bool | None = None
    batch_tokens: int | None = None
    pooling: str = "mean"
    special_tokens: str = "include"
    max_length: int | None = None
    verify: bool = True
    tokenizer_languages: Mapping[str, str] | None = None
    intervals: bool = False

    def __post_init__(self) -> None:
        # Numbers as JSON can hold them; object.__setattr__ as the dataclass is frozen.
        for name in ("n_neighbors", "threshold", "n_threads", "batch_tokens", "max_length"):
            value = getattr(self, name)
            if value is not None or name in ("n_neighbors", "threshold"):
                object.__setattr__(self, name, whole_number(name, value))
        check_metric(self.metric)
        chosen_backend(self.backend)
        choice("pooling", self.pooling, _POOLINGS)
        choice("special_tokens", self.special_tokens, ("include", "exclude"))
        truth("verify", self.verify)
        truth("intervals", self.intervals)
        if self.parallel is not None:
            truth("parallel", self.parallel)
        if self.layers is not None:
            given: Any = self.layers if isinstance(self.layers, Iterable) else [self.layers]
            try:
                layers = [operator.index(layer) for layer in given]
            except TypeError:
                raise TypeError(f"layers={self.layers!r}: wanted whole numbers") from None
            if not layers:
                raise ValueError("layers is empty: name at least one, or None for all")
            object.__setattr__(self, "layers", layers)

    def identity(self) -> dict[str, Any]:
        """What scores depend on, JSON-able."""
        found = {name: value for name, value in asdict(self).items() if name not in _FREE}
        return found | ({"backend": self.backend} if self.backend in APPROXIMATE else {})
