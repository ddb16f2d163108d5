"""Lists of neighbours, of different lengths where some were asked for more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast.graph.arrays import Stack
from ilo_fast.graph.knn import stacked_graph
from ilo_fast.graph.options import APPROXIMATE

Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class NeighborLists:
    """The neighbours of every point, nearest first, as `ilo_fast._core` takes them.

    Attributes
    ----------
    entries : int64, flat
    offsets : int64, shape (points + 1,)
        The neighbours of point i are ``entries[offsets[i]:offsets[i + 1]]``.
    """

    entries: Numbers
    offsets: Numbers

    @classmethod
    def of_graph(cls, indices: Numbers) -> NeighborLists:
        """Of a graph, shape (points, k)."""
        n, k = indices.shape
        return cls(np.ascontiguousarray(indices).ravel(), np.arange(0, n * k + 1, k))

    def with_rows(self, rows: Numbers, longer: Numbers) -> NeighborLists:
        """These, with other lists for some of the points.

        Parameters
        ----------
        rows : shape (m,), ascending
        longer : shape (m, length)
        """
        lengths = np.diff(self.offsets)
        kept = np.repeat(~np.isin(np.arange(len(lengths)), rows), lengths)
        lengths[rows] = longer.shape[1]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        entries = np.empty(offsets[-1], np.int64)
        replaced = np.zeros(len(entries), np.bool_)
        for row in rows:
            replaced[offsets[row] : offsets[row + 1]] = True
        entries[replaced] = longer.ravel()
        entries[~replaced] = self.entries[kept]
        return NeighborLists(entries, offsets)

    def asked_again(
        self, rows: Numbers, stacks: Sequence[Stack], search: dict[str, Any]
    ) -> NeighborLists:
        """These, with lists of four times the length for some of the points.

        Parameters
        ----------
        rows
            Points, ascending.
        stacks
            All points, one layer.
        search
            Keywords of `stacked_graph`.
        """
        n = len(self.offsets) - 1
        longest = int(np.diff(self.offsets)[rows].max())
        if longest >= n - 1:
            raise ValueError(f"point {rows[0]} has all {n - 1} others in its list, wanted more")
        length = min(4 * longest, n - 1)  # each search packs all rows again: rather a long list
        if search["backend"] in APPROXIMATE:  # they have no queries
            found = stacked_graph(stacks, length, **search).indices[0]
            return self._continued(rows, found[rows])
        # A query finds itself, at distance 0, or more duplicates of lower number than were asked.
        found = stacked_graph(stacks, length + 1, queries=_rows_of(stacks, rows), **search).indices
        others = found[0] != rows[:, np.newaxis]
        others[others.all(axis=1), -1] = False
        return self.with_rows(rows, found[0][others].reshape(len(rows), length))

    def _continued(self, rows: Numbers, found: Numbers) -> NeighborLists:
        """An approximate list begins as it did, whatever the longer search found."""
        length = found.shape[1]
        longer = np.empty((len(rows), length), np.int64)
        for out, row, more in zip(longer, rows, found, strict=True):
            old = self.entries[self.offsets[row] : self.offsets[row + 1]]
            out[:] = np.concatenate([old, more[~np.isin(more, old)]])[:length]
        return self.with_rows(rows, longer)


def _rows_of(stacks: Sequence[Stack], rows: Numbers) -> Stack:
    """Some of the points, in one array where the stacks are."""
    ends = np.cumsum([stack.values.shape[1] for stack in stacks])
    chosen = []
    for stack, end in zip(stacks, ends, strict=True):
        start = end - stack.values.shape[1]
        own = rows[(rows >= start) & (rows < end)] - start
        if len(own):
            chosen.append(stack.values[:, own])
    first = stacks[0]
    if first.device is None:
        return Stack(np.concatenate(chosen, axis=1), first.dtype, False)
    import torch

    return Stack(torch.cat(chosen, dim=1), first.dtype, False, first.device)
