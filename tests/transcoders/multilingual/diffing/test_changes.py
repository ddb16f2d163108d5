"""Features before and after: against loops; intervals that cover; events planted, and by chance."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from helpers.diffing import table_of
from helpers.seeds import fresh
from numpy.typing import NDArray

from ilo_fast._util.statistics import t_quantile
from ilo_fast.transcoders.multilingual.diffing import paired
from ilo_fast.transcoders.multilingual.diffing.changes import FeatureChanges, feature_changes
from ilo_fast.transcoders.multilingual.diffing.events import (
    EventCount,
    feature_events,
    status,
)


def test_rates_and_intervals_equal_a_loop_over_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = fresh()
    languages, documents, columns = 3, 12, 10
    tokens = rng.integers(20, 60, (languages, documents))
    tokens[1, 4] = 1
    before, after = rng.poisson(2, (2, languages, documents, columns))
    before[:, :, 3] = after[:, :, 4] = 0
    norms = rng.uniform(1, 2, (2, columns))
    monkeypatch.setattr(paired, "_NUMBERS", 100)  # in blocks of two columns
    found = feature_changes(
        table_of(before, tokens, strength=0.5), table_of(after, tokens, strength=2.0),
        norms=(norms[0], norms[1]),
    )  # fmt: skip
    quantile = t_quantile(0.975, documents - 1)
    for column in range(columns):
        off = np.zeros((languages, documents))
        for language in range(languages):
            total = tokens[language].sum()
            b, a = before[language, :, column], after[language, :, column]
            change = (a.sum() - b.sum()) / total
            assert found.rate_before[language, column] == pytest.approx(b.sum() / total)
            assert found.rate_after[language, column] == pytest.approx(a.sum() / total)
            strong = 2 * a.sum() * norms[1, column] / total
            assert found.strength_after[language, column] == pytest.approx(strong)
            off[language] = (a - b - change * tokens[language]) / total
            error = np.sqrt(documents / (documents - 1) * (off[language] ** 2).sum())
            low = change - quantile * error
            assert found.rate_change_low[language, column] == pytest.approx(low)
            assert found.rate_change_high[language, column] == pytest.approx(2 * change - low)
        assert found.firings_before[column] == before[:, :, column].sum()
    assert found.growth[3] > 5 and found.growth[4] < -5
    assert np.isnan(found.turn[[3, 4]]).all() and np.isfinite(found.turn[5:]).all()
    shares = [r / r.sum(axis=0) for r in (found.rate_before[:, 5:], found.rate_after[:, 5:])]
    assert found.turn[5:] == pytest.approx(np.abs(shares[1] - shares[0]).sum(axis=0) / 2)


def simulated(
    rng: np.random.Generator, rates: NDArray[np.float64], documents: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counts of features whose documents differ: rates (languages, columns), tokens."""
    tokens = rng.integers(30, 90, (len(rates), documents))
    topics = rng.gamma(2, 1 / 2, (documents, rates.shape[1]))  # the same before and after
    counts = rng.poisson(rates[:, None] * topics[None] * tokens[:, :, None])
    return counts, tokens


def test_intervals_of_changes_cover_the_truth() -> None:
    rng = fresh()
    rates = rng.uniform(0.02, 0.2, (2, 500))
    ratio = 2 ** rng.normal(size=500)
    hits, turns = [], []
    for _ in range(4):
        topics = rng.gamma(2, 1 / 2, (60, 500))
        tokens = rng.integers(30, 90, (2, 60))
        means = rates[:, None] * topics * tokens[:, :, None]
        tables = [table_of(rng.poisson(means * factor), tokens) for factor in (1.0, ratio)]
        found = feature_changes(*tables)
        truth = rates * (ratio - 1)
        hits.append((found.rate_change_low < truth) & (truth < found.rate_change_high))
        turns.append(found.turn_p < 0.05)  # no feature turns
    assert 0.92 < np.mean(hits) < 0.975
    assert np.mean(turns) < 0.08


