"""freeze() freezes what was asked for on every architecture, no more, and undoes it.

The oracle is a table of names, written by hand from the models' definitions; freeze() knows none.
"""

from __future__ import annotations

import copy
import gc
import json
import logging
import re
import weakref

import numpy as np
import pytest
import torch
import transformers as hf
from helpers.tiny_models import ARCHITECTURES, build
from torch import nn

from ilo_fast.models.structure import find_parts
from ilo_fast.training.freezing import Frozen, freeze

# peft asks transformers by a name that newer versions deprecate.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")

LAYER_NORM = ("weight", "bias")
BERT_LIKE = (
    {
        "embeddings.word_embeddings.weight",
        "embeddings.position_embeddings.weight",
        "embeddings.token_type_embeddings.weight",
        "embeddings.LayerNorm.weight",
        "embeddings.LayerNorm.bias",
    },
    set(),
)
LLAMA_LIKE = ({"embed_tokens.weight"}, {"norm.weight"})
T5_LIKE = ({"encoder.embed_tokens.weight"}, {"encoder.final_layer_norm.weight"})
ENCODER_NORM = {"encoder.layer_norm.weight", "encoder.layer_norm.bias"}
BART_EMBEDDINGS = {
    "encoder.embed_tokens.weight",
    "encoder.embed_positions.weight",
    "encoder.layernorm_embedding.weight",
    "encoder.layernorm_embedding.bias",
}
LN_F = {"ln_f.weight", "ln_f.bias"}

