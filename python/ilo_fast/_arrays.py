"""Arrays as the core takes them: (layers, n, d), native float16, bfloat16, float32 or float64."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DTYPES = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True)
class Stack:
    """A stack of layers. ``values`` is (layers, n, d); bfloat16 travels as uint16 bit patterns."""

    values: NDArray[Any]
    dtype: str
    was_matrix: bool  # came as (n, d)


def as_stack(X: Any, name: str = "X") -> Stack:
    """Take a NumPy array or a torch tensor, without a copy where memory allows."""
    torch = sys.modules.get("torch")  # a tensor cannot come from elsewhere
    if torch is not None and isinstance(X, torch.Tensor):
        values, dtype = _from_torch(X)
    else:
        values = np.asarray(X)
        dtype = values.dtype.name
        if dtype == "bfloat16":  # ml_dtypes
            values = values.view(np.uint16)
    if dtype not in _DTYPES:
        raise TypeError(
            f"{name} has dtype {dtype}, wanted one of {', '.join(_DTYPES)}: "
            f"convert it, e.g. {name}.astype('float32')"
        )
    if values.ndim not in (2, 3):
        raise ValueError(f"{name} has shape {values.shape}, wanted (n, d) or (layers, n, d)")
    if 0 in values.shape:
        raise ValueError(f"{name} has shape {values.shape}: it holds no values")
    if not values.dtype.isnative or not values.flags.aligned:
        values = np.require(values, values.dtype.newbyteorder("="), ["ALIGNED"])
    was_matrix = values.ndim == 2
    return Stack(values[np.newaxis] if was_matrix else values, dtype, was_matrix)


def as_count(value: Any, name: str) -> int:
    """A whole number of at least 1, from Python or NumPy."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an int, got {value!r}")
    if value < 1:
        raise ValueError(f"{name}={value} must be at least 1")
    return int(value)


def as_bytes(value: Any, name: str) -> int:
    """A number of bytes, from an int or a string such as "6GiB" or "500 MB"."""
    if not isinstance(value, str):
        return as_count(value, name)
    units = {unit: 1000**p for p, unit in enumerate(("b", "kb", "mb", "gb", "tb"))}
    units |= {unit: 1024**p for p, unit in enumerate(("", "kib", "mib", "gib", "tib")) if p}
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", value.lower())
    unit = match and units.get(match[2] or "b")
    if not match or not unit or int(float(match[1]) * unit) < 1:
        raise ValueError(f"{name}={value!r} is no size: give bytes, or a string such as '6GiB'")
    return int(float(match[1]) * unit)


def of_one_layout(stacks: Sequence[Stack]) -> list[Stack]:
    """The same numbers in one dtype, all columns equally far apart; copied where they must be."""
    widest = max((s.dtype for s in stacks), key=_DTYPES.index)
    if {s.dtype for s in stacks} == {"float16", "bfloat16"}:
        widest = "float32"  # neither holds the other
    out = []
    for stack in stacks:
        values = stack.values
        if stack.dtype != widest and stack.dtype == "bfloat16":
            values = (values.astype(np.uint32) << 16).view(np.float32)
        if stack.dtype != widest:
            values = values.astype(widest)
        out.append(Stack(values, widest, stack.was_matrix))
    if all(same_layout(out[0], other) for other in out):
        return out
    return [Stack(np.ascontiguousarray(s.values), widest, s.was_matrix) for s in out]


def same_layout(first: Stack, other: Stack) -> bool:
    """Whether the columns of both lie equally far apart (a single column has no distance)."""
    return first.values.shape[2] == 1 or first.values.strides[2] == other.values.strides[2]


def _from_torch(X: Any) -> tuple[NDArray[Any], str]:
    import torch

    tensor = X.detach().cpu().resolve_conj().resolve_neg()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(np.uint16), "bfloat16"
    return tensor.numpy(), str(tensor.dtype).removeprefix("torch.")
