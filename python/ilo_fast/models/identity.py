"""What identifies a model by content (weights, configuration), and what its numbers depend on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

# What representations and trained weights depend on, besides the model.
NUMERIC_PACKAGES = ("torch", "transformers", "tokenizers", "numpy")

# Configuration entries that say where a model came from and not what it computes.
_PROVENANCE = ("_name_or_path", "transformers_version", "_commit_hash")


def hash_state(module: nn.Module, *, computed: bool = True) -> str:
    """SHA-256 over names, types, shapes and bytes of all parameters and buffers.

    Parameters
    ----------
    computed
        Also buffers that are computed and not saved (rotary tables), whose last bits depend on the
        machine. False: what is to be recognised elsewhere.

    Raises
    ------
    ValueError
        Weights that are not in memory (a meta device).
    """
    sha = hashlib.sha256()
    state: Mapping[str, Any] = {
        **module.state_dict(),
        **(dict(module.named_buffers(remove_duplicate=False)) if computed else {}),
    }
    for name in sorted(state):
        value = state[name]
        if not isinstance(value, torch.Tensor):
            sha.update(f"{name}={value!r};".encode())
            continue
        if value.is_meta:
            raise ValueError(
                f"weight {name} is on the meta device: its values are not in memory. Load the "
                "model without device_map='meta' or init_empty_weights()"
            )
        sha.update(f"{name}:{value.dtype}:{tuple(value.shape)};".encode())
        flat = value.detach().contiguous().reshape(-1).cpu()
        sha.update(np.ascontiguousarray(flat.view(torch.uint8).numpy()).data)
    return sha.hexdigest()


def config_content(config: Any) -> Any:
    """What a configuration says about the computation, JSON-able."""
    if config is None or not hasattr(config, "to_dict"):
        return repr(config)
    return without_provenance(config.to_dict())


def without_provenance(value: Any) -> Any:
    """A configuration's entries except those that say where it came from."""
    if isinstance(value, Mapping):
        return {str(k): without_provenance(v) for k, v in value.items() if k not in _PROVENANCE}
    return value
