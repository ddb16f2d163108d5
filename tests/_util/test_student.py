"""P values of Student's t."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ilo_fast._util.student import two_sided_p


@pytest.mark.parametrize("df", [1, 2, 3, 9, 10, 200, 1011])
def test_p_is_that_of_scipy_at_any_degrees_of_freedom(df: int) -> None:
    t = np.array([[0.0, 0.3, -1.0], [2.0, -4.0, 7.0]])
    np.testing.assert_allclose(two_sided_p(t, df), 2 * stats.t.sf(np.abs(t), df), atol=1e-13)


def test_nan_stays_nan_and_no_degrees_of_freedom_are_refused() -> None:
    np.testing.assert_array_equal(two_sided_p([np.nan, np.inf], 5), [np.nan, 0.0])
    with pytest.raises(ValueError, match="df=0: wanted at least 1"):
        two_sided_p(1.0, 0)
