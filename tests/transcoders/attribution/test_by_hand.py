"""Every edge of a GPT-2's graph, from dense formulas: one source at a time, forwards.

It has all that there is: learned positions, biases everywhere, tied embeddings. What is held comes
from the formulas, too, and nothing of the library is used but the graph.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from helpers.attribution import random_model, scaled_transcoder
from numpy.typing import NDArray

from ilo_fast.transcoders.activations import JumpReLU
from ilo_fast.transcoders.attribution.attribute import attribution_graph
from ilo_fast.transcoders.attribution.data import KINDS

LAYERS, HEADS, DIM, IDS = 3, 2, 16, [5, 40, 17, 33, 8, 21]
TOKENS = len(IDS)
SETTINGS = {"vocab_size": 64, "n_embd": DIM, "n_layer": LAYERS, "n_head": HEADS,
            "n_positions": 32, "bos_token_id": 1, "eos_token_id": 2}  # fmt: skip

Array = NDArray[np.float64]


@dataclass
class Put:
    """What is put into the local model, in one place or several; constants with `of_block`."""

    stream: Array = field(default_factory=lambda: np.zeros((TOKENS, DIM)))
    added: dict[int, Array] = field(default_factory=dict)  # by an MLP
    of_block: int | None = None  # LAYERS: of the last norm


class ByHand:
    def __init__(self, model: Any) -> None:
        self.w = {name: value.numpy() for name, value in model.state_dict().items()}
        self.held: dict[Any, Array] = {}
        self.reads: list[Array] = []
        self.writes: list[Array] = []
        h = self["wte.weight"][IDS] + self["wpe.weight"][:TOKENS]
        for layer in range(LAYERS):
            h = h + self.attention(layer, h, constants=True)
            self.reads.append(self.norm(f"h.{layer}.ln_2", h, constants=True))
            z = self.linear(f"h.{layer}.mlp.c_fc", self.reads[-1], constants=True)
            z = 0.5 * z * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))
            self.writes.append(self.linear(f"h.{layer}.mlp.c_proj", z, constants=True))
            h = h + self.writes[-1]
        self.final = self.norm("ln_f", h, constants=True)[-1]

    def __getitem__(self, name: str) -> Array:
        return self.w[f"transformer.{name}"]

    def linear(self, name: str, x: Array, constants: bool) -> Array:
        return x @ self[f"{name}.weight"] + constants * self[f"{name}.bias"]

    def norm(self, name: str, x: Array, constants: bool) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        scale = self.held.setdefault(name, 1 / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5))
        return centred * scale * self[f"{name}.weight"] + constants * self[f"{name}.bias"]

    def attention(self, layer: int, h: Array, constants: bool) -> Array:
        normed = self.norm(f"h.{layer}.ln_1", h, constants)
        qkv = self.linear(f"h.{layer}.attn.c_attn", normed, constants)
        q, k, v = qkv.reshape(TOKENS, 3, HEADS, -1).transpose(1, 2, 0, 3)
        if layer not in self.held:
            scores = q @ k.transpose(0, 2, 1) / math.sqrt(DIM // HEADS)
            scores[:, np.triu(np.ones((TOKENS, TOKENS), bool), 1)] = -np.inf
            weights = np.exp(scores - scores.max(-1, keepdims=True))
            self.held[layer] = weights / weights.sum(-1, keepdims=True)
        mixed = (self.held[layer] @ v).transpose(1, 0, 2).reshape(TOKENS, DIM)
        return self.linear(f"h.{layer}.attn.c_proj", mixed, constants)

    def local(self, put: Put) -> tuple[list[Array], Array]:
        """What MLPs read and what the head reads, of what is put in alone."""
        h, reads = put.stream, []
        for layer in range(LAYERS):
            own = put.of_block == layer
            h = h + self.attention(layer, h, own)
            reads.append(self.norm(f"h.{layer}.ln_2", h, own))
            h = h + put.added.get(layer, 0.0)
        return reads, self.norm("ln_f", h, put.of_block == LAYERS)[-1]


@pytest.mark.parametrize(("cross_layer", "skip", "most"), [(True, 1, 8192), (False, 0, 8192),
                                                          (True, 2, 60)])  # fmt: skip
def test_every_edge(cross_layer: bool, skip: int, most: int) -> None:
    model = random_model("GPT2", SETTINGS)
    coder = scaled_transcoder(model, cross_layer=cross_layer)
    assert isinstance(coder.activation, JumpReLU)
    graph = attribution_graph(model, coder, IDS, skip_positions=skip, max_features=most)
    hand = ByHand(model)
    with torch.no_grad():
        logits = model(torch.tensor([IDS])).logits[0, -1].numpy()
    unembedding = hand["wte.weight"]
    np.testing.assert_allclose(unembedding @ hand.final, logits, rtol=1e-9, atol=1e-12)

    encoder = (coder.encoder_weight * coder.input_scale[:, None, None]).numpy()
    bias, least = coder.encoder_bias.numpy(), coder.log_threshold.exp().numpy()
    decoders, scale = [w.numpy() for w in coder.decoder_weights], coder.output_scale.numpy()
    of_decoder = coder.decoder_bias.numpy() / scale[:, None]
    pre = np.stack([x @ encoder[at].T + bias[at] for at, x in enumerate(hand.reads)], axis=1)
    active = np.where(pre > least, pre, 0.0)  # (tokens, layers, features)
    active[:skip] = 0

    def written(layer: int, position: int, activations: Array) -> dict[int, Array]:
        found = {}
        for at in range(decoders[layer].shape[1]):
            added = np.zeros((TOKENS, DIM))
            added[position] = activations @ decoders[layer][:, at] / scale[layer + at]
            found[layer + at] = added
        return found

    errors = np.stack(hand.writes, axis=1)
    errors[skip:] -= of_decoder
    for layer in range(LAYERS):
        for position in range(TOKENS):
            for to, added in written(layer, position, active[position, layer]).items():
                errors[:, to] -= added

    sources, n = graph.sources, graph.n_features
    assert n == (active > 0).sum() or n <= most < (active > 0).sum()
    rows = list(zip(sources.layer[:n], sources.position[:n], sources.feature[:n], strict=True))
    left = active.copy()
    for layer, position, feature in rows:
        left[position, layer, feature] = 0

    def put(at: int) -> Put:
        layer, position = int(sources.layer[at]), int(sources.position[at])
        kind = KINDS[sources.kind[at]]
        found = Put()
        if kind == "feature":
            alone = np.zeros(coder.n_features)
            alone[sources.feature[at]] = active[position, layer, sources.feature[at]]
            found.added = written(layer, position, alone)
        elif kind == "rest":
            found.added = written(layer, position, left[position, layer])
        elif kind == "error":
            found.added = {layer: np.zeros((TOKENS, DIM))}
            found.added[layer][position] = errors[position, layer]
        elif kind == "token":
            found.stream[position] = hand["wte.weight"][IDS[position]]
        elif kind == "position":
            found.stream[position] = hand["wpe.weight"][position]
        else:
            found.of_block = layer
            if layer < LAYERS:
                found.added = {layer: np.repeat(of_decoder[None, layer], TOKENS, axis=0)}
                found.added[layer][:skip] = 0
        return found

    targets = [target.token_id for target in graph.targets]
    values = [pre[position, layer, feature] for layer, position, feature in rows]
    values += (logits[targets] - logits.mean()).tolist()
    np.testing.assert_allclose(graph.values, values, rtol=1e-9)
    wanted = np.zeros_like(graph.adjacency)
    for at in range(len(sources)):
        reads, final = hand.local(one := put(at))
        effects = unembedding @ final
        column = [reads[layer][position] @ encoder[layer, f] for layer, position, f in rows]
        if one.of_block is not None:
            own = [bias[layer, f] if layer == one.of_block else 0.0 for layer, _, f in rows]
            column = [a + b for a, b in zip(column, own, strict=True)]
        wanted[:, at] = [*column, *(effects[targets] - effects.mean())]
    size = np.abs(graph.values).max()
    np.testing.assert_allclose(graph.adjacency, wanted, rtol=1e-9, atol=1e-11 * size)
    assert {KINDS[kind] for kind in sources.kind} >= {"feature", "error", "token", "position",
                                                      "bias"}  # fmt: skip
    assert sources.of_kind("rest").any() == (most < 8192)
