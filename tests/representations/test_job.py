"""What happens around the forward passes: memory, overflow, slow dtypes, the progress bar."""

from __future__ import annotations

import logging

import pytest
import torch
from helpers.tiny_models import SENTENCES, assert_same, build, run, tokenizer

from ilo_fast.representations import job


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


def test_results_too_large_for_memory_are_refused_before_the_work(monkeypatch):
    monkeypatch.setattr(job, "available_memory", lambda: 1000)
    with pytest.raises(MemoryError, match="cache=True"):
        run(build("llama"))


def test_gpu_out_of_memory_halves_the_batches(monkeypatch):
    model = build("llama")
    expected = run(model)
    inner = type(model).forward
    refused = []

    def tight(self, input_ids=None, **options):
        rows, tokens = input_ids.shape
        if tokens > 100 or (rows > 3 and input_ids.numel() > 100):  # padding is tried on three
            refused.append(input_ids.numel())
            raise torch.cuda.OutOfMemoryError("no room")
        return inner(self, input_ids=input_ids, **options)

    monkeypatch.setattr(type(model), "forward", tight)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    got = run(model, batch_tokens=4000, verify=False)
    assert refused and got.info["batch_tokens"] <= 200
    for code in SENTENCES:
        assert_same(got[code], expected[code])
    with pytest.raises(torch.cuda.OutOfMemoryError, match="eng_Latn, line 1"):
        run(model, {"eng_Latn": ["a" * 110]}, verify=False)


@pytest.mark.parametrize("supported", [True, False])
def test_half_precision_without_instructions_for_it_is_a_warning(supported, monkeypatch, caplog):
    monkeypatch.setattr(
        torch.cpu, "get_capabilities", lambda: {"avx512_bf16": supported, "amx_bf16": False}
    )
    with caplog.at_level(logging.WARNING, logger="ilo_fast"):
        run(build("llama").to(torch.bfloat16))
        run(build("llama"))
    said = [r.message for r in caplog.records if "no instructions" in r.message]
    assert len(said) == (0 if supported else 1)


def test_progress_bar_goes_to_stderr_and_only_on_request(capsys):
    model = build("llama")
    run(model, progress=True)
    out, err = capsys.readouterr()
    assert out == "" and "15/15" in err
    run(model)
    assert capsys.readouterr() == ("", "")
