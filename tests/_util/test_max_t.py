"""Step-down maxT against a hypothesis at a time, and what it promises."""

from __future__ import annotations

import numpy as np
import pytest
from oracles.permutations import step_down

from ilo_fast._util.max_t import step_down_p


@pytest.mark.parametrize("shape", [(1,), (5,), (3, 4)])
def test_p_values_are_those_of_a_hypothesis_at_a_time(shape):
    entropy = np.random.SeedSequence().entropy
    rng = np.random.default_rng(entropy)
    for _ in range(10):
        values = rng.normal(size=(20, *shape)) * rng.integers(1, 9, shape)
        values[0] += rng.integers(0, 6)
        wanted = step_down(values.reshape(20, -1))
        np.testing.assert_allclose(step_down_p(values).ravel(), wanted, err_msg=str(entropy))


def test_p_values_of_tied_whole_numbers_count_ties_as_evidence_against():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 3, (50, 6)) / 3
    values[:, 3] = 0.1  # never changes
    values[:, 4] = 1 - values[:, 5]
    np.testing.assert_allclose(step_down_p(values), step_down(values))


def test_one_statistic_has_the_plain_permutation_p():
    values = np.array([3.0, 1, 2, 3, 4, 0, 0, 1, 2, 1])[:, None]
    np.testing.assert_allclose(step_down_p(values), [3 / 10])


def test_equal_statistics_have_equal_p_whatever_their_unit():
    rng = np.random.default_rng(1)
    one = rng.normal(size=(40, 1))
    p = step_down_p(np.concatenate([one, 1e-6 * one + 7, 1e6 * one], axis=1))
    np.testing.assert_array_equal(p, p[0])


def test_evidence_in_some_is_found_and_not_spread_to_the_others():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(200, 30))
    values[0, :10] = 8
    p = step_down_p(values)
    np.testing.assert_array_equal(p[:10], 1 / 200)
    assert p[10:].min() > 0.05


def test_nan_is_refused():
    with pytest.raises(ValueError, match="values holds NaN"):
        step_down_p(np.array([[0.0, 1.0], [np.nan, 2.0]]))


def test_what_never_changes_is_no_evidence():
    np.testing.assert_array_equal(step_down_p(np.full((9, 2, 3), 0.1)), np.ones((2, 3)))
