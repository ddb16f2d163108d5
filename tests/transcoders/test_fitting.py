"""Whether a transcoder is of a model: what is refused, and what is said."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import pytest
import torch
from helpers.clt_models import clt_model, random_transcoder
from transformers import LlamaConfig, LlamaForCausalLM, Olmo2Config, Olmo2ForCausalLM

from ilo_fast.models.identity import hash_state
from ilo_fast.transcoders.files.fitting import check_fits, transcoded_model
from ilo_fast.transcoders.info import TranscoderInfo
from ilo_fast.transcoders.reading import MLPReader
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

_SIZES = {
    "vocab_size": 64, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3,
    "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 64,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip


def llama(seed: int = 0, **changes: Any) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    return LlamaForCausalLM(LlamaConfig(**(_SIZES | changes))).eval()


def of_model(model: torch.nn.Module, **sizes: int) -> tuple[CrossLayerTranscoder, MLPReader]:
    reader = MLPReader(model)
    transcoder = random_transcoder(0, **sizes)
    transcoder.info = TranscoderInfo(
        transcoded_model(reader, "some/model"), 16, 1, ("eng_Latn",), 100, "none"
    )
    return transcoder, reader


def test_the_model_that_it_is_of_fits_wherever_it_stands() -> None:
    model = llama()
    transcoder, reader = of_model(model)
    check_fits(transcoder, reader)
    check_fits(transcoder, MLPReader(model.model))
    assert transcoder.info is not None
    record = transcoder.info.model
    assert record.reads == record.writes == tuple(f"layers.{i}.mlp" for i in range(3))
    assert (record.architecture, record.dtype) == ("LlamaModel", "float32")
    model.model.rotary_emb.inv_freq += 1e-7  # another machine
    assert hash_state(model.model) != record.weights_sha256
    check_fits(transcoder, MLPReader(model))


def test_the_probe_holds_the_means_of_what_the_mlps_read_and_add() -> None:
    random = random_transcoder(4)
    reader = MLPReader(clt_model(random, 4))
    probe = transcoded_model(reader, "clt").probe
    x, y = reader.read(torch.tensor(probe.ids))
    torch.testing.assert_close(torch.tensor(probe.reads), x.mean((0, 1)))
    torch.testing.assert_close(torch.tensor(probe.adds), y.mean((0, 1)))


def test_other_weights_are_refused_with_both_hashes_and_the_way_on() -> None:
    transcoder, _ = of_model(llama())
    tuned = llama()
    with torch.no_grad():
        tuned.model.layers[1].mlp.up_proj.weight[3, 4] += 0.01
    first, second = (hash_state(m.model, computed=False)[:16] for m in (llama(), tuned))
    with pytest.raises(
        ValueError, match=rf"some/model with weights {first}.*has {second}.*allow_other_weights=Tr"
    ):
        check_fits(transcoder, MLPReader(tuned))
    check_fits(transcoder, MLPReader(tuned), allow_other_weights=True)
    with pytest.raises(ValueError, match="load the model with dtype='float32'"):
        check_fits(transcoder, MLPReader(llama().bfloat16()))


def test_other_sizes_are_refused_whatever_is_allowed() -> None:
    transcoder, _ = of_model(llama())
    with pytest.raises(ValueError, match="transcoder has 3 layers, the model 2"):
        check_fits(transcoder, MLPReader(llama(num_hidden_layers=2)), allow_other_weights=True)
    with pytest.raises(ValueError, match="vectors of 16 numbers, the model has 32"):
        check_fits(transcoder, MLPReader(llama(hidden_size=32)), allow_other_weights=True)


def test_another_architecture_of_the_same_sizes_is_refused() -> None:
    transcoder, _ = of_model(llama())
    other = MLPReader(Olmo2ForCausalLM(Olmo2Config(**_SIZES)).eval())
    with pytest.raises(
        ValueError, match=r"writes at layers\.0\.mlp in layer 0.*post_feedforward_layernorm"
    ):
        check_fits(transcoder, other, allow_other_weights=True)


def test_the_same_weights_in_another_computation_are_refused() -> None:
    """Nothing but numbers tells: names and weights are the same."""
    transcoder, _ = of_model(llama())
    other = llama()
    for block in other.model.layers:
        block.post_attention_layernorm.variance_epsilon = 1e-2
    with pytest.raises(ValueError, match=r"what the MLP of layer 0 reads on a fixed input is"):
        check_fits(transcoder, MLPReader(other))
    other = llama()
    for block in other.model.layers:
        block.mlp.act_fn = torch.nn.Tanh()
    with pytest.raises(ValueError, match=r"what the MLP of layer \d (reads|adds) on a fixed input"):
        check_fits(transcoder, MLPReader(other))


def test_a_probe_of_tokens_that_the_model_has_not_is_damage() -> None:
    transcoder, reader = of_model(llama())
    info = transcoder.info
    assert info is not None
    probe = dataclasses.replace(info.model.probe, ids=((1, 64),))
    transcoder.info = dataclasses.replace(info, model=dataclasses.replace(info.model, probe=probe))
    with pytest.raises(ValueError, match="token 64, the model 64: it is damaged"):
        check_fits(transcoder, reader)


def test_of_one_without_a_record_only_the_sizes_are_checked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        check_fits(random_transcoder(0), MLPReader(llama()))
    assert "only its sizes were checked" in caplog.text
    with pytest.raises(ValueError, match="4 layers, the model 3"):
        check_fits(random_transcoder(0, n_layers=4), MLPReader(llama()))
