"""Loaded modules: their tokenizer, their folder, their device and dtype."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers as hf
from helpers.tiny_models import SENTENCES, build, run, tokenizer
from torch import nn

from ilo_fast.errors import AccessError
from ilo_fast.models.source import ModelSource
from ilo_fast.representations.extraction import extract


def test_loaded_module_needs_a_tokenizer():
    with pytest.raises(ValueError, match="tokenizer is needed"):
        extract(build("llama"), SENTENCES)


def test_loaded_module_finds_the_tokenizer_of_its_folder(tmp_path):
    build("llama").save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    model = hf.AutoModel.from_pretrained(tmp_path)
    assert extract(model, SENTENCES, progress=False).info["model"] == str(tmp_path)


def test_what_is_no_model_is_refused():
    with pytest.raises(TypeError, match="model is a int"):
        extract(7, SENTENCES)


def test_module_without_parameters_is_refused():
    with pytest.raises(ValueError, match="a Identity without parameters"):
        ModelSource.open(nn.Identity(), tokenizer=tokenizer())


def test_model_with_an_adapter_per_language_is_refused_for_several():
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = hf.XmodConfig(
        vocab_size=160, intermediate_size=16, languages=["en_XX", "de_DE"],
        default_language="en_XX", pad_token_id=1, max_position_embeddings=128, **sizes,
    )  # fmt: skip
    model = hf.XmodModel(config).eval()
    with pytest.raises(
        ValueError, match=r"adapter for each language \(en_XX, de_DE\).*one language after"
    ):
        extract(model, SENTENCES, tokenizer=tokenizer())


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        (
            {"tokenizer": tokenizer().backend_tokenizer},
            TypeError,
            "tokenizer is a tokenizers.Tokenizer",
        ),
        ({"tokenizer": 5}, TypeError, "tokenizer is a builtins.int"),
        ({"tokenizer": "./none"}, (AccessError, ValueError), "tokenizer"),
        ({"verify": "no"}, TypeError, "verify='no' must be a bool"),
        ({"name": 5}, TypeError, "name=5 must be a str"),
        ({"revision": 5}, TypeError, "revision=5 must be a str"),
        ({"pooling": None}, ValueError, "pooling=None is unknown"),
        ({"layers": "all"}, ValueError, "layers holds 'all'"),
        ({"layers": True}, ValueError, "layers holds True"),
        ({"tokenizer": tokenizer(model_max_length=2)}, ValueError, "leave no room for text"),
    ],
)
def test_wrong_kinds_of_arguments_are_refused(options, error, says):
    with pytest.raises(error, match=says):
        extract(build("llama"), SENTENCES, **{"tokenizer": tokenizer(), **options})


def test_model_without_values_is_refused():
    with torch.device("meta"):
        model = build("llama")
    with pytest.raises(ValueError, match="on the meta device"):
        extract(model, SENTENCES, tokenizer=tokenizer())


def test_name_is_recorded_and_demo_is_a_model():
    got = extract("demo", {"eng_Latn": ["one line"]}, layers=np.int64(1))
    assert got.info["model_name"] == "demo model" and got.layers == (1,)
    assert run(build("llama"), name="mine").info["model_name"] == "mine"


def test_module_keeps_its_device_and_dtype():
    source = ModelSource.open(build("llama").bfloat16(), tokenizer=tokenizer())
    assert source.info().dtype == "bfloat16" and source.device.type == "cpu"
    assert source.key is None  # there is no cache to be keyed for


def test_files_without_a_key_are_remarked_on_once(tmp_path, monkeypatch, caplog):
    build("llama").save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    monkeypatch.setattr(nn.functional, "silu", lambda x, inplace=False: x)
    with caplog.at_level("WARNING", "ilo_fast"):
        reps = extract(str(tmp_path), SENTENCES, cache=tmp_path / "cache")
    assert reps.languages == tuple(SENTENCES)
    assert caplog.text.count("the cache is not used") == 1
