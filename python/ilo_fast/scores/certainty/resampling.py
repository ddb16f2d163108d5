"""Counts of a corpus without some of its units, from lists of neighbours longer than k."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast import _core
from ilo_fast._util.messages import counted
from ilo_fast.graph.arrays import Stack
from ilo_fast.scores.certainty.neighbor_lists import NeighborLists
from ilo_fast.scores.certainty.replicates import Counts, Ints, Replicates

_Arrays = tuple[Ints, Ints, Ints, "Ints | None"]  # points, bridging, reached, translations

N_PAIRS: Final = 128
"""Of halves. The standard error then varies by 6 % from seed to seed."""


@dataclass(frozen=True, eq=False)
class Units:
    """What is drawn anew where a study is repeated; points come and go with their unit.

    Attributes
    ----------
    kind : str
        ``"document"``, ``"sentence"`` (in all its languages), or ``"point"``.
    of_point : int32, shape (points,)
        Unit of each point; points are those of the first language, then the second, ...
    strata : int32, shape (units,), or None
        Language of each unit where units are points.
    """

    kind: str
    of_point: Ints
    strata: Ints | None

    @property
    def n(self) -> int:
        return int(self.of_point.max()) + 1


def sampling_units(
    sizes: Sequence[int], *, parallel: bool, groups: Sequence[str] | None = None
) -> Units:
    """The document where the corpus knows documents, else the sentence, else the point.

    Parameters
    ----------
    sizes
        Points of each language.
    parallel
        Whether equal numbers are translations of each other.
    groups
        For each sentence of parallel text the name of its document.

    Raises
    ------
    ValueError
        Groups of text that is not parallel, or that are not one for each sentence.
    """
    if not parallel:
        if groups is not None:
            raise ValueError("groups are of parallel text, but this is not: leave groups out")
        of_point = np.arange(sum(sizes), dtype=np.int32)
        strata = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        return Units("point", of_point, strata)
    if groups is None:
        return Units("sentence", np.tile(np.arange(sizes[0], dtype=np.int32), len(sizes)), None)
    if len(groups) != sizes[0]:
        raise ValueError(
            f"groups has {len(groups)} names, wanted one for each of the {sizes[0]} sentences"
        )
    numbers: dict[str, int] = {}
    of_sentence = [numbers.setdefault(name, len(numbers)) for name in groups]
    return Units("document", np.tile(np.array(of_sentence, np.int32), len(sizes)), None)


def draw_halves(units: Units, *, n_pairs: int, seed: int) -> NDArray[np.bool_]:
    """Random pairs of disjoint halves; of an odd number of units, one is in neither.

    Languages are halved apart where units are points.

    Returns
    -------
    bool, shape (2 * pairs, units)
        The halves of a pair follow each other.
    """
    rng = np.random.default_rng([seed, units.n])
    strata = np.zeros(units.n, np.int32) if units.strata is None else units.strata
    kept = np.zeros((2 * n_pairs, units.n), np.bool_)
    for stratum in np.unique(strata):
        own = np.flatnonzero(strata == stratum)
        size = len(own) // 2
        for pair in range(n_pairs):
            shuffled = rng.permutation(own)
            kept[2 * pair, shuffled[:size]] = True
            kept[2 * pair + 1, shuffled[size : 2 * size]] = True
    return kept


class Resampling:
    """Replicates of several layers, counted one layer after the other.

    Parameters
    ----------
    sizes, parallel, groups
        As `sampling_units` has them.
    n_neighbors, threshold, metric, backend, n_threads
        Of the scores, as `ilo_fast.overlap` has them.
    seed
        Of the subsets; they depend on it and on the units alone.
    jackknife
        Whether to count the corpus without each of its units, too. False is for points alone: of
        other units, what is counted without each tells how many there are.

    Raises
    ------
    ValueError
        As `sampling_units`; no jackknife of units that are no points.

    Attributes
    ----------
    units : Units
    list_length : int
        Neighbours to ask for at first. Those of `n_neighbors` are the first of them.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        parallel: bool,
        groups: Sequence[str] | None = None,
        n_neighbors: int,
        threshold: int,
        metric: str = "cosine",
        backend: str = "exact",
        n_threads: int = 1,
        seed: int = 0,
        jackknife: bool = True,
    ) -> None:
        self.units = sampling_units(sizes, parallel=parallel, groups=groups)
        if not jackknife and self.units.strata is None:
            raise ValueError("jackknife=False is for points alone, not for sentences or documents")
        self._jackknife = jackknife
        self._labels = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        self._sentences = np.tile(np.arange(sizes[0]), len(sizes)) if parallel else None
        self._k, self._threshold, self._seed = n_neighbors, threshold, seed
        self._n_languages = len(sizes)
        self._search: dict[str, Any] = {
            "metric": metric,
            "backend": backend,
            "n_threads": n_threads,
            "progress": False,
        }
        self._kept = draw_halves(self.units, n_pairs=N_PAIRS, seed=seed)
        self._layers: list[list[_Arrays]] = []
        n_points = len(self._labels)
        self.list_length = min(n_points - 1, 6 * n_neighbors + 6)

    def why_not(self) -> str:
        """Why there can be no replicates; "" where there can."""
        of_unit = np.bincount(self.units.of_point)
        fewest = min(len(self._labels) - of_unit.max(), (self._kept @ of_unit).min())
        if self.units.n > 1 and fewest > self._k and self._kept.any():
            return ""
        verb = "is" if self.units.n == 1 else "are"
        return (
            f"{counted(self.units.n, self.units.kind)} {verb} too few: without some of them the "
            f"points have fewer than n_neighbors={self._k} others"
        )

    def add_layer(self, indices: NDArray[np.int64], rows: Sequence[Stack]) -> None:
        """Count the replicates of the next layer.

        Parameters
        ----------
        indices : shape (points, list_length)
            Its graph.
        rows
            What the graph was made of, one layer each: rows whose lists are too short are asked
            again with more neighbours.
        """
        lists = NeighborLists.of_graph(indices)
        nothing = self._kept[:0]
        without_one = None if self._jackknife else nothing
        for kept in (without_one, self._kept):
            while len(short := self._too_short(lists, kept)):
                lists = lists.asked_again(short, rows, self._search)
        everything = np.ones((1, self.units.n), np.bool_)
        samples = [self._counts(lists, kept) for kept in (everything, without_one, self._kept)]
        self._layers.append(samples)

    def replicates(self) -> Replicates:
        """Those of the layers that were added, in their order."""
        whole, without_one, subsets = (
            _stacked(layers) for layers in zip(*self._layers, strict=True)
        )
        return Replicates(
            whole=_first(whole),
            without_one=without_one,
            subsets=subsets,
            n_kept=int(self._kept[0].sum()),
            seed=self._seed,
            unit=self.units.kind,
            strata=self.units.strata,
            n_neighbors=self._k,
        )

    def _too_short(self, lists: NeighborLists, kept: NDArray[np.bool_] | None) -> NDArray[np.int64]:
        return _core.overlap_rows_too_short(
            lists.entries,
            lists.offsets,
            self.units.of_point,
            kept,
            n_neighbors=self._k,
            n_units=self.units.n,
            n_threads=self._search["n_threads"],
        )

    def _counts(self, lists: NeighborLists, kept: NDArray[np.bool_] | None) -> _Arrays:
        return _core.overlap_deletions(
            lists.entries,
            lists.offsets,
            self.units.of_point,
            self._labels,
            self._sentences,
            kept,
            n_neighbors=self._k,
            n_units=self.units.n,
            n_languages=self._n_languages,
            threshold=self._threshold,
            n_threads=self._search["n_threads"],
        )


def _stacked(layers: Sequence[_Arrays]) -> Counts:
    """The same samples at every layer: shape (samples, layers, languages)."""
    points = layers[0][0]
    bridging = np.stack([bridging for _, bridging, _, _ in layers], axis=1)
    reached = np.stack([reached for _, _, reached, _ in layers], axis=1)
    of_layers = [translations for *_, translations in layers if translations is not None]
    return Counts(points, bridging, reached, np.stack(of_layers, axis=1) if of_layers else None)


def _first(counts: Counts) -> Counts:
    """The only sample, without the axis of samples."""
    translations = None if counts.translations is None else counts.translations[0]
    return Counts(counts.points[0], counts.bridging[0], counts.reached[0], translations)
