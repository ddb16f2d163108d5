"""LoRA through peft: adapters on the linear layers of the blocks that are not frozen."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Set
from typing import Any

import numpy as np
import torch
from torch import nn

from ilo_fast._util.checks import whole_number
from ilo_fast._util.optional import require
from ilo_fast.models.structure import ModelParts
from ilo_fast.training.finetune.data import CLASSIFICATION
from ilo_fast.training.finetune.heads import Trainee

# What finetune() settles itself.
_TAKEN = ("task_type", "layers_to_transform", "layers_pattern", "modules_to_save", "inference_mode")


def lora_settings(lora: int | Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The keywords of ``peft.LoraConfig`` that `lora` stands for, JSON-able.

    A rank r alone means ``lora_alpha=2 * r`` and no dropout.

    Raises
    ------
    TypeError, ValueError
        No rank, a rank below 1, or a keyword that is settled elsewhere or unknown.
    ImportError
        peft is not installed.
    """
    if lora is None:
        return None
    require("peft", "lora")
    from peft import LoraConfig

    given = lora if isinstance(lora, Mapping) else {"r": lora}
    chosen = {name: _plain(name, value) for name, value in given.items()}
    rank = whole_number("lora: r", chosen.get("r"))
    taken = [name for name in _TAKEN if name in chosen]
    if taken:
        raise ValueError(f"lora: {', '.join(taken)} cannot be given; freeze= chooses the layers")
    unknown = [name for name in chosen if name not in LoraConfig.__dataclass_fields__]
    if unknown:
        raise ValueError(f"lora: peft.LoraConfig has no {', '.join(unknown)}")
    return {"lora_alpha": 2 * rank, "lora_dropout": 0.0, **chosen}


def add_lora(
    trainee: Trainee, settings: Mapping[str, Any], frozen_layers: Collection[int], task: str
) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Wrap the model with adapters; the rest of it is frozen, but for a classifier's head.

    Modules are named in full, found by structure: peft's ``layers_to_transform`` goes by the names
    that some architectures give to their lists of layers.

    Parameters
    ----------
    frozen_layers
        Layer runs that get no adapter.

    Returns
    -------
    model, adapted, frozen
        The wrapped model; what was adapted and what is left as it was, both for the run metadata.

    Raises
    ------
    ValueError
        No linear layer is left to adapt.
    """
    from peft import LoraConfig, get_peft_model

    parts, model = trainee.parts, trainee.model
    frozen = {parts.schedule[run] for run in frozen_layers}
    wanted = settings.get("target_modules")
    names = [
        name
        for name in _linear_layers(
            model, [b for i, b in enumerate(parts.blocks) if i not in frozen]
        )
        if _is_wanted(name, wanted)
    ]
    if not names:
        raise ValueError(
            "lora: no linear layer is left to adapt: freeze= freezes "
            f"{len(frozen)} of {len(parts.blocks)} blocks, target_modules={wanted or 'all linear'}"
        )
    heads = _task_heads(trainee) if task == CLASSIFICATION else []
    config = LoraConfig(
        # GPT-2 keeps its linear layers the other way round.
        fan_in_fan_out=not any(isinstance(model.get_submodule(n), nn.Linear) for n in names),
        task_type="SEQ_CLS" if task == CLASSIFICATION else "CAUSAL_LM",
        modules_to_save=heads or None,
        **{**settings, "target_modules": names},
    )
    targets = {model.get_submodule(name) for name in names}
    adapted = {
        **settings,
        "layers": [
            run
            for run, block in enumerate(parts.schedule)
            if targets.intersection(parts.blocks[block].modules())
        ],
        "target_modules": sorted({name.rpartition(".")[2] for name in names}),
        "n_modules": len(names),
        "heads": heads,
    }
    wrapped = get_peft_model(model, config)
    return wrapped, adapted, _untrained(wrapped, parts)


def _untrained(wrapped: nn.Module, parts: ModelParts) -> dict[str, Any]:
    """What gets no gradient, by what peft has made of the parameters."""

    def is_frozen(module: nn.Module | None) -> bool:
        own = [] if module is None else list(module.parameters())
        return bool(own) and not any(parameter.requires_grad for parameter in own)

    n_total = sum(p.numel() for p in wrapped.parameters())
    n_parameters = sum(p.numel() for p in wrapped.parameters() if not p.requires_grad)
    return {
        "layers": [
            run for run, block in enumerate(parts.schedule) if is_frozen(parts.blocks[block])
        ],
        "embeddings": is_frozen(parts.embeddings),
        "final_norm": is_frozen(parts.final_norm),
        "head": is_frozen(parts.head),
        "n_parameters": n_parameters,
        "n_total": n_total,
        "share": n_parameters / n_total,
        "ties": [],
    }


def _task_heads(trainee: Trainee) -> list[str]:
    """Full names of what only the task has: modules beside the base model, or not pretrained."""
    model = trainee.model
    base = getattr(model, "base_model", model)
    found = [
        name
        for name, child in model.named_children()
        if child is not base and next(child.parameters(), None) is not None
    ]
    inside = [name for name in trainee.new_weights if name.split(".")[0] not in found]
    return found + inside


def _linear_layers(model: nn.Module, blocks: list[nn.Module]) -> list[str]:
    """Full names of the linear layers inside the blocks."""
    from transformers.pytorch_utils import Conv1D

    inside = {module for block in blocks for module in block.modules()}
    return [
        name
        for name, module in model.named_modules()
        if module in inside and isinstance(module, (torch.nn.Linear, Conv1D))
    ]


def _is_wanted(name: str, wanted: Any) -> bool:
    if wanted is None or wanted == "all-linear":
        return True
    suffixes = [wanted] if isinstance(wanted, str) else list(wanted)
    return any(name == suffix or name.endswith(f".{suffix}") for suffix in suffixes)


def _plain(name: str, value: Any) -> Any:
    """The same as JSON can hold it, for the run metadata."""
    if isinstance(value, np.generic):
        return value.item()
    try:
        return json.loads(json.dumps(sorted(value) if isinstance(value, Set) else value))
    except TypeError:
        raise TypeError(
            f"lora: {name}={value!r}: wanted numbers, strings, and lists or mappings of them"
        ) from None
