"""Parts of models that keep layers, embeddings or states in unusual ways."""

from __future__ import annotations

import pytest
import torch
import transformers as hf
from helpers.tiny_models import build
from helpers.unusual_models import build_unusual
from torch import nn

from ilo_fast.models.structure import find_parts


def test_parts_of_a_layer_in_parallel_lists_are_one_block():
    model = build_unusual("xlm")
    parts = find_parts(model)
    inner = model.transformer
    assert parts.entries == tuple(inner.attentions)
    for i, block in enumerate(parts.blocks):
        members = {inner.attentions[i], inner.layer_norm1[i], inner.ffns[i], inner.layer_norm2[i]}
        assert set(block.children()) == members
    assert parts.final_norm is None and parts.confirmed


def test_list_that_takes_no_hidden_states_is_not_the_layers():
    model = build_unusual("gemma3n")
    parts = find_parts(model)
    assert parts.blocks == tuple(model.model.layers) and parts.dim == 32
    assert parts.axes == (1, 2)  # of (streams, sentences, tokens, dim)


def test_states_with_tokens_first_are_known_by_their_axes():
    assert find_parts(build_unusual("xlnet")).axes == (1, 0)


@pytest.mark.parametrize(
    ("name", "backbone"), [("llama4", "Llama4TextModel"), ("clip", "CLIPTextModel")]
)
def test_text_side_is_found_inside_a_model_whose_base_gives_no_states(name, backbone):
    parts = find_parts(build_unusual(name))
    assert type(parts.backbone).__name__ == backbone
    assert parts.n_blocks == 3 and parts.confirmed and parts.kind == "decoder"


def test_layers_in_two_lists_are_found_one_after_the_other():
    model = build("llama")
    model.early, model.layers = nn.ModuleList(model.layers[:1]), nn.ModuleList(model.layers[1:])
    inner = model.layers

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.early, self.late = model.early, inner
            self.embeddings = model.embed_tokens

        def forward(self, input_ids=None, output_hidden_states=False):
            states = [self.embeddings(input_ids)]
            positions = torch.arange(input_ids.shape[1])[None]
            rotary = model.rotary_emb(states[0], positions)
            for layer in (*self.early, *self.late):
                states.append(layer(states[-1], position_embeddings=rotary))
            shown = tuple(states) if output_hidden_states else None
            return hf.modeling_outputs.BaseModelOutput(states[-1], hidden_states=shown)

    parts = find_parts(Both())
    assert parts.n_blocks == 3 and parts.confirmed
    assert parts.blocks == (*model.early, *inner)


def test_states_of_fewer_tokens_are_not_confirmed():
    assert find_parts(build_unusual("funnel")).confirmed is False


def test_weights_on_the_meta_device_are_refused():
    with torch.device("meta"):
        model = hf.AutoModel.from_config(build("llama").config)
    with pytest.raises(ValueError, match=r"on the meta device .*load its weights first"):
        find_parts(model)


def test_model_that_reads_no_text_says_so():
    model = build_unusual("clip").vision_model
    with pytest.raises(
        ValueError, match=r"CLIPVision\w+ does not turn token ids alone into hidden"
    ):
        find_parts(model)
