"""Fragments: communities outside the core, of few languages, told apart by their languages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast.scores.structure.communities import communities

Counts = NDArray[np.int64]

ALIKE: Final = 0.5
"""Communities are one fragment while more than this share of their languages is the same."""


def communities_outside(
    indices: NDArray[np.integer], core: NDArray[np.bool_], *, resolution: float, seed: int
) -> NDArray[np.int64]:
    """The community of each point outside the core, from 0 on; -1 of the others.

    Communities of the links among these points, in both directions. One that is no larger than the
    neighbourhood of a single point, k + 1 with the point itself, needs k + 1 points to count.
    """
    n, k = indices.shape
    found = np.full(n, -1, np.int64)
    outside = np.flatnonzero(~core)
    if not len(outside):
        return found
    number = np.full(n, -1, np.int64)
    number[outside] = np.arange(len(outside))
    source, target = np.repeat(number, k), number[indices.ravel()]
    kept = (source >= 0) & (target >= 0)
    groups = communities(source[kept], target[kept], len(outside), resolution=resolution, seed=seed)
    large = np.bincount(groups) > k
    renumbered = np.where(large, np.cumsum(large) - 1, -1)
    found[outside] = renumbered[groups]
    return found


def counts_of(groups: NDArray[np.int64], labels: NDArray[np.integer], n_languages: int) -> Counts:
    """How many points of each language (column) each group (row) has; -1 is no group."""
    inside = groups >= 0
    n_groups = int(groups.max(initial=-1)) + 1
    keys = groups[inside] * n_languages + labels[inside]
    return np.bincount(keys, minlength=n_groups * n_languages).reshape(n_groups, n_languages)


def main_languages(counts: Counts, purity: float) -> list[int]:
    """The fewest languages that hold a share `purity` of the points, the largest first."""
    order = np.argsort(-counts, kind="stable")
    held = np.cumsum(counts[order])
    n_main = int(np.searchsorted(held, purity * held[-1] - 1e-9)) + 1
    return [int(c) for c in order[:n_main]]


def pool_alike(counts: Counts) -> list[int]:
    """Which rows are one fragment: those whose languages are more than half the same.

    The two rows that are most alike, by ``sum over languages of min(p, q)`` of their shares of
    points, are pooled, until no two are alike by more than `ALIKE`.

    Returns
    -------
    list of int
        The number of each row's fragment, from 0 in the order of their first rows.
    """
    pooled = counts.astype(np.float64)
    fragment = list(range(len(counts)))
    shares = pooled / pooled.sum(axis=1, keepdims=True)
    alike = np.array([_in_common(shares, row) for row in shares]).reshape(len(counts), len(counts))
    np.fill_diagonal(alike, 0.0)
    while alike.size and alike.max() > ALIKE:
        a, b = sorted(divmod(int(alike.argmax()), len(counts)))
        pooled[a] += pooled[b]
        shares[a], shares[b] = pooled[a] / pooled[a].sum(), 0.0
        alike[a] = alike[:, a] = _in_common(shares, shares[a])
        alike[a, a] = 0.0
        alike[b] = alike[:, b] = 0.0
        fragment = [a if number == b else number for number in fragment]
    rank = {number: i for i, number in enumerate(sorted(set(fragment)))}
    return [rank[number] for number in fragment]


def stable_labels(layers: Sequence[Counts], least: float) -> list[list[int]]:
    """The label of each community of each layer, from 1: the same where languages are alike.

    Communities are pooled within each layer; those that then have fewer points than `least` get the
    label -1. The others are pooled across layers. Labels go from the fragment with the most points
    of all layers to the one with the fewest.
    """
    within = [_large(pool_alike(counts), counts, least) for counts in layers]
    pooled = [
        counts[[i for i, g in enumerate(groups) if g == group]].sum(axis=0)
        for counts, groups in zip(layers, within, strict=True)
        for group in range(max(groups, default=-1) + 1)
    ]
    if not pooled:
        return [[] for _ in layers]
    across = pool_alike(np.array(pooled))
    points = np.bincount(across, weights=[counts.sum() for counts in pooled])
    label = np.empty(len(points), np.int64)
    label[np.argsort(-points, kind="stable")] = np.arange(1, len(points) + 1)
    labels, start = [], 0
    for groups in within:
        labels.append([-1 if g < 0 else int(label[across[start + g]]) for g in groups])
        start += max(groups, default=-1) + 1
    return labels


def _large(groups: list[int], counts: Counts, least: float) -> list[int]:
    """Groups of rows with at least so many points, numbered anew; -1 for others."""
    sizes = np.bincount(groups, weights=counts.sum(axis=1)) if groups else np.zeros(0)
    number = np.where(sizes >= least, np.cumsum(sizes >= least) - 1, -1)
    return [int(number[group]) for group in groups]


def _in_common(shares: NDArray[np.float64], row: NDArray[np.float64]) -> NDArray[np.float64]:
    common: NDArray[np.float64] = np.minimum(shares, row).sum(axis=1)
    return common
