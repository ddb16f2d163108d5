"""Communities of an undirected graph by modularity: the Leiden algorithm.

Traag, Waltman and van Eck, Scientific Reports 9, 5233 (2019). Every community is connected. Where
the paper draws a community at random in its refinement, the best is taken, so that only the order
of the nodes depends on the seed.
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


def communities(
    source: Integers, target: Integers, n: int, *, resolution: float = 1.0, seed: int = 0
) -> Integers:
    """Communities of high modularity.

    Parameters
    ----------
    source, target : (links,)
        Ends of the links; a pair that is named twice has weight 2. No point links to itself.
    n : int
        Points.
    resolution : float
        Above 1: smaller communities.
    seed : int
        Of the order in which points are visited.

    Returns
    -------
    int64, shape (n,)
        The community of each point, numbered from 0 in the order of their first points. A point
        without links is a community of its own.
    """
    rng = np.random.default_rng(seed)
    ends = np.concatenate([source, target]), np.concatenate([target, source])
    graph = _Graph.of(*ends, np.ones(len(ends[0])), np.bincount(ends[0], minlength=n).astype(float))
    total = float(len(ends[0]))
    if not total:
        return np.arange(n)
    scale = resolution / total
    member = np.arange(n)  # the node of the present graph that each point is in
    groups = list(range(n))  # of the nodes of the present graph
    while True:
        groups = _move(graph, groups, scale, rng)
        if len(set(groups)) == len(groups):
            return _numbered(np.array(groups)[member])
        refined = _numbered(np.array(_refine(graph, groups, scale, rng)))
        if refined.max() + 1 == len(groups):  # nothing merges: take the groups as they are
            refined = _numbered(np.array(groups))
        member = refined[member]
        first = np.unique(refined, return_index=True)[1]
        groups = _numbered(np.array(groups)[first]).tolist()
        graph = graph.merged(refined)


@dataclass(frozen=True)
class _Graph:
    """Neighbours and weights of every node, without loops; strength counts loops, too."""

    neighbors: list[list[int]]
    weights: list[list[float]]
    strength: list[float]
    edges: tuple[Integers, Integers, NDArray[np.float64]]

    @classmethod
    def of(
        cls,
        source: Integers,
        target: Integers,
        weight: NDArray[np.float64],
        strength: NDArray[np.float64],
    ) -> _Graph:
        """Of directed edges, each there in both directions; equal edges are added up."""
        n = len(strength)
        keys, place = np.unique(source * n + target, return_inverse=True)
        summed = np.bincount(place.ravel(), weights=weight, minlength=len(keys))
        source, target = keys // n, keys % n
        starts = np.searchsorted(source, np.arange(n + 1)).tolist()
        to, by = target.tolist(), summed.tolist()
        rows = list(itertools.pairwise(starts))
        return cls(
            [to[a:b] for a, b in rows],
            [by[a:b] for a, b in rows],
            strength.tolist(),
            (source, target, summed),
        )

    def merged(self, groups: Integers) -> _Graph:
        """The graph whose nodes are the groups."""
        source, target, weight = self.edges
        source, target = groups[source], groups[target]
        apart = source != target
        strength = np.bincount(groups, weights=self.strength)
        return _Graph.of(source[apart], target[apart], weight[apart], strength)


def _move(graph: _Graph, groups: list[int], scale: float, rng: np.random.Generator) -> list[int]:
    """Move single nodes to the group where modularity gains most, until none gains."""
    n = len(groups)
    strength, groups = graph.strength, list(groups)
    inside, size = [0.0] * n, [0] * n
    for v, group in enumerate(groups):
        inside[group] += strength[v]
        size[group] += 1
    empty = [group for group in range(n) if not size[group]]
    queue = deque(rng.permutation(n).tolist())
    waiting = [True] * n
    while queue:
        v = queue.popleft()
        waiting[v] = False
        own, pull = groups[v], scale * strength[v]
        shared: dict[int, float] = {}
        for u, weight in zip(graph.neighbors[v], graph.weights[v], strict=True):
            shared[groups[u]] = shared.get(groups[u], 0.0) + weight
        inside[own] -= strength[v]
        best, most = own, shared.get(own, 0.0) - pull * inside[own]
        for group, weight in shared.items():
            gain = weight - pull * inside[group]
            if gain > most + 1e-12:
                best, most = group, gain
        if most < -1e-12:  # alone is better, and a group that no node is in is free
            best = empty.pop()
        inside[best] += strength[v]
        if best == own:
            continue
        groups[v] = best
        size[own] -= 1
        size[best] += 1
        if not size[own]:
            empty.append(own)
        for u in graph.neighbors[v]:
            if not waiting[u] and groups[u] != best:
                waiting[u] = True
                queue.append(u)
    return groups


def _refine(graph: _Graph, groups: list[int], scale: float, rng: np.random.Generator) -> list[int]:
    """Split each group into parts that hang together: merge single nodes within the group.

    A node, and the part that it joins, must be well connected to the rest of their group.
    """
    n = len(groups)
    strength = graph.strength
    whole = [0.0] * n
    for v, group in enumerate(groups):
        whole[group] += strength[v]
    part, inside, alone = list(range(n)), list(strength), [True] * n
    outward = [0.0] * n  # weight of the links of each part to the rest of its group
    for v in range(n):
        outward[v] = sum(
            w
            for u, w in zip(graph.neighbors[v], graph.weights[v], strict=True)
            if groups[u] == groups[v]
        )
    for v in rng.permutation(n).tolist():
        total, own = whole[groups[v]], strength[v]
        if not alone[v] or outward[v] < scale * own * (total - own):
            continue
        shared: dict[int, float] = {}
        for u, weight in zip(graph.neighbors[v], graph.weights[v], strict=True):
            if groups[u] == groups[v]:
                shared[part[u]] = shared.get(part[u], 0.0) + weight
        best, most = v, 0.0
        for other, weight in shared.items():
            gain = weight - scale * own * inside[other]
            well = outward[other] >= scale * inside[other] * (total - inside[other])
            if other != v and well and gain > most:
                best, most = other, gain
        if best != v:
            part[v] = best
            inside[best] += own
            outward[best] += outward[v] - 2 * shared[best]
            alone[v] = alone[best] = False
    return part


def _numbered(groups: Integers) -> Integers:
    """The same groups, numbered from 0 in the order in which they first occur."""
    _, first, place = np.unique(groups, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[place.ravel()]
