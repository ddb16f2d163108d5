"""Graphs made by hand: what can be the neighbours of rows, and what is refused by name."""

from __future__ import annotations

import numpy as np
import pytest

from ilo_fast.graph.checks import check_indices, check_own_graph
from ilo_fast.graph.result import NeighborGraph

SOUND = np.array([[1, 2], [0, 2], [0, 1]])


@pytest.mark.parametrize("n_rows", [3, np.int64(3)])
def test_sound_indices_pass(n_rows):
    check_indices(SOUND, n_rows, of_queries=False)
    check_indices(np.stack([SOUND, SOUND]), n_rows, of_queries=False)


@pytest.mark.parametrize(
    ("indices", "n_rows", "error", "said"),
    [
        (SOUND.tolist(), 3, TypeError, "are a list, wanted an array"),
        (SOUND[0], 3, ValueError, "have shape"),
        (SOUND[:, :0], 3, ValueError, "at least one neighbour"),
        (SOUND * 1.0, 3, TypeError, "dtype float64"),
        (SOUND, 4, ValueError, "n_rows=4 of the graph, wanted its 3 rows"),
        (SOUND, None, ValueError, "n_rows=None"),
        (SOUND + 1, 3, ValueError, r"not in \[0, 3\)"),
        (SOUND - 1, 3, ValueError, r"not in \[0, 3\)"),
        (SOUND[[1, 0, 2]], 3, ValueError, "a row as its own neighbour"),
        (SOUND[:, [0, 0]], 3, ValueError, "twice in a row"),
    ],
)
def test_others_are_refused(indices, n_rows, error, said):
    with pytest.raises(error, match=said):
        check_indices(indices, n_rows, of_queries=False)


def test_a_graph_of_queries_is_no_graph_of_its_rows():
    graph = NeighborGraph(SOUND, np.ones(SOUND.shape, np.float32), n_rows=9, of_queries=True)
    with pytest.raises(ValueError, match="without queries"):
        check_own_graph(graph)
