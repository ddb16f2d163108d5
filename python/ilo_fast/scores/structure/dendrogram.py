"""Average linkage of a few hundred languages: the tree, and the order of its leaves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def language_distance(
    counts: NDArray[np.int64], sizes: Sequence[int], expected: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How far languages are from being each other's neighbours: 0 always, 1/2 by chance, 1 never.

    ``d = e / (e + m)``: m links between the two languages, in both directions, of which mixing
    would give e. A ratio of links has no upper end, so that 1 - ratio could be any negative number;
    d falls as the ratio grows, and stays between 0 and 1.

    Parameters
    ----------
    counts : (languages, languages)
        Links, from row to column.
    sizes
        Points of each language.
    expected : (languages, languages)
        Shares of neighbours under mixing.
    """
    n_links = counts.sum(axis=1)  # of each language: its points times k
    by_chance = expected * n_links[:, None]
    both = by_chance + by_chance.T
    links = both + counts + counts.T
    np.fill_diagonal(links, 1.0)  # a language of one point has none with itself, nor by chance
    distance: NDArray[np.float64] = both / links
    np.fill_diagonal(distance, 0.0)
    return distance


def average_linkage(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Merge the two nearest clusters until one is left (UPGMA; Sokal and Michener 1958).

    Parameters
    ----------
    distance : (n, n)
        Symmetric; the diagonal does not count.

    Returns
    -------
    float64, shape (n - 1, 4)
        As SciPy's ``linkage``: the two clusters merged, smaller number first (leaves are 0 to n -
        1, merge i makes cluster n + i), their mean distance, and how many leaves they hold. Of
        equal distances, the pair with the smallest numbers merges first. Costs O(n^3).
    """
    n = len(distance)
    near = distance.astype(np.float64, copy=True)
    np.fill_diagonal(near, np.inf)
    number, leaves = np.arange(n), np.ones(n)
    merges = np.empty((max(n - 1, 0), 4))
    for step in range(n - 1):
        ties = np.flatnonzero(near == near.min())
        ends = np.sort(number[np.stack([ties // n, ties % n], axis=1)], axis=1)
        first = np.lexsort((ends[:, 1], ends[:, 0]))[0]
        a, b = divmod(int(ties[first]), n)
        total = leaves[a] + leaves[b]
        merges[step] = (*ends[first], near[a, b], total)
        mean = (leaves[a] * near[a] + leaves[b] * near[b]) / total
        near[a] = near[:, a] = mean
        near[b] = near[:, b] = np.inf
        near[a, a] = np.inf
        number[a], leaves[a] = n + step, total
    return merges


def leaf_order(linkage: NDArray[np.float64], distance: NDArray[np.float64]) -> NDArray[np.int64]:
    """An order in which every cluster of the tree is contiguous, and neighbours are near.

    At each merge, of the four ways to put the two clusters beside each other, the one whose
    touching ends are nearest (Gruvaeus and Wainer 1972); the first of equals.
    """
    n = len(distance)
    orders: dict[int, list[int]] = {leaf: [leaf] for leaf in range(n)}
    for step, (a, b) in enumerate(linkage[:, :2].astype(int)):
        left, right = orders.pop(a), orders.pop(b)
        ways = [(x, y) for x in (left, left[::-1]) for y in (right, right[::-1])]
        best = min(ways, key=lambda way: distance[way[0][-1], way[1][0]])
        orders[n + step] = [*best[0], *best[1]]
    return np.array(next(iter(orders.values())), np.int64)
