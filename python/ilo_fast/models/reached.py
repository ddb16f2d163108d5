"""Which weights the hidden states of a model depend on, by following a trial forward pass."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ilo_fast.models.forward import evaluating, inference, trial_ids, trial_state
from ilo_fast.models.structure import ModelParts


class _Flow(TorchFunctionMode):
    """Remembers, by id(), from which tensors each tensor was computed."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: dict[int, set[int]] = defaultdict(set)
        self._kept: list[torch.Tensor] = []  # an id() is a tensor's own only while it lives

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        inputs = list(_tensors([*args, *kwargs.values()]))
        changed = list(_tensors(result))  # none: a question for a device or a shape reads nothing
        name = str(getattr(func, "__name__", ""))
        if inputs and (name == "__setitem__" or (name.endswith("_") and not name.endswith("__"))):
            changed.append(inputs[0])
            if inputs[0]._base is not None:
                changed.append(inputs[0]._base)
        if changed:
            self._kept += [*inputs, *changed]
            for tensor in changed:
                self.sources[id(tensor)].update(id(source) for source in inputs)
        return result

    def behind(self, tensor: torch.Tensor) -> set[int]:
        """The ids of all tensors that `tensor` was computed from."""
        found: set[int] = set()
        todo = [id(tensor)]
        while todo:
            for source in self.sources.get(todo.pop(), ()):
                if source not in found:
                    found.add(source)
                    todo.append(source)
        return found


def reached_weights(parts: ModelParts, model: nn.Module) -> set[str]:
    """Names, within `model`, of the parameters and buffers that the hidden states depend on.

    Those behind the last hidden state of a trial, and all of the blocks: of the experts of a layer,
    few tokens see only some. A pooler runs, too, but no hidden state comes from it.
    """
    ids, _ = trial_ids(parts.embeddings)
    with evaluating(parts.backbone), inference(parts.backbone), _Flow() as flow:
        state = trial_state(parts.backbone, ids)
    reached = flow.behind(state)
    owners = [parts.embeddings, *parts.blocks]
    if not any(id(p) in reached for p in parts.embeddings.parameters()):
        # A kernel of its own hid the way from the embeddings: then all that was read.
        reached |= {source for sources in flow.sources.values() for source in sources}
    reached |= {id(p) for owner in owners for p in owner.parameters()}
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
