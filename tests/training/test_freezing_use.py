"""freeze() with adapters and wrappers, in training, undone; and what it refuses."""

from __future__ import annotations

import gc
import json
import logging
import weakref

import numpy as np
import pytest
import torch
import transformers as hf
from helpers.freezing import (
    IDS,
    asked_layers,
    backward,
    block_number,
    every_name,
    expected,
    flags,
    lora,
    names_with_gradient,
    with_head,
)
from helpers.tiny_models import ARCHITECTURES, build
from torch import nn

from ilo_fast.training.freezing import Frozen, freeze

# peft asks transformers by a name that newer versions deprecate.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.filterwarnings("ignore:fan_in_fan_out", "ignore:The following .*_pattern keys")
def test_adapters_inside_frozen_blocks_are_frozen_with_them(name):
    model = lora(build(name))
    backward_model = model.get_base_model()
    backward(backward_model)
    free = names_with_gradient(model)
    adapters = {n for n, p in model.named_parameters() if p.requires_grad}
    freeze(model, asked_layers(name))
    prefix = "base_model.model."
    inside = {
        n for n in adapters if block_number(name, n.removeprefix(prefix)) in asked_layers(name)
    }
    outside_blocks = {n for n in adapters if "embedding_hidden_mapping" in n or "_project." in n}
    assert inside
    backward(backward_model)
    assert names_with_gradient(model) == free - inside - outside_blocks
    stays = {n for n, p in model.named_parameters() if p.requires_grad}
    assert stays == adapters - inside - outside_blocks


def test_modules_to_save_of_peft_stay_trainable():
    base = with_head("llama", "classifier")
    model = lora(base, target_modules=["q_proj"], modules_to_save=["score", "embed_tokens", "norm"])
    before = flags(model)
    frozen = freeze(model, [0])
    now = flags(model)
    assert now["base_model.model.score.modules_to_save.default.weight"]
    for part in ("embed_tokens", "norm"):
        name = f"base_model.model.model.{part}.modules_to_save.default.weight"
        assert before[name] and not now[name] and name in frozen.names
    assert now["base_model.model.model.layers.1.self_attn.q_proj.lora_A.default.weight"]
    assert not now["base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight"]
    frozen.undo()
    assert flags(model) == before

    model = lora(with_head("llama", "lm"), target_modules=["q_proj"], modules_to_save=["lm_head"])
    name = "base_model.model.lm_head.modules_to_save.default.weight"
    assert flags(model)[name]
    assert name in freeze(model, [0]).names and not flags(model)[name]


@pytest.mark.parametrize("wrapper", ["parallel", "compiled", "compiled in place"])
def test_wrapped_model_is_frozen_as_the_bare_one(wrapper):
    model = with_head("llama", "lm")
    wanted = expected(model, "llama", layers=[0, 1])
    if wrapper == "parallel":
        outer = nn.DataParallel(model)
    elif wrapper == "compiled":
        outer = torch.compile(model, backend="eager")
    else:
        model.compile(backend="eager")
        outer = model
    names = freeze(outer, [0, 1]).names
    assert {n.removeprefix("module.").removeprefix("_orig_mod.") for n in names} == wanted
    assert set(names) <= every_name(outer).keys()
    assert {n for n, p in every_name(model).items() if not p.requires_grad} == wanted


@pytest.mark.parametrize("name", ["llama", "bert", "t5"])
@pytest.mark.parametrize("reentrant", [False, True])
def test_gradient_checkpointing_trains_the_later_blocks(name, reentrant):
    model = with_head(name, "lm")
    freeze(model, [0, 1])
    backward(model)
    plain = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    # Newer versions of transformers deprecate the second name.
    enable = getattr(model, "activation_checkpointing_enable", None)
    (enable or model.gradient_checkpointing_enable)({"use_reentrant": reentrant})
    if reentrant:
        model.enable_input_require_grads()
    backward(model)
    assert names_with_gradient(model) >= plain.keys()
    for parameter_name, gradient in plain.items():
        torch.testing.assert_close(every_name(model)[parameter_name].grad, gradient)


def test_freezing_leaves_outputs_and_modes_as_they_were():
    model = with_head("bert", "classifier")
    backward(model)
    model.bert.encoder.layer[1].eval()
    modes = {n: m.training for n, m in model.named_modules()}
    gradients = {n: p.grad.clone() for n, p in model.named_parameters()}
    random = torch.get_rng_state()
    frozen = freeze(model, [0])
    assert {n: m.training for n, m in model.named_modules()} == modes
    assert torch.equal(torch.get_rng_state(), random)
    for module in model.modules():
        hooks = [*module._forward_pre_hooks.values(), *module._forward_hooks.values()]
        # transformers installs some for good where it is first asked for hidden states.
        assert all(hook.__module__.startswith("transformers.") for hook in hooks)
    for name, parameter in model.named_parameters():
        if name not in frozen.names:
            assert torch.equal(parameter.grad, gradients[name])


