"""Bridge, reach and ILO over those neighbours alone that are translations.

Interlingual Local Overlap counts the languages near a point, whatever the sentences there mean.
Here a neighbour counts only where it is the same sentence in another language. The definition is
that of ILO otherwise; it is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import whole_number
from ilo_fast._util.equality import same_fields
from ilo_fast.scores.certainty.nulls import harmonic_mean

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TranslationOverlap:
    """Scores of every layer and language, and their chance levels.

    Attributes
    ----------
    bridge : float64, shape (layers, languages)
        Share of points with translations in `threshold` languages or more among their neighbours.
    reach : float64, the same
        Share of the other languages in which any point has its translation among its neighbours.
    ilo : float64, the same
        Harmonic mean of both.
    bridge_chance, reach_chance, ilo_chance : float
        Of neighbours drawn at random. That of reach is far from 0: many points try.
    n_neighbors, threshold : int
    """

    bridge: Array
    reach: Array
    ilo: Array
    bridge_chance: float
    reach_chance: float
    ilo_chance: float
    n_neighbors: int
    threshold: int

    def __eq__(self, other: object) -> bool:
        names = ("bridge", "reach", "ilo", "n_neighbors", "threshold")
        return isinstance(other, TranslationOverlap) and same_fields(self, other, names)

    def __hash__(self) -> int:
        return hash((self.bridge.shape, self.n_neighbors, self.threshold))


def translation_overlap(
    indices: NDArray[np.integer], n_languages: int, *, threshold: int = 3
) -> TranslationOverlap:
    """Bridge, reach and ILO of parallel text over neighbours that are translations.

    Parameters
    ----------
    indices : whole numbers, shape (N, k) or (layers, N, k)
        Neighbours of the points of all languages, those of the first language first, as
        ``OverlapScores.neighbors.indices`` has them; the N / n_languages points of each language
        are its sentences in one order. -1 stands for no neighbour.
    n_languages : int
    threshold : int
        As in `ilo_fast.overlap`.

    Returns
    -------
    TranslationOverlap

    Raises
    ------
    ValueError
        Points that do not make equal languages, a threshold that no point can reach.
    """
    indices = np.asarray(indices)
    layers = indices[None] if indices.ndim == 2 else indices
    n_languages = whole_number("n_languages", n_languages, least=2)
    threshold = whole_number("threshold", threshold)
    if layers.ndim != 3 or layers.shape[1] % n_languages:
        raise ValueError(
            f"indices has shape {indices.shape}, wanted (layers, N, k) with the same number of "
            f"points in each of {n_languages} languages"
        )
    k = layers.shape[2]
    if threshold > (most := min(k, n_languages - 1)):
        raise ValueError(f"threshold={threshold} cannot be reached: use {most} or less")
    found = np.array([_scores(one, n_languages, threshold) for one in layers])
    bridge, reach = found[:, 0], found[:, 1]
    n_sentences = layers.shape[1] // n_languages
    bridge_chance = translation_bridge_chance(n_languages, n_sentences, k, threshold)
    reach_chance = translation_reach_chance(n_languages, n_sentences, k)
    return TranslationOverlap(
        bridge=bridge,
        reach=reach,
        ilo=harmonic_mean(bridge, reach),
        bridge_chance=bridge_chance,
        reach_chance=reach_chance,
        ilo_chance=float(harmonic_mean(np.array(bridge_chance), np.array(reach_chance))),
        n_neighbors=k,
        threshold=threshold,
    )


def translation_bridge_chance(
    n_languages: int, n_sentences: int, n_neighbors: int, threshold: int
) -> float:
    """Expected bridge where each point draws its neighbours at random.

    Of the N - 1 other points L - 1 are translations: the probability that `threshold` or more are
    among k drawn without replacement.
    """
    others, translations = n_languages * n_sentences - 1, n_languages - 1
    ways = (
        comb(translations, m) * comb(others - translations, n_neighbors - m)
        for m in range(threshold, min(n_neighbors, translations) + 1)
    )
    return sum(ways) / comb(others, n_neighbors)  # of whole numbers: exact, then rounded


def translation_reach_chance(n_languages: int, n_sentences: int, n_neighbors: int) -> float:
    """Expected reach where each point draws its neighbours at random, independent of others.

    None of the n points of a language draws its translation in another one with probability ``(1 -
    k / (N - 1))^n``.
    """
    others = n_languages * n_sentences - 1
    return 1 - (1 - n_neighbors / others) ** n_sentences


def _scores(indices: NDArray[np.integer], n_languages: int, threshold: int) -> tuple[Array, Array]:
    """Bridge and reach of each language."""
    n_points, k = indices.shape
    n = n_points // n_languages
    language, sentence = np.divmod(np.arange(n_points), n)
    there, of_neighbor = np.divmod(indices, n)
    translated = (of_neighbor == sentence[:, None]) & (indices >= 0)
    # A sentence has one point in each language: translations are of as many languages.
    bridges = translated.sum(axis=1) >= threshold
    met = np.zeros((n_languages, n_languages), np.bool_)
    met[np.repeat(language, k)[translated.ravel()], there[translated]] = True
    bridge = bridges.reshape(n_languages, n).mean(axis=1)
    return bridge, met.sum(axis=1) / (n_languages - 1)
