"""Workers: batches in threads, results in order."""

from __future__ import annotations

import pytest

from ilo_fast.representations.workers import Workers


def test_workers_keep_order_and_pass_errors_on():
    with Workers(3) as workers:
        assert list(workers.map(lambda x: x * x, range(20))) == [x * x for x in range(20)]
        with pytest.raises(ZeroDivisionError):
            list(workers.map(lambda x: 1 // x, [1, 0, 2]))