# Architecture -> (embeddings, final norm), as named in the headless model.
OUTSIDE: dict[str, tuple[set[str], set[str]]] = {
    **dict.fromkeys(
        ["llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "mistral", "mixtral"], LLAMA_LIKE
    ),
    **dict.fromkeys(["bert", "xlm_roberta", "longformer"], BERT_LIKE),
    **dict.fromkeys(["t5", "mt5"], T5_LIKE),
    "phi": ({"embed_tokens.weight"}, {f"final_layernorm.{p}" for p in LAYER_NORM}),
    "gpt_neox": ({"embed_in.weight"}, {f"final_layer_norm.{p}" for p in LAYER_NORM}),
    "gpt2": ({"wte.weight", "wpe.weight"}, LN_F),
    "bloom": (
        {"word_embeddings.weight"} | {f"word_embeddings_layernorm.{p}" for p in LAYER_NORM},
        LN_F,
    ),
    "mpt": ({"wte.weight"}, {"norm_f.weight"}),
    "falcon": ({"word_embeddings.weight"}, LN_F),
    "opt": (
        {"decoder.embed_tokens.weight", "decoder.embed_positions.weight"},
        {f"decoder.final_layer_norm.{p}" for p in LAYER_NORM},
    ),
    "electra": (BERT_LIKE[0] | {f"embeddings_project.{p}" for p in LAYER_NORM}, set()),
    "albert": (
        BERT_LIKE[0] | {f"encoder.embedding_hidden_mapping_in.{p}" for p in LAYER_NORM},
        set(),
    ),
    "deberta_v2": (BERT_LIKE[0] - {"embeddings.token_type_embeddings.weight"}, set()),
    "modernbert": (
        {"embeddings.tok_embeddings.weight", "embeddings.norm.weight"},
        {"final_norm.weight"},
    ),
    "distilbert": (BERT_LIKE[0] - {"embeddings.token_type_embeddings.weight"}, set()),
    "bart": (BART_EMBEDDINGS, set()),
    "mbart": (BART_EMBEDDINGS, ENCODER_NORM),
    "m2m_100": ({"encoder.embed_tokens.weight"}, ENCODER_NORM),
}

LM_HEADS = {
    "decoder": hf.AutoModelForCausalLM,
    "encoder": hf.AutoModelForMaskedLM,
    "encoder-decoder": hf.AutoModelForSeq2SeqLM,
}
TASKS = ("backbone", "lm", "classifier")
CASES = [
    (name, task)
    for name in ARCHITECTURES
    for task in TASKS
    if (name, task) != ("m2m_100", "classifier")  # transformers has none
]

# The last token is </s>, by which BART and T5 classify.
IDS = torch.tensor([[5, 6, 7, 8, 9, 2], [12, 11, 10, 9, 8, 2]])


def with_head(name, task, **changes):
    config = ARCHITECTURES[name][0]()
    for key, value in changes.items():
        setattr(config, key, value)
    if config.is_encoder_decoder:
        config.decoder_start_token_id = 2  # T5's configuration has none
    if task == "backbone":
        return build(name)
    torch.manual_seed(0)
    if task == "lm":
        return LM_HEADS[ARCHITECTURES[name][1]].from_config(config)
    return hf.AutoModelForSequenceClassification.from_config(config)


def asked_layers(name):
    return range(3) if name == "albert" else (0, 1)


def every_name(model):
    return dict(model.named_parameters(remove_duplicate=False))


def with_ties(model, names):
    """All names of the tensors that `names` name."""
    parameters = every_name(model)
    assert names <= parameters.keys()
    tensors = {parameters[name] for name in names}
    return {name for name, parameter in parameters.items() if parameter in tensors}


def block_number(name, relative):
    if name == "albert":
        return 0 if "albert_layer_groups" in relative else None
    if ARCHITECTURES[name][1] == "encoder-decoder" and not relative.startswith("encoder."):
        return None
    found = re.search(r"(?:^|\.)(?:layers?|h|blocks?)\.(\d+)\.", relative)
    return None if found is None else int(found.group(1))


def expected(model, name, *, layers, embeddings=True, head=True):
    """The names that freezing must freeze, from the table."""
    prefix = f"{model.base_model_prefix}." if hasattr(model, model.base_model_prefix) else ""
    names = set()
    for full in every_name(model):
        relative = full.removeprefix(prefix)
        if full.startswith(prefix) and block_number(name, relative) in layers:
            names.add(full)
    before, after = OUTSIDE[name]
    names |= {prefix + n for n in before} if embeddings else set()
    names |= {prefix + n for n in after} if head else set()
    projection = model.get_output_embeddings()
    if head and projection is not None:
        own = set(projection.parameters())
        names |= {n for n, p in every_name(model).items() if p in own}
    if name == "deberta_v2" and 0 in layers:  # runs between the first block and the second
        names |= {n for n in every_name(model) if ".conv." in n}
    return with_ties(model, names)


def forward(model):
    """All that the model returns (a pooled state is not the last hidden state's business)."""
    options = {}
    if model.config.is_encoder_decoder and "ForSequence" not in type(model).__name__:
        options["decoder_input_ids"] = IDS
    output = model(input_ids=IDS, **options).to_tuple()
    return [value for value in output if isinstance(value, torch.Tensor)]


def backward(model):
    """Gradients of a loss that weighs every output differently."""
    model.train()
    model.zero_grad(set_to_none=True)
    torch.manual_seed(1)
    sum((output * torch.randn(output.shape)).sum() for output in forward(model)).backward()


def names_with_gradient(model):
    return {name for name, p in every_name(model).items() if p.grad is not None}


def flags(model):
    return {name: p.requires_grad for name, p in model.named_parameters()}


# ---- what is frozen ------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "task"), CASES)
def test_gradients_and_steps_of_every_architecture(name, task):
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
def test_each_part_alone(name, part):
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


# ---- ties ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("only", ["embeddings", "head"])
def test_ties_freeze_both_and_say_so(only, caplog):
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
def test_no_warning_when_both_were_asked_for_or_nothing_is_tied(name, caplog):
    freeze(with_head(name, "lm"), asked_layers(name))
    assert caplog.text == ""


def test_untied_head_is_left_when_only_the_embeddings_are_asked_for():
    model = with_head("gpt2", "lm", tie_word_embeddings=False)
    assert freeze(model, None, head=False).ties == ()
    assert model.lm_head.weight.requires_grad


def test_the_decoder_is_frozen_by_ties_only(caplog):
    model = with_head("mbart", "lm")
    names = freeze(model, range(3)).names
    decoder = {name for name in names if ".decoder." in name}
    assert decoder == {"model.decoder.embed_tokens.weight"}
    assert "has also frozen model.shared.weight, model.decoder.embed_tokens.weight" in caplog.text


# ---- wrappers ------------------------------------------------------------------------------------


def lora(model, **options):
    peft = pytest.importorskip("peft")
    options = {"r": 2, "target_modules": "all-linear"} | options
    return peft.get_peft_model(model, peft.LoraConfig(**options))


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


def test_modules_to_save():
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
def test_wrappers_are_looked_through(wrapper):
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


# ---- leaving no trace ----------------------------------------------------------------------------


def test_model_is_left_as_it_was():
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
        assert not module._forward_pre_hooks and not module._forward_hooks
    for name, parameter in model.named_parameters():
        if name not in frozen.names:
            assert torch.equal(parameter.grad, gradients[name])


def test_a_model_that_keeps_what_its_first_pass_makes_can_be_trained():
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
def test_inside_a_context_without_gradients(context):
    model = build("bert")
    with context():
        assert set(freeze(model, [0]).names) == expected(model, "bert", layers=[0])


def test_inside_autocast():
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


def test_an_error_in_the_body_undoes_and_passes_on():
    model = build("llama")
    with pytest.raises(RuntimeError, match="mine"), freeze(model, [0]):
        raise RuntimeError("mine")
    assert all(flags(model).values())


def test_an_undone_result_keeps_no_model_alive():
    model = build("llama")
    frozen = freeze(model, [0])
    frozen.undo()
    parameter = weakref.ref(model.embed_tokens.weight)
    del model
    gc.collect()
    assert parameter() is None


# ---- the result ----------------------------------------------------------------------------------


def test_result_as_data_and_text():
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
def test_ways_to_name_layers(layers, chosen):
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
def test_layers_that_cannot_be(layers, error, says):
    model = build("llama")
    with pytest.raises(error, match=says):
        freeze(model, layers)
    assert all(flags(model).values())


def test_the_default_asks_for_eight_and_says_how_many_there_are():
    with pytest.raises(ValueError, match=r"has 3 blocks: 0 to 2.*layers=range\(1\)"):
        freeze(build("bert"))


def test_part_of_the_runs_of_one_block_is_refused():
    model = build("albert")
    with pytest.raises(ValueError, match=r"leaves out 2.*runs one block as layers 0, 1, 2"):
        freeze(model, [0, 1])
    assert all(flags(model).values())
    assert freeze(model, None).layers == ()


def test_nothing_left_to_train_is_said(caplog):
    freeze(with_head("llama", "lm"), range(3))
    assert "nothing is left to train" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        freeze(with_head("llama", "classifier"), range(3))
    assert caplog.text == ""


def test_weights_that_are_not_there():
    with torch.device("meta"):
        model = hf.LlamaModel(ARCHITECTURES["llama"][0]())
    with pytest.raises(ValueError, match=r"29 parameters on the meta device \(embed_tokens"):
        freeze(model, [0])
    with pytest.raises(TypeError, match="model is str"):
        freeze("gpt2", [0])
