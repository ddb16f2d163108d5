"""What a transcoder computes, densely and in float64: every formula once, no sparsity anywhere."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def pre_activations(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """(tokens, layers, features)"""
    products = [x[:, layer] @ weight[layer].T + bias[layer] for layer in range(len(weight))]
    return torch.stack(products, dim=1)


def largest(values: Sequence[float], k: int) -> list[int]:
    """Places of the k largest positive ones, of equal ones the first."""
    order = sorted(range(len(values)), key=lambda place: (-values[place], place))
    return [place for place in order[:k] if values[place] > 0]


def top_k(pre: torch.Tensor, k: int) -> torch.Tensor:
    """Which are active: of every layer the k largest of each token."""
    kept = torch.zeros_like(pre, dtype=torch.bool)
    for token in range(pre.shape[0]):
        for layer in range(pre.shape[1]):
            kept[token, layer, largest(pre[token, layer].tolist(), k)] = True
    return kept


def batch_top_k(pre: torch.Tensor, k: int) -> torch.Tensor:
    """Which are active: of every layer the k * tokens largest."""
    kept = torch.zeros_like(pre, dtype=torch.bool)
    n, _, n_features = pre.shape
    for layer in range(pre.shape[1]):
        for place in largest(pre[:, layer].flatten().tolist(), k * n):
            kept[place // n_features, layer, place % n_features] = True
    return kept


def decode(
    activations: torch.Tensor, weights: Sequence[torch.Tensor], bias: torch.Tensor
) -> torch.Tensor:
    """(tokens, outputs, d), of dense activations (tokens, layers, features)."""
    outputs = []
    for output in range(len(bias)):
        total = bias[output].expand(len(activations), -1)
        for source, weight in enumerate(weights):
            if 0 <= output - source < weight.shape[1]:
                total = total + activations[:, source] @ weight[:, output - source]
        outputs.append(total)
    return torch.stack(outputs, dim=1)


def jump_relu_threshold_gradient(
    pre: torch.Tensor, threshold: torch.Tensor, bandwidth: float, grad: torch.Tensor
) -> torch.Tensor:
    """Straight-through (arXiv 2407.14435), of the gradient of the dense activations."""
    total = torch.zeros_like(threshold)
    for token in range(pre.shape[0]):
        for layer in range(pre.shape[1]):
            for feature in range(pre.shape[2]):
                theta = threshold[layer, feature]
                inside = abs(pre[token, layer, feature] - theta) < bandwidth / 2
                if inside:
                    total[layer, feature] -= theta / bandwidth * grad[token, layer, feature]
    return total
