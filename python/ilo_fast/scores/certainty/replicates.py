"""Scores of a corpus without some of its sentences: what intervals and comparisons are made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Counts:
    """What the scores of samples are counted from; ``...`` are axes of samples, or none.

    Attributes
    ----------
    points : int32, shape (..., languages)
        Points in the sample.
    bridging, reached : int32, shape (..., layers, languages)
        Points with `threshold` other languages or more near them; other languages that any point
        of the language has near it.
    translations : int32, shape (..., layers, languages), or None
        Neighbours that are translations of their point.
    """

    points: Ints
    bridging: Ints
    reached: Ints
    translations: Ints | None

    def scores(self, n_neighbors: int) -> dict[str, NDArray[np.float64]]:
        """``bridge``, ``reach``, ``ilo`` and, of parallel text, ``translation_share``.

        Each float64, shape (..., layers, languages), by the formulas of the core and to its bits.
        NaN for a language of which a sample has no point.
        """
        points = np.where(self.points, self.points, np.nan)[..., None, :]
        bridge = self.bridging / points
        reach = self.reached / (self.points.shape[-1] - 1) + 0 * points
        total = bridge + reach
        found = {
            "bridge": bridge,
            "reach": reach,
            "ilo": 2 * bridge * reach / np.where(total > 0, total, 1),
        }
        if self.translations is not None:
            found["translation_share"] = self.translations / (points * n_neighbors)
        return found

    def select_layers(self, rows: Sequence[int]) -> Counts:
        """The same of some layers, by their positions."""
        kept = list(rows)
        return Counts(
            points=self.points,
            bridging=self.bridging[..., kept, :],
            reached=self.reached[..., kept, :],
            translations=None if self.translations is None else self.translations[..., kept, :],
        )


@dataclass(frozen=True, eq=False)
class Replicates:
    """The counts of the whole corpus, without each of its units, and of random subsets of these.

    The unit is what is drawn anew where the study is repeated: a document where the corpus knows
    documents, else a sentence with all its translations, else (no parallel text) a single point.

    Attributes
    ----------
    whole : Counts
    without_one : Counts
        First axis: the unit that is left out, shape (units, layers, languages). Empty where units
        are points: they are many, and no interval is made of these.
    subsets : Counts
        First axis: random halves of the units, each of `n_kept`, shape (subsets, layers,
        languages). Those at 2 i and 2 i + 1 have no unit in common.
    n_kept : int
        Units in each subset.
    seed : int
        Of the subsets: those of two models are the same ones.
    unit : str
        ``"document"``, ``"sentence"`` or ``"point"``.
    strata : int32, shape (units,), or None
        The language of each unit where units are points: languages are drawn apart.
    n_neighbors : int
    units_sha256 : str or None
        What the units are and in which order, by the text and its documents: replicates are paired
        where these agree. None of plain arrays, whose text is not known.
    """

    whole: Counts
    without_one: Counts
    subsets: Counts
    n_kept: int
    seed: int
    unit: str
    strata: Ints | None
    n_neighbors: int
    units_sha256: str | None = None

    @property
    def n_units(self) -> int:
        return len(self.without_one.points if self.strata is None else self.strata)

    def select_layers(self, rows: Sequence[int]) -> Replicates:
        """The same of some layers, by their positions."""
        return dataclasses.replace(
            self,
            whole=self.whole.select_layers(rows),
            without_one=self.without_one.select_layers(rows),
            subsets=self.subsets.select_layers(rows),
        )
