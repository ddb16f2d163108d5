"""Parts are found by structure, and a model that cannot be had is explained."""

from __future__ import annotations

import json

import pytest
import torch
import transformers as hf
from helpers.tiny_models import ARCHITECTURES, SENTENCES, build, tokenizer
from torch import nn

from ilo_fast.errors import AccessError
from ilo_fast.models.loading import open_files
from ilo_fast.models.structure import find_parts
from ilo_fast.representations.extraction import extract
from ilo_fast.representations.pooling import verify


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_parts_of_every_architecture(name):
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
        assert not module._forward_pre_hooks and not module._forward_hooks


def test_no_list_of_layers_is_an_error_that_says_what_was_seen():
    model = nn.Sequential(nn.Embedding(200, 8))
    with pytest.raises((ValueError, TypeError)):
        find_parts(model)


def test_prompt_learning_is_refused():
    model = _Wrapper(build("llama"))
    model.peft_config = {"default": type("Prompt", (), {"is_prompt_learning": True})()}
    with pytest.raises(ValueError, match="virtual tokens"):
        find_parts(model)


def test_verify_notices_hooks_in_the_wrong_place():
    parts = find_parts(build("llama"))
    turned = type(parts)(**{**vars(parts), "blocks": tuple(b.mlp for b in parts.blocks)})
    with pytest.raises(ValueError, match=r"layer 0 of LlamaModel.*hidden_states\[0\]"):
        verify(turned, range(4), 1, [[5, 6, 7]])


def test_verify_notices_an_ignored_mask(monkeypatch):
    model = build("bert")
    parts = find_parts(model)
    inner = type(model).forward

    def deaf(self, input_ids=None, attention_mask=None, **options):
        return inner(self, input_ids=input_ids, **options)

    monkeypatch.setattr(type(model), "forward", deaf)
    with pytest.raises(ValueError, match="does not honour attention_mask"):
        verify(parts, range(4), 1, [[5, 6, 7], list(range(5, 30))])


def test_mamba_is_refused_not_misread():
    # Its hidden_states are the outputs of blocks, the embeddings are not among them.
    config = hf.MambaConfig(vocab_size=160, hidden_size=32, num_hidden_layers=3)
    with pytest.raises(ValueError, match="is not the model's"):
        extract(hf.AutoModel.from_config(config), SENTENCES, tokenizer=tokenizer(), progress=False)


# ---- access --------------------------------------------------------------------------------------


def test_absent_folder(tmp_path):
    with pytest.raises(AccessError, match="does not exist"):
        extract(tmp_path / "nothing", SENTENCES)


def test_folder_without_a_model(tmp_path):
    with pytest.raises(AccessError, match=r"no config\.json"):
        extract(tmp_path, SENTENCES)


def test_offline_hub_name():
    with pytest.raises(AccessError, match="local folder"):
        extract("nobody/no-such-model-here", SENTENCES)


def test_damaged_config(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(AccessError, match="configuration"):
        extract(tmp_path, SENTENCES)


def test_remote_code_needs_consent(tmp_path):
    auto = {"AutoConfig": "code.Config", "AutoModel": "code.Model"}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "odd", "auto_map": auto}))
    (tmp_path / "code.py").write_text("raise RuntimeError('must not run')")
    with pytest.raises(AccessError, match="trust_remote_code=True"):
        extract(tmp_path, SENTENCES)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("GatedRepoError", "hf auth login"),
        ("RepositoryNotFoundError", "spelling"),
        ("RevisionNotFoundError", "no such revision"),
        ("LocalEntryNotFoundError", "local folder"),
    ],
)
def test_hub_errors_say_what_to_do(monkeypatch, kind, says):
    def refuse(*args, **options):
        cause = type(kind, (Exception,), {})("the server said so")
        raise OSError("cannot load") from cause

    monkeypatch.setattr(hf.AutoConfig, "from_pretrained", refuse)
    with pytest.raises(AccessError, match=says):
        open_files("owner/model", revision=None, trust_remote_code=False)


def test_checkpoint_without_needed_weights(tmp_path):
    from safetensors.torch import load_file, save_file

    build("llama").save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    del weights["layers.1.mlp.up_proj.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks 1 weights.*layers\.1\.mlp\.up_proj"):
        extract(tmp_path, SENTENCES, progress=False)


def test_checkpoint_of_a_language_model_with_a_head(tmp_path):
    torch.manual_seed(0)
    hf.AutoModelForCausalLM.from_config(ARCHITECTURES["llama"][0]()).save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    assert extract(tmp_path, SENTENCES, progress=False).info["architecture"] == "LlamaModel"


def test_damaged_weights(tmp_path):
    build("llama").save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"weights of .* are damaged"):
        extract(tmp_path, SENTENCES, progress=False)


def test_folder_without_weights_or_tokenizer(tmp_path):
    build("llama").save_pretrained(tmp_path)
    with pytest.raises((AccessError, ValueError), match="tokenizer"):
        extract(tmp_path, SENTENCES, progress=False)
    tokenizer().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(AccessError, match="weights"):
        extract(tmp_path, SENTENCES, progress=False)


def test_unknown_architecture(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "from-the-future"}')
    with pytest.raises(ValueError, match="configuration"):
        extract(tmp_path, SENTENCES, progress=False)
