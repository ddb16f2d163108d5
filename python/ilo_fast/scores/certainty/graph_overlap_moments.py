"""What two neighbour graphs on the same points share by chance: exact mean and variance."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LinkSums:
    """All of a directed graph that the mean and the variance of an overlap depend on.

    Attributes
    ----------
    n : int
        Points.
    links : int
    both_ways : int
        Links i -> j whose j -> i is a link, too.
    same_source, same_target : int
        Ordered pairs of different links from one point, or to one point.
    chained : int
        Pairs of a link i -> j and a link j -> h, where h is not i.
    """

    n: int
    links: int
    both_ways: int
    same_source: int
    same_target: int
    chained: int

    @classmethod
    def of(cls, indices: NDArray[np.integer]) -> LinkSums:
        """Of a graph (n, k), each row different points other than its own; O(n k log(n k)).

        Raises
        ------
        ValueError
            Another shape, numbers outside [0, n), a point twice in its row or its own neighbour.
        """
        if indices.ndim != 2:
            raise ValueError(f"indices has shape {indices.shape}, wanted (n, k): one layer")
        n, k = indices.shape
        ordered = np.sort(indices, axis=1).astype(np.int64)
        if ordered.size and (ordered[:, 0].min() < 0 or ordered[:, -1].max() >= n):
            raise ValueError(f"indices holds numbers outside [0, {n}): wanted those of points")
        source = np.repeat(np.arange(n), k)
        if (np.diff(ordered) == 0).any() or (ordered.ravel() == source).any():
            raise ValueError(
                "indices names a point twice in a row, or as its own neighbour: wanted different "
                "points, other than the row's"
            )
        forth, back = source * n + ordered.ravel(), ordered.ravel() * n + source
        both_ways = len(np.intersect1d(forth, back, assume_unique=True))
        into = np.bincount(ordered.ravel(), minlength=n)
        links = n * k
        return cls(
            n=n,
            links=links,
            both_ways=both_ways,
            same_source=links * (k - 1),
            same_target=int(into @ into) - links,
            chained=int(k * into.sum()) - both_ways,
        )

    def overlap_moments(self, other: LinkSums) -> tuple[float, float]:
        """Mean and variance of the links in common with `other`, its points renumbered at random.

        See `overlap_moments`.

        Raises
        ------
        ValueError
            Graphs of different numbers of points.
        """
        if self.n != other.n:
            raise ValueError(
                f"the graphs have {self.n} and {other.n} points, wanted the same points in both"
            )
        pairs = self.n * (self.n - 1)  # ordered, of different points
        if pairs == 0:
            return 0.0, 0.0
        mean = Fraction(self.links * other.links, pairs)
        square = Fraction(self.links * other.links + self.both_ways * other.both_ways, pairs)
        if self.n > 2:
            shared = (
                self.same_source * other.same_source
                + self.same_target * other.same_target
                + 2 * self.chained * other.chained
            )
            square += Fraction(shared, pairs * (self.n - 2))
        if self.n > 3:
            apart = self._apart() * other._apart()
            square += Fraction(apart, pairs * (self.n - 2) * (self.n - 3))
        return float(mean), float(square - mean * mean)

    def _apart(self) -> int:
        """Ordered pairs of links that have no point in common."""
        touching = self.both_ways + self.same_source + self.same_target + 2 * self.chained
        return self.links * (self.links - 1) - touching


def overlap_moments(A: NDArray[np.integer], B: NDArray[np.integer]) -> tuple[float, float]:
    """Mean and variance of the number of links that two graphs share by chance.

    The points of B are renumbered by a random permutation p, all n! equally likely, and S counts
    the links i -> j of A for which p(i) -> p(j) is a link of B. With k neighbours in both, S / (n
    k) is the share of common neighbours (mutual k-NN), of mean k / (n - 1).

    Parameters
    ----------
    A, B : whole numbers, shapes (n, k) and (n, k')
        The neighbours of each point.

    Returns
    -------
    mean, variance : float
        Of S; computed exactly, then rounded. Hubs in both graphs, and links both ways, make the
        variance larger.

    Notes
    -----
    The moments of Mantel, Cancer Research 27 (1967), and of the quadratic assignment procedure, for
    directed graphs: pairs of links by the points that they have in common. To compare many graphs,
    take the `LinkSums` of each once.
    """
    return LinkSums.of(A).overlap_moments(LinkSums.of(B))
