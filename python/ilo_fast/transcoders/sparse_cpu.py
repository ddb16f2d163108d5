"""The products of `sparse` on a processor: kernels of the core, with first-order gradients.

Equal to the torch functions of `sparse` up to rounding, and the same bits for every number of
threads and every instruction set. No pre-activation beyond a tile is ever stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from numpy.typing import NDArray

from ilo_fast import _core

Found = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # indptr, indices, values


def takes(*tensors: torch.Tensor) -> bool:
    """Whether the kernels are for these: all in the processor's memory, one type of float."""
    dtype = tensors[0].dtype
    return dtype in (torch.float32, torch.float64) and all(
        t.device.type == "cpu" and t.dtype == dtype for t in tensors
    )


def encode_threshold(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    threshold: torch.Tensor,
    bandwidth: float | None,
) -> Found:
    """As `sparse.encode_threshold`."""
    apply: Any = _EncodeThreshold.apply
    found: Found = apply(x, weight, bias, threshold, bandwidth)
    return found


def encode_top_k(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, k: int, of_batch: bool
) -> Found:
    """As `sparse.encode_top_k`, or `sparse.encode_batch_top_k`."""
    apply: Any = _EncodeTopK.apply
    found: Found = apply(x, weight, bias, k, of_batch)
    return found


def decode(
    indptr: torch.Tensor,
    indices: torch.Tensor,
    values: torch.Tensor,
    weights: Sequence[torch.Tensor],
    bias: torch.Tensor,
) -> torch.Tensor:
    """As `sparse.decode`."""
    apply: Any = _Decode.apply
    out: torch.Tensor = apply(indptr, indices, values, bias, *weights)
    return out


def _array(tensor: torch.Tensor) -> NDArray[Any]:
    """The same memory."""
    return tensor.detach().contiguous().numpy()


def _tensor(array: NDArray[Any] | None) -> torch.Tensor | None:
    return None if array is None else torch.from_numpy(array)


class _FirstOrder(torch.autograd.Function):
    """A backward pass, whose results depend on all that it saw, and which has none itself."""

    @staticmethod
    def forward(
        ctx: Any, backward: Callable[..., Any], outer: Any, n_grads: int, *tensors: torch.Tensor
    ) -> Any:
        return backward(outer, *tensors[:n_grads])

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        raise NotImplementedError(
            "the processor's kernels of transcoders have gradients of the first order only: for "
            "those of the second write encode and decode out, as dense products of torch"
        )


def _first_order(backward: Callable[..., Any]) -> Callable[..., Any]:
    """What `once_differentiable` does; but a second derivative is an error, never a zero."""

    def wrapped(ctx: Any, *grads: torch.Tensor) -> Any:
        if not torch.is_grad_enabled():
            return backward(ctx, *grads)
        apply: Any = _FirstOrder.apply
        return apply(backward, ctx, len(grads), *grads, *ctx.saved_tensors)

    return wrapped


class _EncodeThreshold(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        threshold: torch.Tensor,
        bandwidth: float | None,
    ) -> Found:
        least = threshold if bandwidth is None else threshold - bandwidth / 2
        found = _core.encode_threshold(
            _array(x),
            _array(weight),
            _array(bias),
            _array(least),
            n_threads=torch.get_num_threads(),
        )
        indptr, indices, pre = map(torch.from_numpy, found[:3])
        own = threshold.detach().flatten()[indices.long()]
        ctx.save_for_backward(x, weight, indptr, indices, pre, own)
        ctx.bandwidth = bandwidth
        ctx.mark_non_differentiable(indptr, indices)
        return indptr, indices, torch.where(pre > own, pre, 0.0)

    @staticmethod
    @_first_order
    def backward(ctx: Any, _: Any, __: Any, grad: torch.Tensor) -> tuple[Any, ...]:
        x, weight, indptr, indices, pre, own = ctx.saved_tensors
        of_encoder = _encode_backward(
            ctx, torch.where(pre > own, grad, 0.0), x, weight, indptr, indices
        )
        of_threshold = None
        if ctx.bandwidth is not None and ctx.needs_input_grad[3]:
            near = (pre - own).abs() < ctx.bandwidth / 2
            of_entry = torch.where(near, -own / ctx.bandwidth * grad, 0.0)
            of_threshold = torch.from_numpy(
                _core.sum_by_feature(
                    _array(indptr),
                    _array(indices),
                    _array(of_entry),
                    n_layers=weight.shape[0],
                    n_features=weight.shape[1],
                )
            )
        return *of_encoder, of_threshold, None


class _EncodeTopK(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        k: int,
        of_batch: bool,
    ) -> Found:
        found = _core.encode_top_k(
            _array(x),
            _array(weight),
            _array(bias),
            k=k,
            of_batch=of_batch,
            n_threads=torch.get_num_threads(),
        )
        indptr, indices, values = map(torch.from_numpy, found[:3])
        ctx.save_for_backward(x, weight, indptr, indices)
        ctx.mark_non_differentiable(indptr, indices)
        return indptr, indices, values

    @staticmethod
    @_first_order
    def backward(ctx: Any, _: Any, __: Any, grad: torch.Tensor) -> tuple[Any, ...]:
        return *_encode_backward(ctx, grad, *ctx.saved_tensors), None, None


def _encode_backward(
    ctx: Any,
    grad: torch.Tensor,
    x: torch.Tensor,
    weight: torch.Tensor,
    indptr: torch.Tensor,
    indices: torch.Tensor,
) -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor]:
    """Of x, weight and bias, from that of the entries' pre-activations."""
    of_x, of_weight, of_bias, _ = _core.encode_backward(
        _array(grad),
        _array(indptr),
        _array(indices),
        _array(x),
        _array(weight),
        want_x=ctx.needs_input_grad[0],
        want_weight=ctx.needs_input_grad[1],
        n_threads=torch.get_num_threads(),
    )
    return _tensor(of_x), _tensor(of_weight), torch.from_numpy(of_bias)


class _Decode(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        indptr: torch.Tensor,
        indices: torch.Tensor,
        values: torch.Tensor,
        bias: torch.Tensor,
        *weights: torch.Tensor,
    ) -> torch.Tensor:
        out, _ = _core.decode(
            _array(indptr),
            _array(indices),
            _array(values),
            [_array(weight) for weight in weights],
            _array(bias),
            n_threads=torch.get_num_threads(),
        )
        ctx.save_for_backward(indptr, indices, values, *weights)
        return torch.from_numpy(out)

    @staticmethod
    @_first_order
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[Any, ...]:
        indptr, indices, values, *weights = ctx.saved_tensors
        of_values, of_weights, of_bias, _ = _core.decode_backward(
            _array(grad),
            _array(indptr),
            _array(indices),
            _array(values),
            [_array(weight) for weight in weights],
            want_values=ctx.needs_input_grad[2],
            want_weights=any(ctx.needs_input_grad[4:]),
            want_bias=ctx.needs_input_grad[3],
            n_threads=torch.get_num_threads(),
        )
        found = [None] * len(weights) if of_weights is None else map(torch.from_numpy, of_weights)
        return None, None, _tensor(of_values), _tensor(of_bias), *found
