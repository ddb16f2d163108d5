"""A model and its transcoder as attribution computes with them."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from ilo_fast.models.forward import working_device
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder


def check_traceable(model: Any, transcoder: Any) -> None:
    """Refuse what is neither, and a model that something else is changing."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a module, got {type(model).__name__}")
    if not isinstance(transcoder, CrossLayerTranscoder):
        raise TypeError(
            f"transcoder must be a CrossLayerTranscoder, got {type(transcoder).__name__}"
        )
    for module in model.modules():
        for hook in (*module._forward_pre_hooks.values(), *module._forward_hooks.values()):
            if str(getattr(hook, "__module__", "")).startswith("ilo_fast.transcoders."):
                raise ValueError(
                    "model is within a block of intervened() or of a ReplacementModel, or another "
                    "thread traces it: leave the block first, or give each thread its own model"
                )


def prepared(
    dtype: torch.dtype, model: nn.Module, transcoder: CrossLayerTranscoder
) -> tuple[nn.Module, CrossLayerTranscoder]:
    """Both in the type to compute in, in evaluation mode; copies where something changes."""
    weight = next(p for p in model.parameters() if p.is_floating_point())
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"dtype={dtype}: wanted torch.float32 or torch.float64")
    if weight.dtype != dtype or any(p.is_inference() for p in model.parameters()):
        model = copy.deepcopy(model).to(dtype)
    own = transcoder.encoder_weight
    device = working_device(model)
    moved = own.dtype != dtype or own.device != device
    if moved or transcoder.training or own.is_inference():
        transcoder = copy.deepcopy(transcoder).to(device, dtype).eval()
    return model, transcoder
