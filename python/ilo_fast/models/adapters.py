"""PEFT adapters from a folder, on top of their base model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ilo_fast._util.messages import listed

# The heads that adapters are trained with; their names in an adapter's file begin with them.
_AUTO_CLASSES = {
    "CAUSAL_LM": "AutoModelForCausalLM",
    "SEQ_2_SEQ_LM": "AutoModelForSeq2SeqLM",
    "SEQ_CLS": "AutoModelForSequenceClassification",
    "TOKEN_CLS": "AutoModelForTokenClassification",
    "QUESTION_ANS": "AutoModelForQuestionAnswering",
}


def adapted_class(adapter: Path) -> Any:
    """The class on which an adapter was trained: it decides how the adapter's weights are named."""
    import transformers
    from peft import PeftConfig

    settings = PeftConfig.from_pretrained(str(adapter))
    mapping = getattr(settings, "auto_mapping", None) or {}
    module = sys.modules.get(str(mapping.get("parent_library")))
    named = getattr(module or transformers, str(mapping.get("base_model_class")), None)
    if named is not None:
        return named
    kind = getattr(settings.task_type, "value", settings.task_type)
    return getattr(transformers, _AUTO_CLASSES.get(str(kind), "AutoModel"))


def load_adapter(model: nn.Module, adapter: Path, name: str) -> nn.Module:
    """The model with the adapter.

    Raises
    ------
    ValueError
        The adapter's weights are not those that the model has places for.
    """
    from peft import PeftModel, get_peft_model_state_dict
    from peft.utils import load_peft_weights

    stored: dict[str, torch.Tensor] = load_peft_weights(str(adapter), device="cpu")
    wrapped: nn.Module = PeftModel.from_pretrained(model, str(adapter))
    wanted: dict[str, torch.Tensor] = get_peft_model_state_dict(wrapped)
    other = sorted(stored.keys() ^ wanted.keys())
    if other:
        raise ValueError(
            f"the adapter of {name!r} does not fit {type(model).__name__}: one of the two lacks "
            f"{listed(other)}. Load the model with its adapter yourself, and pass the module"
        )
    return wrapped
