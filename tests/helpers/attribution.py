"""Small random models with transcoders of their scale, for attribution graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import transformers
from tests.helpers.clt_models import random_transcoder
from torch import nn

from ilo_fast.transcoders.attribution.data import KINDS, GraphData, Sources, Target
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


def random_graph(
    seed: int, *, n_layers: int = 3, n_tokens: int = 4, per_cell: int = 3, n_targets: int = 2,
    n_features: int = 50, positions: bool = True,
) -> GraphData:  # fmt: skip
    """Random numbers where a graph may have some; rows do add up."""
    random = np.random.default_rng(seed)
    entries: list[tuple[str, int, int, int]] = []
    for layer in range(n_layers):
        for position in range(1, n_tokens):
            features = np.sort(random.choice(n_features, per_cell, replace=False))
            entries += [("feature", layer, position, int(f)) for f in features]
    n = len(entries)
    entries += [("error", at, p, -1) for p in range(n_tokens) for at in range(n_layers)]
    entries += [("token", -1, p, -1) for p in range(n_tokens)]
    if positions:
        entries += [("position", -1, p, -1) for p in range(n_tokens)]
    entries += [("bias", at, -1, -1) for at in range(n_layers + 1)]
    kind = np.array([KINDS.index(e[0]) for e in entries], np.int8)  # type: ignore[arg-type]
    layer, position, feature = (np.array([e[at] for e in entries], np.int32) for at in (1, 2, 3))
    rows = n + n_targets
    adjacency = random.normal(size=(rows, len(entries))) * random.random((rows, 1))
    row_layer = np.concatenate([layer[:n], np.full(n_targets, n_layers)])
    row_position = np.concatenate([position[:n], np.full(n_targets, n_tokens - 1)])
    own = np.isin(kind, [KINDS.index("feature"), KINDS.index("error")])
    earlier = np.where(own, layer[None] < row_layer[:, None], layer[None] <= row_layer[:, None])
    adjacency *= earlier & (position[None] <= row_position[:, None])
    chances = random.dirichlet(np.ones(n_targets))
    return GraphData(
        prompt="one two",
        tokens=tuple(f" t{p}" for p in range(n_tokens)),
        token_ids=np.arange(n_tokens) + 3,
        sources=Sources(kind, layer, position, feature, random.random(len(entries))),
        targets=tuple(Target(f" out{t}", t + 7, float(c)) for t, c in enumerate(chances)),
        adjacency=adjacency,
        values=adjacency.sum(1),
        info={"n_layers": n_layers, "n_features": n_features, "skip_positions": 1,
              "cross_layer": True, "model": "random", "architecture": "Random",
              "weights_sha256": None, "active_features": n, "dtype": "float64"},
    )  # fmt: skip