def test_model_that_keeps_what_its_first_pass_makes_can_be_trained():
    class Caching(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner, self.kept = inner, None

        def forward(self, *args, **options):
            if self.kept is None:
                self.kept = self.inner(*args, **options)
            return tuple(table[:, : args[0].shape[1]] for table in self.kept)

    model = build("llama")
    model.rotary_emb = Caching(model.rotary_emb)
    freeze(model, [0])
    backward(model)
    assert model.layers[2].mlp.up_proj.weight.grad is not None


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_freezing_works_without_gradients(context):
    model = build("bert")
    with context():
        assert set(freeze(model, [0]).names) == expected(model, "bert", layers=[0])


def test_freezing_works_in_autocast():
    model = with_head("llama", "lm")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        frozen = freeze(model, [0])
        model(input_ids=IDS).logits.sum().backward()
    assert not names_with_gradient(model) & set(frozen.names)


def test_undo_restores_partly_frozen_and_nested():
    model = with_head("llama", "lm")
    model.model.layers[0].mlp.up_proj.weight.requires_grad_(False)
    model.model.layers[2].mlp.up_proj.weight.requires_grad_(False)
    start = flags(model)
    with freeze(model, [0]) as outer:
        assert "model.layers.0.mlp.up_proj.weight" in outer.names
        middle = flags(model)
        with freeze(model, [0, 2], embeddings=False) as inner:
            assert middle != flags(model) != start
            assert inner.layers == (0, 2) and not inner.embeddings
        assert flags(model) == middle
    assert flags(model) == start
    model.requires_grad_(True)
    outer.undo()  # a second time: nothing
    assert all(flags(model).values())


def test_error_in_the_body_undoes_and_passes_on():
    model = build("llama")
    with pytest.raises(RuntimeError, match="mine"), freeze(model, [0]):
        raise RuntimeError("mine")
    assert all(flags(model).values())


def test_undone_result_keeps_no_model_alive():
    model = build("llama")
    frozen = freeze(model, [0])
    frozen.undo()
    parameter = weakref.ref(model.embed_tokens.weight)
    del model
    gc.collect()
    assert parameter() is None


def test_result_tells_its_parts_as_data_and_text():
    model = with_head("bert", "classifier")
    frozen = freeze(model, [1, 0])
    assert isinstance(frozen, Frozen)
    data = json.loads(json.dumps(frozen.to_dict()))
    assert data["names"] == list(frozen.names)
    order = list(every_name(model))
    assert data["names"] == sorted(data["names"], key=order.index)
    assert data["layers"] == [0, 1] and data["ties"] == []
    assert data["embeddings"] and not data["head"] and not data["final_norm"]
    total = sum(p.numel() for p in model.parameters())
    still = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert data["n_total"] == total and data["n_parameters"] == total - still
    assert data["share"] == pytest.approx((total - still) / total)
    text = repr(frozen)
    assert "\n" not in text and "layers 0, 1, embeddings:" in text and f"{total:,}" in text
    assert repr(freeze(model, (), False, False)).startswith("Frozen(nothing: 0 tensors, 0 of")


@pytest.mark.parametrize(
    ("layers", "chosen"),
    [
        (1, (1,)),
        (-1, (2,)),
        (np.int64(2), (2,)),
        ([2, 0, 2, -3], (0, 2)),
        ((i for i in (1, 2)), (1, 2)),
        (np.arange(2), (0, 1)),
        (torch.tensor([0, 2]), (0, 2)),
        ({1}, (1,)),
        (None, ()),
        ([], ()),
        (range(0), ()),
    ],
)
def test_layers_can_be_named_in_several_ways(layers, chosen):
    model = build("llama")
    frozen = freeze(model, layers, embeddings=False, head=False)
    assert frozen.layers == chosen
    assert set(frozen.names) == {n for n in every_name(model) if block_number("llama", n) in chosen}


@pytest.mark.parametrize(
    ("layers", "error", "says"),
    [
        (range(8), ValueError, r"asks for 3, 4, 5, 6, 7, but LlamaModel has 3 blocks: 0"),
        ("published", ValueError, r'layers="published" asks for 3, .* 8, but LlamaModel has 3 '),
        (-4, ValueError, r"asks for -4.*0 to 2, or -1 to -3 from"),
        ("first", ValueError, "'first'.*\"published\""),
        (True, TypeError, "True, wanted whole numbers"),
        ([0, np.True_], TypeError, "True.*wanted whole numbers"),
        (1.0, TypeError, "1.0, wanted whole numbers"),
        ([0, 1.5], TypeError, "1.5, wanted whole numbers"),
        ([0, "1"], TypeError, "'1', wanted whole numbers"),
        (torch.tensor([0.0]), TypeError, "wanted whole numbers"),
    ],
)
def test_layers_that_cannot_be_are_refused(layers, error, says):
    model = build("llama")
    with pytest.raises(error, match=says):
        freeze(model, layers)
    assert all(flags(model).values())


def test_default_of_eight_layers_is_refused_by_a_shorter_model():
    with pytest.raises(ValueError, match=r"has 3 blocks: 0 to 2.*layers=range\(1\)"):
        freeze(build("bert"))


def test_part_of_the_runs_of_one_block_is_refused():
    model = build("albert")
    with pytest.raises(ValueError, match=r"leaves out 2.*runs one block as layers 0, 1, 2"):
        freeze(model, [0, 1])
    assert all(flags(model).values())
    assert freeze(model, None).layers == ()


def test_nothing_left_to_train_is_a_warning(caplog):
    freeze(with_head("llama", "lm"), range(3))
    assert "nothing is left to train" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        freeze(with_head("llama", "classifier"), range(3))
    assert caplog.text == ""


def test_weights_on_the_meta_device_are_refused():
    with torch.device("meta"):
        model = hf.LlamaModel(ARCHITECTURES["llama"][0]())
    with pytest.raises(ValueError, match=r"29 parameters on the meta device \(embed_tokens"):
        freeze(model, [0])
    with pytest.raises(TypeError, match="model is str"):
        freeze("gpt2", [0])
