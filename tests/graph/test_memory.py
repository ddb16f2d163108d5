"""What knn_graph takes beside its input and its result: no more than its documentation says."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest
from helpers.engine import independent_of_forcing

pytestmark = [
    independent_of_forcing,
    pytest.mark.skipif(
        not os.access("/proc/self/clear_refs", os.W_OK), reason="measures memory as Linux tells it"
    ),
]


@pytest.mark.parametrize("k", [1, 20])
def test_stated_floor_of_max_memory_is_enough_and_is_kept(k):
    code = """
        import sys
        import numpy as np
        from ilo_fast import knn_graph

        def peak():
            lines = open("/proc/self/status").read().splitlines()
            return 1024 * next(int(s.split()[1]) for s in lines if s.startswith("VmHWM"))

        n, d, k = 20_000, 8, int(sys.argv[1])
        X = np.random.default_rng(0).standard_normal((n, d)).astype("f4")
        knn_graph(X[:1000], k, n_threads=1)  # what is loaded once
        result = np.ones((n, k, 3), np.float32)  # in the peak, too
        open("/proc/self/clear_refs", "w").write("5")
        before = peak()
        floor = n * (18 * k + 280) + (6 << 20) + 2 * 256 * d * 8
        graph = knn_graph(X, k, n_threads=1, max_memory=floor)
        used = peak() - before - graph.indices.nbytes - graph.distances.nbytes
        assert used <= floor, (used, floor)
        print("kept")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(k)], capture_output=True, text=True
    )
    assert done.stdout == "kept\n", done.stderr
