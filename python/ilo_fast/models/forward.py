"""How to call a model: its modes, its device, its arguments, its hidden states."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

_TRIAL_TOKENS = 8


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode for the block; then every submodule gets its own mode back."""
    modes = [(child, child.training) for child in module.modules()]
    try:
        module.eval()
        yield
    finally:
        for child, mode in modes:
            child.training = mode


@contextlib.contextmanager
def inference(module: nn.Module) -> Iterator[None]:
    """No gradients and no autocast, in this thread.

    A caller inside a training loop may hold an autocast context. Results would depend on it, while
    ``info`` and the cache key name the dtype of the weights.
    """
    devices = {p.device.type for p in module.parameters()} or {"cpu"}
    with contextlib.ExitStack() as stack:
        for device in sorted(devices):
            stack.enter_context(torch.autocast(device, enabled=False))
        # Not inference_mode: a model may keep a tensor that its first forward pass makes (a rotary
        # table), and a tensor made in inference_mode can never be trained through afterwards.
        stack.enter_context(torch.no_grad())
        yield


def accepted(module: nn.Module, **arguments: Any) -> dict[str, Any]:
    """Those of `arguments` that the module's forward takes.

    All of them, where its signature is ``(*args, **kwargs)``.
    """
    names = inspect.signature(module.forward).parameters
    kinds = {parameter.kind for parameter in names.values()}
    if kinds == {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
        return arguments
    return {name: value for name, value in arguments.items() if name in names}


def first_tensor(args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor | None:
    """The hidden states among a block's arguments: the first positional, or the usual name."""
    if args and isinstance(args[0], torch.Tensor):
        return args[0]
    named = kwargs.get("hidden_states")
    return named if isinstance(named, torch.Tensor) else None


def last_state(output: Any) -> torch.Tensor:
    """The last hidden state in what a backbone returned.

    Raises
    ------
    ValueError
        The output holds none.
    """
    state = getattr(output, "last_hidden_state", None)
    if state is None and isinstance(output, (tuple, list)) and output:
        state = output[0]
    if state is None and isinstance(output, torch.Tensor):
        state = output
    if not isinstance(state, torch.Tensor):
        raise ValueError(
            f"the model returned {type(output).__name__} without last_hidden_state: pass the "
            "module that maps token ids to hidden states"
        )
    return state


def trial_ids(embeddings: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Two short inputs, each (1, tokens), that differ in their last token only."""
    weight = next(embeddings.parameters(), None)
    rows = int(weight.shape[0]) if weight is not None else _TRIAL_TOKENS + 2
    device = weight.device if weight is not None else torch.device("cpu")
    # From the middle of the vocabulary: the first and the last ids are the special ones.
    ids = torch.arange(_TRIAL_TOKENS + 1, device=device) + rows // 2
    ids = ids.clamp(max=rows - 1) if rows > _TRIAL_TOKENS * 2 else ids % rows
    return ids[None, :-1], torch.cat([ids[:-2], ids[-1:]])[None]


def trial_state(backbone: nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """The last hidden state (1, tokens, dim) of a plain forward pass over `ids`."""
    mask = torch.ones_like(ids)
    arguments = accepted(backbone, input_ids=ids, attention_mask=mask, use_cache=False)
    return last_state(backbone(**arguments))
