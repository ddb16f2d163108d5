"""The model (plain transformers Llama), its start values, and the two forward passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from transformers import LlamaConfig, LlamaForCausalLM


def build(
    word_vectors: NDArray[np.float32],
    language_share: NDArray[np.float32],
    log_frequency: NDArray[np.float32],
    *,
    hidden_size: int,
    num_hidden_layers: int,
    num_attention_heads: int,
    num_key_value_heads: int,
    intermediate_size: int,
    max_length: int,
    meaning_norm: float,
    language_norm: float,
    seed: int,
) -> LlamaForCausalLM:
    """A Llama whose embedding rows start as (meaning, language), and its blocks as identity.

    word_vectors: (vocab_size, d) with d < hidden_size: what a token means.
    language_share: (vocab_size, languages): whose text it occurs in; each language gets a
    random direction in the other hidden_size - d columns, and some noise tells tokens apart.
    log_frequency: (vocab_size,) natural logarithms, kept in the last column: a Llama head has no
    bias, so this is what lets the language model begin near token frequencies.
    The block outputs start at zero, so that at the first step every layer holds the
    embeddings, and not noise on top of them.  The rows are long (entries near 1) because one
    step of Adam moves a block's output by about as much.
    """
    torch.manual_seed(seed)
    vocab_size = len(word_vectors)
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        intermediate_size=intermediate_size,
        num_hidden_layers=num_hidden_layers,
        num_attention_heads=num_attention_heads,
        num_key_value_heads=num_key_value_heads,
        max_position_embeddings=max_length,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        attn_implementation="sdpa",
    )
    model = LlamaForCausalLM(config)
    vectors = torch.from_numpy(word_vectors)
    d = vectors.shape[1]
    scale = meaning_norm / float(vectors.norm(dim=1).median())
    with torch.no_grad():
        table = model.model.embed_tokens.weight
        table[:, :d] = vectors * scale
        share = torch.from_numpy(language_share)
        width = hidden_size - d - 1
        directions = torch.linalg.qr(torch.randn(width, share.shape[1]))[0].T
        noise = 0.25 * torch.randn(vocab_size, width) / width**0.5
        table[:, d:-1] = language_norm * (share @ directions + noise)
        frequency = torch.from_numpy(log_frequency)
        table[:, -1] = 2.0 * (frequency - frequency.mean()) / frequency.std()
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
            for name in ("q_proj", "k_proj", "v_proj"):
                getattr(layer.self_attn, name).weight.normal_(0, hidden_size**-0.5)
            for name in ("gate_proj", "up_proj"):
                getattr(layer.mlp, name).weight.normal_(0, hidden_size**-0.5)
        # With identity blocks a token predicts itself; a small last norm makes that a soft start.
        model.model.norm.weight.fill_(0.03)
        model.model.norm.weight[-1] = 0.2
    return model


def pad(
    sequences: list[NDArray[np.int32]], device: torch.device, bos: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """<s> before each sequence, zeros after; and the lengths, <s> counted."""
    lengths = torch.tensor([len(s) + 1 for s in sequences])
    ids = torch.zeros(len(sequences), int(lengths.max()), dtype=torch.long)
    ids[:, 0] = bos
    for row, sequence in zip(ids, sequences, strict=True):
        row[1 : len(sequence) + 1] = torch.from_numpy(sequence)
    return ids.to(device), lengths.to(device)


def _run(model: Any, ids: torch.Tensor, n_layers: int) -> list[torch.Tensor]:
    """hidden_states[0..n_layers] (without the final norm), for right-padded rows.

    No mask: attention is causal and padding comes last, so no real token sees it.
    """
    core = model.model
    states = [core.embed_tokens(ids)]
    position = torch.arange(ids.shape[1], device=ids.device)[None, :]
    rotary = core.rotary_emb(states[0], position)
    for layer in core.layers[:n_layers]:
        states.append(layer(states[-1], position_embeddings=rotary, position_ids=position))
    return states


def sentence_means(
    model: Any, sequences: list[NDArray[np.int32]], layers: tuple[int, ...], chunks: int
) -> dict[int, torch.Tensor]:
    """layer -> (n, dim): mean over tokens of hidden_states[layer], in chunks of like length."""
    order = np.argsort([len(s) for s in sequences], kind="stable")
    back = torch.from_numpy(np.argsort(order, kind="stable"))
    parts: dict[int, list[torch.Tensor]] = {layer: [] for layer in layers}
    for chosen in np.array_split(order, chunks):
        ids, lengths = pad([sequences[i] for i in chosen], model.device)
        place = torch.arange(ids.shape[1], device=ids.device)[None, :]
        weight = (place < lengths[:, None]).float()
        weight = (weight / lengths[:, None]).unsqueeze(1)  # (n, 1, width)
        states = _run(model, ids, max(layers))
        for layer in layers:
            parts[layer].append((weight @ states[layer]).squeeze(1))
    return {layer: torch.cat(rows)[back] for layer, rows in parts.items()}


def language_model_loss(
    model: Any, sequences: list[NDArray[np.int32]], chunks: int, eos: int = 2
) -> torch.Tensor:
    """Mean cross-entropy of the next token, </s> at the end included (nats per token)."""
    order = np.argsort([len(s) for s in sequences], kind="stable")
    total = torch.zeros((), device=model.device)
    count = 0
    for chosen in np.array_split(order, chunks):
        rows = [np.append(sequences[i], np.int32(eos)) for i in chosen]
        ids, lengths = pad(rows, model.device)
        hidden = _run(model, ids, len(model.model.layers))[-1]
        place = torch.arange(ids.shape[1] - 1, device=ids.device)[None, :]
        real = place < (lengths - 1)[:, None]
        logits = model.lm_head(model.model.norm(hidden[:, :-1][real]))
        total = total + F.cross_entropy(logits, ids[:, 1:][real], reduction="sum")
        count += int(real.sum())
    return total / count
