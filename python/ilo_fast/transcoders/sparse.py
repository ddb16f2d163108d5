"""The two products of a transcoder, of which few numbers are not zero.

`encode_*` finds the features that are active; `decode` adds up what they write. Both are
differentiable. Tokens stand first: (tokens, layers, d), so that one token's rows are one piece of
memory.

On a processor, in float32 and float64, `sparse_cpu` does the work; elsewhere torch, as written out
here. The former has gradients of the first order only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from ilo_fast.transcoders import sparse_cpu


@dataclass(frozen=True)
class ActiveFeatures:
    """Which features are active, and how strongly: a sparse matrix, one row a token (CSR).

    Attributes
    ----------
    indptr : (n + 1,) int64
        Entries `indptr[i]` to `indptr[i + 1]` are those of token i.
    indices : (entries,) int32
        layer * n_features + feature, ascending within a token.
    values : (entries,)
        Zero where a threshold is so near that training wants the entry all the same.
    n_layers, n_features : int
        Layers that were encoded, features of each.
    """

    indptr: torch.Tensor
    indices: torch.Tensor
    values: torch.Tensor
    n_layers: int
    n_features: int

    @property
    def tokens(self) -> torch.Tensor:
        """The token of each entry: (entries,) int64."""
        counts = self.indptr.diff()
        return torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)

    @property
    def layers(self) -> torch.Tensor:
        """The layer of each entry: (entries,) int64."""
        return (self.indices // self.n_features).long()

    @property
    def features(self) -> torch.Tensor:
        """The feature of each entry, counted in its layer: (entries,) int64."""
        return (self.indices % self.n_features).long()

    def to_dense(self) -> torch.Tensor:
        """(tokens, layers, features); for small ones."""
        n = len(self.indptr) - 1
        dense = self.values.new_zeros(n, self.n_layers * self.n_features)
        dense = dense.index_put((self.tokens, self.indices.long()), self.values)
        return dense.view(n, self.n_layers, self.n_features)


def encode_threshold(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    threshold: torch.Tensor,
    bandwidth: float | None = None,
) -> ActiveFeatures:
    """The features above their thresholds.

    Parameters
    ----------
    x : (tokens, layers, d)
    weight : (layers, features, d)
    bias, threshold : (layers, features)
    bandwidth
        Thresholds get a gradient (straight-through): entries within half of it below a threshold
        are kept, with a value of zero.
    """
    if sparse_cpu.takes(x, weight, bias, threshold):
        found = sparse_cpu.encode_threshold(x, weight, bias, threshold, bandwidth)
        return ActiveFeatures(*found, *weight.shape[:2])
    pre = _pre_activations(x, weight, bias)
    kept = pre > (threshold if bandwidth is None else threshold - bandwidth / 2)
    where = kept.nonzero(as_tuple=True)
    of_entry = threshold.expand_as(bias)[where[1:]]
    jump: Any = _Jump.apply
    values = jump(pre[where], of_entry, bandwidth)
    return _csr(kept, values)


def encode_top_k(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, k: int
) -> ActiveFeatures:
    """Of every layer, the k largest positive pre-activations of each token.

    Of equal ones the first; where k is more than there are features, all. Shapes as in
    `encode_threshold`.
    """
    if sparse_cpu.takes(x, weight, bias):
        found = sparse_cpu.encode_top_k(x, weight, bias, k, of_batch=False)
        return ActiveFeatures(*found, *weight.shape[:2])
    pre = _pre_activations(x, weight, bias)
    order = torch.sort(pre.detach(), dim=-1, descending=True, stable=True).indices[..., :k]
    kept = torch.zeros_like(pre, dtype=torch.bool).scatter_(-1, order, True) & (pre > 0)
    return _csr(kept, pre[kept])


def encode_batch_top_k(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, k: int
) -> ActiveFeatures:
    """Of every layer, the k * tokens largest positive pre-activations of all tokens together.

    Of equal ones the first. Shapes as in `encode_threshold`.
    """
    if sparse_cpu.takes(x, weight, bias):
        found = sparse_cpu.encode_top_k(x, weight, bias, k, of_batch=True)
        return ActiveFeatures(*found, *weight.shape[:2])
    pre = _pre_activations(x, weight, bias)
    flat = pre.detach().transpose(0, 1).flatten(1)  # (layers, tokens * features)
    order = torch.sort(flat, dim=-1, descending=True, stable=True).indices[:, : k * len(x)]
    kept = torch.zeros_like(flat, dtype=torch.bool).scatter_(-1, order, True)
    kept = kept.view(pre.shape[1], pre.shape[0], pre.shape[2]).transpose(0, 1) & (pre > 0)
    return _csr(kept, pre[kept])


def decode(
    features: ActiveFeatures,
    weights: Sequence[torch.Tensor],
    bias: torch.Tensor,
) -> torch.Tensor:
    """What the features write, added up.

    Parameters
    ----------
    features
        Of the layers that `weights` are of.
    weights : of every layer s (features, span, d)
        A feature of layer s writes into the outputs s to s + span - 1.
    bias : (outputs, d)

    Returns
    -------
    (tokens, outputs, d)
    """
    if sparse_cpu.takes(features.values, bias, *weights):
        return sparse_cpu.decode(features.indptr, features.indices, features.values, weights, bias)
    n = len(features.indptr) - 1
    out = bias.expand(n, *bias.shape)
    layers, tokens = features.layers, features.tokens
    for source, weight in enumerate(weights):
        here = layers == source
        counts = torch.bincount(tokens[here], minlength=n)
        added = functional.embedding_bag(
            features.features[here],
            weight.flatten(1),
            offsets=counts.cumsum(0) - counts,
            mode="sum",
            per_sample_weights=features.values[here],
        ).view(n, *weight.shape[1:])
        behind = bias.shape[0] - source - weight.shape[1]
        out = out + functional.pad(added, (0, 0, source, behind))
    return out


def _pre_activations(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """(tokens, layers, features)"""
    return torch.einsum("nld,lfd->nlf", x, weight) + bias


def _csr(kept: torch.Tensor, values: torch.Tensor) -> ActiveFeatures:
    """Of a mask (tokens, layers, features), and the values where it holds, in its order."""
    n, n_layers, n_features = kept.shape
    indptr = torch.zeros(n + 1, dtype=torch.int64, device=kept.device)
    indptr[1:] = kept.flatten(1).sum(1).cumsum(0)
    indices = kept.flatten(1).nonzero()[:, 1].to(torch.int32)
    return ActiveFeatures(indptr, indices, values, n_layers, n_features)


class _Jump(torch.autograd.Function):
    """Entries' values from their pre-activations, and the gradient that thresholds are given."""

    @staticmethod
    def forward(
        ctx: Any, pre: torch.Tensor, threshold: torch.Tensor, bandwidth: float | None
    ) -> torch.Tensor:
        ctx.save_for_backward(pre, threshold)
        ctx.bandwidth = bandwidth
        return torch.where(pre > threshold, pre, 0.0)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None, None]:
        pre, threshold = ctx.saved_tensors
        grad_pre = torch.where(pre > threshold, grad, 0.0)
        if ctx.bandwidth is None:
            return grad_pre, None, None
        near = (pre - threshold).abs() < ctx.bandwidth / 2
        return grad_pre, torch.where(near, -threshold / ctx.bandwidth * grad, 0.0), None
