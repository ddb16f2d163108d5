"""A small Llama whose MLPs are a transcoder, run by hand: dense formulas, loops over features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from helpers.clt_models import clt_model
from torch import nn
from transformers import LlamaForCausalLM

from ilo_fast.transcoders.activations import BatchTopK, JumpReLU, TopK
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

Change = Callable[[int, int, torch.Tensor], torch.Tensor]  # row, layer, (tokens, features)


def exact_clt_model(transcoder: CrossLayerTranscoder, seed: int) -> LlamaForCausalLM:
    """`clt_model` with norms and turns that compute in float64, weights that attention feels."""
    model = clt_model(transcoder, seed)
    random = torch.Generator().manual_seed(seed)
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child).__name__ == "LlamaRMSNorm":
                norm = nn.RMSNorm(transcoder.hidden_size, eps=1e-6, dtype=torch.float64)
                setattr(parent, name, norm)
    model.model.rotary_emb = _Turns(transcoder.hidden_size // 2)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "self_attn" in name or "embed" in name or "lm_head" in name:
                noise = torch.randn(value.shape, generator=random, dtype=torch.float64)
                value.copy_(noise * (1.0 if "embed" in name else 0.5))
    return model


class _Turns(nn.Module):
    """Rotary positions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.speeds = 1e4 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)

    def forward(self, x: torch.Tensor, position_ids: torch.Tensor) -> Any:
        angles = position_ids[..., None] * self.speeds
        angles = torch.cat([angles, angles], -1)
        return angles.cos(), angles.sin()


def dense_activations(
    transcoder: CrossLayerTranscoder, layer: int, x: torch.Tensor
) -> torch.Tensor:
    """(tokens, features) of x (tokens, d)."""
    pre = x * transcoder.input_scale[layer] @ transcoder.encoder_weight[layer].T
    pre = pre + transcoder.encoder_bias[layer]
    kind = transcoder.activation
    if isinstance(kind, TopK):
        least = torch.cat([pre, torch.zeros_like(pre)], -1).topk(kind.k + 1).values[..., -1:]
    elif isinstance(kind, JumpReLU):
        least = transcoder.log_threshold[layer].exp()
    else:
        assert isinstance(kind, BatchTopK)
        least = transcoder.threshold[layer]
    return torch.where(pre > least, pre, 0.0)


@torch.no_grad()
def run_by_hand(
    model: LlamaForCausalLM,
    transcoder: CrossLayerTranscoder,
    rows: Sequence[Sequence[int]],
    change: Change | None = None,
    patterns: Sequence[Sequence[torch.Tensor]] | None = None,
) -> tuple[list[torch.Tensor], list[list[torch.Tensor]], list[list[torch.Tensor]]]:
    """Logits of every row (tokens, vocabulary); attention by row and layer; activations likewise.

    Features write what `change` makes of their activations; `patterns`: attention is given.
    """
    logits, seen, active = [], [], []
    for row, ids in enumerate(rows):
        given = None if patterns is None else patterns[row]
        found = _run_row(model, transcoder, row, torch.tensor(ids), change, given)
        for into, value in zip((logits, seen, active), found, strict=True):
            into.append(value)
    return logits, seen, active


def _run_row(
    model: Any,
    transcoder: CrossLayerTranscoder,
    row: int,
    ids: torch.Tensor,
    change: Change | None,
    given: Sequence[torch.Tensor] | None,
) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
    n = len(ids)
    h = model.model.embed_tokens(ids)
    cos, sin = model.model.rotary_emb(h[None], torch.arange(n)[None])
    waiting = [transcoder.decoder_bias[k] / transcoder.output_scale[k] for k in range(3)]
    patterns, active = [], []
    for layer, block in enumerate(model.model.layers):
        normed = block.input_layernorm(h)
        attention = block.self_attn
        q, k, v = (
            getattr(attention, f"{p}_proj")(normed).view(n, 2, -1).transpose(0, 1) for p in "qkv"
        )
        q, k = _rotated(q, cos, sin), _rotated(k, cos, sin)
        scores = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5
        scores = scores.masked_fill(torch.ones(n, n).triu(1).bool(), -torch.inf)
        pattern = scores.softmax(-1) if given is None else given[layer]
        patterns.append(pattern)
        h = h + attention.o_proj((pattern @ v).transpose(0, 1).flatten(1))
        a = dense_activations(transcoder, layer, block.post_attention_layernorm(h))
        active.append(a)
        a = a if change is None else change(row, layer, a.clone())
        for at in range(transcoder.decoder_weights[layer].shape[1]):
            to = layer + at
            written = a @ transcoder.decoder_weights[layer][:, at] / transcoder.output_scale[to]
            waiting[to] = waiting[to] + written
        h = h + waiting[layer]
    return model.lm_head(model.model.norm(h)), patterns, active


def _rotated(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    half = x.shape[-1] // 2
    turned = torch.cat([-x[..., half:], x[..., :half]], -1)
    return x * cos + turned * sin
