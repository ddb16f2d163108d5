"""Rank correlations over layers and over pairs of languages: values, tests, intervals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from helpers.seeds import fresh
from numpy.typing import NDArray

from ilo_fast.transcoders.multilingual.sharing.rank_correlation import (
    layer_correlation,
    pair_correlation,
    ranks,
    spearman,
)


def of_languages(
    random: np.random.Generator, n: int, shared: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two symmetric tables; both depend on traits of languages, of which they share a part."""
    common, tables = random.normal(size=n), []
    for _ in range(2):
        trait = shared * common + math.sqrt(1 - shared**2) * random.normal(size=n)
        noise = random.normal(size=(n, n))
        table = trait[:, None] + trait[None] + (noise + noise.T) / math.sqrt(2)
        np.fill_diagonal(table, np.nan)
        tables.append(table)
    return tables[0], tables[1]


def test_ranks_and_correlations_are_those_of_scipy() -> None:
    stats: Any = pytest.importorskip("scipy.stats")
    random = fresh()
    for n in (4, 7, 30):
        x, y = random.integers(0, 6, n).astype(float), random.normal(size=n)
        assert ranks(x) == pytest.approx(stats.rankdata(x))
        if np.ptp(x):
            assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
    assert math.isnan(spearman(np.arange(3.0), np.arange(3.0)))
    assert math.isnan(spearman(np.ones(5), np.arange(5.0)))
    x = np.array([1, 2, np.nan, 3, 4])
    assert spearman(x, np.array([1, 2, 0, 3, 4.0])) == 1


def test_pairs_of_unrelated_tables_are_found_related_no_more_often_than_by_chance() -> None:
    seed, low, beyond = fresh().integers(2**31), 0, 0
    for trial in range(60):
        # Alike in that both depend on single languages: what makes naive tests go wrong.
        x, y = of_languages(np.random.default_rng([seed, trial]), 8, 0.0)
        found = pair_correlation(x, y, [], 0.95, n_permutations=99, seed=trial)
        low += found.p <= 0.05
        beyond += not found.low <= 0 <= found.high
    # Of 60 trials at 5 %, 3 wanted; 16 or more happens less than once in 10^6.
    assert low < 16 and beyond < 16


def test_intervals_over_pairs_hold_the_correlation_of_all_languages() -> None:
    seed, held, p = fresh().integers(2**31), 0, []
    truth = np.mean(
        [spearman(*(t[np.triu_indices(300, 1)] for t in of_languages(
            np.random.default_rng([seed, 1, s]), 300, 0.9))) for s in range(3)]
    )  # fmt: skip
    for trial in range(60):
        x, y = of_languages(np.random.default_rng([seed, 2, trial]), 12, 0.9)
        found = pair_correlation(x, y, [], 0.95, n_permutations=19, seed=trial)
        held += found.low <= truth <= found.high
        p.append(found.p)
    # 57 wanted; fewer than 44 happens less than once in 10^6.
    assert held >= 44
    assert np.median(p) == 0.05 and found.n == 66


def test_few_languages_are_permuted_one_and_all() -> None:
    random = fresh()
    x = random.normal(size=(5, 5))
    x = x + x.T
    found = pair_correlation(x, x, [], 0.95, n_permutations=0, seed=0)
    assert found.rho == 1 and found.p == pytest.approx(1 / 120)
    against = pair_correlation(x, -x, [], 0.95, n_permutations=0, seed=0)
    assert against.rho == -1 and against.p == pytest.approx(1 / 120)  # two-sided
    y, _ = of_languages(random, 9, 0.0)
    opposite = pair_correlation(y, -y, [], 0.95, n_permutations=49, seed=0)
    assert opposite.rho == -1 and opposite.p == 1 / 50
    assert found.low <= 1 and found.n == 10
    assert math.isnan(pair_correlation(x[:3, :3], x[:3, :3], [], 0.95,
                                       n_permutations=9, seed=0).rho)  # fmt: skip


def test_text_widens_intervals_and_layers_have_none_without_halves() -> None:
    random = fresh()
    x, y = of_languages(random, 8, 0.8)
    narrow = pair_correlation(x, y, [], 0.95, n_permutations=0, seed=0)
    halves = [of_languages(random, 8, 0.8) for _ in range(8)]
    wide = pair_correlation(x, y, halves, 0.95, n_permutations=0, seed=0)
    assert wide.rho == narrow.rho and math.isnan(narrow.p)
    assert (wide.high - wide.low) >= (narrow.high - narrow.low)
    a, b = random.normal(size=(2, 6))
    of_layers = layer_correlation(a, b, [], 0.95)
    assert of_layers.rho == spearman(a, b) and math.isnan(of_layers.low)
    same = layer_correlation(a, b, [(a, b)] * 4, 0.95)  # halves that agree
    assert same.low == same.high == of_layers.rho
