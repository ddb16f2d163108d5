"""Proposed groups: planted ones are found, and linkage is that of scipy."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from ilo_fast.transcoders.attribution.data import GraphData, Sources, Target
from ilo_fast.transcoders.features import supernodes
from ilo_fast.transcoders.features.notes import Context, FeatureNote
from ilo_fast.transcoders.features.supernodes import propose_supernodes


def graph_of(nodes: list[tuple[int, int, int]], adjacency: np.ndarray) -> GraphData:
    """nodes: (layer, position, feature); behind them four tokens; one target."""
    n = len(nodes)
    layer, position, feature = np.array(nodes, np.int32).reshape(-1, 3).T
    tokens = np.arange(4, dtype=np.int32)
    sources = Sources(
        kind=np.repeat(np.array([0, 3], np.int8), [n, 4]),
        layer=np.append(layer, np.full(4, -1, np.int32)),
        position=np.append(position, tokens),
        feature=np.append(feature, np.full(4, -1, np.int32)),
        activation=np.ones(n + 4),
    )
    return GraphData(
        prompt="a b c d", tokens=("a", "b", "c", "d"), token_ids=np.arange(4), sources=sources,
        targets=(Target("x", 1, 0.5),), adjacency=adjacency, values=adjacency.sum(axis=1),
        info={"n_layers": 9},
    )  # fmt: skip


def planted(random_state: np.random.Generator, sizes: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """An adjacency in which the features of a group take from, and give to, the same."""
    n = sum(sizes)
    group = np.repeat(np.arange(len(sizes)), sizes)
    adjacency = 0.02 * random_state.standard_normal((n + 1, n + 4))
    for at in range(n):
        adjacency[at, n + group[at] % 4] += 1 + random_state.random()
        adjacency[n, at] += 1.0
    # Each group acts on a feature of its own, the first of the next.
    for at in range(n):
        adjacency[int(np.flatnonzero(group == (group[at] + 1) % len(sizes))[0]), at] += 3.0
    return adjacency, group


def note(layer: int, feature: int, token: str, language: str, description: str) -> FeatureNote:
    contexts = tuple(Context((token,), (1.0,), 0, language) for _ in range(5))
    return FeatureNote(layer, feature, contexts, (), (), {}, 0.1, 1.0, description)


def test_planted_groups_are_found_from_edges_alone() -> None:
    seed = random.randrange(2**31)
    print("seed", seed)
    adjacency, group = planted(np.random.default_rng(seed), [4, 3, 5])
    nodes = [(at % 3, 1 + at % 3, at) for at in range(12)]
    found = propose_supernodes(graph_of(nodes, adjacency))
    wanted = [{int(i) for i in np.flatnonzero(group == at)} for at in (2, 0, 1)]
    # The one that a group acts on takes more than its group does: it may be left out.
    assert len(found) == 3
    for node, members in zip(found, wanted, strict=True):
        assert set(node.members) <= members and len(node.members) >= len(members) - 1
        assert node.proposed
    assert found == propose_supernodes(graph_of(nodes, adjacency))


def test_one_feature_at_several_positions_is_one_thing() -> None:
    seed = random.randrange(2**31)
    print("seed", seed)
    adjacency = np.random.default_rng(seed).standard_normal((7, 10))
    nodes = [(0, 1, 5), (0, 2, 5), (0, 3, 5), (1, 1, 5), (1, 2, 6), (2, 2, 5)]
    found = propose_supernodes(graph_of(nodes, adjacency), least_similarity=1.0)
    assert [node.members for node in found] == [(0, 1, 2)]
    assert found[0].name == "layer 0, feature 5"
    kept = np.ones(10, bool)
    kept[[0, 1]] = False
    assert propose_supernodes(graph_of(nodes, adjacency), least_similarity=1.0, kept=kept) == ()
    with pytest.raises(ValueError, match=r"kept has shape \(3,\), wanted \(10,\)"):
        propose_supernodes(graph_of(nodes, adjacency), kept=kept[:3])


def test_contexts_join_and_part_what_edges_leave_open() -> None:
    adjacency = np.zeros((5, 8))
    adjacency[:4, 4] = 1.0  # all take from the first token, and act on the target alike
    adjacency[4, :4] = 1.0
    nodes = [(0, 1, 1), (1, 1, 2), (0, 2, 3), (1, 2, 4)]
    notes = {
        (0, 1): note(0, 1, " the", "eng_Latn", "token “the” (5 of 5)"),
        (1, 2): note(1, 2, "The", "eng_Latn", "English (80% of rates); token “the” (5 of 5)"),
        (0, 3): note(0, 3, "и", "rus_Cyrl", "token “и” (5 of 5)"),
        (1, 4): note(1, 4, "и", "rus_Cyrl", ""),
    }
    graph = graph_of(nodes, adjacency)
    assert [node.members for node in propose_supernodes(graph)] == [(0, 1, 2, 3)]
    found = propose_supernodes(graph, notes, least_similarity=0.6)
    assert [(node.name, node.members) for node in found] == [
        ("token “the”", (0, 1)), ("token “и”", (2, 3)),
    ]  # fmt: skip
    assert all(node.proposed for node in found)
    # Without contexts, edges are all there is.
    bare = {key: note(*key, "x", "und", "same") for key in notes}
    bare = {key: FeatureNote(*key, (), (), (), {}, 0.0, 0.0, "same") for key in bare}
    assert [node.members for node in propose_supernodes(graph, bare)] == [(0, 1, 2, 3)]
    assert propose_supernodes(graph, bare)[0].name == "same"


def test_names_are_told_apart() -> None:
    adjacency = np.zeros((5, 8))
    for at in range(4):
        adjacency[at, 4 + at // 2] = 1.0
    adjacency[4, :2], adjacency[3, :2], adjacency[4, 2:4] = 1.0, 0.0, -1.0
    nodes = [(0, 1, 1), (0, 1, 2), (1, 2, 3), (1, 2, 4)]
    notes = {(a, c): note(a, c, "x", "und", "token “x” (5 of 5)") for a, _, c in nodes}
    found = propose_supernodes(graph_of(nodes, adjacency), notes, least_similarity=0.6)
    assert [(n.name, n.members) for n in found] == [
        ("token “x”", (0, 1)), ("token “x”, 2", (2, 3)),
    ]  # fmt: skip


def test_only_the_weightiest_are_looked_at() -> None:
    adjacency = np.zeros((5, 8))
    adjacency[4, :4] = 3.0, 1.0, 1.0, 3.0
    adjacency[:4, 4] = 1.0
    nodes = [(0, 1, at) for at in range(4)]
    found = propose_supernodes(graph_of(nodes, adjacency), most=2)
    assert [node.members for node in found] == [(0, 3)]
    assert propose_supernodes(graph_of([], np.ones((1, 4)))) == ()


def test_linkage_is_scipys() -> None:
    seed = random.randrange(2**31)
    print("seed", seed)
    rng = np.random.default_rng(seed)
    similarity = rng.random((25, 25))
    similarity = (similarity + similarity.T) / 2
    np.fill_diagonal(similarity, 1)
    tree = linkage(squareform(1 - similarity, checks=False), "average")
    average: Any = supernodes._average_linkage
    for least in (0.0, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0):
        found = average(similarity, least)
        labels = fcluster(tree, 1 - least, "distance")
        wanted = {frozenset(np.flatnonzero(labels == at).tolist()) for at in set(labels)}
        assert {frozenset(group) for group in found} == wanted
