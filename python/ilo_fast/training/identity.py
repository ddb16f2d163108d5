"""What tells tokenizers and configurations apart, besides their names."""

from __future__ import annotations

import json
from typing import Any

from ilo_fast._util.hashing import digest
from ilo_fast.models.identity import without_provenance

# What a tokenizer's last call left behind.
_STATE = ("truncation", "padding")
_SPECIAL = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
_SETTINGS = ("model_max_length", "padding_side", "truncation_side")


def tokenizer_hash(tokenizer: Any) -> str:
    """SHA-256 over all that decides about the ids of a text."""
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    if hasattr(backend, "to_str"):
        content = json.loads(backend.to_str())
        content = {name: value for name, value in content.items() if name not in _STATE}
    else:  # one in Python: its code is known by its name alone
        content = {
            "class": f"{type(tokenizer).__module__}.{type(tokenizer).__qualname__}",
            "vocabulary": tokenizer.get_vocab() if hasattr(tokenizer, "get_vocab") else None,
        }
    special = {name: getattr(tokenizer, f"{name}_token_id", None) for name in _SPECIAL}
    settings = {name: getattr(tokenizer, name, None) for name in _SETTINGS}
    return digest([content, special, settings])


def config_hash(config: Any) -> str:
    """SHA-256 over a configuration, without its provenance and what is at its default."""
    if not hasattr(config, "to_diff_dict"):
        return digest(repr(config))
    return digest(without_provenance(config.to_diff_dict()))
