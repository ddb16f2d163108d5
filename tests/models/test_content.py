"""All that values depend on is in a module's content, or there is none."""

from __future__ import annotations

import functools
import types
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from helpers.tiny_models import ARCHITECTURES, build
from torch import nn
from torch.nn.utils import parametrize
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.llama import modeling_llama as llama

from ilo_fast.models import content
from ilo_fast.models.content import UnknownContentError, code_content, module_content
from ilo_fast.models.structure import find_parts

KINDS = ("llama", "gpt2", "bert", "t5", "longformer", "falcon")


@pytest.mark.parametrize("name", KINDS)
def test_content_of_an_equal_model_is_equal(name):
    assert name in ARCHITECTURES
    model = build(name)
    find_parts(model)  # a forward pass changes nothing
    assert module_content(model) == module_content(build(name, seed=1))


def steps(block: Any) -> dict[str, Any]:
    """Changes of plain attributes and configurations that a forward pass reads."""
    attention, norm = block.self_attn, block.input_layernorm
    return {
        "epsilon": lambda: setattr(norm, "variance_epsilon", 0.5),
        "scaling": lambda: setattr(attention, "scaling", 3.0),
        "groups": lambda: setattr(attention, "num_key_value_groups", 2),
        "new": lambda: setattr(block.mlp, "strength", [1, {"a": (2.0, None)}]),
        "attention": lambda: setattr(attention.config, "_attn_implementation", "eager"),
        "activation": lambda: setattr(block.mlp, "act_fn", nn.ReLU()),
        "function": lambda: block.mlp.__dict__.update(gate=torch.relu),
        "partial": lambda: setattr(block.mlp, "gate", functools.partial(torch.clamp, min=1)),
        "tensor": lambda: setattr(block.mlp, "shift", torch.ones(2)),
        "library method": lambda: setattr(block.mlp, "forward", norm.forward),
        "skipped": lambda: setattr(block, "self_attn", nn.Identity()),
    }


@pytest.mark.parametrize("change", sorted(steps(build("llama").layers[0])))
def test_content_changes_with_every_attribute(change):
    model = build("llama")
    before = module_content(model)
    steps(model.layers[1])[change]()
    after = module_content(model)
    assert before != after == module_content(model)


class Doubled(nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight * FACTOR


FACTOR = 2


def test_content_of_a_class_of_yours_follows_its_globals(monkeypatch):
    model = build("llama")
    before = module_content(model)
    parametrize.register_parametrization(model.layers[0].mlp.up_proj, "weight", Doubled())
    doubled = module_content(model)
    monkeypatch.setitem(Doubled.forward.__globals__, "FACTOR", 3)
    assert len({before, doubled, module_content(model)}) == 3


def _wrapped(function: Any) -> Any:
    @functools.wraps(function)
    def steered(*args: Any) -> Any:
        return function(*args) * 2

    return steered


@pytest.mark.parametrize(
    "change",
    [
        lambda mlp, patch: patch.setattr(mlp, "forward", lambda x: x * 0),
        lambda mlp, patch: patch.setattr(mlp, "forward", _wrapped(mlp.forward)),
        lambda mlp, patch: patch.setattr(mlp, "forward", torch.no_grad()(_wrapped(mlp.forward))),
        lambda mlp, patch: patch.setattr(llama.LlamaMLP, "forward", lambda self, x: x),
        lambda mlp, patch: patch.setattr(
            llama.LlamaMLP, "forward", _wrapped(llama.LlamaMLP.forward)
        ),
        lambda mlp, patch: patch.setattr(llama, "rotate_half", lambda x: x),
        lambda mlp, patch: patch.setattr(nn.functional, "silu", lambda x, inplace=False: x),
        lambda mlp, patch: patch.setattr(nn.Linear, "forward", lambda self, x: x),
        lambda mlp, patch: patch.setattr(mlp, "hidden", [nn.Linear(2, 2)], raising=False),
        lambda mlp, patch: patch.setattr(mlp, "gate", lambda x: x, raising=False),
        lambda mlp, patch: patch.setitem(
            ALL_ATTENTION_FUNCTIONS._global_mapping, "sdpa", lambda *a, **k: None
        ),
        lambda mlp, patch: mlp.register_forward_pre_hook(lambda *_: None),
    ],
)
def test_content_with_code_of_yours_is_unknown(monkeypatch, change):
    model = build("llama")
    change(model.layers[1].mlp, monkeypatch)
    with pytest.raises(UnknownContentError, match=r"yours|outside"):
        module_content(model)


@pytest.mark.parametrize(("folder", "known"), [("site-packages", True), ("elsewhere", False)])
def test_code_beside_an_installed_library_is_known(tmp_path, monkeypatch, folder, known):
    # As of a venv that sees the packages of another one.
    monkeypatch.setattr(peft, "__file__", str(tmp_path / folder / "peft" / "__init__.py"))
    caches = (content._installed_folders, content._is_installed)
    for cache in caches:
        cache.cache_clear()
    helper = types.FunctionType(
        nn.functional.silu.__code__.replace(
            co_filename=str(Path(peft.__file__).parents[1] / "other" / "a.py")
        ),
        nn.functional.silu.__globals__,
    )
    model = build("llama")
    monkeypatch.setattr(model.layers[0].mlp, "gate", helper, raising=False)
    try:
        if known:
            assert module_content(model)
        else:
            with pytest.raises(UnknownContentError, match="a function of yours"):
                module_content(model)
    finally:
        for cache in caches:
            cache.cache_clear()


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of transformers, about a name that peft uses
def test_content_tells_states_of_adapters_apart():
    config = peft.LoraConfig(target_modules=["q_proj"], r=2, init_lora_weights=False)
    model = peft.get_peft_model(build("llama"), config, adapter_name="first")
    model.add_adapter("second", config)
    inner = model.base_model.model
    model.set_adapter("first")
    found = [module_content(inner)]
    model.set_adapter("second")
    found.append(module_content(inner))
    with model.disable_adapter():
        found.append(module_content(inner))
    for layer in model.modules():
        if hasattr(layer, "set_scale"):
            layer.set_scale("second", 8.0)
    found.append(module_content(inner))
    assert len(set(found)) == 4
    model.set_adapter("first")
    model.merge_adapter()
    assert module_content(inner) not in found


def test_code_of_a_replaced_class_is_unknown(monkeypatch):
    before = code_content(llama.LlamaModel)
    monkeypatch.setattr(llama.LlamaRMSNorm, "forward", lambda self, x: x)
    with pytest.raises(UnknownContentError, match="forward of LlamaRMSNorm"):
        code_content(llama.LlamaModel)
    monkeypatch.undo()
    assert code_content(llama.LlamaModel) == before
