"""Ablation: as `intervened` does it; planted features hurt their language, random ones nothing."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from helpers import tiny_models
from helpers import transcoders as small
from helpers.clt_models import random_transcoder
from helpers.seeds import fresh_seed

from ilo_fast import ParallelCorpus
from ilo_fast.transcoders.activations import Activation, JumpReLU, TopK
from ilo_fast.transcoders.interventions.intervened import intervened
from ilo_fast.transcoders.interventions.intervention import Intervention
from ilo_fast.transcoders.multilingual.language_features.ablated import Ablation
from ilo_fast.transcoders.multilingual.language_features.ablation import (
    _specificity,
    ablation_matrix,
)
from ilo_fast.transcoders.multilingual.language_features.language_features import language_features
from ilo_fast.transcoders.multilingual.line_features import line_features
from ilo_fast.transcoders.reading import MLPReader
from ilo_fast.transcoders.replacement import ReplacementModel
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

TOKENIZER = tiny_models.tokenizer()


@pytest.mark.parametrize("activation", [JumpReLU(), TopK(4)])
@pytest.mark.parametrize("cross_layer", [True, False])
def test_losses_are_those_of_intervened_line_by_line(
    activation: Activation, cross_layer: bool
) -> None:
    seed = fresh_seed()
    random = np.random.default_rng(seed)
    model = small.model(seed).double()
    it = random_transcoder(seed, activation=activation, cross_layer=cross_layer)
    replacement = ReplacementModel(model, it)
    ids = [[0, *random.integers(4, 30, n).tolist()] for n in random.integers(3, 12, 14)]
    runs = Ablation(replacement, ids)
    assert runs._given  # the blocks before the first feature are not run again
    for layers in ((0, 1, 2), (1, 2), (2,)):
        columns = np.unique(np.concatenate([40 * k + random.integers(0, 40, 6) for k in layers]))
        found = runs.losses(columns)
        off = [Intervention(int(c) // 40, int(c) % 40, value=0) for c in columns]
        for row, line in enumerate(ids):
            with intervened(replacement, None, off), torch.no_grad():
                logits = model(torch.tensor([line])).logits[0]
            logs = logits.log_softmax(-1)
            wanted = -sum(float(logs[at, line[at + 1]]) for at in range(len(line) - 1))
            assert found[row] == pytest.approx(wanted, rel=1e-9)
    with torch.no_grad():
        for row, line in enumerate(ids):
            plain = model(torch.tensor([line]), labels=torch.tensor([line])).loss.item()
            assert runs.losses()[row] == pytest.approx(plain * (len(line) - 1), rel=1e-6)
    assert all("forward" not in vars(block) for block in replacement.parts.blocks)


def planted(seed: int) -> tuple[Any, CrossLayerTranscoder, ParallelCorpus]:
    """German is of other letters than English; feature 0 of the last layer is active in German.

    It writes what makes German letters likely, the others of its layer write at random.
    """
    random = np.random.default_rng(seed)
    letters = {"deu_Latn": "abcdefgh", "eng_Latn": "stuvwxyz"}
    corpus = ParallelCorpus.from_dict({
        code: [" ".join("".join(random.choice(list(own), 4)) for _ in range(4)) for _ in range(40)]
        for code, own in letters.items()
    })  # fmt: skip
    model = small.model(seed)
    it = CrossLayerTranscoder(3, 16, 60, activation=JumpReLU(), cross_layer=False, seed=seed)
    reader = MLPReader(model)
    x, german = [], []
    for code, lines in corpus.sentences.items():
        for text in lines:
            ids = TOKENIZER(text, add_special_tokens=False)["input_ids"]
            x.append(reader.read(torch.tensor([[0, *ids]]))[0][0, 1:, 2])
            german += [code == "deu_Latn"] * len(ids)
    rows = torch.cat([torch.cat(x), torch.ones(len(german), 1)], 1)
    aim = torch.tensor(german).float()[:, None]
    fitted = torch.linalg.lstsq(rows, aim).solution[:, 0]
    head = model.lm_head.weight
    likely = head[[TOKENIZER.convert_tokens_to_ids(c) for c in letters["deu_Latn"]]].mean(0)
    likely = likely - head.mean(0)
    with torch.no_grad():
        it.log_threshold.fill_(np.log(0.5))
        it.encoder_weight[2, 0], it.encoder_bias[2, 0] = fitted[:-1], fitted[-1]
        written = torch.randn(60, 16, generator=torch.Generator().manual_seed(seed))
        written[0] = likely
        it.decoder_weights[2][:, 0] = 12 * written / written.norm(dim=1, keepdim=True)
    return model, it.eval(), corpus


def test_a_planted_feature_hurts_its_language_and_the_cell_survives() -> None:
    model, it, corpus = planted(0)
    sets = {"deu_Latn": [120]}
    table = line_features(model, it, corpus, tokenizer=TOKENIZER)
    found = ablation_matrix(
        model, it, sets, corpus, tokenizer=TOKENIZER, table=table, n_random=60, n_lines=30
    )
    german, english = found.change[0]
    assert german > 0.3 and german > 5 * abs(english)
    assert found.low[0, 0] > 0 and found.low[0, 0] < german < found.high[0, 0]
    assert found.p_adjusted[0, 0] <= 0.05 < found.p_adjusted[0, 1]
    assert found.p[0, 0] == found.specificity_p[0] == 1 / 61  # never 0
    assert found.specificity[0] == pytest.approx(german - english)
    assert found.specificity_p_holm[0] <= 0.05
    assert found.n_lines.tolist() == [30, 30] and found.n_documents.tolist() == [30, 30]
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["sets"] == {"deu_Latn": [120]} and len(told["cells"]) == 2
    assert len(found.to_dataframe()) == 2
    assert len(repr(found)) < 200 and "deu_Latn +" in repr(found)
    own = ablation_matrix(
        model,
        it,
        sets,
        corpus,
        tokenizer=TOKENIZER,
        table=table,
        n_random=9,
        match="language",
        exclude=range(121, 150),
    )
    assert own.change[0, 0] > 0.3 and own.options["match"] == "language"


def test_excluded_features_are_in_no_random_set() -> None:
    model, it, corpus = planted(0)
    with pytest.raises(ValueError, match="layer 2 has 0 other active features to match 1"):
        ablation_matrix(
            model, it, {"deu_Latn": [120]}, corpus, tokenizer=TOKENIZER, n_random=1, n_lines=1,
            exclude=range(121, 180),
        )  # fmt: skip


def test_specificity_is_the_change_in_the_own_language_less_the_mean_of_the_others() -> None:
    every = np.array([[[5.0, 1, 3], [0, 3, 0]], [[1, 1, 1], [0, 0, 0]]])
    found = _specificity(every, ("a", "z"), ("a", "b", "c"))
    assert found[0].tolist() == [3.0, -1.5] and np.isnan(found[1]).all()


def test_random_features_hurt_no_more_than_random_features() -> None:
    """20 sets drawn at random: two are expected among the best tenth of nine others."""
    model, it, corpus = planted(1)
    table = line_features(model, it, corpus, tokenizer=TOKENIZER)
    alive = np.unique(table.indices[table.indices > 120])
    best = 0
    for seed in range(20):
        columns = np.random.default_rng(seed).choice(alive, 3, replace=False)
        found = ablation_matrix(
            model, it, {"eng_Latn": columns}, corpus,
            tokenizer=TOKENIZER, table=table, n_random=9, n_lines=8, seed=seed,
        )  # fmt: skip
        best += bool(found.p_adjusted.min() <= 0.1)
    assert best <= 7  # more has a chance of 1 in 2000; seeds are fixed


def test_found_features_are_switched_off_in_documents_that_did_not_find_them() -> None:
    model, it, corpus = planted(2)
    documents = [n // 2 for n in range(40)]
    table = line_features(model, it, corpus, tokenizer=TOKENIZER, documents=documents)
    features = language_features(table, n_permutations=10, others_below=0.4, n_per_language=3)
    assert 120 in features.of("deu_Latn")
    found = ablation_matrix(
        model, it, features, corpus, tokenizer=TOKENIZER, documents=documents, n_random=2,
        n_lines=12,
    )  # fmt: skip
    assert found.n_documents.tolist() == [10, 10]  # of the other half, all
    assert found.options["on_test_documents"]
    with pytest.raises(ValueError, match="knows 20 documents, the texts have 40"):
        ablation_matrix(model, it, features, corpus, tokenizer=TOKENIZER)
    with pytest.raises(ValueError, match="no feature of any language"):
        ablation_matrix(model, it, {"deu_Latn": []}, corpus, tokenizer=TOKENIZER)
    with pytest.raises(ValueError, match="match="):
        wrong: Any = "none"
        ablation_matrix(model, it, {"deu_Latn": [0]}, corpus, tokenizer=TOKENIZER, match=wrong)
