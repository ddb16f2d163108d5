"""How to call a model: its modes, its device, its arguments, its hidden states."""

from __future__ import annotations

import contextlib
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import torch
from torch import nn

# No other size of a small model is likely to be 7: the axis of the tokens is known by it.
_TRIAL_TOKENS = 7

_PASSED_ON = frozenset({"output_hidden_states"})


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
    devices = {p.device.type for p in module.parameters()} - {"meta"}
    with contextlib.ExitStack() as stack:
        for device in sorted(devices | {"cpu"}):
            stack.enter_context(torch.autocast(device, enabled=False))
        stack.enter_context(_own_precision(module))
        # Not inference_mode: a model may keep a tensor that its first forward pass makes (a rotary
        # table), and a tensor made in inference_mode can never be trained through afterwards.
        stack.enter_context(torch.no_grad())
        yield


class _Shared:
    """A setting that is one for all threads: made for the first block, undone after the last."""

    def __init__(self, made: Callable[[], contextlib.AbstractContextManager[Any]]) -> None:
        self._made, self._lock, self._entered = made, threading.Lock(), 0
        self._stack = contextlib.ExitStack()

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if not self._entered:
                self._stack.enter_context(self._made())
            self._entered += 1
        try:
            yield
        finally:
            with self._lock:
                self._entered -= 1
                if not self._entered:
                    self._stack.close()


@contextlib.contextmanager
def _default_double() -> Iterator[None]:
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(default)


_in_double: Final = _Shared(_default_double)
_in_eager: Final = _Shared(lambda: torch.compiler.set_stance("force_eager"))


def as_written(module: nn.Module) -> contextlib.AbstractContextManager[None]:
    """Within the block, a module that torch.compile made runs as it was written.

    What is compiled knows nothing of function modes, and of hooks not all.
    """
    compiled = any(
        hasattr(child, "_orig_mod") or getattr(child, "_compiled_call_impl", None) is not None
        for child in module.modules()
    )
    if compiled and hasattr(torch.compiler, "set_stance"):  # from PyTorch 2.6 on
        return _in_eager()
    return contextlib.nullcontext()


@contextlib.contextmanager
def _own_precision(module: nn.Module) -> Iterator[None]:
    """Lets a model in float64 run: some make float32 numbers on the way, or call such kernels."""
    weight = next((p for p in module.parameters() if p.is_floating_point()), None)
    if weight is None or weight.dtype != torch.float64:
        yield
        return
    configs = {id(c): c for m in module.modules() if (c := getattr(m, "config", None)) is not None}
    kinds = {key: getattr(c, "_experts_implementation", None) for key, c in configs.items()}
    try:
        for key, kind in kinds.items():
            if kind is not None:
                configs[key]._experts_implementation = "eager"
        with _in_double():
            yield
    finally:
        for key, kind in kinds.items():
            if kind is not None:
                configs[key]._experts_implementation = kind


def accepted(module: nn.Module, **arguments: Any) -> dict[str, Any]:
    """Those of `arguments` that the module's forward takes.

    All of them, where its signature is ``(*args, **kwargs)``.
    """
    names = inspect.signature(module.forward).parameters
    kinds = {parameter.kind for parameter in names.values()}
    if kinds == {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
        return arguments
    if inspect.Parameter.VAR_KEYWORD in kinds and hasattr(module, "config"):
        # transformers passes its usual arguments through **kwargs to where they are used.
        return {k: v for k, v in arguments.items() if k in names or k in _PASSED_ON}
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


def working_device(module: nn.Module) -> torch.device:
    """Where `module` computes: of weights that accelerate keeps elsewhere, where it brings them."""
    for parameter in module.parameters():
        if not parameter.is_meta:
            return parameter.device
    for child in module.modules():
        where = getattr(getattr(child, "_hf_hook", None), "execution_device", None)
        if where is not None:
            return torch.device(where)
    return torch.device("cpu")


def is_offloaded(module: nn.Module) -> bool:
    """Whether accelerate brings weights of `module` from elsewhere, layer by layer."""
    return any(hasattr(child, "_hf_hook") for child in module.modules())


def by_sentence(hidden: torch.Tensor, axes: tuple[int, int]) -> torch.Tensor:
    """Hidden states as (sentences, tokens, dim).

    Parameters
    ----------
    hidden
        Of three dimensions, or more: the mean is taken over the parallel streams of a model that
        has several (Gemma 3n).
    axes
        Those of the sentences and of the tokens.
    """
    if axes != (0, 1):
        hidden = hidden.movedim(axes, (0, 1))
    while hidden.dim() > 3:
        hidden = hidden.mean(dim=2)
    return hidden


def find_axes(hidden: torch.Tensor, rows: int, tokens: int) -> tuple[int, int] | None:
    """The axes of the sentences and of the tokens; None where these are no hidden states.

    Longformer pads its input to a multiple of its window, so there may be more tokens.
    """
    if hidden.dim() < 3 or not hidden.is_floating_point():
        return None
    for row, token in ((0, 1), (1, 0), (1, 2)):
        if token < hidden.dim() - 1 and hidden.shape[row] == rows and hidden.shape[token] >= tokens:
            return row, token
    return None


def trial_ids(embeddings: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Two short inputs, each (1, tokens), that differ in their last token only."""
    weight = next(embeddings.parameters(), None)
    rows = int(weight.shape[0]) if weight is not None else _TRIAL_TOKENS + 2
    # From the middle of the vocabulary: the first and the last ids are the special ones.
    ids = torch.arange(_TRIAL_TOKENS + 1, device=working_device(embeddings)) + rows // 2
    ids = ids.clamp(max=rows - 1) if rows > _TRIAL_TOKENS * 2 else ids % rows
    return ids[None, :-1], torch.cat([ids[:-2], ids[-1:]])[None]


def trial_output(backbone: nn.Module, ids: torch.Tensor, **options: Any) -> Any:
    """What a plain forward pass over `ids` returns."""
    mask = torch.ones_like(ids)
    arguments = accepted(backbone, attention_mask=mask, use_cache=False, **options)
    return backbone(input_ids=ids, **arguments)


def trial_state(backbone: nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """The last hidden state (1, tokens, dim) of a plain forward pass over `ids`."""
    return last_state(trial_output(backbone, ids))


def own_states(output: Any) -> tuple[torch.Tensor, ...] | None:
    """The model's own hidden states in what it returned; None where there are none."""
    states = getattr(output, "hidden_states", None)
    if not isinstance(states, (tuple, list)):
        return None
    return tuple(s for s in states if isinstance(s, torch.Tensor)) or None


def callers_hooks(module: nn.Module) -> list[str]:
    """The modules inside with forward hooks that transformers did not register."""
    found = []
    for name, child in module.named_modules():
        hooks = [*child._forward_pre_hooks.values(), *child._forward_hooks.values()]
        if any(not str(getattr(h, "__module__", "")).startswith("transformers.") for h in hooks):
            found.append(name or type(child).__name__)
    return found
