"""Rates per language: planted features found, chance found out, intervals that cover."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.firings import FIVE, drawn, table_of
from helpers.seeds import fresh

from ilo_fast.transcoders import LanguageRates, language_rates


def planted(random: np.random.Generator, **options: Any) -> tuple[Any, np.ndarray]:
    """20 features of one language each (column % 5), then 60 that all languages share."""
    rates = np.full((5, 80), 0.02)
    for column in range(20):
        rates[:, column] = 0.001
        rates[column % 5, column] = 0.06
    return drawn(random, rates, 80, spread=0.3, **options), np.arange(20) % 5


def test_planted_language_features_are_found_and_others_are_not() -> None:
    table, wanted = planted(fresh(), n_layers=2, fertility=(1, 1.5, 1, 2, 3))
    found = language_rates(table, n_permutations=499)
    assert (found.dominant[:20] == wanted).all() and found.differs[:20].all()
    assert (found.p[:20] == 1 / 500).all() and (found.p_adjusted[:20] == 1 / 500).all()
    assert (found.specific[:20] == wanted).all() and (found.specific[20:] == -1).all()
    # Of 400 such tables, 10 had one of the 60 differ, one had two: six are beyond one in 10^6.
    assert found.differs[20:].sum() <= 5
    assert (found.effective_high[:20] < 2.5).all() and (found.effective_languages[20:] > 3.5).all()
    first, second = found.layer_summary()
    assert first["specific"] == 0.5 and second["specific"] == 0
    assert first["null_95"] <= 0.1 and first["null_p"] == 1 / 500
    assert sum(first["specific_to"].values()) == 20
    assert first["low"] <= first["effective_languages"] <= first["high"] < second["low"]
    top = found.top("hin_Deva", 3)
    assert len(top) == 3 and all(row["feature"] % 5 == 4 and row["specific"] for row in top)


def test_chance_makes_no_feature_differ_more_often_than_its_level() -> None:
    tables, single = 0, []
    for seed in range(20):
        random = np.random.default_rng([7, seed])
        fertility = (1, 1, 1, 1, 1) if seed % 2 else (1, 1.5, 1, 2, 3)
        table = drawn(random, np.full((5, 60), 0.02), 60, spread=0.5, clump=2, fertility=fertility)
        found = language_rates(table, n_permutations=199, seed=seed)
        tables += bool(found.differs.any())
        single.append((found.p[found.tested] <= 0.05).mean())
        assert (found.specific == -1).all()
    assert tables <= 3  # of 20 at level 0.05
    assert 0.02 < np.mean(single) < 0.07


def test_permuted_labels_of_planted_features_are_chance() -> None:
    table, _ = planted(np.random.default_rng(3))
    tables = 0
    for seed in range(20):
        labels = np.random.default_rng([3, seed]).permuted(table.language.reshape(5, -1), axis=0)
        mixed = dataclasses.replace(table, language=labels.reshape(-1))
        found = language_rates(mixed, n_permutations=199, seed=seed)
        tables += bool(found.differs.any())
    assert tables <= 3


@pytest.mark.parametrize(
    "shares", [(1, 1, 1, 1, 1), (2, 1.5, 1, 1, 0.7), (8, 2, 1, 0.5, 0.3), (50, 1, 1, 0.5, 0.2),
               (10, 10, 0.2, 0.2, 0.2), (1, 0, 0, 0, 0)]
)  # fmt: skip
@pytest.mark.parametrize("kind", ["few", "clumped", "apart", "short"])
def test_intervals_of_entropy_cover_the_truth(shares: tuple[float, ...], kind: str) -> None:
    options: dict[str, Any] = {
        "few": {"firings": 40, "documents": 200},
        "clumped": {"firings": 300, "documents": 60, "spread": 0.5, "clump": 3.0},
        "apart": {"firings": 300, "documents": 60, "spread": 0.5, "parallel": False},
        "short": {"firings": 500, "documents": 20},
    }[kind]
    fertility = (1, 1.5, 1, 2, 3)
    given = np.array(shares)
    rates = given / (given * fertility).sum() * options.pop("firings") / 45 / options["documents"]
    p = given[given > 0] / given.sum()
    truth = -(p * np.log2(p)).sum()
    covered = []
    for repeat in range(2):  # 400 features, each with its own draw
        random = np.random.default_rng([11, repeat])
        table = drawn(random, np.tile(rates[:, None], 200), fertility=fertility, **options)
        found = language_rates(table, n_permutations=99, seed=repeat)
        low, high = found.entropy_low[found.tested], found.entropy_high[found.tested]
        covered += ((low <= truth + 1e-9) & (truth <= high + 1e-9)).tolist()
        assert (low <= found.entropy[found.tested]).all()
        assert (found.entropy[found.tested] <= high).all()
    assert len(covered) > 250
    assert 0.90 <= np.mean(covered) <= 1


@pytest.mark.parametrize("shares", [np.ones(31), 1 / np.arange(1, 32), np.r_[100, np.ones(30)]])
def test_intervals_cover_where_languages_are_many_and_firings_few(shares: np.ndarray) -> None:
    codes = [f"x{n:02d}_Latn" for n in range(31)]
    p = shares / shares.sum()
    rates = np.tile((p * 60 / 45 / 200)[:, None], 200)
    table = drawn(np.random.default_rng(19), rates, 200, languages=codes)
    found = language_rates(table, n_permutations=99)
    truth = -(p * np.log2(p)).sum() - 1e-9
    known = found.tested
    covered = (found.entropy_low <= truth + 2e-9) & (truth <= found.entropy_high)
    assert known.sum() > 190 and 0.9 <= covered[known].mean() <= 1


def test_the_interval_of_a_layers_mean_covers_the_truth() -> None:
    rates = np.array([[4.0, 1], [2, 1], [1, 1], [1, 1], [0.5, 1]]) * 0.01
    share = rates / rates.sum(axis=0)
    effective = 2 ** -(share * np.log2(share)).sum(axis=0)
    truth = (effective * rates.sum(axis=0)).sum() / rates.sum()
    covered = 0
    for seed in range(100):
        random = np.random.default_rng([5, seed])
        table = drawn(random, np.repeat(rates, 15, axis=1), 40, spread=0.5)
        _, low, high = language_rates(table, n_permutations=19, seed=seed).mean_effective[0]
        covered += low <= truth <= high
    assert 90 <= covered <= 100


def test_much_text_of_one_language_makes_no_feature_its_own() -> None:
    rates = np.full((5, 20), 0.03)
    table = drawn(fresh(), rates, 100, fertility=(20, 1, 1, 1, 1))
    found = language_rates(table, n_permutations=99)
    assert (found.firings[0] > 3 * found.firings[1:].sum(axis=0)).all()
    assert found.entropy.min() > 1.8 and (found.specific == -1).all()


def test_features_with_few_firings_are_not_tested() -> None:
    counts = np.zeros((10, 3), np.int64)
    counts[0, 0], counts[5, 0], counts[:, 1] = 19, 0, 2
    table = table_of(counts, np.full(10, 40), np.repeat([0, 1], 5), np.arange(10) % 5, FIVE[:2])
    found = language_rates(table, n_permutations=19)
    assert found.tested.tolist() == [False, True, False]
    assert np.isnan(found.p[[0, 2]]).all() and np.isnan(found.entropy[[0, 2]]).all()
    assert found.entropy[1] == 1 and found.dominant.tolist() == [0, 0, -1]
    assert [row["p"] for row in found.rows()] == [None, found.p[1]]
    none = language_rates(table, n_permutations=19, min_firings=1000)
    assert none.layer_summary()[0]["effective_languages"] is None


def test_results_are_the_same_at_any_number_of_threads_and_read_back(tmp_path: Path) -> None:
    table, _ = planted(fresh(), n_layers=2)
    found = language_rates(table, n_permutations=99, n_threads=1, min_firings=40)
    assert found == language_rates(table, n_permutations=99, n_threads=3, min_firings=40)
    assert found != language_rates(table, n_permutations=99, seed=1, min_firings=40)
    found.to_json(tmp_path / "language_rates.json")
    assert LanguageRates.from_json(tmp_path) == found
    json.dumps(found.layer_summary(), allow_nan=False)
    json.dumps(found.rows(), allow_nan=False)
    frame = found.to_dataframe()
    assert len(frame) == 80 and frame["rate_eng_Latn"].iloc[0] == found.rates[0, 0]
    second = found.of_layer(1)
    assert second.layer_summary()[0] | {"layer": 1} == found.layer_summary()[1]
    for key, bad, message in (
        ("p", None, "p has shape"),
        ("tokens", [0] * 5, "without any"),
        ("permuted", "no", "permuted"),
        ("schema_version", 9, "schema_version"),
        ("dominated", [1] * 80, "dominated"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            LanguageRates.from_dict(found.to_dict() | {key: bad})


def test_one_language_and_a_confidence_of_one_are_refused() -> None:
    table, _ = planted(fresh())
    with pytest.raises(ValueError, match="2 or more"):
        language_rates(table.select(["eng_Latn"]))
    with pytest.raises(ValueError, match="confidence=1"):
        language_rates(table, confidence=1)
    with pytest.raises(ValueError, match="none of eng_Latn"):
        language_rates(table, n_permutations=19).top("xyz")
