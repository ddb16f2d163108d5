"""Models that cannot be loaded: each error says what to do."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import torch
import transformers as hf
from helpers.tiny_models import (
    ARCHITECTURES,
    SENTENCES,
    assert_same,
    build,
    published,
    tokenizer,
)
from transformers.models.m2m_100.modeling_m2m_100 import M2M100Encoder

from ilo_fast.errors import AccessError
from ilo_fast.models.loading import open_files, resolve_device
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


def saved(model, folder, *, drop=(), rename=lambda name: name, reshape=()):
    """`model` and a tokenizer in `folder`, with weights left out, renamed or of another shape."""
    from safetensors.torch import load_file, save_file

    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    path = folder / "model.safetensors"
    weights = {k: v for k, v in load_file(path).items() if not k.endswith(tuple(drop) or "\0")}
    for name in weights:
        if name.endswith(tuple(reshape) or "\0"):
            weights[name] = weights[name][:-1].clone()
    save_file({rename(k): v for k, v in weights.items()}, path, metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        ("bert", "position_embeddings.weight"),
        ("bert", "token_type_embeddings.weight"),
        ("bert", "embeddings.LayerNorm.bias"),
        ("electra", "embeddings_project.weight"),
        ("albert", "embedding_hidden_mapping_in.bias"),
        ("gpt2", "wpe.weight"),
        ("t5", "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"),
        ("deberta_v2", "rel_embeddings.weight"),
        ("llama", "layers.1.input_layernorm.weight"),
    ],
)
def test_checkpoint_without_a_weight_that_is_read_is_refused(tmp_path, name, weight):
    saved(build(name), tmp_path, drop=[weight])
    with pytest.raises(ValueError, match=f"lacks 1 weights.*{weight.rsplit('.', 2)[-2]}"):
        extract(tmp_path, SENTENCES, progress=False)


@pytest.mark.parametrize(
    ("name", "unread"), [("bert", "pooler.dense.weight"), ("t5", "decoder.final_layer_norm.weight")]
)
def test_checkpoint_without_a_weight_that_is_not_read_is_taken(tmp_path, caplog, name, unread):
    saved(build(name), tmp_path, drop=[unread])
    with caplog.at_level("WARNING"):
        extract(tmp_path, SENTENCES, progress=False)
    for record in caplog.records:
        if not record.name.startswith("transformers.distributed"):
            assert unread not in record.getMessage()


def test_weight_of_another_shape_is_refused_where_it_is_read(tmp_path):
    saved(build("bert"), tmp_path, reshape=["pooler.dense.weight"])
    extract(tmp_path, SENTENCES, progress=False)
    saved(build("bert"), tmp_path, reshape=["position_embeddings.weight"])
    with pytest.raises(ValueError, match="position_embeddings"):
        extract(tmp_path, SENTENCES, progress=False)


@pytest.mark.parametrize("prefix", ["module.", "base.encoder."])
def test_weights_under_another_prefix_are_found(tmp_path, prefix):
    model = build("llama")
    saved(model, tmp_path, rename=lambda name: prefix + name)
    got = extract(tmp_path, SENTENCES, progress=False)
    assert_same(got["eng_Latn"], published(model, tokenizer(), SENTENCES["eng_Latn"]))


@pytest.mark.parametrize("flag", [True, False])
@pytest.mark.parametrize(
    ("kind", "name"),
    [(hf.T5EncoderModel, "t5"), (hf.UMT5EncoderModel, "umt5"), (M2M100Encoder, "m2m_100")],
)
def test_checkpoint_of_the_encoder_alone_is_an_encoder(tmp_path, kind, name, flag):
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 3, "num_heads": 4}
    config = (
        hf.UMT5Config(vocab_size=160, pad_token_id=1, **sizes)
        if name == "umt5"
        else ARCHITECTURES[name][0]()
    )
    torch.manual_seed(0)
    model = kind(config).eval()
    saved(model, tmp_path)
    written = json.loads((tmp_path / "config.json").read_text()) | {"is_encoder_decoder": flag}
    (tmp_path / "config.json").write_text(json.dumps(written))
    got = extract(tmp_path, SENTENCES, progress=False)
    ids = tokenizer()(SENTENCES["eng_Latn"][0], return_tensors="pt")["input_ids"]
    with torch.no_grad():
        states = model(input_ids=ids, output_hidden_states=True).hidden_states
    expected = np.stack([state[0].mean(dim=0).numpy() for state in states])
    assert_same(got["eng_Latn"][:, 0], expected)


def test_folder_of_an_adapter_is_its_base_with_the_adapter(tmp_path):
    peft = pytest.importorskip("peft")
    torch.manual_seed(0)
    base = hf.AutoModelForCausalLM.from_config(ARCHITECTURES["llama"][0]()).eval()
    base.save_pretrained(tmp_path / "base")
    tokenizer().save_pretrained(tmp_path / "base")
    base = hf.AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    settings = peft.LoraConfig(target_modules=["q_proj"], r=2, init_lora_weights=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = peft.get_peft_model(base, settings)
        model.save_pretrained(tmp_path / "adapter")
        cache = tmp_path / "cache"
        got = extract(tmp_path / "adapter", SENTENCES, progress=False, cache=cache)
        assert extract(tmp_path / "adapter", SENTENCES, cache=cache).info["cache_hits"]
        plain = extract(tmp_path / "base", SENTENCES, progress=False, cache=cache)
        expected = extract(model, SENTENCES, tokenizer=tokenizer())
    assert_same(got["eng_Latn"], expected["eng_Latn"])
    assert np.abs(got["eng_Latn"] - plain["eng_Latn"]).max() > 1e-4
    (tmp_path / "adapter" / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    with pytest.raises(AccessError, match="names no base model"):
        extract(tmp_path / "adapter", SENTENCES)


def _pickle(folder):
    (folder / "model.safetensors").unlink()
    torch.save({"model.norm.weight": Exploding()}, folder / "pytorch_model.bin")


class Exploding:
    def __reduce__(self):
        return (pytest.fail, ("code of a pickle ran",))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_pickle, "weights.*safetensors"),
        (lambda f: (f / "config.json").write_text("[" * 100_000), "configuration"),
        (lambda f: (f / "config.json").write_text("[]"), "configuration"),
        (lambda f: (f / "config.json").write_bytes(b"\xff\xfe"), "configuration"),
        (lambda f: (f / "config.json").write_text("null"), r"config\.json is not of the form"),
        (lambda f: (f / "tokenizer.json").write_text('{"a": 1}'), r"damaged.*tokenizer\.json, tok"),
        (lambda f: (f / "tokenizer.json").write_text("null"), r"damaged.*tokenizer\.json, tok"),
        (lambda f: (f / "tokenizer.json").write_text("{"), r"tokenizer.*damaged: .*\. Download"),
        (lambda f: (f / "tokenizer_config.json").write_text("[1]"), r"tokenizer_config\.json"),
    ],
)
def test_damaged_files_of_a_model_are_named(tmp_path, damage, says):
    saved(build("llama"), tmp_path)
    damage(tmp_path)
    with pytest.raises((ValueError, AccessError), match=says) as caught:
        extract(tmp_path, SENTENCES)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("device", "error", "says"),
    [
        (10**20, ValueError, "cannot be used here"),
        ("9" * 20, ValueError, "cannot be used here"),
        ("cpu\x1b[31m", ValueError, "cannot be used here"),
        ([], TypeError, "is no device"),
        (True, TypeError, "is no device"),
        (b"cpu", TypeError, "is no device"),
    ],
)
def test_device_that_is_none_is_refused_in_words_of_ours(device, error, says):
    with pytest.raises(error, match=f"device=.*{says}") as caught:
        resolve_device(device)
    assert str(caught.value).isprintable()


def test_model_is_loaded_without_a_word_of_transformers(capfd):
    # A level set on one of its loggers made it warn of layers that are not sharded.
    extract("demo", {"eng_Latn": ["a line"]}, device="cpu", cache=False)
    assert capfd.readouterr() == ("", "")
