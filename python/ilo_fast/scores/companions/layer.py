"""All companions of one layer, from its vectors and their graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast.graph.knn import knn_graph
from ilo_fast.graph.result import NeighborGraph
from ilo_fast.scores.companions.entries import N_COMPONENTS, N_NEIGHBORS
from ilo_fast.scores.companions.translation_overlap import translation_overlap
from ilo_fast.scores.similarity.cka import Centred, Products, alignment, alignment_chance, hsic
from ilo_fast.scores.similarity.cknna import cknna
from ilo_fast.scores.similarity.hubness import hubness_of_graph
from ilo_fast.scores.similarity.information_imbalance import information_imbalance
from ilo_fast.scores.similarity.isotropy import isoscore_of, mean_cosine, partition_ratio
from ilo_fast.scores.similarity.language_variance import (
    language_variance_chance,
    shares_of_variance,
)
from ilo_fast.scores.similarity.layers import Rows
from ilo_fast.scores.similarity.mutual import jaccard_knn, mutual_knn
from ilo_fast.scores.similarity.pairs import each_pair, z_above
from ilo_fast.scores.similarity.result import Similarity
from ilo_fast.scores.similarity.retrieval import retrieval_chance
from ilo_fast.scores.similarity.svcca import basis, correlation_chance, mean_correlation
from ilo_fast.scores.similarity.translations import (
    Directions,
    mexa_chance,
    translation_tables,
    unit_rows,
)

Array = NDArray[np.float64]

_RETRIEVAL = {
    "retrieval_p1": "cosine_p1",
    "retrieval_p5": "cosine_p5",
    "retrieval_mrr": "cosine_mrr",
    "csls_p1": "csls_p1",
    "margin_p1": "margin_p1",
}


@dataclass(frozen=True)
class Options:
    """How the neighbours of all points are found and counted, as in `ilo_fast.overlap`."""

    n_neighbors: int
    threshold: int
    metric: Any
    n_threads: int


@dataclass
class LayerScores:
    """Scores of one layer by name, with chance and z of the same shapes.

    Shapes are (languages, languages) with a diagonal of NaN, (languages,), or () for those of all
    languages together.
    """

    values: dict[str, Array] = field(default_factory=dict)
    chance: dict[str, Array] = field(default_factory=dict)
    z: dict[str, Array] = field(default_factory=dict)

    def add(
        self, name: str, values: Any, chance: Any = None, deviation: Any = None, z: Any = None
    ) -> None:
        """Take a score; z from the standard deviation of chance where that is given."""
        values = np.array(values, np.float64)
        if values.ndim == 2:
            np.fill_diagonal(values, np.nan)
        self.values[name] = values
        if chance is not None:
            self.chance[name] = np.broadcast_to(np.asarray(chance, np.float64), values.shape)
        if deviation is not None:
            z = z_above(values, chance, deviation)
        if z is not None:
            self.z[name] = np.asarray(z, np.float64)


def layer_scores(
    rows: Sequence[Rows],
    options: Options,
    indices: NDArray[np.integer] | None = None,
    advance: Callable[[float], None] | None = None,
) -> LayerScores:
    """All companions of one layer.

    Parameters
    ----------
    rows
        Of each language (n, d), translations of each other row by row.
    indices : shape (languages * n, k), optional
        Neighbours of all points; searched where they are not given.
    advance
        Told the finished share now and then.
    """
    found = LayerScores()
    n = len(rows[0])
    codes = {f"language {c}": one for c, one in enumerate(rows)}
    threads, k = options.n_threads, min(N_NEIGHBORS, n - 1)

    def of_lists() -> None:
        for one in (
            mutual_knn(codes, n_neighbors=k, n_threads=threads),
            jaccard_knn(codes, n_neighbors=k, n_permutations=0, n_threads=threads),
            cknna(codes, n_neighbors=k, n_permutations=0, n_threads=threads),
            information_imbalance(codes, n_threads=threads),
        ):
            _add(found, one)

    steps: list[Callable[[], None]] = [
        lambda: _of_graph(found, rows, options, indices),
        lambda: _of_translations(found, rows, options.n_threads),
        of_lists,
        lambda: _of_kernels(found, rows),
        lambda: _of_components(found, rows),
        lambda: _of_languages(found, rows),
    ]
    for done, step in enumerate(steps):
        step()
        if advance:
            advance((done + 1) / len(steps))
    return found


def _of_graph(
    found: LayerScores,
    rows: Sequence[Rows],
    options: Options,
    indices: NDArray[np.integer] | None,
) -> None:
    """Scores over translations, and hubs among all points."""
    if indices is None:
        indices = knn_graph(
            np.concatenate(rows),
            options.n_neighbors,
            metric=options.metric,
            n_threads=options.n_threads,
        ).indices
    over = translation_overlap(indices, len(rows), threshold=options.threshold)
    found.add("translation_bridge", over.bridge[0], over.bridge_chance)
    found.add("translation_reach", over.reach[0], over.reach_chance)
    found.add("translation_ilo", over.ilo[0], over.ilo_chance)
    labels = np.repeat(np.arange(len(rows)), len(rows[0]))
    graph = NeighborGraph(indices.astype(np.int64), np.zeros(indices.shape, np.float32))
    hubs = hubness_of_graph(graph, labels, tuple(map(str, range(len(rows)))))
    of_languages = hubs.of_languages or {}
    for name, statistic in (
        ("hubness_skew", "skew"),
        ("robin_hood", "robin_hood"),
        ("antihubs", "antihubs"),
    ):
        found.add(name, of_languages[statistic][0], hubs.chance[statistic])


def _of_translations(found: LayerScores, rows: Sequence[Rows], n_threads: int) -> None:
    n = len(rows[0])
    tables = translation_tables(
        Directions.of([unit_rows(one) for one in rows]), n_threads=n_threads
    )
    for name, table in _RETRIEVAL.items():
        found.add(name, tables[table], retrieval_chance(table, n))
    found.add("mexa", tables["mexa"], mexa_chance(n))


def _add(found: LayerScores, one: Similarity) -> None:
    chance = None if one.chance is None else one.chance[0]
    if one.name == "cknna":
        chance = 0.0  # of an unbiased estimate
    found.add(one.name, one.values[0], chance, z=None if one.z is None else one.z[0])


def _of_kernels(found: LayerScores, rows: Sequence[Rows]) -> None:
    """Both alignments and IsoScore, from one set of products."""
    centred = [Centred.of(one) for one in rows]
    products = Products.of(centred, None)
    chance, deviation = alignment_chance(centred, None, unbiased=False)
    found.add("cka", alignment(products), chance, deviation)
    chance, deviation = alignment_chance(centred, None, unbiased=True)
    found.add("cka_unbiased", alignment(hsic(products, centred, None)), chance, deviation)
    found.add("isoscore", [isoscore_of(square, rows[0].shape[1]) for square in products.own_a])


def _of_components(found: LayerScores, rows: Sequence[Rows]) -> None:
    bases = [basis(one, variance=1.0, n_components=N_COMPONENTS) for one in rows]
    values = each_pair(mean_correlation, symmetric=True)(bases, None)
    found.add("svcca", values, correlation_chance(bases, None)[0])


def _of_languages(found: LayerScores, rows: Sequence[Rows]) -> None:
    found.add("mean_cosine", [mean_cosine(one) for one in rows], 0.0)
    found.add("partition", partition_ratio(*rows))
    language, sentence, _ = shares_of_variance(list(rows), standardize=False)
    total = language + sentence
    chance = language_variance_chance(len(rows), len(rows[0]))
    found.add("language_variance", language / total if total else np.nan, chance)
