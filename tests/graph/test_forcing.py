"""That a path forced by an environment variable is the one that the other tests run on."""

from __future__ import annotations

import numpy as np
import pytest
from graph.test_knn import core_graph
from helpers.engine import BLOCK_ROWS, FORCED, SIMD

from ilo_fast import knn_graph
from ilo_fast.graph.knn import simd_available

X = np.random.default_rng(0).standard_normal((200, 8)).astype(np.float32)
PATHS = {"all pairs": {}, "queries": {"queries": X[:150]}}


def assert_forced(layer, simd):
    assert simd == FORCED.get(SIMD, simd_available()[-1])
    # All rows fit in the memory that is allowed by default.
    assert (layer["superblocks"] > 1) == (BLOCK_ROWS in FORCED)


@pytest.mark.parametrize("path", PATHS)
def test_the_package_takes_the_forced_path(path):
    info = knn_graph(X, 3, **PATHS[path]).info
    assert_forced(info["layers"][0], info["simd"])


def test_the_core_takes_the_forced_path():
    _, _, layer, simd = core_graph(X, 3, "cosine")
    assert_forced(layer, simd)


def test_a_call_may_choose_another_path():
    _, _, layer, simd = core_graph(X, 3, "cosine", simd="scalar", block_rows=256, max_memory=2**29)
    assert simd == "scalar"
    assert layer["superblocks"] == 1
