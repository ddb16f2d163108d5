"""Arrays as the core takes them: (layers, n, d), native float16, bfloat16, float32 or float64."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast import _core
from ilo_fast._util.checks import path_of

_DLPACK_CUDA = (2, 13)  # kDLCUDA, kDLCUDAManaged
_DTYPES = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True)
class Stack:
    """A stack of layers. ``values`` is (layers, n, d).

    In the host's memory a NumPy array, where bfloat16 travels as uint16 bit patterns; on a GPU a
    torch tensor.
    """

    values: Any
    dtype: str
    was_matrix: bool  # came as (n, d)
    device: int | None = None  # the GPU's number

    @property
    def place(self) -> str:
        """Where it lies, for people."""
        return "in the host's memory" if self.device is None else f"on cuda:{self.device}"

    def layer(self, h: int) -> Stack:
        """A stack of one layer of this one."""
        return replace(self, values=self.values[h : h + 1])

    def contiguous(self) -> Stack:
        """The same, in row-major order."""
        if self.device is None:
            return replace(self, values=np.ascontiguousarray(self.values))
        return replace(self, values=self.values.contiguous())

    def in_host_memory(self) -> Stack:
        """The same, copied from the GPU if need be."""
        if self.device is None:
            return self
        values, dtype = _from_torch(self.values)
        return Stack(values, dtype, self.was_matrix)


def mapped(X: Any) -> Any:
    """X, or where it is the path of a ``.npy`` file what that holds, mapped from it.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is no ``.npy`` file, or one that needs pickles.
    """
    if not isinstance(X, (str, os.PathLike)):
        return X
    path = path_of("X", X)
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except OSError as error:
        raise FileNotFoundError(
            f"X={str(path)!r} is no file here: pass an array, or the path of a .npy file"
        ) from error
    except (ValueError, EOFError, SyntaxError, TokenError) as error:  # what a damaged head raises
        raise ValueError(
            f"X={str(path)!r} cannot be mapped as a .npy file ({error}): write it with np.save"
        ) from error


def as_stack(X: Any, name: str = "X") -> Stack:
    """Take a NumPy array, a torch tensor, or what a GPU holds, without a copy if memory allows."""
    found = _on_gpu(X, name)
    if found is not None:
        tensor, device = found
        return _checked(tensor, str(tensor.dtype).removeprefix("torch."), name, device)
    torch = sys.modules.get("torch")  # a tensor cannot come from elsewhere
    if torch is not None and isinstance(X, torch.Tensor):
        _refuse_tensor(X, name)
        values, dtype = _from_torch(X)
    else:
        values = _from_numpy(X, name)
        dtype = values.dtype.name
        if dtype == "bfloat16":  # ml_dtypes
            values = values.view(np.uint16)
    stack = _checked(values, dtype, name)
    if not values.dtype.isnative or not values.flags.aligned:
        wanted = values.dtype.newbyteorder("=")
        stack = replace(stack, values=np.require(stack.values, wanted, ["ALIGNED"]))
    return stack


def _from_numpy(X: Any, name: str) -> NDArray[Any]:
    """X as an array; what would lose its meaning on the way is refused."""
    masks = sys.modules.get("numpy.ma")  # NumPy loads it when it is first used
    if masks is not None and isinstance(X, masks.MaskedArray):
        masked = np.argwhere(masks.getmaskarray(X))
        if len(masked):
            row = f"row {masked[0][-2]}" if X.ndim > 1 else f"value {masked[0][-1]}"
            layer = f" of layer {masked[0][0]}" if X.ndim == 3 else ""
            raise ValueError(
                f"{name} is a masked array, and {row}{layer} is masked: leave masked rows out, and "
                f"pass {name}.data"
            )
        X = X.data
    if hasattr(X, "toarray") and hasattr(X, "nnz"):
        raise TypeError(f"{name} is a sparse {type(X).__name__}: pass {name}.toarray()")
    try:
        values = np.asarray(X)
    except Exception as error:  # whatever __array__ raises
        raise TypeError(
            f"{name}, a {type(X).__name__}, does not make an array ({error}): wanted (n, d) or "
            "(layers, n, d) of floats"
        ) from error
    if values.dtype == object:
        raise TypeError(
            f"{name}, a {type(X).__name__}, is no array of numbers: wanted one of "
            f"{', '.join(_DTYPES)}, (n, d) or (layers, n, d)"
        )
    return values


def _refuse_tensor(X: Any, name: str) -> None:
    """Say of a tensor that NumPy cannot take what to do about it."""
    import torch

    reasons = {
        "holds no values (device 'meta'): load them first": X.is_meta,
        f"is nested: pad it, {name}.to_padded_tensor(0.0), and leave the padding out": X.is_nested,
        f"is sparse: pass {name}.to_dense()": X.layout != torch.strided,
        f"is quantized: pass {name}.dequantize()": X.is_quantized,
    }
    for reason, holds in reasons.items():
        if holds:
            raise TypeError(f"{name} {reason}")
    dtype = str(X.dtype).removeprefix("torch.")
    if dtype not in _DTYPES:
        raise TypeError(_wanted_dtype(name, dtype, "to(torch.float32)"))


def _wanted_dtype(name: str, dtype: str, convert: str) -> str:
    return (
        f"{name} has dtype {dtype}, wanted one of {', '.join(_DTYPES)}: convert it, e.g. "
        f"{name}.{convert}"
    )


def _checked(values: Any, dtype: str, name: str, device: int | None = None) -> Stack:
    if dtype not in _DTYPES:
        convert = "astype('float32')" if device is None else "to(torch.float32)"
        raise TypeError(_wanted_dtype(name, dtype, convert))
    shape = tuple(values.shape)
    if len(shape) not in (2, 3):
        raise ValueError(f"{name} has shape {shape}, wanted (n, d) or (layers, n, d)")
    if 0 in shape:
        raise ValueError(f"{name} has shape {shape}: it holds no values")
    was_matrix = len(shape) == 2
    return Stack(values[None] if was_matrix else values, dtype, was_matrix, device)


def _on_gpu(X: Any, name: str) -> tuple[Any, int] | None:
    """X as a torch tensor if it lies in a GPU's memory, and the GPU's number; else None."""
    loaded = sys.modules.get("torch")
    if loaded is not None and isinstance(X, loaded.Tensor):
        return (X.detach().resolve_neg(), X.get_device()) if X.is_cuda else None
    if isinstance(X, np.ndarray):
        return None
    try:
        shared = hasattr(X, "__dlpack_device__") and X.__dlpack_device__()[0] in _DLPACK_CUDA
        if not shared and not hasattr(X, "__cuda_array_interface__"):
            return None
        import torch.utils.dlpack

        if shared:  # waits for the work that makes it, on whatever stream
            tensor = torch.utils.dlpack.from_dlpack(X)
        else:
            tensor = torch.as_tensor(X, device="cuda")
            torch.cuda.synchronize(tensor.device)
        return tensor, tensor.get_device()
    except (RuntimeError, AssertionError, TypeError, BufferError) as error:
        raise ValueError(
            f"{name}, a {type(X).__name__} in a GPU's memory, cannot be used through torch: {error}"
        ) from error


def of_one_layout(stacks: Sequence[Stack]) -> list[Stack]:
    """The same numbers in one dtype, all columns equally far apart; copied where they must be."""
    widest = max((s.dtype for s in stacks), key=_DTYPES.index)
    if {s.dtype for s in stacks} == {"float16", "bfloat16"}:
        widest = "float32"  # neither holds the other
    mode = _core.use_standard_floating_point()  # the caller's may make subnormals zero
    try:
        out = [_converted(stack, widest) for stack in stacks]
    finally:
        _core.restore_floating_point(mode)
    return out if all(same_layout(out[0], s) for s in out) else [s.contiguous() for s in out]


def _converted(stack: Stack, dtype: str) -> Stack:
    if stack.dtype == dtype:
        return stack
    values = stack.values
    if stack.device is not None:
        import torch

        return replace(stack, values=values.to(getattr(torch, dtype)), dtype=dtype)
    if stack.dtype == "bfloat16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return replace(stack, values=values.astype(dtype), dtype=dtype)


def strides(stack: Stack) -> tuple[int, ...]:
    """In bytes, one for each axis."""
    if stack.device is None:
        return tuple(stack.values.strides)
    size = stack.values.element_size()
    return tuple(size * step for step in stack.values.stride())


def same_layout(first: Stack, other: Stack) -> bool:
    """Whether the columns of both lie equally far apart (a single column has no distance)."""
    return first.values.shape[2] == 1 or strides(first)[2] == strides(other)[2]


def _from_torch(X: Any) -> tuple[NDArray[Any], str]:
    import torch

    tensor = X.detach().cpu().resolve_conj().resolve_neg()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(np.uint16), "bfloat16"
    return tensor.numpy(), str(tensor.dtype).removeprefix("torch.")
