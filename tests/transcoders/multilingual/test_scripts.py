"""Language against script: selectivity split, and features looked up in romanised text."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from helpers.firings import FIVE, drawn
from helpers.seeds import fresh

from ilo_fast.transcoders import LineFeatures, language_rates, script_split

ROMANISED = (*FIVE, "rus_Latn", "hin_Latn")

# Rates in eng, deu, fra, rus_Cyrl, hin_Deva, rus_Latn, hin_Latn.
KINDS = {
    "language": (0.001, 0.001, 0.001, 0.05, 0.001, 0.04, 0.001),
    "script": (0.001, 0.001, 0.001, 0.05, 0.001, 0.001, 0.001),
    "romanised": (0.001, 0.001, 0.001, 0.05, 0.001, 0.04, 0.04),
    "shared": (0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03),
    "english": (0.05, 0.001, 0.001, 0.001, 0.001, 0.001, 0.001),
}


def two_tables(
    random: np.random.Generator, rates: Any, documents: int = 80, **options: Any
) -> tuple[LineFeatures, LineFeatures]:
    """The same lines as they are, and romanised."""
    whole = drawn(random, rates, documents, languages=ROMANISED, spread=0.3, **options)
    return whole.select(FIVE), whole.select([c for c in ROMANISED if c.endswith("_Latn")])


def planted(each: int = 10) -> np.ndarray:
    return np.repeat(np.array(list(KINDS.values())).T, each, axis=1)


def test_selectivity_is_the_sum_of_its_parts() -> None:
    table, _ = two_tables(fresh(), fresh().random((7, 30)) * 0.05)
    rates = language_rates(table, n_permutations=19)
    split = script_split(table, rates)
    p = rates.share[:, rates.tested]
    plain = -(p * np.log2(p, where=p > 0, out=np.zeros_like(p))).sum(axis=0)
    known = rates.tested
    np.testing.assert_allclose((split.between + split.within)[known], np.log2(5) - plain)
    np.testing.assert_allclose((split.entropy_between + split.entropy_within)[known], plain)
    assert split.scripts == ("Latn", "Cyrl", "Deva")
    np.testing.assert_allclose(split.share[0, known], p[:3].sum(axis=0))
    summary = split.layer_summary()[0]
    assert summary["between"] == pytest.approx(split.between[known].mean())
    assert len(split.to_dataframe()) == known.sum()


def test_a_feature_of_a_script_is_selective_between_and_one_of_a_latin_language_within() -> None:
    rates = np.array([[0.05, 0.05], [0.05, 0.0], [0.05, 0.0], [0.0, 0.0], [0.0, 0.0]])
    table = drawn(fresh(), rates, 200)
    split = script_split(table, language_rates(table, n_permutations=19))
    assert split.between[0] == pytest.approx(np.log2(5 / 3), abs=1e-9)
    assert split.within[0] < 0.02
    assert split.within[1] == pytest.approx(np.log2(3), abs=1e-9)  # one of three, and of no other


def test_planted_features_follow_their_language_their_script_or_any_romanised_text() -> None:
    table, romanised = two_tables(fresh(), planted(), n_layers=5)
    rates = language_rates(table, n_permutations=499)
    control = script_split(table, rates, romanised=romanised, n_permutations=499).control
    assert control is not None and control.languages == ("rus_Cyrl", "hin_Deva")
    assert control.columns.tolist() == list(range(30))
    kinds = [list(KINDS)[column // 10] for column in control.columns]
    wrong = sum(a != b for a, b in zip(kinds, control.verdict, strict=True))
    assert wrong <= 3, control.verdict
    whole = control.layer_summary()[-1]
    assert whole["features"] == 30 and whole["layer"] is None
    assert whole["keeps_own"] >= 18 and 8 <= whole["keeps_wrong"] <= 12
    assert whole["low"] < whole["share"] < whole["high"]
    split = script_split(table, rates, romanised=romanised, n_permutations=99)
    json.dumps(split.to_dict(), allow_nan=False)
    assert max(len(repr(split)), len(repr(control))) < 200  # no arrays


def test_without_an_effect_no_feature_follows_its_language_more_often_than_the_level() -> None:
    tables = 0
    for seed in range(20):
        random = np.random.default_rng([13, seed])
        background = (0.01, 0.01, 0.01, 0.2, 0.01, 0.01, 0.01)  # specific; nothing when romanised
        given = np.repeat(np.array(background)[:, None], 30, axis=1)
        table, romanised = two_tables(random, given, 60)
        rates = language_rates(table, n_permutations=99, seed=seed)
        control = script_split(
            table, rates, romanised=romanised, keeps=0.01, n_permutations=199, seed=seed
        ).control
        assert control is not None and len(control.columns) == 30
        tables += "language" in control.verdict
    assert tables <= 3


def test_intervals_of_what_is_kept_cover_the_truth() -> None:
    covered = []
    for seed, kept in enumerate((0.03, 0.2, 1.0)):
        random = np.random.default_rng([17, seed])
        given = np.array([0.0, 0, 0, 0.04, 0, 0.04 * kept, 0])
        table, romanised = two_tables(random, np.repeat(given[:, None], 200, axis=1))
        rates = language_rates(table, n_permutations=99)
        control = script_split(table, rates, romanised=romanised, n_permutations=19).control
        assert control is not None
        found = (control.kept_low <= kept) & (kept <= control.kept_high)
        covered.append(found.mean())
        assert (control.kept_low <= control.kept).all()
        assert (control.kept <= control.kept_high).all()
    assert all(0.9 <= share <= 0.99 for share in covered), covered


def test_documents_that_are_not_shared_are_compared_too() -> None:
    table, romanised = two_tables(fresh(), planted(), parallel=False)
    rates = language_rates(table, n_permutations=199)
    assert rates.permuted == "among documents"
    # Romanised alone, its documents have other numbers.
    document = romanised.document + 7
    control = script_split(
        table, rates, romanised=dataclasses.replace(romanised, document=document),
        n_permutations=199,
    ).control  # fmt: skip
    assert control is not None
    kinds = [list(KINDS)[column // 10] for column in control.columns]
    wrong = sum(a != b for a, b in zip(kinds, control.verdict, strict=True))
    assert wrong <= 4, control.verdict


def test_tables_that_do_not_belong_together_are_refused() -> None:
    table, romanised = two_tables(fresh(), planted(1), 20)
    rates = language_rates(table, n_permutations=19)
    latin = table.select(["eng_Latn", "deu_Latn"])
    for given, message in (
        ({"romanised": romanised.of_rows(np.arange(1, len(romanised) - 1))}, "other lines"),
        ({"romanised": latin}, "none is a language of another script"),
        ({"romanised": dataclasses.replace(romanised, n_layers=5, n_features=1)}, "same transc"),
        ({"keeps": 2}, "keeps=2"),
        ({"rates": language_rates(latin, n_permutations=19)}, "not of this table"),
    ):
        options: dict[str, Any] = {"rates": rates} | given
        with pytest.raises(ValueError, match=message):
            script_split(table, options.pop("rates"), **options)
    foreign = table.select(["rus_Cyrl", "hin_Deva"])
    with pytest.raises(ValueError, match="no language in Latin"):
        script_split(foreign, language_rates(foreign, n_permutations=19), romanised=romanised)
