"""Features and neighbourhoods in one table: its parts are those that are measured alone."""

from __future__ import annotations

import json
import random as chance
from typing import Any

import numpy as np
import pytest
from helpers import tiny_models
from helpers import transcoders as small
from helpers.line_tables import CODES, planted, table_of
from helpers.seeds import fresh_seed

from ilo_fast import ParallelCorpus, extract, overlap
from ilo_fast.scores.companions.companions import companions
from ilo_fast.transcoders.activations import TopK
from ilo_fast.transcoders.multilingual.line_features import line_features
from ilo_fast.transcoders.multilingual.sharing.sharing import feature_sharing
from ilo_fast.transcoders.multilingual.sharing.space import shared_space
from ilo_fast.transcoders.multilingual.sharing.space_result import SharedSpace
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

TOKENIZER = tiny_models.tokenizer()
FEW: dict[str, Any] = {
    "n_shuffles": 3, "n_bootstrap": 100, "n_halves": 2, "n_permutations": 19, "n_neighbors": 3,
    "metric": "euclidean", "threshold": 1,
}  # fmt: skip


def small_run(**changes: Any) -> tuple[SharedSpace, Any, CrossLayerTranscoder, ParallelCorpus]:
    seed = fresh_seed()
    model, coder = small.model(seed), CrossLayerTranscoder(3, 16, 30, activation=TopK(4), seed=seed)
    words = ("das", "the", "la", "river")
    corpus = ParallelCorpus.from_dict(
        {code: small.lines(40, word) for code, word in zip(CODES, words, strict=False)}
    )
    found = shared_space(model, coder.eval(), corpus, tokenizer=TOKENIZER, **(FEW | changes))
    return found, model, coder, corpus


def test_scores_are_those_that_are_measured_alone_in_both_spaces() -> None:
    found, model, coder, corpus = small_run()
    table = line_features(model, coder, corpus, tokenizer=TOKENIZER)
    alone = feature_sharing(table, n_shuffles=3, n_bootstrap=100)
    assert found.sharing.rows() == alone.rows()
    assert found.n_left_out == 0 and found.not_measured == () and found.layers == (0, 1, 2)
    counts = np.zeros((4, table.n_columns))
    np.add.at(counts, (table.language[table.rows], table.indices), table.counts)
    tokens = np.bincount(table.language, table.tokens)
    on = (counts / tokens[:, None]).mean(axis=0) > 0.5
    vectors = {code: table.of_columns(~on).means(code) for code in corpus.sentences}
    states = extract(model, corpus, tokenizer=TOKENIZER)
    hidden = {code: np.asarray(states[code][1:]) for code in corpus.sentences}
    for source, of in (("hidden", hidden), ("features", vectors)):
        scores = overlap(of, n_neighbors=3, threshold=1, metric="euclidean", parallel=True)
        for name in ("ilo", "bridge", "reach", "translation_share"):
            assert found.scores[source][name].values == pytest.approx(
                getattr(scores, name).mean(axis=1)
            )
        # Twice what the table of pairs adds up to, of k neighbours.
        pairs = found.pairs[source]["translation_share"]
        assert np.nansum(pairs, axis=2).mean(axis=1) / 3 == pytest.approx(
            scores.translation_share.mean(axis=1)
        )
        beside = companions(of, directions=False)
        for name in ("retrieval_p1", "mutual_knn", "cka_unbiased"):
            assert found.scores[source][name].values == pytest.approx(
                beside[name].means, rel=1e-6, nan_ok=True
            )


def test_mutual_neighbours_of_halves_are_those_of_the_companions() -> None:
    found, model, coder, corpus = small_run(n_halves=0)
    quick = shared_space(
        model, coder, corpus, tokenizer=TOKENIZER, beside=False, **(FEW | {"n_halves": 0})
    )
    for source in ("hidden", "features"):
        a, b = (one.scores[source]["mutual_knn"].values for one in (found, quick))
        # Near-ties may fall otherwise in a mean-centred pool.
        assert a == pytest.approx(b, abs=0.02)
        assert "retrieval_p1" not in quick.scores[source]
    assert found.interval_note == "n_halves=0"
    assert np.isnan(quick.correlation("ilo").low)


