"""freeze() freezes what was asked for on every architecture, by a table of names, and no more."""

from __future__ import annotations

import copy

import pytest
import torch
import transformers as hf
from helpers.freezing import (
    CASES,
    IDS,
    OUTSIDE,
    asked_layers,
    backward,
    every_name,
    expected,
    flags,
    names_with_gradient,
    with_head,
)
from helpers.tiny_models import ARCHITECTURES, build

from ilo_fast.models.structure import find_parts
from ilo_fast.training.freezing import freeze

# peft asks transformers by a name that newer versions deprecate.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")


@pytest.mark.parametrize(("name", "task"), CASES)
def test_frozen_parameters_get_no_gradient_in_any_architecture(name, task):
    model = with_head(name, task)
    backward(model)
    free = names_with_gradient(model)
    wanted = expected(model, name, layers=asked_layers(name))

    frozen = freeze(model, asked_layers(name))
    assert set(frozen.names) == wanted
    assert not names_with_gradient(model) & wanted  # what was there before is dropped
    backward(model)
    assert names_with_gradient(model) == free - wanted
    trained = {n for n in free - wanted if every_name(model)[n].grad.abs().max() > 0}

    start = {n: p.detach().clone() for n, p in every_name(model).items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    for _ in range(2):
        backward(model)
        optimizer.step()
    end = every_name(model)
    assert all(torch.equal(start[n], end[n]) for n in wanted)
    assert not any(torch.equal(start[n], end[n]) for n in trained)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_hidden_states_of_frozen_layers_cannot_change(name, caplog):
    model = build(name)
    backbone = find_parts(model).backbone

    def states():
        with torch.no_grad():
            return backbone(input_ids=IDS, output_hidden_states=True).hidden_states[:3]

    freeze(model, asked_layers(name), head=False)
    before = states()  # after freezing: torch may round otherwise where a weight has no gradient
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape))
    same = [torch.equal(a, b) for a, b in zip(before, states(), strict=True)]
    if name == "deberta_v2":  # its relative positions are every block's
        assert same == [True, False, False]
        assert "also use encoder.rel_embeddings.weight" in caplog.text
    else:
        assert same == [True, True, True]
        assert "also use" not in caplog.text


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("part", ["embeddings", "head", "one layer", "none"])
def test_each_part_alone_is_frozen_alone(name, part):
    model = with_head(name, "lm")
    layers = {"one layer": range(3) if name == "albert" else [1]}.get(part, ())
    options = {"embeddings": part == "embeddings", "head": part == "head"}
    frozen = freeze(model, layers, **options)
    assert set(frozen.names) == expected(model, name, layers=layers, **options)
    assert frozen.layers == tuple(layers)
    assert frozen.embeddings == options["embeddings"]
    assert frozen.head == options["head"]
    assert frozen.final_norm == (options["head"] and bool(OUTSIDE[name][1]))
    stays = {n for n, p in every_name(model).items() if p.requires_grad}
    assert stays == every_name(model).keys() - set(frozen.names)


def test_published_preset_is_the_published_loop():
    config = hf.LlamaConfig(
        vocab_size=160, hidden_size=16, intermediate_size=16, num_hidden_layers=12,
        num_attention_heads=2, bos_token_id=0, pad_token_id=1, eos_token_id=2,
    )  # fmt: skip
    ours = hf.LlamaForCausalLM(config)
    theirs = copy.deepcopy(ours)
    n_first = 8
    frozen = [theirs.model.layers[i] for i in range(n_first + 1)]
    frozen += [theirs.model.embed_tokens, theirs.model.norm, theirs.lm_head]
    for module in frozen:
        for parameter in module.parameters():
            parameter.requires_grad = False
    result = freeze(ours, "published")
    assert flags(ours) == flags(theirs)
    assert result.layers == tuple(range(9))
    result.undo()
    assert freeze(ours).layers == tuple(range(8))
    assert flags(ours)["model.layers.8.mlp.up_proj.weight"]


def test_final_projection_of_opt_belongs_to_the_head():
    model = with_head("opt", "lm", word_embed_proj_dim=16)
    names = {n for n in every_name(model) if "project_" in n}
    assert names == {"model.decoder.project_in.weight", "model.decoder.project_out.weight"}
    assert names & set(freeze(model, None, head=False).names) == {"model.decoder.project_in.weight"}
    model = with_head("opt", "lm", word_embed_proj_dim=16)
    only_head = freeze(model, None, embeddings=False)
    assert names & set(only_head.names) == {"model.decoder.project_out.weight"}


@pytest.mark.parametrize("name", ["bart", "mbart"])
def test_decoder_of_an_encoder_decoder_as_a_language_model(name):
    model = hf.AutoModelForCausalLM.from_config(ARCHITECTURES[name][0]())
    frozen = freeze(model, [0], embeddings=False, head=False)
    assert set(frozen.names) == {n for n in every_name(model) if "decoder.layers.0." in n}


def test_relative_positions_are_frozen_with_the_last_of_their_blocks(caplog):
    model = build("deberta_v2")
    assert "encoder.rel_embeddings.weight" in freeze(model, range(3)).names
    assert "also use" not in caplog.text
    freeze(build("t5"), [1])
    assert "relative_attention_bias" in caplog.text
    caplog.clear()
    frozen = freeze(build("t5"), [0, 1])
    assert any("relative_attention_bias" in name for name in frozen.names)
    assert "relative_attention_bias" not in caplog.text


@pytest.mark.parametrize("only", ["embeddings", "head"])
def test_tied_weights_are_frozen_together_with_a_warning(only, caplog):
    model = with_head("gpt2", "lm")
    both = ("transformer.wte.weight", "lm_head.weight")
    frozen = freeze(model, None, embeddings=only == "embeddings", head=only == "head")
    assert frozen.ties == (both,)
    assert not model.lm_head.weight.requires_grad
    asked, other = both if only == "embeddings" else both[::-1]
    assert f"freezing {asked} has also frozen {other}" in caplog.text
    # One tensor: counted once.
    tensors = {every_name(model)[name] for name in frozen.names}
    assert frozen.n_tensors == len(tensors) == len(frozen.names) - 1
    assert frozen.n_parameters == sum(t.numel() for t in tensors)
    assert frozen.n_total == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", ["gpt2", "gemma", "bert", "xlm_roberta", "albert", "llama"])
def test_ties_that_were_asked_for_are_no_warning(name, caplog):
    freeze(with_head(name, "lm"), asked_layers(name))
    assert caplog.text == ""


def test_untied_head_is_left_when_only_the_embeddings_are_asked_for():
    model = with_head("gpt2", "lm", tie_word_embeddings=False)
    assert freeze(model, None, head=False).ties == ()
    assert model.lm_head.weight.requires_grad


def test_decoder_of_an_encoder_decoder_is_frozen_by_ties_only(caplog):
    model = with_head("mbart", "lm")
    names = freeze(model, range(3)).names
    decoder = {name for name in names if ".decoder." in name}
    assert decoder == {"model.decoder.embed_tokens.weight"}
    assert "has also frozen model.shared.weight, model.decoder.embed_tokens.weight" in caplog.text
