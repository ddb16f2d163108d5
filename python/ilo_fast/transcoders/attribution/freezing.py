"""What is not linear in a model but for its MLPs: noted in one pass, held fixed in others.

Attention probabilities, gates (sigmoids) and the scales of norms. No architecture is known by name:
every call of a softmax, of scaled dot product attention, of a sigmoid, of a norm or of a root goes
through `Freezer` while it is entered, whatever module makes it. What is linear is left as it is. A
model with more that is not linear (a state-space layer, say) is told by `LocalModel`, which checks.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from ilo_fast.models.structure import ModelParts
from ilo_fast.transcoders.sites import Site

Scope = int | Literal["outside"]  # a block, or what stands before and behind the blocks
Held = dict[Scope, list[torch.Tensor]]

# What weighs other numbers: it is held, as attention is.
_WEIGHTS: Final = frozenset({"softmax", "_softmax", "sigmoid"})
_ATTENTION: Final = "scaled_dot_product_attention"
# Of numbers that are divided by: roots and lengths. Squares and means in front of them are dropped
# with them, for no gradient comes back through a number that is held.
_ROOTS: Final = frozenset(
    {"rsqrt", "rsqrt_", "sqrt", "sqrt_", "norm", "vector_norm", "linalg_norm",
     "linalg_vector_norm", "std", "var", "reciprocal"}
)  # fmt: skip
_POWER: Final = frozenset({"pow", "__pow__", "float_power"})
_CASTS: Final = frozenset({"to", "float", "half", "bfloat16", "type", "type_as"})


class Freezer(TorchFunctionMode):
    """Within `running`, notes what is not linear, or replays what was noted.

    Parameters
    ----------
    held
        What an earlier pass noted, to be replayed in the same order. None: note it.
    scale_norms
        False: norms act as they do; attention alone is held.

    Attributes
    ----------
    held : scope -> tensors, in the order of the calls
    """

    def __init__(self, held: Held | None = None, *, scale_norms: bool = True) -> None:
        super().__init__()
        self._replayed = held
        self.held: Held = {} if held is None else held
        self._scale_norms = scale_norms
        self._scope: Scope = "outside"
        self._is_in_mlp = False  # where everything passes as it is: calls may change in number
        self._at: dict[Scope, int] = {}

    @contextlib.contextmanager
    def running(self, parts: ModelParts, sites: tuple[Site, ...]) -> Iterator[None]:
        """Within the block, one pass of the model runs, whose parts these are."""

        def entering(layer: int) -> Any:
            def hook(_: nn.Module, args: Any) -> None:
                self._scope = layer

            return hook

        def leaving(_: nn.Module, args: Any, output: Any) -> None:
            self._scope = "outside"

        def reading(_: nn.Module, args: Any) -> None:
            self._is_in_mlp = True

        def writing(_: nn.Module, args: Any, output: Any) -> None:
            self._is_in_mlp = False

        handles = []
        for layer, (block, entry) in enumerate(zip(parts.blocks, parts.entries, strict=True)):
            handles.append(entry.register_forward_pre_hook(entering(layer)))
            handles.append(block.register_forward_hook(leaving))
        for site in sites:
            # First on the way in, last on the way out: what others do there is not noted.
            handles.append(site.reads.register_forward_pre_hook(reading, prepend=True))
            handles.append(site.writes.register_forward_hook(writing))
        try:
            with self:
                yield
        finally:
            for handle in handles:
                handle.remove()

    def _hold(self, compute: Callable[[], torch.Tensor]) -> torch.Tensor:
        """A number that does not depend on the input: the one noted, where one was."""
        at = self._at[self._scope] = self._at.get(self._scope, -1) + 1
        if self._replayed is None:
            value = compute().detach()
            self.held.setdefault(self._scope, []).append(value)
            return value
        noted = self._replayed.get(self._scope, [])
        if at >= len(noted):
            where = self._scope if self._scope == "outside" else f"block {self._scope}"
            raise RuntimeError(
                f"model runs otherwise than it did before ({where}): its forward pass depends on "
                "more than its input; switch off what is random or remembered in it"
            )
        return noted[at]

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in _CASTS:
            return _not_narrowed(args[0], func(*args, **kwargs))
        if self._is_in_mlp:
            return func(*args, **kwargs)
        if name in _WEIGHTS:
            return self._hold(lambda: func(*args, **_without_narrow(args[0], kwargs)))
        if name == _ATTENTION:
            return _attention(self._hold, *args, **kwargs)
        if not self._scale_norms:
            return func(*args, **kwargs)
        if name in ("layer_norm", "rms_norm"):
            norm = _layer_norm if name == "layer_norm" else _rms_norm
            return norm(self._hold, *args[:5], **_norm_arguments(kwargs))
        if name == "normalize" and func is functional.normalize:
            return _normalize(self._hold, *args, **kwargs)
        if name in _ROOTS or (name in _POWER and _is_root(*args, **kwargs)):
            return self._hold(lambda: func(*args, **kwargs))
        return func(*args, **kwargs)


def _not_narrowed(before: Any, after: Any) -> Any:
    """A cast to fewer digits is left out: many norms compute in float32, whatever they take."""
    if (
        isinstance(before, torch.Tensor) and isinstance(after, torch.Tensor)
        and before.is_floating_point() and after.is_floating_point()
        and after.element_size() < before.element_size()
    ):  # fmt: skip
        return before.to(after.device)
    return after


def _without_narrow(x: torch.Tensor, kwargs: dict[str, Any]) -> dict[str, Any]:
    dtype = kwargs.get("dtype")
    if isinstance(dtype, torch.dtype) and dtype.itemsize < x.element_size():
        return {k: v for k, v in kwargs.items() if k != "dtype"}
    return kwargs


def _is_root(base: Any, exponent: Any = None, *_: Any, **kwargs: Any) -> bool:
    power = kwargs.get("exponent", exponent)
    return (
        isinstance(base, torch.Tensor)
        and isinstance(power, (int, float))
        and power in (-0.5, 0.5, -1)
    )


Hold = Callable[[Callable[[], torch.Tensor]], torch.Tensor]


def _attention(
    hold: Hold,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    """Scaled dot product attention with its probabilities held."""
    if enable_gqa:
        times = query.shape[-3] // key.shape[-3]
        key, value = (x.repeat_interleave(times, dim=-3) for x in (key, value))

    def probabilities() -> torch.Tensor:
        factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
        scores = query @ key.transpose(-2, -1) * factor
        if is_causal:
            seen = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
            scores = scores.masked_fill(~seen, -math.inf)
        if attn_mask is not None and attn_mask.dtype == torch.bool:
            scores = scores.masked_fill(~attn_mask, -math.inf)
        elif attn_mask is not None:
            scores = scores + attn_mask
        nowhere = (scores == -math.inf).all(-1, keepdim=True)  # a token of padding
        return torch.where(nowhere, 0.0, scores.softmax(-1))

    return hold(probabilities) @ value


def _norm_arguments(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {
        k: v
        for k, v in kwargs.items()
        if k in ("input", "normalized_shape", "weight", "bias", "eps")
    }


def _layer_norm(
    hold: Hold,
    input: torch.Tensor,
    normalized_shape: Any,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    eps: float = 1e-5,
) -> torch.Tensor:
    over = tuple(range(-len(normalized_shape), 0))
    centred = input - input.mean(over, keepdim=True)
    scaled = centred * hold(lambda: (centred.square().mean(over, keepdim=True) + eps).rsqrt())
    scaled = scaled if weight is None else scaled * weight
    return scaled if bias is None else scaled + bias


def _rms_norm(
    hold: Hold,
    input: torch.Tensor,
    normalized_shape: Any,
    weight: torch.Tensor | None = None,
    eps: float | None = None,
) -> torch.Tensor:
    over = tuple(range(-len(normalized_shape), 0))
    least = torch.finfo(input.dtype).eps if eps is None else eps
    scaled = input * hold(lambda: (input.square().mean(over, keepdim=True) + least).rsqrt())
    return scaled if weight is None else scaled * weight


def _normalize(
    hold: Hold,
    input: torch.Tensor,
    p: float = 2.0,
    dim: int = 1,
    eps: float = 1e-12,
    out: Any = None,
) -> torch.Tensor:
    return input / hold(lambda: input.norm(p, dim, keepdim=True).clamp_min(eps))
