"""verify() refuses hooks and padding that give other numbers than the model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.tiny_models import SENTENCES, assert_same, build, run, tokenizer
from helpers.unusual_models import build_unusual

from ilo_fast.errors import CorpusError
from ilo_fast.models.structure import find_parts
from ilo_fast.representations.extraction import extract
from ilo_fast.representations.verification import find_padding, verify


def test_hooks_in_the_wrong_place_are_noticed():
    parts = find_parts(build("llama"))
    turned = type(parts)(**{**vars(parts), "entries": tuple(b.mlp for b in parts.blocks)})
    with pytest.raises(
        ValueError, match=r"LlamaModel: what enters layer 0 is not hidden_states\[0\]"
    ):
        verify(turned, range(4), 1, [[5, 6, 7]])


def test_hook_of_the_caller_is_named_and_can_be_measured():
    model = build("llama")
    plain = run(model)
    model.layers[1].register_forward_hook(lambda _, args, output: output * 0.5)
    with pytest.raises(ValueError, match=r"a hook of yours on layers\.1 .*pass verify=False"):
        run(model)
    steered = run(model, verify=False)
    for code in SENTENCES:
        np.testing.assert_array_equal(steered[code][:2], plain[code][:2])
        np.testing.assert_array_equal(steered[code][2], plain[code][2] / 2)


def test_model_that_ignores_the_mask_is_noticed(monkeypatch):
    model = build("bert")
    parts = find_parts(model)
    inner = type(model).forward

    def deaf(self, input_ids=None, attention_mask=None, **options):
        return inner(self, input_ids=input_ids, **options)

    assert find_padding(parts, range(4), 1, [[5, 6, 7], list(range(5, 30))]) == "right"
    monkeypatch.setattr(type(model), "forward", deaf)
    assert find_padding(parts, range(4), 1, [[5, 6, 7], list(range(5, 30))]) == "none"


def test_model_that_mixes_the_sentences_of_a_batch_reads_them_one_by_one(monkeypatch):
    model = build("bert")
    parts = find_parts(model)
    inner = type(model.embeddings).forward

    def mixed(self, *args, **options):
        hidden = inner(self, *args, **options)
        return hidden + hidden.mean(dim=0, keepdim=True)

    monkeypatch.setattr(type(model.embeddings), "forward", mixed)
    assert find_padding(parts, range(4), 1, [[5, 6, 7], list(range(5, 30))]) == "alone"
    assert_as_alone(model, model, "none")


def test_model_that_is_random_is_refused(monkeypatch):
    model = build("bert")
    parts = find_parts(model)
    inner = type(model.embeddings).forward

    def noisy(self, *args, **options):
        hidden = inner(self, *args, **options)
        return hidden + torch.randn_like(hidden)

    monkeypatch.setattr(type(model.embeddings), "forward", noisy)
    with pytest.raises(ValueError, match="other hidden states each time it reads the same"):
        verify(parts, range(4), 1, [[5, 6, 7]])


def assert_as_alone(model, reader, padding, left_out=0, **options):
    """Every layer of every sentence as the model gives it for one sentence without padding."""
    got = run(model, **options)
    assert got.info["padding"] == padding and got.info["n_blocks"] + 1 == len(got.layers)
    for code, lines in SENTENCES.items():
        for i, line in enumerate(lines):
            ids = torch.tensor([tokenizer()(line)["input_ids"]])
            with torch.no_grad():
                output = reader(input_ids=ids, output_hidden_states=True)
            for layer in range(left_out, len(got.layers) - 1):
                state = output.hidden_states[layer - left_out]
                state = state if state.dim() == 3 else state.mean(dim=0)
                assert_same(got[code][[layer], i], state[0].mean(dim=0).numpy()[None])
            last = getattr(output, "last_hidden_state", None)
            last = output.hidden_states[-1] if last is None else last
            assert_same(got[code][-1:, i], last[0].mean(dim=0).numpy()[None])


@pytest.mark.parametrize("options", [{}, {"batch_tokens": 1}, {"verify": False}])
@pytest.mark.parametrize("name", ["fnet", "convbert"])
def test_sentences_of_one_length_share_batches_where_padding_is_not_masked(name, options):
    model = build_unusual(name, scale=3.0)
    assert_as_alone(model, model, "none", **options)


@pytest.mark.parametrize(
    "name", ["xlm", "flaubert", "xlnet", "gemma3n", "gemma4", "llama4", "mllama"]
)
def test_layers_of_unusual_models_are_their_hidden_states(name):
    model = build_unusual(name)
    # Gemma 3n with its head ends its hidden_states before the final norm.
    assert_as_alone(model, model.model if name == "gemma3n" else model, "right")


@pytest.mark.parametrize("name", ["mamba", "mamba2", "falcon_mamba", "rwkv"])
def test_embeddings_that_a_model_leaves_out_of_its_hidden_states_are_layer_0(name):
    model = build_unusual(name)
    assert_as_alone(model, model, "right", left_out=1)
    got = run(model)
    ids = torch.tensor([tokenizer()("she reads")["input_ids"]])
    embedded = model.get_input_embeddings()(ids).detach()[0].mean(dim=0).numpy()
    assert_same(got["eng_Latn"][:1, 1], embedded[None])


def test_last_layer_is_what_is_returned_where_hidden_states_end_before_the_norm():
    model = build_unusual("clip")
    assert_as_alone(model, model.text_model, "right")


def test_fault_that_only_a_long_sentence_shows_is_noticed(monkeypatch):
    """Like sparse attention above its budget: padding changes short sentences only beside long."""
    model = build("bert")
    inner = type(model).forward

    def forward(self, input_ids=None, attention_mask=None, **options):
        if input_ids.shape[1] > 80:
            attention_mask = None
        return inner(self, input_ids=input_ids, attention_mask=attention_mask, **options)

    monkeypatch.setattr(type(model), "forward", forward)
    assert run(model).info["padding"] == "right"
    long = {"eng_Latn": [*["she reads"] * 20, "a long winter " * 7]}
    assert run(model, long).info["padding"] == "none"


def test_states_padded_on_the_right_are_compared_without_their_padding():
    model = build_unusual("pegasus_x")
    got = run(model)
    for i, line in enumerate(SENTENCES["eng_Latn"]):
        ids = torch.tensor([tokenizer()(line)["input_ids"]])
        with torch.no_grad():
            states = model.model.encoder(input_ids=ids, output_hidden_states=True).hidden_states
        assert states[0].shape[1] > ids.shape[1]
        for layer in (0, 1):
            own = states[layer][0, : ids.shape[1]].mean(dim=0).numpy()
            assert_same(got["eng_Latn"][[layer], i], own[None])


def test_states_that_begin_with_virtual_tokens_are_refused(monkeypatch):
    model = build_unusual("fnet")
    inner = type(model.embeddings).forward

    def prompted(self, *args, **kwargs):
        states = inner(self, *args, **kwargs)
        return torch.cat([torch.ones_like(states), states], dim=1)

    monkeypatch.setattr(type(model.embeddings), "forward", prompted)
    assert find_parts(model).confirmed is False


@pytest.mark.parametrize("verified", [True, False])
def test_last_layer_of_another_width_is_extracted_by_itself(verified):
    model = build_unusual("reformer")
    with pytest.raises(ValueError, match=r"layers=range\(0, 3\) and layers=\[3\]"):
        run(model, verify=verified)
    assert run(model, layers=range(3), verify=verified)["eng_Latn"].shape[2] == 32
    assert run(model, layers=[3], verify=verified)["eng_Latn"].shape[2] == 64


def test_states_of_fewer_tokens_are_refused():
    with pytest.raises(ValueError, match=r"FunnelModel: no list of its layers .* to overlap\(\)"):
        run(build_unusual("funnel"))


def test_token_id_beyond_the_embeddings_names_the_line():
    words = tokenizer()
    words.add_tokens([f"extra{i}" for i in range(200)])
    text = {"eng_Latn": ["a", "extra199 b"]}
    with pytest.raises(CorpusError, match=r"eng_Latn, line 2 has token id 2\d\d, .* 160 rows"):
        extract(build("llama"), text, tokenizer=words)


def test_sentence_beyond_a_table_of_positions_says_how_many_tokens_fit():
    model = build("bert")
    model.config.max_position_embeddings = 10_000  # as where the configuration does not tell
    with pytest.raises(ValueError, match=r"takes at most 128 tokens.*pass max_length=128"):
        run(model, {"eng_Latn": ["a" * 200, "b"]})
    assert run(model, {"eng_Latn": ["a" * 200, "b"]}, max_length=128).info["verified"]


def test_weights_that_accelerate_keeps_on_disk_are_read(tmp_path):
    accelerate = pytest.importorskip("accelerate")
    expected = run(build("llama"))
    offloaded = accelerate.disk_offload(build("llama"), tmp_path, torch.device("cpu"))
    got = run(offloaded)
    assert got.info["device"] == "cpu"
    assert_same(got["eng_Latn"], expected["eng_Latn"])
