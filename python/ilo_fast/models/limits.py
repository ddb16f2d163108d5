"""How many tokens a model takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

# The names that configurations have for it; LED's encoder and Whisper's text side have their own.
_NAMES = (
    "max_position_embeddings",
    "max_seq_len",
    "max_encoder_position_embeddings",
    "max_target_positions",
)

# Rotary positions whose frequencies are those for the longest row of a batch.
_BY_LONGEST = ("longrope", "dynamic")

# Tokenizers without a limit of their own name a huge number instead.
_NO_LIMIT = 10**6


def position_limit(backbone: nn.Module, config: Any) -> int | None:
    """Number of positions that the model can tell apart; None for no limit (T5, BLOOM)."""
    text_config = config.get_text_config() if hasattr(config, "get_text_config") else config
    for name in _NAMES:
        value = getattr(text_config, name, None)
        if isinstance(value, int) and value > 0:
            return value - _reserved_positions(backbone, value)
    return None


def depends_on_longest(config: Any) -> bool:
    """Whether rows of one batch see other positions beside a longer one.

    Of such a model a prompt has to go with others of its length, to be what it is alone.
    """
    text_config = config.get_text_config() if hasattr(config, "get_text_config") else config
    waiting = [getattr(text_config, name, None) for name in ("rope_parameters", "rope_scaling")]
    while waiting:  # some have one for each kind of layer
        found = waiting.pop()
        if isinstance(found, Mapping):
            if found.get("rope_type", found.get("type")) in _BY_LONGEST:
                return True
            waiting += found.values()
    return False


def length_limit(tokenizer: Any, position_limit: int | None, max_length: int | None) -> int | None:
    """Tokens kept per sentence, special ones included; None for no limit.

    Parameters
    ----------
    position_limit
        What the model allows.
    max_length
        What the caller asks for.

    Raises
    ------
    ValueError
        `max_length` is more than the model allows, or leaves no room for text.
    """
    own = getattr(tokenizer, "model_max_length", None)
    known = [int(n) for n in (own, position_limit) if n is not None and 0 < n < _NO_LIMIT]
    if max_length is None:
        return min(known, default=None)
    if position_limit is not None and max_length > position_limit:
        raise ValueError(
            f"max_length={max_length} is more than the model's {position_limit} positions: pass at "
            f"most {position_limit}"
        )
    count = getattr(tokenizer, "num_special_tokens_to_add", None)
    added = count() if callable(count) else 0
    if max_length <= added:
        raise ValueError(
            f"max_length={max_length} leaves no room for text: this tokenizer adds {added} special "
            f"tokens to each sentence, so pass at least {added + 1}"
        )
    return max_length


def _reserved_positions(backbone: nn.Module, rows: int) -> int:
    """RoBERTa counts from its padding index on: the rows up to it are never used."""
    for name, module in backbone.named_modules():
        weight, padding = getattr(module, "weight", None), getattr(module, "padding_idx", None)
        if (
            "position" in name.rsplit(".", 1)[-1]
            and isinstance(weight, torch.Tensor)
            and isinstance(padding, int)
            and weight.shape[0] == rows
        ):
            return padding + 1
    return 0
