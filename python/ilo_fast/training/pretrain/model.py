"""The model that :func:`~ilo_fast.pretrain` starts from, and how its weights move."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, LlamaConfig

from ilo_fast._util.checks import whole_number
from ilo_fast.models.structure import find_parts
from ilo_fast.training.options import TrainingOptions


def llama_sizes(
    hidden_size: int,
    num_hidden_layers: int,
    num_attention_heads: int | None,
    num_key_value_heads: int | None,
    intermediate_size: int | None,
    max_length: int,
) -> dict[str, Any]:
    """Arguments of ``LlamaConfig``; None is a head of 32 dimensions, and 8/3 of `hidden_size`.

    Raises
    ------
    ValueError
        Sizes that do not fit each other.
    """
    whole_number("hidden_size", hidden_size)
    whole_number("num_hidden_layers", num_hidden_layers)
    given = {
        "num_attention_heads": num_attention_heads,
        "num_key_value_heads": num_key_value_heads,
        "intermediate_size": intermediate_size,
    }
    for name, value in given.items():
        if value is not None:
            whole_number(name, value)
    heads = num_attention_heads or max(1, hidden_size // 32)
    pairs = num_key_value_heads or heads
    if hidden_size % heads or (hidden_size // heads) % 2:
        raise ValueError(
            f"hidden_size={hidden_size} does not give {heads} heads of an even number of "
            "dimensions: change hidden_size or num_attention_heads"
        )
    if heads % pairs:
        raise ValueError(f"num_key_value_heads={pairs} does not divide num_attention_heads={heads}")
    return {
        "hidden_size": hidden_size,
        "num_hidden_layers": num_hidden_layers,
        "num_attention_heads": heads,
        "num_key_value_heads": pairs,
        "intermediate_size": intermediate_size or -(-hidden_size * 8 // 3 // 32) * 32,
        "max_position_embeddings": max_length,
    }


def build_model(config: Any, sizes: dict[str, Any], tokenizer: Any, seed: int) -> tuple[Any, int]:
    """A model with random weights that depend on the seed alone, and how many blocks it has.

    Raises
    ------
    ValueError
        One that sees the tokens it is to predict: its loss would fall, and it would learn nothing.
    """
    config = LlamaConfig(**sizes, tie_word_embeddings=True) if config is None else config
    config = copy.deepcopy(config)
    config.vocab_size = len(tokenizer)
    for name in ("pad_token_id", "bos_token_id", "eos_token_id"):
        setattr(config, name, getattr(tokenizer, name))
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    parts = find_parts(model)
    if parts.kind != "decoder":
        raise ValueError(
            f"{type(model).__name__} is no causal language model ({parts.kind}): it sees what it "
            "is to predict, so it cannot learn to continue text. Choose a decoder, or where the "
            "architecture can be one, set is_decoder=True in its configuration"
        )
    return model, parts.n_blocks


def default_optimizer(
    model: nn.Module, options: TrainingOptions, betas: tuple[float, float]
) -> torch.optim.Optimizer:
    """AdamW; matrices decay, but embeddings, norms and biases do not."""
    # Tables of positions or types, too, and an output projection that is tied to one.
    tables = {module.weight for module in model.modules() if isinstance(module, nn.Embedding)}
    tables.add(model.get_input_embeddings().weight)  # type: ignore[operator]
    trained = [p for p in model.parameters() if p.requires_grad]
    decaying = [p for p in trained if p.dim() > 1 and p not in tables]
    others = [p for p in trained if p.dim() <= 1 or p in tables]
    groups = [
        {"params": decaying, "weight_decay": options.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=options.learning_rate,
        betas=betas,
        fused=True,
    )


def optimizer_and_schedule(
    optimizer: torch.optim.Optimizer, options: TrainingOptions, decay_share: float
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
    """The optimizer, and a schedule for it: the rate rises, stays, and falls linearly to zero."""
    total = options.max_steps or 0
    warmup, decay = max(1, options.warmup(total)), max(1.0, decay_share * total)

    def share(step: int) -> float:
        return min(1.0, (step + 1) / warmup, (total - step) / decay)

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, share)
