"""Models that cannot be loaded: each error says what to do."""

from __future__ import annotations

import json

import pytest
import torch
import transformers as hf
from helpers.tiny_models import ARCHITECTURES, SENTENCES, build, tokenizer

from ilo_fast.errors import AccessError
from ilo_fast.models.loading import open_files
from ilo_fast.representations.extraction import extract


def test_absent_folder_is_an_access_error(tmp_path):
    with pytest.raises(AccessError, match="does not exist"):
        extract(tmp_path / "nothing", SENTENCES)


def test_folder_without_a_config_is_an_access_error(tmp_path):
    with pytest.raises(AccessError, match=r"no config\.json"):
        extract(tmp_path, SENTENCES)


def test_hub_name_offline_asks_for_a_local_folder():
    with pytest.raises(AccessError, match="local folder"):
        extract("nobody/no-such-model-here", SENTENCES)


def test_damaged_config_is_an_access_error(tmp_path):
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


def test_checkpoint_that_lacks_needed_weights_is_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    build("llama").save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    del weights["layers.1.mlp.up_proj.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks 1 weights.*layers\.1\.mlp\.up_proj"):
        extract(tmp_path, SENTENCES, progress=False)


def test_checkpoint_with_a_head_is_loaded_without_it(tmp_path):
    torch.manual_seed(0)
    hf.AutoModelForCausalLM.from_config(ARCHITECTURES["llama"][0]()).save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    assert extract(tmp_path, SENTENCES, progress=False).info["architecture"] == "LlamaModel"


def test_damaged_weights_are_named(tmp_path):
    build("llama").save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"weights of .* are damaged"):
        extract(tmp_path, SENTENCES, progress=False)


def test_folder_without_weights_or_tokenizer_is_refused(tmp_path):
    build("llama").save_pretrained(tmp_path)
    with pytest.raises((AccessError, ValueError), match="tokenizer"):
        extract(tmp_path, SENTENCES, progress=False)
    tokenizer().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(AccessError, match="weights"):
        extract(tmp_path, SENTENCES, progress=False)


def test_unknown_architecture_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "from-the-future"}')
    with pytest.raises(ValueError, match="configuration"):
        extract(tmp_path, SENTENCES, progress=False)
