"""Loaded modules: their tokenizer, their folder, their device and dtype."""

from __future__ import annotations

import pytest
import transformers as hf
from helpers.tiny_models import SENTENCES, build, tokenizer
from torch import nn

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


def test_module_keeps_its_device_and_dtype():
    source = ModelSource.open(build("llama").bfloat16(), tokenizer=tokenizer())
    assert source.info().dtype == "bfloat16" and source.device.type == "cpu"
    assert source.key is None  # there is no cache to be keyed for
