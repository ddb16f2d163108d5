"""Intervals: their algebra on made-up replicates, and their coverage on a population."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.stats import t as student

from ilo_fast import knn_graph, overlap
from ilo_fast.graph.arrays import as_stack
from ilo_fast.graph.knn import stacked_graph
from ilo_fast.scores.certainty.intervals import (
    check_level,
    combined,
    degrees_of_freedom,
    deviations,
    intervals,
    jackknife_deviations,
    mean_interval,
    scores_of,
    standard_error,
)
from ilo_fast.scores.certainty.replicates import Counts, Replicates
from ilo_fast.scores.certainty.resampling import Resampling

SCORES = ("bridge", "reach", "ilo", "translation_share")


def replicates(arrays, *, parallel=True, groups=None, seed=0, k=5, threshold=2):
    """Of layers of languages: a list of arrays, one per language, per layer."""
    sizes = [len(a) for a in arrays[0]]
    resampling = Resampling(
        sizes, parallel=parallel, groups=groups, n_neighbors=k, threshold=threshold, seed=seed
    )
    assert resampling.why_not() == ""
    for layer in arrays:
        stacks = [as_stack(a) for a in layer]
        graph = stacked_graph(
            stacks, resampling.list_length, metric="cosine", backend="exact", n_threads=1,
            progress=False,
        )  # fmt: skip
        resampling.add_layer(graph.indices[0], stacks)
    return resampling.replicates()


def languages(rng, n=60, n_languages=5, d=8, offset=0.5):
    meaning = rng.standard_normal((n, d))
    return [
        (meaning + offset * rng.standard_normal(d) + rng.standard_normal((n, d))).astype("f4")
        for _ in range(n_languages)
    ]


@pytest.fixture(scope="module")
def made():
    rng = np.random.default_rng(5)
    return replicates([languages(rng), languages(rng, offset=2.0)])


def test_scores_of_the_whole_equal_overlap_to_the_bit():
    arrays = languages(np.random.default_rng(6))
    found = replicates([arrays])
    scores = overlap({f"l{c}": a for c, a in enumerate(arrays)}, threshold=2, parallel=True)
    for name, values in found.whole.scores(5).items():
        np.testing.assert_array_equal(values, getattr(scores, name), name)


def test_intervals_hold_the_score_within_0_and_1(made):
    found = intervals(made)
    whole = made.whole.scores(5)
    assert set(found.low) == set(SCORES) == set(found.mean_high)
    assert (found.reason, found.reasons) == ("", {})
    for score in SCORES:
        low, high = found.low[score], found.high[score]
        assert low.shape == (2, 5)
        assert ((low >= 0) & (low <= whole[score]) & (whole[score] <= high) & (high <= 1)).all()
        assert (high - low > 0.001).all(), "also where a score is 0 or 1"
        mean = whole[score].mean(axis=1)
        assert ((found.mean_low[score] <= mean) & (mean <= found.mean_high[score])).all()
    lower = intervals(made, level=0.8)
    assert (lower.low["bridge"] >= found.low["bridge"]).all()
    assert (lower.high["bridge"] <= found.high["bridge"]).all()


def test_the_mean_of_one_language_has_its_interval_and_groups_are_means(made):
    found = intervals(made)
    for score in SCORES:
        low, high = mean_interval(made, score, [3])
        np.testing.assert_allclose(low, found.low[score][:, 3], rtol=1e-12)
        np.testing.assert_allclose(high, found.high[score][:, 3], rtol=1e-12)
    low, _ = mean_interval(made, "ilo", range(5))
    np.testing.assert_allclose(low, found.mean_low["ilo"])


def test_the_variance_is_half_that_between_disjoint_halves(made):
    """The formula, written as loops over pairs; not half of it for reach."""
    steps = {"bridge": (60, 30), "reach": (4, 4), "translation_share": (300, 150)}
    for score, of_steps in steps.items():
        halves = scores_of(made.subsets, made, score)
        whole = scores_of(made.whole, made, score)
        total = np.zeros_like(whole)
        for pair in range(len(halves) // 2):
            total += (halves[2 * pair] - halves[2 * pair + 1]) ** 2 / 2  # unbiased, of a half
        variance = total / (len(halves) // 2)
        at = [
            (p * m + 0.5) / (m + 1)
            for p, m in zip((whole, halves.mean(axis=0)), of_steps, strict=True)
        ]
        variance *= at[0] * (1 - at[0]) / (at[1] * (1 - at[1])) / (1 if score == "reach" else 2)
        found = standard_error(deviations(made, score)) ** 2
        np.testing.assert_allclose(found, variance, rtol=1e-9)


def test_deviations_of_ilo_follow_from_bridge_and_reach_by_its_gradient(made):
    whole = made.whole.scores(5)
    bridge, reach, step = whole["bridge"], whole["reach"], 1e-6

    def ilo(b, r):
        return 2 * b * r / (b + r)

    by_bridge = (ilo(bridge + step, reach) - ilo(bridge - step, reach)) / (2 * step)
    by_reach = (ilo(bridge, reach + step) - ilo(bridge, reach - step)) / (2 * step)
    wanted = by_bridge * deviations(made, "bridge") + by_reach * deviations(made, "reach")
    np.testing.assert_allclose(deviations(made, "ilo"), wanted, atol=1e-7)


def test_deviations_of_weights_are_weighted_deviations(made):
    weights = np.array([[0.5, 0.5, 0, 0, 0], [0, 0, 1, 0, -1]]).T
    found = deviations(made, "bridge", weights)
    each = deviations(made, "bridge")
    np.testing.assert_allclose(found[..., 0], each[..., :2].mean(axis=-1))
    np.testing.assert_allclose(found[..., 1], each[..., 2] - each[..., 4])
    assert deviations(made, "bridge", weights[:, 0]).shape == found.shape[:2]


def test_the_jackknife_is_the_textbook_s(made):
    values = scores_of(made.without_one, made, "translation_share")
    n = len(values)
    wanted = (n - 1) / n * ((values - values.mean(axis=0)) ** 2).sum(axis=0)
    found = standard_error(jackknife_deviations(made, "translation_share")) ** 2
    np.testing.assert_allclose(found, wanted)


def test_the_mean_of_zeros_is_as_sure_as_each_of_them():
    """Also where in some halves every language has a point that bridges: they move together."""
    n, n_languages, n_pairs = 60, 20, 128
    points, half = np.full(n_languages, n, np.int32), n // 2
    nothing = np.zeros((1, n_languages), np.int32)
    for every in (10**6, 64, 8, 2):  # of the halves, with such points
        bridging = np.zeros((2 * n_pairs, 1, n_languages), np.int32)
        bridging[::every] = bridging[0] = 1
        made = Replicates(
            whole=Counts(points, nothing, nothing, None),
            without_one=Counts(
                np.full((n, n_languages), n - 1, np.int32),
                *(np.zeros((n, 1, n_languages), np.int32) for _ in range(2)),
                None,
            ),
            subsets=Counts(
                np.full((2 * n_pairs, n_languages), half, np.int32), bridging, 0 * bridging, None
            ),
            n_kept=half, seed=0, unit="sentence", strata=None, n_neighbors=5,
        )  # fmt: skip
        found = intervals(made)
        t = student.ppf(0.975, degrees_of_freedom(made))
        np.testing.assert_allclose(found.high["bridge"], t**2 / (n + t**2), rtol=1e-9)
        np.testing.assert_allclose(found.mean_high["bridge"], t**2 / (n + t**2), rtol=1e-9)
        assert found.mean_low["bridge"] == 0


def test_a_score_that_never_moves_has_the_width_of_its_units():
    """Copies across languages: every neighbour is a translation, in every sample."""
    base = np.random.default_rng(1).standard_normal((40, 6)).astype("f4")
    made = replicates([[base] * 6])
    found = intervals(made)
    assert (made.whole.scores(5)["ilo"] == 1).all()
    quantile = student.ppf(0.975, degrees_of_freedom(made))
    np.testing.assert_allclose(found.low["ilo"], 1 / (1 + quantile**2 / 40), rtol=1e-6)
    assert (found.high["ilo"] == 1).all()
    # Of the mean, too: six sixths do not add up to 1.
    assert (found.mean_low["ilo"], found.mean_high["ilo"]) == (found.low["ilo"][0, 0], 1)


def test_the_same_seed_gives_the_same_halves_and_another_others():
    arrays = languages(np.random.default_rng(2))
    one, same, other = (replicates([arrays], seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.subsets.bridging, same.subsets.bridging)
    assert (one.subsets.bridging != other.subsets.bridging).any()
    assert one.subsets.points.tolist() == [[30] * 5] * len(one.subsets.points)


def test_points_are_halved_language_by_language():
    rng = np.random.default_rng(3)
    arrays = [a[:n] for a, n in zip(languages(rng), (2, 13, 60, 31, 40), strict=True)]
    made = replicates([arrays], parallel=False)
    assert (made.subsets.points == np.array([1, 6, 30, 15, 20])).all()
    assert "translation_share" not in intervals(made).low
    assert degrees_of_freedom(made) < len(made.subsets.points) / 2


def test_few_units_give_a_reason_and_no_number():
    arrays = languages(np.random.default_rng(4), n=9)
    found = intervals(replicates([arrays]))
    assert found.reason == "intervals need at least 10 sentences, this corpus has 9 sentences"
    assert np.isnan(found.low["ilo"]).all()
    assert np.isnan(found.mean_high["reach"]).all()
    arrays = languages(np.random.default_rng(4), n=40)
    resampling = Resampling(
        [40] * 5, parallel=True, groups=["one"] * 40, n_neighbors=5, threshold=2
    )
    assert "1 document" in resampling.why_not()


def test_a_language_of_one_point_has_a_reason_and_the_others_have_intervals():
    arrays = languages(np.random.default_rng(4))
    arrays[2] = arrays[2][:1]
    made = replicates([arrays], parallel=False)
    found = intervals(made)
    assert list(found.reasons) == [2]
    assert found.reasons[2] == "intervals need at least 10 points per language"
    assert np.isnan(found.low["bridge"][0]).tolist() == [False, False, True, False, False]
    low, high = mean_interval(made, "bridge", [0, 1, 3, 4])
    assert not np.isnan([low, high]).any()
    assert np.isnan(found.mean_low["bridge"]).all()


def test_what_cannot_be_is_refused(made):
    with pytest.raises(ValueError, match="level=95 is not between"):
        intervals(made, level=95)
    with pytest.raises(ValueError, match="score='overlap' is not known here; use one of bridge"):
        deviations(made, "overlap")


def test_coverage_and_variance_on_a_population_with_known_truth():
    """Small; benchmarks/coverage.py has the figures."""
    values, held_low, held_high, ours, jackknife = [], [], [], [], []
    offsets = 0.3 * np.random.default_rng(0).standard_normal((4, 12))
    for draw in range(60):
        rng = np.random.default_rng([1, draw])
        meaning = rng.standard_normal((60, 12))
        arrays = [
            (meaning + offset + rng.standard_normal((60, 12))).astype("f4") for offset in offsets
        ]
        made = replicates([arrays], seed=draw)
        plain = np.full(4, 0.25)
        values.append(made.whole.scores(5)["bridge"][0].mean())
        low, high = mean_interval(made, "bridge", range(4))
        held_low.append(low[0]), held_high.append(high[0])
        ours.append(standard_error(deviations(made, "bridge", plain))[0] ** 2)
        jackknife.append(standard_error(jackknife_deviations(made, "bridge") @ plain)[0] ** 2)
    truth, variance = np.mean(values), np.var(values, ddof=1)
    coverage = np.mean((np.array(held_low) <= truth) & (truth <= np.array(held_high)))
    assert coverage >= 0.86  # 95 % less three standard errors of 60 draws
    assert 0.6 < np.mean(ours) / variance < 1.6
    assert np.mean(jackknife) / np.mean(ours) > 1.5, "the reason why it is not used"


def test_a_bootstrap_of_sentences_counts_copies_as_neighbours():
    """Drawing sentences with replacement is wrong here: keep it out.

    The nearest neighbour of a sentence that is drawn twice is its copy, which is of its own
    language: bridge falls far below every value that a fresh sample of the same size has.
    """
    rng = np.random.default_rng(8)
    n, n_languages = 80, 6

    def bridge(arrays):
        return overlap(
            {f"l{c}": a for c, a in enumerate(arrays)}, n_neighbors=5, threshold=3
        ).bridge.mean()

    def fresh():
        return [rng.standard_normal((n, 10)).astype("f4") for _ in range(n_languages)]

    sample = fresh()
    truths = [bridge(fresh()) for _ in range(12)]
    bootstrap = []
    for _ in range(12):
        drawn = rng.integers(0, n, n)
        bootstrap.append(bridge([a[drawn] for a in sample]))
    assert max(bootstrap) < min(truths)
    assert max(bootstrap) < bridge(sample), "no draw is like the sample"
    drawn = np.sort(rng.integers(0, n, n))
    copies = knn_graph(sample[0][drawn], 1).distances[:, 0] == 0
    assert copies.mean() > 0.4
    # What is used instead holds the score of fresh samples.
    low, high = mean_interval(replicates([sample], threshold=3), "bridge", range(n_languages))
    assert low[0] <= np.mean(truths) <= high[0]


def test_counts_give_nan_for_a_language_without_a_point(made):
    points = made.whole.points.copy()
    points[1] = 0
    counts = dataclasses.replace(made.whole, points=points)
    assert isinstance(counts, Counts)
    for values in counts.scores(5).values():
        assert np.isnan(values[:, 1]).all()
        assert not np.isnan(values[:, 0]).any()


@pytest.mark.parametrize("level", ["0.9", None, True, float("nan")])
def test_a_level_that_is_no_number_is_refused(level):
    with pytest.raises((TypeError, ValueError), match="level"):
        check_level(level)


def test_intervals_are_wanted_or_not():
    arrays = {code: np.eye(9)[:4] for code in ("a", "b")}
    with pytest.raises(TypeError, match=r"intervals must be True or False, got 0\.9"):
        overlap(arrays, threshold=1, intervals=0.9)


def test_one_document_has_no_intervals_and_says_why():
    rng = np.random.default_rng(0)
    arrays = {code: rng.normal(size=(12, 4)) for code in ("a", "b")}
    found = overlap(arrays, threshold=1, parallel=True, groups=["x"] * 12, intervals=True)
    assert found.intervals.reason.startswith("1 document is too few")


def test_a_language_without_a_value_spoils_its_own_groups_alone() -> None:
    values = np.array([[[1.0, np.nan, 3.0]]])
    weights = np.array([[0.5, 0.5], [0.5, 0.0], [0.0, 0.5]])
    found = combined(values, weights)
    assert np.isnan(found[0, 0, 0]) and found[0, 0, 1] == 2.0
    assert combined(values, weights[:, 1])[0, 0] == 2.0
    assert np.isnan(combined(values, weights[:, 0])[0, 0])