def test_few_documents_and_firings_turn_no_feature() -> None:
    """Ten tables in which nothing changes: false discoveries in one at most."""
    turned = 0
    for seed in range(10):
        rng = np.random.default_rng([31, seed])
        topics = rng.gamma(0.7, 1 / 0.7, (15, 300))
        tokens = rng.integers(30, 90, (3, 15))
        means = 0.01 * topics * tokens[:, :, None]
        tables = [table_of(rng.poisson(means), tokens) for _ in range(2)]
        turned += events_of(feature_changes(*tables))["changed language"].found > 0
    assert turned <= 1


def events_of(
    main: FeatureChanges, *controls: FeatureChanges, null_share: float = 0.01
) -> dict[str, EventCount]:
    _, counts = feature_events(main, controls, null_share=null_share)
    return {count.kind: count for count in counts}


def test_the_same_table_twice_shows_nothing() -> None:
    rng = fresh()
    counts, tokens = simulated(rng, rng.uniform(0, 0.1, (3, 200)), 40)
    table = table_of(counts, tokens, n_layers=2)
    same = feature_changes(table, table)
    masks, counts_of = feature_events(same)
    assert not any(mask.any() for mask in masks.values())
    assert [c.found for c in counts_of] == [0] * 8 and status(masks) == [""] * 200
    assert all(c.thresholds == () and c.excess is None for c in counts_of)
    assert same.growth == pytest.approx(np.zeros(200)) and (same.turn_p[same.turn == 0] == 1).all()


def test_planted_changes_are_found_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    rates = rng.uniform(0.02, 0.1, (3, 200))
    rates[0, 4:6], rates[1:, 4:6] = 0.2, 0.001
    later = rates.copy()
    later[:, 0] *= 8
    later[:, 1] /= 8
    later[:, 2] = 0
    rates[:, 3] = 0
    later[[0, 1], 4] = later[[1, 0], 4]  # another language
    tables = []
    topics = rng.gamma(2, 1 / 2, (60, 200))
    tokens = rng.integers(30, 90, (3, 60))
    for means in (rates, later, rates):
        tables.append(table_of(rng.poisson(means[:, None] * topics * tokens[:, :, None]), tokens))
    centres = np.zeros(200), np.where(np.arange(200) == 6, 1.0, 0.0)
    main = feature_changes(tables[0], tables[1], centres=centres)
    control = feature_changes(tables[0], tables[2])
    masks, counts = feature_events(main, [control], null_share=0.0)
    happened = {at: what for at, what in enumerate(status(masks)) if what}
    assert happened == {
        0: "grew, brighter", 1: "shrank, dimmer", 2: "died", 3: "born", 4: "changed language",
        6: "moved layer",
    }  # fmt: skip
    assert {c.kind: c.found for c in counts}["died"] == 1


def noisy(
    rng: np.random.Generator, rates: NDArray[np.float64], sd: float, drift: float
) -> NDArray[np.float64]:
    """Rates as another seed has them: all together, each feature its own way, in each language."""
    of_feature = rng.normal(0, drift) + rng.normal(0, sd, rates.shape[1])
    return np.asarray(rates * 2 ** (of_feature + rng.normal(0, sd / 2, rates.shape)))


def seeds_of(seed: int, planted: int = 0, *, drift: float = 0.0) -> dict[str, EventCount]:
    """Four fits that differ in seed alone, of which one may have grown features."""
    rng = np.random.default_rng(seed)
    rates = rng.uniform(0.01, 0.1, (3, 400))
    topics = rng.gamma(2, 1 / 2, (50, 400))
    tokens = rng.integers(30, 90, (3, 50))

    def table(means: NDArray[np.float64]) -> object:
        return table_of(rng.poisson(means[:, None] * topics * tokens[:, :, None]), tokens)

    base = table(rates)
    tuned, *others = (noisy(rng, rates, 0.5, drift) for _ in range(4))
    tuned[:, :planted] *= 16
    main, *controls = (feature_changes(base, table(m)) for m in (tuned, *others))  # type: ignore[arg-type]
    return events_of(main, *controls, null_share=0.05)


