"""freeze() on models that keep their layers and embeddings in unusual ways."""

from __future__ import annotations

import pytest
import torch
from helpers.unusual_models import build_unusual

from ilo_fast.training.freezing import freeze

IDS = torch.arange(4, 20)[None]


@pytest.mark.parametrize("name", ["xlm", "flaubert", "gemma3n", "gemma4", "mamba", "llama4"])
def test_what_is_frozen_is_what_the_first_hidden_states_depend_on(name):
    model = build_unusual(name)
    left_out = name == "mamba"

    def states():
        with torch.no_grad():
            return model(input_ids=IDS, output_hidden_states=True).hidden_states

    frozen = freeze(model, layers=range(2), head=False)
    before = states()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape))
    same = [torch.equal(a, b) for a, b in zip(before, states(), strict=True)]
    assert same[: 3 - left_out] == [True] * (3 - left_out) and not any(same[3:])
    last = f".{len(same) - 2}."
    assert not any(last in name for name in frozen.names)


def test_last_layer_of_parallel_lists_is_no_final_norm():
    model = build_unusual("xlm")
    frozen = freeze(model, layers=[], embeddings=False)
    assert not frozen.final_norm and not any(".3." in name for name in frozen.names)
    frozen.undo()
    names = freeze(model, layers=[3], embeddings=False, head=False).names
    lists = {name.split(".")[1] for name in names}
    assert lists == {"attentions", "layer_norm1", "ffns", "layer_norm2"}
    assert all(".3." in name for name in names)


def test_tables_of_every_layer_are_embeddings():
    model = build_unusual("gemma4")
    frozen = freeze(model, layers=None, head=False)
    assert {name for name in frozen.names if "per_layer" in name} == {
        "model.embed_tokens_per_layer.weight",
        "model.per_layer_model_projection.weight",
        "model.per_layer_projection_norm.weight",
    }
    frozen.undo()
    assert not any("embed" in n for n in freeze(model, [0], embeddings=False, head=False).names)


def test_blocks_that_are_only_a_guess_are_not_frozen():
    model = build_unusual("funnel")
    for options in ({"layers": [0]}, {"layers": None}):
        with pytest.raises(ValueError, match=r"Funnel\w*Model takes .*nothing was frozen"):
            freeze(model, **options)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_text_that_names_no_blocks_is_refused_without_an_argument_of_another_function():
    with pytest.raises(ValueError, match=r"^'0-2' names no blocks: the one name is \"published\""):
        freeze(build_unusual("xlm"), layers="0-2")


def test_embeddings_without_gradients_are_refused_and_blocks_are_not():
    model = build_unusual("reformer")
    with pytest.raises(
        ValueError, match=r"embeddings=True, but ReformerModel .*nothing was frozen"
    ):
        freeze(model, layers=[0])
    assert all(parameter.requires_grad for parameter in model.parameters())
    names = freeze(model, layers=[0], embeddings=False, head=False).names
    assert names and all(".layers.0." in name for name in names)
