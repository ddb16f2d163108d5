"""Probes: as scikit-learn has them; planted languages are told, permuted ones are not."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from helpers import tiny_models
from helpers import transcoders as small
from helpers.seeds import fresh_seed

from ilo_fast import ParallelCorpus
from ilo_fast.transcoders.activations import TopK
from ilo_fast.transcoders.multilingual.language_features.language_features import language_features
from ilo_fast.transcoders.multilingual.line_features import line_features
from ilo_fast.transcoders.multilingual.lines import beginning_token
from ilo_fast.transcoders.multilingual.probes.late_features import (
    area_under_curve,
    foretold,
    late_features,
)
from ilo_fast.transcoders.multilingual.probes.logistic import binary, multinomial
from ilo_fast.transcoders.multilingual.probes.probes import language_probes, probes_of, standardised
from ilo_fast.transcoders.multilingual.probes.token_baselines import token_baselines
from ilo_fast.transcoders.multilingual.probes.token_sample import TokenSample, token_sample
from ilo_fast.transcoders.reading import MLPReader
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

TOKENIZER = tiny_models.tokenizer()


def planted(seed: int, strength: float = 3.0, n_documents: int = 24) -> TokenSample:
    """Three languages, two layers of 8 dimensions: layer 0 knows nothing, layer 1 the language.

    Tokens say nothing. Features 0 and 1 of layer 1 follow a direction of what layer 0 reads, 2 and
    3 of layer 1 nothing.
    """
    random = np.random.default_rng(seed)
    n_lines, n = 3 * n_documents, 10
    language = np.repeat(np.arange(3), n_documents * n)
    document = np.tile(np.repeat(np.arange(n_documents), n), 3)
    line = np.repeat(np.arange(n_lines), n)
    first = document % 2 == 0
    x = random.normal(size=(len(language), 2, 8)) + random.normal(size=(n_lines, 2, 8))[line]
    x[np.arange(len(language)), 1, language] += strength
    on = np.zeros((len(language), 8), bool)
    for feature in range(4):
        wave = x[:, 0, feature] if feature < 2 else random.normal(size=len(language))
        on[:, 4 + feature] = wave > np.quantile(wave, 0.7)
    tokens_of, columns = np.nonzero(on)
    ids = [[0, *random.integers(1, 20, n)] for _ in range(n_lines)]
    return TokenSample(
        ("a", "b", "c"), language, document, line, np.tile(np.arange(1, n + 1), n_lines), first,
        torch.randn(len(language), 8), torch.from_numpy(x).float(), tokens_of, columns,
        np.ones(len(columns), np.float32), 2, 4, [list(map(int, row)) for row in ids],
        np.repeat(np.arange(3), n_documents), np.tile(np.arange(n_documents) % 2 == 0, 3), 1,
    )  # fmt: skip


def test_regressions_are_those_of_scikit_learn() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    seed = fresh_seed()
    random = np.random.default_rng(seed)
    X = random.normal(size=(300, 6))
    labels = (X[:, :3] + 0.8 * random.normal(size=(300, 3))).argmax(axis=1)
    penalties = (0.1, 0.01)
    weight, bias = multinomial(
        torch.from_numpy(X), torch.from_numpy(labels).expand(2, -1), 3, torch.tensor(penalties)
    )
    yes = labels == 1
    both = binary(torch.from_numpy(X), torch.from_numpy(np.stack([yes, ~yes], 1)), 0.01).numpy()
    for at, penalty in enumerate(penalties):
        theirs = linear.LogisticRegression(C=1 / (300 * penalty), tol=1e-8, max_iter=2000)
        theirs.fit(X, labels)
        assert weight[at].T.numpy() == pytest.approx(theirs.coef_, abs=0.02)
        spread = bias[at].numpy() - theirs.intercept_
        assert spread - spread.mean() == pytest.approx(np.zeros(3), abs=0.02)
    theirs = linear.LogisticRegression(C=1 / (300 * 0.01), tol=1e-8, max_iter=2000).fit(X, yes)
    assert both[:-1, 0] == pytest.approx(theirs.coef_[0], abs=0.02)
    assert both[-1] == pytest.approx([theirs.intercept_[0], -theirs.intercept_[0]], abs=0.02)
    scores = random.normal(size=(200, 2)).round(1)
    truth = scores + random.normal(size=(200, 2)) > 0
    wanted = [_pairs(scores[:, k], truth[:, k]) for k in range(2)]
    assert area_under_curve(scores, truth) == pytest.approx(wanted)


def _pairs(scores: Any, truth: Any) -> float:
    yes, no = scores[truth], scores[~truth]
    return float(((yes[:, None] > no) + 0.5 * (yes[:, None] == no)).mean())


def test_vectors_are_scaled_by_the_half_that_is_fitted_on() -> None:
    X, first = torch.randn(40, 3) + 2, np.arange(40) < 20
    far = X.clone()
    far[20:] *= 100
    one, two = standardised(X, first), standardised(far, first)
    assert torch.equal(one[:20], two[:20])
    assert one[:20].mean(0).abs().max() < 1e-5
    assert one[:20].var(0, correction=0).mean() == pytest.approx(1, abs=1e-4)


def test_planted_languages_are_told_where_they_are_and_nowhere_else() -> None:
    found = probes_of(planted(0), n_shuffles=20)
    blind, seeing = found.of("x")
    assert seeing.accuracy[0] > 0.85 and seeing.p == 1 / 21
    assert seeing.selectivity > 0.5 and seeing.over_unigram[1] > 0.3
    assert seeing.over_embedding[1] > 0.3 and min(seeing.recall) > 0.7
    assert blind.accuracy[1] <= 1 / 3 + 0.05 and blind.accuracy[2] >= 1 / 3 - 0.05
    assert abs(np.mean(seeing.shuffled) - 1 / 3) < 0.06
    for name in ("unigram", "bigram", "line_so_far"):
        assert found.baselines[name][1] < 1 / 3 + 0.03 and found.baselines[name][2] > 1 / 3 - 0.03
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert [probe["kind"] for probe in told["probes"]] == ["embedding", "x", "a", "x", "a"]
    assert len(found.to_dataframe()) == 5


def test_where_there_is_no_language_ranks_among_shuffles_are_those_of_chance() -> None:
    """20 samples, their probes on x: at 1 in 10, two are expected among the best tenth."""
    best = 0
    for seed in range(20):
        found = probes_of(planted(seed, strength=0, n_documents=12), n_shuffles=9, seed=seed)
        best += sum(probe.p <= 0.1 for probe in found.of("x")[:1])
    assert best <= 7  # more has a chance of 1 in 2000; seeds are fixed


def test_counts_of_tokens_tell_what_tokens_tell() -> None:
    sample = planted(1)
    own = [[0, *(3 + language for _ in row[1:])] for row, language in
           zip(sample.ids, sample.line_language, strict=True)]  # fmt: skip
    hits = token_baselines(TokenSample(**{**vars(sample), "ids": own}))
    assert all((values == 1).all() for values in hits.values())
    # The pair tells, the token does not: 5 follows 6, 7 or 8.
    pairs = [[0, *([6 + language, 5] * 5)] for language in sample.line_language]
    hits = token_baselines(TokenSample(**{**vars(sample), "ids": pairs}))
    fives = sample.position[~sample.first] % 2 == 0
    assert hits["unigram"][fives] == pytest.approx(1 / 3) and (hits["bigram"] == 1).all()
    assert (hits["line_so_far"] == 1).all()


def other_half(sample: TokenSample) -> Any:
    """(documents,): those that did not find features, as `LanguageFeatures` has them."""
    return np.bincount(sample.document, ~sample.first) > 0


def test_late_features_that_early_layers_lead_to_are_foretold() -> None:
    sample = planted(2)
    features: Any = type("Some", (), {
        "columns": np.array([4, 5]), "language": np.array([0, 1]), "layer": np.array([1, 1]),
        "languages": ("a", "b", "c"), "test_documents": other_half(sample),
    })()  # fmt: skip
    found = foretold(sample, features, np.ones(8), late_from=1, early_before=1, n_random=20, seed=0)
    assert (found.auc > 0.95).all() and np.abs(found.matched - 0.5).max() < 0.12
    assert found.p.tolist() == [1 / 21]
    assert found.named[1] < 0.4 and found.named[2] > 0.28 and found.named_p > 0.04
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["layers"][0]["auc"] > 0.95 and len(told["features"]) == 2
    for others in (~features.test_documents, features.test_documents[:-1]):
        leaking: Any = type("Other", (), {**vars(type(features)), "test_documents": others})()
        with pytest.raises(ValueError, match="found on other documents than those that probes"):
            foretold(sample, leaking, np.ones(8), late_from=1, early_before=1, n_random=2, seed=0)
    features.columns = np.array([6, 7])
    blind = foretold(sample, features, np.ones(8), late_from=1, early_before=1, n_random=20, seed=0)
    assert blind.p.tolist() == [1.0]  # the random sets are those that are foretold


def test_a_model_is_read_as_by_itself() -> None:
    seed = fresh_seed()
    model = small.model(seed)
    it = CrossLayerTranscoder(3, 16, 12, seed=seed, activation=TopK(3)).eval()
    corpus = ParallelCorpus.from_dict(
        {"deu_Latn": small.lines(16, "das"), "eng_Latn": small.lines(16, "the")}
    )
    sample = token_sample(
        model, it, corpus, tokenizer=TOKENIZER, documents=None, n_tokens=40, seed=1, progress=False
    )
    assert len(sample) == 160 and np.bincount(sample.language[sample.first]).tolist() == [40, 40]
    assert (sample.line_first[sample.line] == sample.first).all()
    reader = MLPReader(model)
    texts = [text for lines in corpus.sentences.values() for text in lines]
    every = sample.activations(np.arange(36))
    for at in (0, 77, 159):
        ids = [*beginning_token(TOKENIZER), *TOKENIZER(texts[sample.line[at]],
               add_special_tokens=False)["input_ids"]]  # fmt: skip
        x, _ = reader.read(torch.tensor([ids]))
        mine = x[0, sample.position[at]]
        assert torch.allclose(sample.x[at], mine, atol=1e-4)
        assert torch.allclose(every[at], it.encode(mine[None]).to_dense().flatten(), atol=1e-3)
        word = model.model.embed_tokens.weight[ids[sample.position[at]]]
        assert torch.equal(sample.embedded[at], word)
    found = language_probes(model, it, corpus, tokenizer=TOKENIZER, n_tokens=20, n_shuffles=2)
    assert found.n_tokens == (20, 20) and found.n_documents == (8, 8) and len(found.probes) == 7
    # Of other seeds the features that pass may be too rare, or all in the first layer.
    model, it = small.model(1), CrossLayerTranscoder(3, 16, 12, seed=1, activation=TopK(3)).eval()
    table = line_features(model, it, corpus, tokenizer=TOKENIZER)
    features = language_features(
        table, selectivity=0.5, others_below=0.5, min_firings=1, n_permutations=5, n_per_language=1
    )
    late = late_features(model, it, features, corpus, tokenizer=TOKENIZER, late_from=1,
                         n_tokens=200, n_random=3)  # fmt: skip
    assert late.layers == (0,) and late.matched.shape == (3, len(late.columns), 1)


def test_late_features_that_carry_the_language_name_it() -> None:
    sample = planted(3)
    # Features 4 to 6 are active in one language each, now and then elsewhere; 7 in none.
    random = np.random.default_rng(3)
    on = np.zeros((len(sample), 8), bool)
    for code in range(3):
        on[:, 4 + code] = random.random(len(sample)) < np.where(sample.language == code, 0.7, 0.05)
    on[:, [0, 1, 2, 3, 7]] = random.random((len(sample), 5)) < 0.25
    tokens_of, columns = np.nonzero(on)
    values = np.ones(len(columns), np.float32)
    told = vars(sample) | {"tokens_of": tokens_of, "columns": columns, "values": values}
    features: Any = type("Some", (), {
        "columns": np.array([4]), "language": np.array([0]), "layer": np.array([1]),
        "languages": ("a", "b", "c"), "test_documents": other_half(sample),
    })()  # fmt: skip
    found = foretold(
        TokenSample(**told), features, np.ones(8), late_from=1, early_before=1, n_random=10, seed=0,
        exclude=[5, 6],
    )  # fmt: skip
    assert found.named[0] > 0.45 and found.named[1] > 0.38
    assert np.abs(found.named_matched - 1 / 3).max() < 0.1 and found.named_p == 1 / 11
