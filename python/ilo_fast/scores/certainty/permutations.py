"""Whether scores are what they would be if languages, or meanings, did not matter: permutations.

The graphs stay as they are; labels are shuffled, in the same way at all layers. Nothing is assumed
of vectors or distances: hubs and clusters are in the permuted scores as in the observed ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast import _core
from ilo_fast._util.checks import whole_number
from ilo_fast._util.max_t import step_down_p
from ilo_fast._util.messages import listed
from ilo_fast.graph.options import thread_count
from ilo_fast.scores.certainty.replicates import Counts

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MixingTest:
    """Two questions that permutations answer, and what they answer.

    *Do languages lie apart?* Where, given the meaning, language does not matter, the languages of
    the points of one sentence can be exchanged. ``p_mixing`` is small where ILO is lower than that.
    *Do translations lie together?* Where meaning does not matter, the sentence numbers of a
    language can be exchanged. ``p_translation`` is small where the share of translations is higher
    than that.

    Attributes
    ----------
    p_mixing : float64, shape (layers, languages)
        Corrected for the number of layers and languages (`step_down_p`).
    p_mixing_mean : float64, shape (layers,)
        Of the mean ILO over languages, corrected for the number of layers.
    p_translation : float64, shape (layers, languages), or None where text is not parallel
    p_translation_mean : float64, shape (layers,), or None
    ilo_mean, ilo_sd : float64, shape (layers, languages)
        Mean and standard deviation of ILO over the permutations.
    n_permutations : int
    seed : int
    shuffled_within : str
        Where languages were shuffled: ``"sentence"``, or ``"corpus"`` where text is not parallel.

    Notes
    -----
    Corrected p values hold for the hypothesis that no language matters at any layer. One language
    that lies apart lowers the scores of those that would have been near it: a small p says that
    languages lie apart here, and less surely which.
    """

    p_mixing: Floats
    p_mixing_mean: Floats
    p_translation: Floats | None
    p_translation_mean: Floats | None
    ilo_mean: Floats
    ilo_sd: Floats
    n_permutations: int
    seed: int
    shuffled_within: str

    def select(self, rows: Sequence[int], columns: Sequence[int]) -> MixingTest:
        """Of some layers and languages, corrected for all; of means over these nothing is known."""
        at, layers = np.ix_(rows, columns), list(rows)
        whole = list(columns) == list(range(self.p_mixing.shape[1]))

        def means(p: Floats) -> Floats:
            return p[layers] if whole else np.full(len(layers), np.nan)

        translation_mean = self.p_translation_mean
        return replace(
            self,
            p_mixing=self.p_mixing[at],
            p_mixing_mean=means(self.p_mixing_mean),
            p_translation=None if self.p_translation is None else self.p_translation[at],
            p_translation_mean=None if translation_mean is None else means(translation_mean),
            ilo_mean=self.ilo_mean[at],
            ilo_sd=self.ilo_sd[at],
        )


def mixing_test(
    indices: NDArray[Any],
    languages: NDArray[np.int32],
    sentences: NDArray[np.int64] | None,
    *,
    n_languages: int,
    threshold: int,
    n_permutations: int = 1000,
    seed: int = 0,
    n_threads: int | None = None,
    progress: Callable[[float], object] | None = None,
) -> MixingTest:
    """Permute labels on the graphs of all layers.

    Parameters
    ----------
    indices : whole numbers, shape (layers, n, k)
        The neighbours of each point; int32 is taken without a copy.
    languages : shape (n,)
        The number of each point's language, in [0, n_languages).
    sentences : shape (n,), or None where text is not parallel
        Equal numbers are translations of each other.
    n_languages, threshold
        As in `overlap`.
    n_permutations
        B; no p is below 1 / (1 + B).
    seed
        Equal seeds give equal results, whatever the number of threads.
    n_threads, progress
        As in `knn_graph`; `progress` takes the finished share.

    Returns
    -------
    MixingTest

    Raises
    ------
    ValueError
        Shapes and numbers that do not fit; a language without points.

    Notes
    -----
    Takes some 40 bytes per permutation, layer and language, and 100 per point and thread.
    """
    n_permutations = whole_number("n_permutations", n_permutations)
    seed = whole_number("seed", seed, least=0)
    bridging, reached, translations = _core.overlap_permutations(
        _as_int32(indices),
        np.asarray(languages, np.int32),
        None if sentences is None else np.asarray(sentences, np.int64),
        n_languages=n_languages,
        threshold=whole_number("threshold", threshold),
        n_permutations=n_permutations,
        seed=seed,
        n_threads=thread_count(n_threads),
        progress=progress,
    )
    points = np.bincount(languages, minlength=n_languages).astype(np.int32)
    if empty := np.flatnonzero(points == 0).tolist():
        raise ValueError(f"languages has no point of {listed(empty)}: leave it out of n_languages")
    scores = Counts(points, bridging, reached, translations).scores(indices.shape[-1])
    ilo, share = scores["ilo"], scores.get("translation_share")
    return MixingTest(
        p_mixing=step_down_p(-ilo),
        p_mixing_mean=step_down_p(-ilo.mean(axis=2)),
        p_translation=None if share is None else step_down_p(share),
        p_translation_mean=None if share is None else step_down_p(share.mean(axis=2)),
        ilo_mean=ilo[1:].mean(axis=0),
        ilo_sd=ilo[1:].std(axis=0, ddof=1) if n_permutations > 1 else np.zeros(ilo.shape[1:]),
        n_permutations=n_permutations,
        seed=seed,
        shuffled_within="corpus" if sentences is None else "sentence",
    )


def _as_int32(indices: NDArray[Any]) -> NDArray[np.int32]:
    if indices.dtype == np.int32:
        return indices
    if indices.size and (indices.min() < 0 or indices.max() >= 2**31):
        raise ValueError(
            f"indices holds numbers from {indices.min()} to {indices.max()}, wanted numbers of "
            "points, from 0 and below 2^31"
        )
    return indices.astype(np.int32)
