"""Intervals of steering cover; chrF; prompts are cut where words begin; the simple rule."""

from __future__ import annotations

import secrets
import sys
from typing import Any

import numpy as np
import pytest
from helpers import tiny_models
from transformers import AutoTokenizer

from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.models.demo import demo_model_path
from ilo_fast.transcoders.multilingual.line_features import LineFeatures
from ilo_fast.transcoders.multilingual.steering.background import (
    feature_means,
    simple_language_columns,
)
from ilo_fast.transcoders.multilingual.steering.measures import (
    Outcome,
    Share,
    chrf_scores,
    document_interval,
    measured,
)
from ilo_fast.transcoders.multilingual.steering.prompts import steering_prompts
from ilo_fast.transcoders.multilingual.steering.result import Contrast


@pytest.mark.parametrize(("up", "down"), [(0.5, 0.1), (0.05, 0.02), (0.9, 0.0), (0.3, 0.3)])
@pytest.mark.parametrize("per_document", [1, 3])
def test_intervals_of_paired_differences_cover(up: float, down: float, per_document: int) -> None:
    """Of 200 experiments of 50 documents each, 170 or more hold the truth.

    Prompts of a document are alike. Fewer have less than one chance in a million at 95 %.
    """
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")
    random = np.random.default_rng(seed)
    document = np.repeat(np.arange(50), per_document)
    held = 0
    for _ in range(200):
        drawn = random.choice([1.0, -1.0, 0.0], p=[up, down, 1 - up - down], size=50)
        values = drawn[document]
        low, high = document_interval(values, document, seed=1, within=1.0)
        held += low <= up - down <= high
    assert held >= 170


def test_no_difference_gives_no_verdict_more_often_than_by_chance() -> None:
    """Of 60 experiments at 5 %, 16 or more have less than one chance in a million."""
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")
    random = np.random.default_rng(seed)
    document = np.arange(50)
    verdicts = [
        Contrast.of("other", random.choice([1.0, -1.0, 0.0], size=50), document, 0).verdict
        for _ in range(60)
    ]
    assert verdicts.count("cannot tell") >= 45


def outcome(said: str, reference: float = -1.0, shuffled: float = -2.0) -> Outcome:
    n = len(said)
    ones = np.ones(n)
    return Outcome(
        tuple(said), tuple(said), reference * ones, shuffled * ones, None, ones, 2 * ones, ones
    )


def test_measures_are_means_over_sets_prompt_by_prompt() -> None:
    document = np.arange(4)
    one = measured([outcome("abbc"), outcome("bbbb", np.nan)], "a", "b", document, 0)
    halves = np.array([0.5, 1, 1, 0.5])
    assert one.target == Share.of(halves, document) and one.target.share == 0.75
    assert (one.source.share, one.neither.share) == (0.125, 0.125)
    assert one.said == {"a": 0.125, "b": 0.75, "c": 0.125}
    assert (one.reference, one.shuffled, one.content, one.chrf) == (-1.0, -2.0, 1.0, None)
    assert (one.loss, one.loss_alone) == (1.0, 2.0)


@pytest.mark.parametrize("truth", [0.5, 0.9])
def test_intervals_of_shares_cover_where_prompts_of_a_document_are_alike(truth: float) -> None:
    """Of 300 experiments 262 or more: fewer have less than one chance in a million at 93 %."""
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")
    random = np.random.default_rng(seed)
    document = np.repeat(np.arange(30), 4)
    held = 0
    for _ in range(300):
        found = Share.of((random.random(30) < truth)[document].astype(float), document)
        held += found.low <= truth <= found.high
    assert held >= 262
    apart = Share.of(np.repeat([0.0, 1.0], 60), np.arange(120))
    assert apart.high - apart.low < 0.19  # of 120 trials


def test_chrf_is_of_what_the_text_could_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    found = chrf_scores(["the cat", "zzz", ""], [" the cat sat on the mat", "the cat", "a"])
    assert found is not None
    assert found[0] == pytest.approx(100) and found[1] == found[2] == 0
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert chrf_scores(["a"], ["a"]) is None


def prompts(corpus: ParallelCorpus, **changes: Any) -> Any:
    options: dict[str, Any] = {
        "tokenizer": tiny_models.tokenizer(), "documents": None, "n_prompts": 4,
        "validation_share": 0.5, "background_share": 0.3,
        "max_new_tokens": 6, "limit": None, "seed": 0,
    }  # fmt: skip
    return steering_prompts(corpus, **options | changes)


def test_prompts_are_first_halves_that_end_with_a_word() -> None:
    corpus = ParallelCorpus.demo().select(["eng_Latn", "hin_Deva"])
    tokenizer = AutoTokenizer.from_pretrained(demo_model_path())
    found = prompts(corpus, tokenizer=tokenizer)
    for code, own in corpus.sentences.items():
        for at, line in enumerate(found.line):
            prompt, rest = found.texts[code][at], found.references[code][at]
            ids = tokenizer(own[line], add_special_tokens=False)["input_ids"]
            first, *before = found.ids[code][at]
            assert first == tokenizer.bos_token_id and len(before) >= len(ids) / 2
            assert [*before, *found.rest[code][at]] == ids[: len(before) + 6]
            whole = tokenizer.decode(ids)
            assert f"{prompt} {rest.strip()}" == whole or len(before) == (len(ids) + 1) // 2
    assert len(found) == 4 and found.is_validation.tolist() == [True, True, False, False]


def test_halves_share_no_document_and_take_many() -> None:
    text = [f"the river is long and cold {'abcdefghij'[n % 10]}{n // 10 * 'x'}" for n in range(60)]
    corpus = ParallelCorpus.from_dict({"eng_Latn": text, "deu_Latn": text[::-1]})
    documents = [n // 6 for n in range(60)]
    for seed in range(20):
        found = prompts(corpus, documents=documents, n_prompts=8, background_share=0.2, seed=seed)
        one, two = (
            set(found.document[half]) for half in (found.is_validation, ~found.is_validation)
        )
        assert len(one) == len(two) == 4 and not one & two
        assert not {documents[at] for at in found.background} & {documents[at] for at in found.line}


def test_the_simple_rule_finds_what_fires_in_one_language() -> None:
    # Feature 0 in a, 1 in b, 2 in both; 3 in a, once.
    entries = [[0, 2], [0, 2, 3], [1, 2], [1, 2]]
    counts = np.array([5, 5, 5, 5, 1, 4, 5, 4, 5], np.int32)
    table = LineFeatures(
        ("a", "b"), np.array([0, 0, 1, 1]), np.arange(4), np.arange(4), np.full(4, 300),
        np.cumsum([0, *map(len, entries)]), np.array([i for e in entries for i in e], np.int32),
        counts, 2.0 * counts.astype(np.float32), np.ones(9, np.float32), 1, 4, False,
    )  # fmt: skip
    assert {k: v.tolist() for k, v in simple_language_columns(table).items()} == {
        "a": [0],
        "b": [1],
    }
    means = feature_means(table)
    assert means.rate[0, 0] == 10 / 600 and means.rate[1, 0] == 0
    assert means.of("a", np.array([0, 1])).tolist() == [2.0, 2.0]
    assert simple_language_columns(table, least_rate=0.001)["a"].tolist() == [0, 3]
    assert simple_language_columns(table, least_rate=0.001, most=1)["a"].tolist() == [0]
