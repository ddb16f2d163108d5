import networkx as nx
import numpy as np
import pytest

from ilo_fast import _core
from ilo_fast.graph.knn import knn_graph
from ilo_fast.scores.structure.communities import communities


def blocks(sizes: tuple[int, ...], inside: float, across: float, seed: int) -> nx.Graph:
    n = len(sizes)
    chances = np.where(np.eye(n, dtype=bool), inside, across).tolist()
    return nx.stochastic_block_model(sizes, chances, seed=seed)


def found(graph: nx.Graph, **options: float) -> np.ndarray:
    ends = np.array(graph.edges()).T.reshape(2, -1)
    return communities(ends[0], ends[1], len(graph), **options)


def quality(graph: nx.Graph, groups: np.ndarray) -> float:
    parts = [set(np.flatnonzero(groups == g).tolist()) for g in range(groups.max() + 1)]
    return nx.community.modularity(graph, parts)


def test_planted_communities_are_found_whatever_their_sizes() -> None:
    sizes = (20, 30, 60)
    graph = blocks(sizes, 0.5, 0.01, seed=0)
    assert (found(graph) == np.repeat(np.arange(3), sizes)).all()


@pytest.mark.parametrize("seed", range(3))
def test_modularity_is_no_lower_than_that_of_louvain(seed: int) -> None:
    points = np.random.default_rng(seed).normal(size=(300, 4))
    graph = nx.from_scipy_sparse_array(knn_graph(points, 5).to_csr())
    graph = nx.Graph(graph.edges())
    graph = nx.convert_node_labels_to_integers(graph, ordering="sorted")
    louvain = nx.community.louvain_communities(graph, weight=None, seed=seed)
    ours = found(graph, seed=seed)
    assert quality(graph, ours) > nx.community.modularity(graph, louvain) - 0.01


@pytest.mark.parametrize("seed", range(4))
def test_every_community_is_connected(seed: int) -> None:
    graph = nx.gnm_random_graph(120, 200, seed=seed)
    groups = found(graph, seed=seed, resolution=0.2 + seed)
    for g in range(groups.max() + 1):
        assert nx.is_connected(graph.subgraph(np.flatnonzero(groups == g).tolist()))


def test_no_single_move_gains() -> None:
    graph = blocks((25, 25, 25), 0.3, 0.05, seed=3)
    groups = found(graph, seed=1)
    best = quality(graph, groups)
    for v in graph:
        for g in range(groups.max() + 1):
            moved = groups.copy()
            moved[v] = g
            assert quality(graph, moved) <= best + 1e-12


def test_twice_the_same_and_numbered_by_first_points() -> None:
    graph = nx.gnm_random_graph(100, 300, seed=9)
    groups = found(graph, seed=2)
    assert (groups == found(graph, seed=2)).all()
    first = [int(np.flatnonzero(groups == g)[0]) for g in range(groups.max() + 1)]
    assert first == sorted(first)


def test_points_without_links_are_alone() -> None:
    none = np.zeros(0, int)
    assert communities(none, none, 3).tolist() == [0, 1, 2]
    assert communities(none, none, 0).tolist() == []
    assert communities(np.array([1]), np.array([2]), 4).tolist() == [0, 1, 1, 2]


def test_a_pair_that_is_named_twice_weighs_twice() -> None:
    # A triangle between two heavy pairs would take either of its ends; weight decides.
    once = [(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 5), (5, 3)]
    source, target = np.array(once + [(3, 2)] * 4).T
    groups = communities(source, target, 6)
    assert groups[2] == groups[3]
    source, target = np.array(once).T
    assert communities(source, target, 6).tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"offsets": np.array([0, 1])}, "offsets go from 0 to 1, wanted from 0 to the 2 ends"),
        ({"offsets": np.array([0, 99, 2])}, "offsets fall from 99 to 2 at 2"),
        ({"ends": np.array([0, 0], np.int32)}, "ends holds 0 for point 0"),
        ({"ends": np.array([1, 9], np.int32)}, "ends holds 9 for point 1"),
        ({"weights": np.array([1.0, 0.0])}, r"weights\[1\]=0"),
        ({"weights": np.array([1.0])}, "as many weights as ends"),
        ({"resolution": float("nan")}, "resolution=nan"),
    ],
)
def test_the_core_refuses_what_is_no_graph(change: dict, said: str) -> None:
    good = {
        "offsets": np.array([0, 1, 2]),
        "ends": np.array([1, 0], np.int32),
        "weights": np.ones(2),
        "resolution": 1.0,
        "seed": 0,
    }
    assert _core.communities(**good).tolist() == [0, 0]
    with pytest.raises(ValueError, match=said):
        _core.communities(**{**good, **change})
