"""verify() refuses hooks and padding that give other numbers than the model."""

from __future__ import annotations

import pytest
import transformers as hf
from helpers.tiny_models import SENTENCES, build, tokenizer

from ilo_fast.models.structure import find_parts
from ilo_fast.representations.extraction import extract
from ilo_fast.representations.verification import verify


def test_hooks_in_the_wrong_place_are_noticed():
    parts = find_parts(build("llama"))
    turned = type(parts)(**{**vars(parts), "blocks": tuple(b.mlp for b in parts.blocks)})
    with pytest.raises(ValueError, match=r"layer 0 of LlamaModel.*hidden_states\[0\]"):
        verify(turned, range(4), 1, [[5, 6, 7]])


def test_model_that_ignores_the_mask_is_noticed(monkeypatch):
    model = build("bert")
    parts = find_parts(model)
    inner = type(model).forward

    def deaf(self, input_ids=None, attention_mask=None, **options):
        return inner(self, input_ids=input_ids, **options)

    monkeypatch.setattr(type(model), "forward", deaf)
    with pytest.raises(ValueError, match="does not honour attention_mask"):
        verify(parts, range(4), 1, [[5, 6, 7], list(range(5, 30))])


def test_mamba_is_refused():
    # Its hidden_states are the outputs of blocks, the embeddings are not among them.
    config = hf.MambaConfig(vocab_size=160, hidden_size=32, num_hidden_layers=3)
    with pytest.raises(ValueError, match="is not the model's"):
        extract(hf.AutoModel.from_config(config), SENTENCES, tokenizer=tokenizer(), progress=False)
