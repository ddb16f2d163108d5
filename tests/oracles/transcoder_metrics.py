"""Metrics of a transcoder in a Llama, token by token: dense formulas, MLPs exchanged by name.

Shares no code with the package: it knows where a Llama keeps its MLPs, and runs one row at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

Write = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # of x and y, each (tokens, d)


@dataclass
class Oracle:
    """Of the documents that were added: lists with an entry for each token."""

    error: list[list[float]] = field(default_factory=list)  # by layer
    y: list[np.ndarray] = field(default_factory=list)  # (layers, d)
    active: list[np.ndarray] = field(default_factory=list)  # (layers, features) of bool
    ce_model: list[float] = field(default_factory=list)
    ce: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    kl: dict[int, list[float]] = field(default_factory=dict)
    top1: dict[int, list[bool]] = field(default_factory=dict)

    def explained_variance(self, layer: int) -> float:
        mean = sum(y[layer] for y in self.y) / len(self.y)
        spread = sum(float(((y[layer] - mean) ** 2).sum()) for y in self.y)
        return 1 - math.fsum(e[layer] for e in self.error) / spread

    def l0(self, layer: int) -> float:
        return sum(int(a[layer].sum()) for a in self.active) / len(self.active)

    def dead_share(self, layer: int) -> float:
        return float((~np.any([a[layer] for a in self.active], axis=0)).mean())


class _Other(nn.Module):
    def __init__(self, mlp: nn.Module, write: Write) -> None:
        super().__init__()
        self.mlp, self.write = mlp, write

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.mlp(x)
        new = y.clone()
        new[0, 1:] = self.write(x[0], y[0])[1:]  # the first position stays
        return new


def dense_features(coder, layer: int, x: torch.Tensor) -> torch.Tensor:
    """JumpReLU: (tokens, features)."""
    pre = (x * coder.input_scale[layer]) @ coder.encoder_weight[layer].T + coder.encoder_bias[layer]
    return torch.where(pre > coder.log_threshold[layer].exp(), pre, torch.zeros_like(pre))


def _output(coder, layer: int, features: list[torch.Tensor]) -> torch.Tensor:
    total = coder.decoder_bias[layer].expand(len(features[0]), -1).clone()
    for source in range(layer + 1):
        weight = coder.decoder_weights[source]
        if layer - source < weight.shape[1]:
            total = total + features[source] @ weight[:, layer - source]
    return total / coder.output_scale[layer]


def _run(model, row: torch.Tensor, writes: dict[int, Write]) -> torch.Tensor:
    """Log-probabilities, (tokens, vocabulary)."""
    blocks = model.model.layers
    own = [block.mlp for block in blocks]
    for layer, write in writes.items():
        blocks[layer].mlp = _Other(own[layer], write)
    try:
        return model(input_ids=row[None], use_cache=False).logits[0].log_softmax(-1)
    finally:
        for block, mlp in zip(blocks, own, strict=True):
            block.mlp = mlp


@torch.no_grad()
def means_of(model, rows: torch.Tensor) -> torch.Tensor:
    """What the MLPs add on average, first positions left out: (layers, d)."""
    n, seen = len(model.model.layers), {}

    def keep(layer: int) -> Write:
        return lambda x, y: seen.setdefault(layer, []).append(y[1:]) or y

    for row in rows:
        _run(model, row, {layer: keep(layer) for layer in range(n)})
    return torch.stack([torch.cat(seen[layer]).mean(0) for layer in range(n)])


@torch.no_grad()
def add_row(oracle: Oracle, model, coder, row: torch.Tensor, means: torch.Tensor) -> None:
    """Count one window; `means` are what mean ablation puts in."""
    n = len(model.model.layers)
    seen: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def keep(layer: int) -> Write:
        def write(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            seen[layer] = (x, y)
            return y

        return write

    own = _run(model, row, {layer: keep(layer) for layer in range(n)})
    features = [dense_features(coder, layer, seen[layer][0]) for layer in range(n)]
    guess = [_output(coder, layer, features) for layer in range(n)]
    for t in range(1, len(row)):
        y = torch.stack([seen[layer][1][t] for layer in range(n)])
        off = y - torch.stack([guess[layer][t] for layer in range(n)])
        oracle.y.append(y.numpy())
        oracle.error.append((off**2).sum(1).tolist())
        oracle.active.append(torch.stack([f[t] > 0 for f in features]).numpy())
    for t in range(1, len(row) - 1):
        oracle.ce_model.append(-float(own[t, row[t + 1]]))

    def cascade() -> dict[int, Write]:
        streamed: list[torch.Tensor] = []

        def write(layer: int) -> Write:
            def of(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
                streamed.append(dense_features(coder, layer, x))
                return _output(coder, layer, streamed)

            return of

        return {layer: write(layer) for layer in range(n)}

    for output in range(n + 1):
        layers = range(n) if output == n else [output]
        writes = {
            "replacement": cascade()
            if output == n
            else {output: lambda x, y, output=output: guess[output]},
            "zero": {layer: lambda x, y: torch.zeros_like(y) for layer in layers},
            "mean": {
                layer: lambda x, y, layer=layer: means[layer].expand_as(y) for layer in layers
            },
        }
        for name, write in writes.items():
            other = _run(model, row, write)
            for t in range(1, len(row) - 1):
                oracle.ce.setdefault((name, output), []).append(-float(other[t, row[t + 1]]))
                if name != "replacement":
                    continue
                terms = (
                    math.exp(p) * (p - q)
                    for p, q in zip(own[t].tolist(), other[t].tolist(), strict=True)
                )
                oracle.kl.setdefault(output, []).append(math.fsum(terms))
                same = int(own[t].argmax()) == int(other[t].argmax())
                oracle.top1.setdefault(output, []).append(same)
