"""A table of what belongs where in every architecture, written by hand; freeze() knows none."""

from __future__ import annotations

import re

import pytest
import torch
import transformers as hf
from helpers.tiny_models import ARCHITECTURES, build

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


def lora(model, **options):
    peft = pytest.importorskip("peft")
    options = {"r": 2, "target_modules": "all-linear"} | options
    return peft.get_peft_model(model, peft.LoraConfig(**options))
