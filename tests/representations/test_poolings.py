"""Every kind of pooling equals the obvious loop over a sentence's tokens."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.tiny_models import SENTENCES, build, run, tokenizer

from ilo_fast.representations.poolings import POOLINGS, pool_tokens


def oracle(rows: np.ndarray, pooling: str) -> np.ndarray:
    """`rows`: the counted tokens of one sentence, in order."""
    weights = {
        "mean": [1.0] * len(rows),
        "weighted_mean": [float(i + 1) for i in range(len(rows))],
        "first": [1.0] + [0.0] * (len(rows) - 1),
        "last": [0.0] * (len(rows) - 1) + [1.0],
    }
    if pooling == "max":
        return np.array([max(column) for column in rows.T])
    return sum(w * row for w, row in zip(weights[pooling], rows, strict=True)) / sum(
        weights[pooling]
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_pooling_equals_the_oracle_whatever_is_excluded(pooling, dtype):
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(40, 7, 5, generator=generator).to(dtype) - 3  # max below zero, too
    excluded = torch.rand(40, 7, generator=generator) < 0.5
    excluded[:, 3] = False
    hidden[excluded] = torch.inf
    hidden[:, 0][excluded[:, 0]] = torch.nan
    got = pool_tokens(hidden, excluded, pooling)
    assert got.dtype == torch.float32
    none = pool_tokens(hidden[:, 3:4], None, pooling)
    np.testing.assert_allclose(none, hidden[:, 3].float())
    for i in range(40):
        rows = hidden[i][~excluded[i]].double().numpy()
        np.testing.assert_allclose(got[i].numpy(), oracle(rows, pooling), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("special_tokens", ["include", "exclude"])
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("name", ["llama", "xlm_roberta"])
def test_extracted_pooling_equals_the_models_own_states(name, pooling, special_tokens):
    model, tok = build(name), tokenizer()
    got = run(model, pooling=pooling, special_tokens=special_tokens)
    assert got.info["pooling"] == pooling
    cut = slice(1, -1) if special_tokens == "exclude" else slice(None)
    for code, sentences in SENTENCES.items():
        for i, sentence in enumerate(sentences):
            ids = tok(sentence, return_tensors="pt")["input_ids"]
            with torch.no_grad():
                states = model(input_ids=ids, output_hidden_states=True).hidden_states
            for layer, state in enumerate(states):
                expected = oracle(state[0, cut].double().numpy(), pooling)
                np.testing.assert_allclose(got[code][layer, i], expected, rtol=1e-3, atol=1e-4)


def test_unknown_pooling_is_refused():
    with pytest.raises(ValueError, match="pooling='sum' is unknown: choose 'mean' or"):
        run(build("llama"), pooling="sum")
