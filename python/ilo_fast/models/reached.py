"""Which weights a forward pass reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ilo_fast.models.forward import evaluating, inference, trial_ids, trial_state
from ilo_fast.models.structure import ModelParts


class _Reads(TorchFunctionMode):
    """Remembers the tensors that take part in any operation with a tensor as its result."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[int] = set()

    def __torch_function__(
        self, func: Any, types: Any, args: Iterable[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        # To ask for a weight's device or dtype is not to read it.
        if any(True for _ in _tensors(result)):
            self.seen.update(id(tensor) for tensor in _tensors([*args, *kwargs.values()]))
        return result


def reached_weights(parts: ModelParts, model: nn.Module) -> set[str]:
    """Names, within `model`, of the parameters and buffers that the hidden states depend on.

    Those that a trial forward pass reads, and all of the blocks: of the experts of a layer, few
    tokens see only some.
    """
    reads = _Reads()
    ids, _ = trial_ids(parts.embeddings)
    with evaluating(parts.backbone), inference(parts.backbone), reads:
        trial_state(parts.backbone, ids)
    owners = [parts.embeddings, *parts.blocks]
    reached = reads.seen | {id(p) for owner in owners for p in owner.parameters()}
    named = [
        *model.named_parameters(remove_duplicate=False),
        *model.named_buffers(remove_duplicate=False),
    ]
    return {name for name, tensor in named if id(tensor) in reached}


def _tensors(value: Any) -> Iterable[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _tensors(part)
