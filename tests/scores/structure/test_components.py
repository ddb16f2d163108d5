import networkx as nx
import numpy as np
import pytest

from ilo_fast.graph.knn import knn_graph
from ilo_fast.scores.structure.components import (
    connected_components,
    language_components,
    languages_needed,
    mutual_links,
)


def mutual(indices: np.ndarray) -> set[tuple[int, int]]:
    rows = [set(row.tolist()) for row in indices]
    return {(i, j) for i, row in enumerate(rows) for j in row if i < j and i in rows[j]}


@pytest.mark.parametrize("k", [1, 3, 6])
def test_links_are_those_that_both_ends_have(k: int) -> None:
    points = np.random.default_rng(k).integers(0, 4, (40, 2)) + 1.0  # with duplicates and ties
    indices = knn_graph(points, k, metric="euclidean").indices
    source, target = mutual_links(indices)
    assert set(zip(source.tolist(), target.tolist(), strict=True)) == mutual(indices)
    assert len(source) == len(mutual(indices))


@pytest.mark.parametrize("links", [0, 20, 60, 400])
def test_components_are_those_of_networkx(links: int) -> None:
    n, rng = 80, np.random.default_rng(links)
    source, target = rng.integers(0, n, (2, links))
    graph = nx.Graph(zip(source.tolist(), target.tolist(), strict=True))
    graph.add_nodes_from(range(n))
    wanted = np.empty(n, int)
    for part in nx.connected_components(graph):
        wanted[list(part)] = min(part)
    assert (connected_components(source, target, n) == wanted).all()


def test_a_long_chain_in_any_order_is_one_component() -> None:
    order = np.random.default_rng(0).permutation(5000)
    assert (connected_components(order[:-1], order[1:], 5000) == 0).all()


def test_only_links_across_languages_count() -> None:
    # 0-1 are of one language; 1-2 and 3-4 of two; 5 is alone.
    links = np.array([0, 1, 3]), np.array([1, 2, 4])
    component, reached = language_components(links, np.array([0, 0, 1, 2, 1, 0]), 3)
    assert component.tolist() == [0, 1, 1, 3, 3, 5]
    assert reached.tolist() == [1, 2, 2, 2, 2, 1]


def test_a_core_holds_two_languages_at_least() -> None:
    assert [languages_needed(n, 0.5) for n in (2, 3, 4, 5, 31)] == [2, 2, 2, 3, 16]
    assert languages_needed(10, 0.3) == 3  # 0.3 * 10 is a little above 3 in binary
    assert languages_needed(10, 1.0) == 10
