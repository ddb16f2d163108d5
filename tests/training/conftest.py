"""Tiny models on disk, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers as hf
from helpers import tiny_models
from helpers.training import FolderOf

from ilo_fast.models.output import suppress_output


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> FolderOf:
    """Folder of a tiny model of an architecture, with its head for text and a tokenizer."""
    made: dict[tuple[str, bool], Path] = {}

    def make(name: str, *, pad: bool = True) -> Path:
        if (name, pad) not in made:
            config = tiny_models.ARCHITECTURES[name][0]()
            if not pad:
                config.pad_token_id = None
            torch.manual_seed(0)
            causal = name in ("llama", "gpt2")
            model = (hf.AutoModelForCausalLM if causal else hf.AutoModel).from_config(config)
            folder = tmp_path_factory.mktemp(f"{name}-{pad}")
            with suppress_output():
                model.save_pretrained(folder)
            tiny_models.tokenizer(pad=pad).save_pretrained(folder)
            made[name, pad] = folder
        return made[name, pad]

    return make