def test_results_are_tables_and_json_and_figures() -> None:
    pytest.importorskip("matplotlib")
    found, *_ = small_run()
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert data["languages"] == list(CODES[:4]) and data["not_measured"] == []
    rows, pairs = found.rows(), found.pair_rows()
    assert len(rows) == 3 and len(pairs) == 3 * 6
    assert {"jaccard_excess", "hidden_ilo", "features_ilo", "hidden_ilo_low"} <= rows[0].keys()
    assert {"jaccard_excess", "hidden_mutual_knn", "features_mutual_knn"} <= pairs[0].keys()
    first = pairs[0]["hidden_translation_share"]
    assert first == pytest.approx(found.pairs["hidden"]["translation_share"][0, 0, 1])
    over_pairs = found.correlation("mutual_knn", source="features", over="pairs")
    assert over_pairs.n == 6
    with pytest.raises(KeyError, match="no correlation with hidden beauty"):
        found.correlation("beauty")
    assert repr(found).startswith("SharedSpace(3 layers x 4 languages")
    assert repr(found.sharing).startswith("FeatureSharing(3 layers x 4 languages, by activation")
    figure = found.plot(("ilo", "mutual_knn"))
    assert len(figure.axes) == 3
    figure.draw_without_rendering()
    with pytest.raises(ValueError, match="scores="):
        found.plot(("beauty",))


def planted_space(shares: list[float], noise: float, seed: int) -> SharedSpace:
    """Languages share features and, to the same degree, hidden states."""
    random = np.random.default_rng(seed)
    table = planted(shares, random, n_lines=40, n_languages=4)
    hidden = {}
    meaning = random.normal(size=(len(shares) + 1, 40, 12))
    for code in table.languages:
        own = random.normal(size=meaning.shape)
        weight = np.array([0.0, *shares])[:, None, None]
        hidden[code] = (weight * meaning + noise * own).astype(np.float32)
    model: Any = None  # nothing of it is needed where both are given
    return shared_space(
        model, model, model, tokenizer=None, table=table, representations=hidden, beside=False,
        **(FEW | {"metric": "cosine"}),
    )  # fmt: skip


def test_planted_agreement_of_both_spaces_is_found_over_layers() -> None:
    seed = fresh_seed()
    found = planted_space([0.1, 0.3, 0.5, 0.7, 0.9, 1.0], 0.5, seed)
    over = found.correlation("translation_share")
    assert over.rho > 0.6 and over.low > 0
    assert found.correlation("translation_share", source="features").rho > 0.6


def test_lines_and_layers_without_features_are_left_out_and_said() -> None:
    random = np.random.default_rng(chance.randrange(2**31))
    values = random.uniform(0.5, 2, (3, 40, 3, 50)) * (random.random((3, 40, 3, 50)) < 0.4)
    values[0, 5, 0] = 0
    values[1, :20, 2] = 0
    hidden = {c: random.normal(size=(4, 40, 8)).astype(np.float32) for c in CODES[:3]}
    given: dict[str, Any] = {"tokenizer": None, "representations": hidden, "beside": False}
    model: Any = None
    found = shared_space(model, model, model, table=table_of(values), **given, **FEW)
    assert (found.n_left_out, found.n_lines, found.not_measured) == (1, 39, (2,))
    assert np.isnan(found.scores["hidden"]["ilo"].values[2])
    assert np.isfinite(found.scores["features"]["ilo"].values[:2]).all()
    values[:, :, :, :] = 0
    values[0, 0] = 1
    with pytest.raises(ValueError, match="lines have an active feature"):
        shared_space(model, model, model, table=table_of(values), **given, **FEW)
    with pytest.raises(ValueError, match="representations lack layer 2"):
        short = {c: v[:2] for c, v in hidden.items()}
        shared_space(model, model, model, table=planted((0.5, 0.5, 0.5), random),
                     **(given | {"representations": short}), **FEW)  # fmt: skip
    with pytest.raises(ValueError, match="by='influence' needs table"):
        shared_space(model, model, model, by="influence", **given, **FEW)


def test_a_random_model_has_no_excess_on_lines_that_are_no_translations_over_20_seeds() -> None:
    first = fresh_seed()
    beyond, means = 0, []
    for seed in range(20):
        random = np.random.default_rng([first, seed])
        texts = {
            code: [" ".join(random.choice(small.WORDS, random.integers(3, 9))) for _ in range(40)]
            for code in CODES[:2]
        }
        coder = CrossLayerTranscoder(3, 16, 60, activation=TopK(4), seed=seed).eval()
        table = line_features(
            small.model(seed), coder, ParallelCorpus.from_dict(texts), tokenizer=TOKENIZER
        )
        excess = feature_sharing(table, n_bootstrap=200, seed=seed)["jaccard"].mean_excess
        beyond += int(((excess.low > 0) | (excess.high < 0)).sum())
        means.append(excess.values.mean())
    # Layers of a model move together: 20 trials at 5 %, and Student's t of 19 degrees of freedom;
    # both less than once in 10^6.
    assert beyond <= 3 * 8
    assert abs(np.mean(means)) < 8 * np.std(means, ddof=1) / np.sqrt(20)
