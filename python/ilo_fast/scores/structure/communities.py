"""Communities of an undirected graph by modularity: the Leiden algorithm.

Traag, Waltman and van Eck, Scientific Reports 9, 5233 (2019); see csrc/overlap/communities.h.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ilo_fast import _core

Points = NDArray[np.int64]


def communities(
    source: Points, target: Points, n: int, *, resolution: float = 1.0, seed: int = 0
) -> NDArray[np.int32]:
    """Communities of high modularity, each connected; no point gains by a move to another.

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
    int32, shape (n,)
        The community of each point, numbered from 0 in the order of their first points. A point
        without links is a community of its own.
    """
    one, other = np.concatenate([source, target]), np.concatenate([target, source])
    pairs, weights = np.unique(one * n + other, return_counts=True)
    offsets = np.searchsorted(pairs, np.arange(n + 1, dtype=np.int64) * n).astype(np.int64)
    ends = (pairs % n).astype(np.int32) if n else np.zeros(0, np.int32)
    return _core.communities(
        offsets, ends, weights.astype(np.float64), resolution=resolution, seed=seed
    )