@pytest.mark.parametrize("drift", [0.0, 0.7])
def test_seeds_alone_give_no_more_than_chance(drift: float) -> None:
    """Also where the features of one fit change together."""
    beyond = {kind: 0 for kind in ("grew", "shrank", "brighter", "dimmer", "changed language")}
    for seed in range(20):
        found = seeds_of(seed, drift=drift)
        for kind in beyond:
            beyond[kind] += found[kind].is_beyond_seeds
    assert max(beyond.values()) <= 3 and sum(beyond.values()) <= 8, beyond


def test_planted_growth_is_more_than_seeds_make() -> None:
    for seed in range(3):
        grew = seeds_of(seed, planted=150)["grew"]
        assert grew.is_beyond_seeds and grew.low is not None
        assert grew.excess == pytest.approx(150 / 400, abs=0.08)


def test_thresholds_of_several_controls_come_from_the_others() -> None:
    rng = fresh()
    counts, tokens = simulated(rng, np.full((2, 50), 0.1), 30)
    same = feature_changes(table_of(counts, tokens), table_of(counts, tokens))
    wild = dataclasses.replace(same, growth=rng.normal(0, 3, 50), growth_p=np.zeros(50))
    found = events_of(same, same, wild)["grew"]
    assert found.control_shares[0] == 0 and found.control_shares[1] == (wild.growth > 0).mean()
    # Two controls that differ so much leave everything open, one has no interval at all.
    assert found.low is not None and found.low < -1 and not found.is_beyond_seeds
    alone = events_of(wild, same)["grew"]
    assert alone.excess == (wild.growth > 0).mean() and alone.low is None
    assert not alone.is_beyond_seeds
    together = np.quantile(np.r_[wild.growth, same.growth], 0.99)
    assert found.thresholds == pytest.approx([together] * 3)  # too few for classes


def test_features_that_fire_more_have_their_own_thresholds() -> None:
    rng = fresh()
    counts, tokens = simulated(rng, np.full((2, 600), 0.1), 10)
    same = feature_changes(table_of(counts, tokens), table_of(counts, tokens))
    firings = np.repeat([50.0, 500.0, 5000.0], 200)
    wide = np.repeat([3.0, 1.0, 0.1], 200)
    control = dataclasses.replace(
        same, growth=rng.normal(size=600) * wide, growth_p=np.zeros(600),
        firings_before=firings, firings_after=firings,
    )  # fmt: skip
    main = dataclasses.replace(control, growth=np.repeat([2.0, 2.0, 2.0], 200))
    found = events_of(main, control, null_share=0.05)["grew"]
    parts = [slice(200 * at, 200 * at + 200) for at in range(3)]
    wanted = [np.quantile(control.growth[part], 0.95) for part in parts]
    assert found.thresholds == pytest.approx(wanted)
    assert found.found == 200 * sum(threshold < 2.0 for threshold in wanted)


def test_tables_that_do_not_fit_are_refused() -> None:
    rng = fresh()
    counts, tokens = simulated(rng, np.full((2, 6), 0.1), 5)
    table = table_of(counts, tokens)
    for other, message in (
        (table_of(counts, tokens + 1), "differ in tokens"),
        (table.select(["l00_Latn"]), "before has the languages"),
        (table_of(counts[:, :, :4], tokens), "before has 6 features, after 4"),
        (table_of(counts[:, :4], tokens[:, :4]), "differ in language"),
    ):
        with pytest.raises(ValueError, match=message):
            feature_changes(table, other)
    with pytest.raises(ValueError, match="one document"):
        one = table_of(counts[:, :1], tokens[:, :1])
        feature_changes(one, one)
