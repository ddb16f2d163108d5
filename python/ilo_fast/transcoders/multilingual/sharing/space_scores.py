"""Scores of neighbourhoods of one layer, in one space of vectors: of hidden states, of features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast.graph.knn import knn_graph
from ilo_fast.scores.companions.companions import companions
from ilo_fast.scores.overlap import overlap

Array = NDArray[np.float64]

OVERLAP: tuple[str, ...] = ("ilo", "bridge", "reach", "translation_share")
COMPANIONS: tuple[str, ...] = (
    "retrieval_p1", "csls_p1", "mexa", "mutual_knn", "cknna", "cka_unbiased", "language_variance",
)  # fmt: skip
"""Of `companions`, those that say how alike languages are."""
PAIRS: tuple[str, ...] = ("translation_share", "mutual_knn")
"""Of every pair of languages, also of halves of the text."""


@dataclass(frozen=True)
class SpaceOptions:
    """As `overlap` takes them."""

    n_neighbors: int
    threshold: int
    metric: Any
    n_threads: int


@dataclass
class LayerFound:
    """Scores by name: means over languages, what chance gives, and (languages, languages)."""

    means: dict[str, float] = field(default_factory=dict)
    chance: dict[str, float] = field(default_factory=dict)
    pairs: dict[str, Array] = field(default_factory=dict)


def layer_scores(
    rows: Mapping[str, NDArray[Any]], options: SpaceOptions, *, beside: bool
) -> LayerFound:
    """All scores of one layer.

    Parameters
    ----------
    rows
        Language -> (n, d), row i the translation of row i.
    beside
        Also `companions`, which cost some ten times as much.
    """
    vectors = {code: np.asarray(values)[None] for code, values in rows.items()}
    scores = overlap(
        vectors, n_neighbors=options.n_neighbors, threshold=options.threshold,
        metric=options.metric, n_threads=options.n_threads, parallel=True, groups=False,
        neighbors=True,
    )  # fmt: skip
    found = LayerFound({name: float(getattr(scores, name)[0].mean()) for name in OVERLAP})
    assert scores.neighbors is not None and scores.translation_chance is not None
    found.chance["translation_share"] = float(scores.translation_chance.mean())
    n = len(next(iter(rows.values())))
    neighbors = np.asarray(scores.neighbors.indices[0])
    found.pairs["translation_share"] = pair_translation_share(neighbors, len(rows), n)
    if not beside:
        found.pairs["mutual_knn"] = pair_mutual_knn(list(rows.values()), options)
        found.means["mutual_knn"] = float(np.nanmean(found.pairs["mutual_knn"]))
        return found
    more = companions(vectors, scores, directions=False, n_threads=options.n_threads)
    for name in COMPANIONS:
        found.means[name] = float(more[name].means[0])
        chance = more[name].means_chance
        if chance is not None:
            found.chance[name] = float(chance[0])
        if name in more.matrices:
            matrix = more.matrices[name][0]
            found.pairs[name] = (matrix + matrix.T) / 2
    return found


def pair_translation_share(neighbors: NDArray[np.int64], n_languages: int, n: int) -> Array:
    """Share of the lines whose translation is among their neighbours, mean of both directions.

    neighbors: (n_languages * n, k), rows language by language. The diagonal is NaN.
    """
    own = np.arange(n_languages * n)
    hit = (neighbors % n == own[:, None] % n) & (neighbors // n != own[:, None] // n)
    rows, columns = np.nonzero(hit)
    share = np.zeros((n_languages, n_languages))
    np.add.at(share, (own[rows] // n, neighbors[rows, columns] // n), 1 / n)
    share = (share + share.T) / 2
    np.fill_diagonal(share, np.nan)
    return share


def pair_mutual_knn(rows: Sequence[NDArray[Any]], options: SpaceOptions, k: int = 10) -> Array:
    """Share of the k nearest lines of the own language that two languages have in common.

    As `mutual_knn`, of all pairs. The diagonal is NaN.
    """
    n = len(rows[0])
    k = min(k, n - 1)
    near = [knn_graph(x, k, metric="cosine", n_threads=options.n_threads).indices for x in rows]
    keys = [np.sort((np.arange(n)[:, None] * n + of_one).ravel()) for of_one in near]
    out = np.full((len(rows), len(rows)), np.nan)
    for a, first in enumerate(keys):
        for b in range(a):
            common = np.intersect1d(first, keys[b], assume_unique=True)
            out[a, b] = out[b, a] = len(common) / len(first)
    return out
