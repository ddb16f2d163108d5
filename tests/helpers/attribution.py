"""Small random models with transcoders of their scale, for attribution graphs."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from helpers.clt_models import random_transcoder
from torch import nn

from ilo_fast.transcoders.replacement import ReplacementModel
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder


def random_model(
    name: str, settings: dict[str, Any], seed: int = 0, dtype: torch.dtype = torch.float64
) -> nn.Module:
    """Of a family; its biases and norms are random, too, where a fresh model has zeros and ones."""
    torch.manual_seed(seed)
    config = {"Gemma3": "Gemma3Text"}.get(name, name) + "Config"
    kind = next(n for n in ("ForCausalLM", "LMHeadModel") if hasattr(transformers, name + n))
    model = getattr(transformers, name + kind)(getattr(transformers, config)(**settings))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    found: nn.Module = model.to(dtype).eval()
    return found


def scaled_transcoder(
    model: nn.Module, seed: int = 0, *, cross_layer: bool = True, n_features: int = 40
) -> CrossLayerTranscoder:
    """A random one in whose units the model's vectors have their usual length."""
    config = model.config
    n_layers, dim = config.num_hidden_layers, config.hidden_size
    coder = random_transcoder(
        seed, n_layers=n_layers, hidden_size=dim, n_features=n_features, cross_layer=cross_layer
    )
    dtype = next(model.parameters()).dtype
    ids = torch.randint(3, config.vocab_size, (2, 12), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        reading = ReplacementModel(model, coder.to(dtype)).read(ids)
        coder.encoder_weight.mul_(coder.input_scale[:, None, None])
        for scale, vectors in ((coder.input_scale, reading.x), (coder.output_scale, reading.y)):
            scale.copy_(dim**0.5 / vectors[:, 1:].norm(dim=-1).mean((0, 1)))
    return coder.to(dtype).requires_grad_(False)
