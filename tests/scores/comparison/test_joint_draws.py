"""Joint draws: their covariance, step-down maxT against its definition, the best and the ranks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ilo_fast.scores.comparison.joint_draws import Contest, StepDown, error_draws, nan_without_error

RNG = np.random.default_rng(3)


def test_draws_have_the_covariance_of_the_deviations_and_the_tails_of_t() -> None:
    deviations = RNG.standard_normal((40, 3)) @ RNG.standard_normal((3, 3))
    (drawn,) = zip(
        *error_draws([deviations], paired=True, df=9, n_draws=40_000, seed=(1,)), strict=True
    )
    errors = np.concatenate(drawn)
    assert errors.shape == (40_000, 3)
    wanted = deviations.T @ deviations
    np.testing.assert_allclose(np.cov(errors.T) * 7 / 9, wanted, atol=0.03 * wanted.max())
    t = errors[:, 0] / np.sqrt(wanted[0, 0])
    assert np.mean(np.abs(t) > stats.t.ppf(0.975, 9)) == pytest.approx(0.05, abs=0.005)


def test_models_share_multipliers_only_where_they_are_paired() -> None:
    deviations = RNG.standard_normal((30, 2))
    for paired, correlation in ((True, 1.0), (False, 0.0)):
        both = list(
            error_draws([deviations] * 2, paired=paired, df=10_000, n_draws=4000, seed=(0,))
        )
        one, other = (np.concatenate([chunk[i] for chunk in both])[:, 0] for i in (0, 1))
        assert np.corrcoef(one, other)[0, 1] == pytest.approx(correlation, abs=0.06)


def by_definition(observed, draws):
    """Westfall and Young: one test after the other, the most extreme first."""
    order = sorted(range(len(observed)), key=lambda i: -abs(observed[i]))
    p, before = [0.0] * len(observed), 0.0
    for place, i in enumerate(order):
        rest = order[place:]
        reached = sum(max(abs(row[j]) for j in rest) >= abs(observed[i]) for row in draws)
        before = p[i] = max(before, (1 + reached) / (1 + len(draws)))
    return p


def test_step_down_p_is_that_of_the_definition_in_chunks_and_skips_what_is_no_test() -> None:
    observed = RNG.standard_normal(6).astype(np.float32) * 2
    draws = RNG.standard_normal((99, 6)).astype(np.float32)
    observed[4] = np.nan
    known = [0, 1, 2, 3, 5]
    family = StepDown(observed.reshape(2, 3))
    for chunk in (draws[:40], draws[40:]):
        family.add(chunk.reshape(-1, 2, 3))
    found = family.p().ravel()
    assert np.isnan(found[4])
    np.testing.assert_allclose(found[known], by_definition(observed[known], draws[:, known]))


def contest(values, deviations, n_draws=2000):
    found = Contest(np.asarray(values, float), deviations)
    drawn = error_draws([deviations], paired=True, df=1000, n_draws=n_draws, seed=(2,))
    for (errors,) in drawn:
        found.add(errors)
    return found


def test_the_set_of_the_best_holds_it_as_often_as_its_level_says() -> None:
    held, wrong = 0, 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        deviations = rng.standard_normal((50, 3)) / np.sqrt(50)
        truth = np.array([0.0, 0.0, -3.0])  # two are best
        values = truth + rng.standard_normal(3)
        candidates = contest(values, deviations, 400).candidates(0.95)
        held += int(candidates[0]) + int(candidates[1])
        wrong += int(candidates[2])
    assert held / 300 > stats.binom.ppf(0.001, 300, 0.95) / 300
    assert wrong < 120  # three standard errors behind, it is often left out


def test_ranks_span_those_that_chance_may_change() -> None:
    deviations = RNG.standard_normal((100, 3)) / 10
    low, high = contest([0.0, 0.1, 100.0], deviations).ranks(0.95)
    assert (low.tolist(), high.tolist()) == ([2, 2, 1], [3, 3, 1])
    shares = contest([0.0, 0.0, 100.0], deviations).shares()
    assert shares.tolist() == [0, 0, 1]


def test_estimates_that_no_unit_moves_are_in_their_order_and_equal_ones_share_ranks() -> None:
    still = contest([0.5, 0.5, 0.7], np.zeros((20, 3)))
    assert still.candidates(0.95).tolist() == [False, False, True]
    low, high = still.ranks(0.95)
    assert (low.tolist(), high.tolist()) == ([2, 2, 1], [3, 3, 1])
    assert np.isnan(nan_without_error(np.array([1e-17]))).all()


def test_samples_of_their_own_add_their_variances() -> None:
    parts = [np.full(25, 0.2), np.full(16, 0.25)]  # standard errors 1 and 1
    found = Contest(np.array([0.0, 2.0]), parts)
    drawn = error_draws(
        [p[:, None] for p in parts], paired=False, df=10_000, n_draws=4000, seed=(0,)
    )
    for errors in drawn:
        found.add(np.concatenate(errors, axis=1))
    # 2 apart with a standard error of 1.41: p = 0.16.
    assert found.shares()[1] == pytest.approx(stats.norm.cdf(2**0.5), abs=0.02)
    assert found.ranks(0.8)[0].tolist() == [2, 1]
    assert found.ranks(0.9)[0].tolist() == [1, 1]
