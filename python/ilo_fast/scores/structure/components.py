"""Mutual links, connected components, and the core: what links across languages hold together."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.int64]


def mutual_links(indices: NDArray[np.integer]) -> tuple[Points, Points]:
    """The pairs i < j of which each is a neighbour of the other.

    Parameters
    ----------
    indices : (n, k)
        The neighbours of each point.
    """
    n, k = indices.shape
    source, target = np.repeat(np.arange(n), k), indices.ravel().astype(np.int64)
    up = source < target
    forth = source[up] * n + target[up]
    back = target[~up] * n + source[~up]
    both = np.intersect1d(forth, back, assume_unique=True)
    return both // n, both % n


def connected_components(source: Points, target: Points, n: int) -> Points:
    """Of each of n points, the smallest point that links lead to; links have no direction.

    Each round, every tree of linked points that touches a tree with a smaller root is hung onto it;
    the links inside trees are dropped. Some O(log n) rounds.
    """
    root = np.arange(n)
    while True:
        a, b = root[source], root[target]
        apart = a != b
        if not apart.any():
            return root
        source, target = source[apart], target[apart]
        np.minimum.at(root, np.maximum(a, b)[apart], np.minimum(a, b)[apart])
        while True:
            above = root[root]
            if np.array_equal(above, root):
                break
            root = above


def languages_needed(n_languages: int, min_share: float) -> int:
    """How many languages a component of the core must hold: a share of all, and at least two."""
    return max(2, math.ceil(min_share * n_languages - 1e-9))


def language_components(
    links: tuple[Points, Points], labels: NDArray[np.integer], n_languages: int
) -> tuple[Points, NDArray[np.int64]]:
    """The components of mutual links between different languages.

    Parameters
    ----------
    links
        `mutual_links`.
    labels : (n,)
        The number of each point's language.

    Returns
    -------
    component, reached : int64, shape (n,)
        Of each point: the smallest point of its component, and how many languages the component
        holds, the point's own included.
    """
    n = len(labels)
    source, target = links
    across = labels[source] != labels[target]
    component = connected_components(source[across], target[across], n)
    held = np.unique(component * n_languages + labels) // n_languages
    return component, np.bincount(held, minlength=n)[component]
