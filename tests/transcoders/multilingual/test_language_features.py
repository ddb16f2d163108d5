"""Language features: planted ones are found and hold, under the null nothing is."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from helpers.firings import table_of
from helpers.seeds import fresh_seed

from ilo_fast.transcoders.multilingual.language_features.language_features import language_features
from ilo_fast.transcoders.multilingual.line_features import LineFeatures

CODES = ("deu_Latn", "eng_Latn", "fra_Latn")


def planted(
    seed: int, own: float = 0.3, other: float = 0.01, *, n_documents: int = 40, n_own: int = 4
) -> LineFeatures:
    """Two layers of 30 features; of each language the first `n_own` of layer 1 that are left.

    Features of languages fire at `own` of the tokens of theirs and at `other` of others', the rest
    at rates of their own that know no language. Documents differ.
    """
    random = np.random.default_rng(seed)
    n, n_lines = 60, 2 * n_documents
    rate = np.broadcast_to(random.uniform(0.01, 0.2, n), (len(CODES), n)).copy()
    for code in range(len(CODES)):
        mine = 30 + n_own * code + np.arange(n_own)
        rate[:, mine] = other
        rate[code, mine] = own
    tokens = random.integers(10, 30, (len(CODES), n_lines))
    topic = random.gamma(8, 1 / 8, (n_documents, n))[np.arange(n_lines) // 2]
    counts = random.binomial(tokens[..., None], np.minimum(rate[:, None] * topic, 1))
    lines = np.tile(np.arange(n_lines), len(CODES))
    made = table_of(
        counts.reshape(-1, n), tokens.ravel(), np.repeat(np.arange(len(CODES)), n_lines),
        lines // 2, CODES, n_layers=2,
    )  # fmt: skip
    return dataclasses.replace(made, line=lines)


def test_planted_features_are_found_hold_and_are_significant() -> None:
    seed = fresh_seed()
    found = language_features(planted(seed), n_permutations=200, seed=seed)
    for code, name in enumerate(CODES):
        assert sorted(found.of(name).tolist()) == [30 + 4 * code + at for at in range(4)]
    assert found.holds.all() and found.share_that_holds == 1
    assert (found.p_adjusted == 1 / 201).all() and (found.p == 1 / 201).all()
    assert (found.p <= found.p_holm).all()
    assert (found.layer == 1).all() and found.counts.tolist() == [[0] * 3, [4] * 3]
    assert found.chance_counts.sum() == 0 and found.passed.tolist() == sorted(found.columns)
    assert ((found.low <= found.selectivity) & (found.selectivity <= found.high)).all()
    assert found.density == pytest.approx(0.3, abs=0.1)
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert len(told["features"]) == 12 and told["options"]["seed"] == seed
    assert repr(found).endswith("12 features pass; 12 of the 12 kept hold on other documents)")
    assert len(found.to_dataframe()) == 12 and found.summary()[0]["hold"] == 4


def test_shares_of_both_halves_equal_a_loop() -> None:
    table = planted(5)
    found = language_features(table, n_permutations=10, seed=7, n_per_language=2)
    assert len(found) == 6
    for at, column in enumerate(found.columns):
        for half, share in ((0, found.found_selectivity), (1, found.selectivity)):
            fired, tokens = np.zeros(3), np.zeros(3)
            for row in range(len(table)):
                if found.test_documents[table.document[row]] == bool(half):
                    entries = slice(table.indptr[row], table.indptr[row + 1])
                    fired[table.language[row]] += table.counts[entries][
                        table.indices[entries] == column
                    ].sum()
                    tokens[table.language[row]] += table.tokens[row]
            rates = fired / tokens
            own = found.language[at]
            assert share[at] == pytest.approx(rates[own] / rates.sum())
            assert found.firings[at, half] == fired[own]
            others = np.delete(rates / rates.sum(), own)
            assert (found.found_other, found.other)[half][at] == pytest.approx(others.max())


def test_what_is_found_by_luck_does_not_hold_and_luck_is_counted() -> None:
    """A weak rule, no language feature: selection inflates, the other half does not."""
    inflated, found_any, significant = [], 0, 0
    for seed in range(20):
        table = planted(seed, n_own=0, n_documents=12)
        found = language_features(
            table, seed=seed, selectivity=0.4, others_below=0.35, min_firings=1,
            n_permutations=100, n_per_language=5,
        )  # fmt: skip
        if len(found):
            found_any += 1
            inflated.append((found.found_selectivity - found.selectivity).mean())
            significant += bool((found.p_adjusted <= 0.05).any())
            expected = found.chance_counts.sum()
            assert found.counts.sum() < expected + 8 * np.sqrt(expected + 1)
    assert found_any >= 15 and np.mean(inflated) > 0.03
    assert significant <= 6  # of 20 at 5 %: more has a chance of 1 in 3000; seeds are fixed


def test_intervals_of_selectivity_cover() -> None:
    """The truth is 0.3 / 0.4 of the rates."""
    covered, total = 0, 0
    for seed in range(60):
        found = language_features(
            planted(seed, 0.3, 0.05), n_permutations=1, seed=seed, others_below=0.3, min_firings=1
        )
        mine = found.columns >= 30
        truth = 0.75
        covered += int(((found.low <= truth) & (truth <= found.high))[mine].sum())
        total += int(mine.sum())
    assert total > 500 and 0.92 <= covered / total <= 0.985, covered / total


def test_what_cannot_be_told_is_refused() -> None:
    table = planted(0)
    with pytest.raises(ValueError, match="alone"):
        language_features(table.select(["eng_Latn"]))
    with pytest.raises(ValueError, match="layers=5"):
        language_features(table, layers=(5,))
    with pytest.raises(ValueError, match="share from 0 to 1"):
        language_features(table, selectivity=2)
    none = language_features(table, layers=(0,), n_permutations=10)
    assert len(none) == 0 and np.isnan(none.share_that_holds) and none.to_dict()["features"] == []
    with pytest.raises(ValueError, match="language='xx'"):
        none.of("xx")


def test_a_language_without_a_line_is_named() -> None:
    table = planted(0)
    with pytest.raises(ValueError, match="table has no line of eng_Latn"):
        language_features(table.of_rows(table.language != 1))
