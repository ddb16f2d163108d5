"""Influence of features: against log-likelihoods of a model in which one is changed a little."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers import clt_models, tiny_models
from helpers import transcoders as small
from helpers.seeds import fresh_seed
from transformers import GPT2Config, GPT2LMHeadModel

from ilo_fast import ParallelCorpus
from ilo_fast.transcoders.activations import JumpReLU, TopK
from ilo_fast.transcoders.interventions.intervened import intervened
from ilo_fast.transcoders.interventions.intervention import Intervention
from ilo_fast.transcoders.multilingual.line_features import line_features
from ilo_fast.transcoders.multilingual.sharing.influence import feature_influence, line_influence
from ilo_fast.transcoders.replacement import ReplacementModel

TOKENIZER = tiny_models.tokenizer()


def double_model(seed: int) -> Any:
    """A GPT-2, which computes all of it in float64; the norms of a Llama do not."""
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=64, n_positions=32, n_embd=16, n_layer=3, n_head=2, initializer_range=0.5,
        bos_token_id=0, eos_token_id=2, attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0,
    )  # fmt: skip
    return GPT2LMHeadModel(config).double().eval()


def log_likelihood(model: Any, ids: torch.Tensor) -> float:
    with torch.no_grad():
        chances = torch.log_softmax(model(input_ids=ids).logits[0, :-1].double(), -1)
    return float(chances[torch.arange(ids.shape[1] - 1), ids[0, 1:]].sum())


@pytest.mark.parametrize("cross_layer", [True, False])
def test_influence_is_the_derivative_of_the_log_likelihood(cross_layer: bool) -> None:
    seed = fresh_seed()
    activation = TopK(4) if seed % 2 else JumpReLU()
    coder = clt_models.random_transcoder(seed, activation=activation, cross_layer=cross_layer)
    model = double_model(seed)
    ids = torch.randint(5, 60, (1, 9), generator=torch.Generator().manual_seed(seed))
    it = ReplacementModel(model, coder, skip_positions=1)
    active, influence = feature_influence(it, ids)
    order = torch.randperm(len(influence), generator=torch.Generator().manual_seed(seed))[:25]
    for at in order.tolist():
        token = int(active.tokens[at])
        value, ends = float(active.values[at]), []
        step = 1e-4 * value
        for more in (step, -step):
            one = Intervention(
                int(active.layers[at]), int(active.features[at]), add=more, positions=token + 1
            )
            with intervened(it, None, one):
                ends.append(log_likelihood(model, ids))
        slow = value * (ends[0] - ends[1]) / (2 * step)
        assert float(influence[at]) == pytest.approx(slow, rel=1e-5, abs=1e-9)
    last = active.tokens == ids.shape[1] - 2
    assert last.any() and (influence[last] == 0).all()  # it predicts nothing of the line


def test_influence_of_lines_adds_up_what_single_tokens_have() -> None:
    seed = fresh_seed()
    coder = clt_models.random_transcoder(seed, activation=TopK(4))
    model = small.model(seed).double()
    corpus = ParallelCorpus.from_dict(
        {"deu_Latn": small.lines(6, "das"), "eng_Latn": small.lines(6, "the")}
    )
    table = line_influence(model, coder, corpus, tokenizer=TOKENIZER, batch_tokens=30)
    plain = line_features(model, coder.float(), corpus, tokenizer=TOKENIZER)
    coder = coder.double()
    assert (table.tokens == plain.tokens).all() and table.is_parallel
    it = ReplacementModel(model, coder)
    for row in range(len(table)):
        text = corpus.sentences[table.languages[table.language[row]]][int(table.line[row])]
        ids = [TOKENIZER.bos_token_id, *TOKENIZER(text, add_special_tokens=False)["input_ids"]]
        active, influence = feature_influence(it, torch.tensor([ids]))
        dense = np.zeros(table.n_columns)
        np.add.at(dense, active.indices.numpy(), influence.abs().numpy())
        span = slice(table.indptr[row], table.indptr[row + 1])
        assert table.sums[span] == pytest.approx(dense[table.indices[span]], rel=1e-4, abs=1e-7)
        assert (dense > 0).sum() == len(table.indices[span])
    assert all(p.grad is None for p in model.parameters())
