"""The parts of a model are found by structure, in every architecture."""

from __future__ import annotations

import pytest
import transformers as hf
from helpers.tiny_models import ARCHITECTURES, build
from torch import nn

from ilo_fast.models.structure import find_parts


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_parts_of_every_architecture_are_found(name):
    _, kind, has_norm = ARCHITECTURES[name]
    model = build(name)
    parts = find_parts(model)
    assert parts.kind == kind
    assert parts.n_blocks == 3
    assert len(parts.blocks) == (1 if name == "albert" else 3)
    assert (parts.final_norm is not None) == has_norm
    assert parts.embeddings is parts.backbone.get_input_embeddings()
    assert parts.head is None
    assert parts.dim == 32


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("llama", hf.AutoModelForCausalLM),
        ("gpt2", hf.AutoModelForCausalLM),
        ("opt", hf.AutoModelForCausalLM),
        ("bert", hf.AutoModelForMaskedLM),
        ("xlm_roberta", hf.AutoModelForSequenceClassification),
        ("t5", hf.AutoModelForSeq2SeqLM),
        ("mbart", hf.AutoModelForSeq2SeqLM),
    ],
)
def test_task_heads_and_wrappers_are_looked_through(name, task):
    model = task.from_config(ARCHITECTURES[name][0]())
    parts = find_parts(nn.ModuleDict({"wrapped": model})["wrapped"])
    inside = find_parts(_Wrapper(model))
    assert inside.blocks == parts.blocks
    assert parts.backbone is not model
    assert parts.n_blocks == 3
    if task is not hf.AutoModelForSequenceClassification:
        assert parts.head is model.get_output_embeddings()


class _Wrapper(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner


def test_experts_are_not_taken_for_layers():
    parts = find_parts(build("mixtral"))
    assert [type(block).__name__ for block in parts.blocks] == ["MixtralDecoderLayer"] * 3


def test_finding_parts_leaves_no_trace():
    model = build("llama").train()
    model.layers[1].eval()
    find_parts(model)
    assert model.training and not model.layers[1].training and model.layers[0].training
    for module in model.modules():
        # transformers keeps hooks of its own, with which it collects hidden states when asked for.
        ours = [*module._forward_pre_hooks.values(), *module._forward_hooks.values()]
        assert not any("ilo_fast" in (hook.__module__ or "") for hook in ours)


def test_model_without_a_list_of_layers_names_the_lists_seen():
    model = nn.Sequential(nn.Embedding(200, 8))
    with pytest.raises((ValueError, TypeError)):
        find_parts(model)


def test_prompt_learning_is_refused():
    model = _Wrapper(build("llama"))
    model.peft_config = {"default": type("Prompt", (), {"is_prompt_learning": True})()}
    with pytest.raises(ValueError, match="virtual tokens"):
        find_parts(model)
