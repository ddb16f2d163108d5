"""Slow and obvious: the shuffles that csrc/overlap/permutations.h defines; p values by loops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_WORD = 2**64


def _mix(x: int) -> int:
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % _WORD
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB % _WORD
    return x ^ (x >> 31)


def shuffled(
    values: Sequence[int], groups: Sequence[int], seed: int, number: int, kind: str
) -> NDArray[np.int64]:
    """Values shuffled among the points with equal numbers in `groups`."""
    out = np.array(values)
    state = _mix((_mix(seed % _WORD) + 2 * number + ("languages", "sentences").index(kind)) % _WORD)
    for group in sorted(set(groups)):
        points = [i for i, g in enumerate(groups) if g == group]
        for last in range(len(points) - 1, 0, -1):
            state = (state + 0x9E3779B97F4A7C15) % _WORD
            other = _mix(state) * (last + 1) // _WORD
            i, j = points[last], points[other]
            out[i], out[j] = out[j], out[i]
    return out


def step_down(values: NDArray[np.float64]) -> list[float]:
    """Westfall and Young's step-down maxT, a hypothesis at a time; values (1 + B, m)."""
    t = np.zeros(values.shape)
    for h in range(values.shape[1]):
        if len(set(values[:, h])) > 1:
            t[:, h] = (values[:, h] - np.mean(values[:, h])) / np.std(values[:, h])
    left = list(range(values.shape[1]))
    p, least = [0.0] * len(left), 0.0
    while left:
        best = max(left, key=lambda h: t[0, h])
        as_large = sum(max(row[left]) >= t[0, best] - 1e-12 for row in t)
        least = max(least, as_large / len(t))
        p[best] = least
        left.remove(best)
    return p
