"""The model that :func:`~ilo_fast.pretrain` starts from."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from ilo_fast.models.identity import hash_state
from ilo_fast.models.structure import find_parts


def llama_sizes(
    hidden_size: int,
    layers: int,
    heads: int | None,
    kv_heads: int | None,
    mlp_size: int | None,
    max_length: int,
) -> dict[str, Any]:
    """Arguments of ``LlamaConfig``; None is a head of 32 dimensions, and 8/3 of `hidden_size`.

    Raises
    ------
    ValueError
        Sizes that do not fit each other.
    """
    for name, value in (("hidden_size", hidden_size), ("layers", layers)):
        if value < 1:
            raise ValueError(f"{name}={value}: at least 1 is needed")
    heads = heads or max(1, hidden_size // 32)
    kv_heads = kv_heads or heads
    if hidden_size % heads or (hidden_size // heads) % 2:
        raise ValueError(
            f"hidden_size={hidden_size} does not give {heads} heads of an even number of "
            "dimensions: change hidden_size or heads"
        )
    if heads % kv_heads:
        raise ValueError(f"kv_heads={kv_heads} does not divide heads={heads}")
    return {
        "hidden_size": hidden_size,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "intermediate_size": mlp_size or -(-hidden_size * 8 // 3 // 32) * 32,
        "max_position_embeddings": max_length,
    }


def model_identity(model: Any, config: Any, sizes: Mapping[str, Any]) -> dict[str, Any]:
    """What tells two starting points apart, JSON-able; besides the seed."""
    if model is not None:
        return {"class": type(model).__name__, "weights_sha256": hash_state(model)}
    if config is not None:
        settings = {k: v for k, v in config.to_diff_dict().items() if k != "transformers_version"}
        return {"class": type(config).__name__, **json.loads(json.dumps(settings, default=str))}
    return {"class": "LlamaConfig", **sizes}


def build_model(config: Any, sizes: Mapping[str, Any], tokenizer: Any, seed: int) -> Any:
    """A model with random weights that depend on the seed alone."""
    if config is None:
        config = LlamaConfig(**sizes, tie_word_embeddings=True)
    config = copy.deepcopy(config)
    config.vocab_size = len(tokenizer)
    for name in ("pad_token_id", "bos_token_id", "eos_token_id"):
        setattr(config, name, getattr(tokenizer, name))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]


def check_causal(model: Any) -> None:
    """Refuse a model that sees the tokens it is to predict: its loss falls, and it learns nothing.

    Raises
    ------
    ValueError
    """
    kind = find_parts(model).kind
    if kind != "decoder":
        raise ValueError(
            f"{type(model).__name__} is no causal language model ({kind}): it sees what it is to "
            "predict, so it cannot learn to continue text. Choose a decoder, or where the "
            "architecture can be one, set is_decoder=True in its configuration"
        )


def check_fit(model: Any, tokenizer: Any, context: int) -> None:
    """Refuse a model without room for all tokens, or for the positions of a row.

    Raises
    ------
    ValueError
    """
    rows = model.get_input_embeddings().weight.shape[0]
    if rows < len(tokenizer):
        raise ValueError(
            f"model has {rows} embeddings, and the tokenizer has {len(tokenizer)} tokens: pass the "
            "model's own tokenizer="
        )
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions is not None and positions < context:
        raise ValueError(f"context={context}, but the model takes {positions} positions")
