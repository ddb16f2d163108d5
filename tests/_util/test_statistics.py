"""The interval of Wilson for a share, and quantiles, against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, norm, t

from ilo_fast._util.statistics import (
    bootstrap_tail,
    difference_interval,
    score_interval,
    t_quantile,
    wilson_interval,
)


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (1, 1), (0, 20), (3, 20), (10, 20), (999, 1000)])
def test_interval_equals_scipy(hits: int, n: int) -> None:
    expected = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    low, high = wilson_interval(hits / n, n)
    assert low == pytest.approx(expected.low, abs=1e-12)
    assert high == pytest.approx(expected.high, abs=1e-12)
    assert 0 <= low <= hits / n <= high <= 1


@pytest.mark.parametrize(("share", "n"), [(-0.1, 5), (1.1, 5), (0.5, 0), (float("nan"), 5)])
def test_what_is_no_share_is_refused(share: float, n: int) -> None:
    with pytest.raises(ValueError, match="wanted a share from 0 to 1"):
        wilson_interval(share, n)


@pytest.mark.parametrize("probability", [0.6, 0.9, 0.975, 0.9995])
@pytest.mark.parametrize("df", [1, 2, 3, 9, 30, 199, 200, 201, 1011, 10**6])
def test_quantile_of_t_equals_scipy(probability: float, df: int) -> None:
    assert t_quantile(probability, df) == pytest.approx(t.ppf(probability, df), rel=1e-7)


@pytest.mark.parametrize(("probability", "df"), [(0.5, 3), (1, 3), (0.975, 0), (float("nan"), 3)])
def test_what_is_no_probability_is_refused(probability: float, df: int) -> None:
    with pytest.raises(ValueError, match="wanted a probability between"):
        t_quantile(probability, df)


def test_score_intervals_of_arrays_are_those_of_their_members() -> None:
    low, high = score_interval([0.0, 0.3, 1.0, np.nan], [20, 20.5, 7, 9], 1.96)
    for at, (share, n) in enumerate([(0.0, 20), (0.3, 20.5), (1.0, 7)]):
        # The ends are the shares from which the observed one is 1.96 standard errors away.
        for end in (low[at], high[at]):
            assert end in (0, 1) or (share - end) ** 2 == pytest.approx(
                1.96**2 * end * (1 - end) / n
            )
    assert np.isnan([low[3], high[3]]).all()
    assert (low[0], high[2]) == (0, 1)


def test_difference_of_shares_is_newcombes() -> None:
    """His table II: 56/70 against 48/80, 9/10 against 3/10, 10/10 against 0/20."""
    for numbers, wanted in (
        ((56, 70, 48, 80), (0.0524, 0.3339)),
        ((9, 10, 3, 10), (0.1705, 0.8090)),
        ((10, 10, 0, 20), (0.6791, 1.0)),
    ):
        hits, n, other, m = numbers
        assert difference_interval(hits / n, n, other / m, m) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("n", [5, 30, 1000])
def test_a_bootstrap_is_cut_where_it_is_as_wide_as_students_interval(n: int) -> None:
    """Of n normal values the draws of the mean spread by the root of (n - 1) / n^2 variances."""
    wide = -norm.ppf(bootstrap_tail(n)) * np.sqrt((n - 1) / n**2)
    assert wide == pytest.approx(t.ppf(0.975, n - 1) / np.sqrt(n), rel=1e-6)
