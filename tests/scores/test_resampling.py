"""Counts without units against the counts of a graph that is computed anew without them."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import resampling as reference

from ilo_fast.graph.arrays import as_stack
from ilo_fast.graph.knn import stacked_graph
from ilo_fast.scores.resampling import Resampling, draw_halves

K, T = 4, 2


def rows(rng, sizes, *, ties: bool, d: int = 6):
    """Random rows of each language; with ties on a coarse grid, so that many coincide."""
    if ties:
        return [rng.integers(1, 3, (n, 3)).astype("f4") for n in sizes]
    return [(rng.standard_normal((n, d)) + rng.standard_normal(d)).astype("f4") for n in sizes]


def replicated(arrays, *, list_length=None, backend="exact", metric="euclidean", **about):
    """Replicates of one layer, and how they were drawn."""
    resampling = Resampling(
        [len(a) for a in arrays],
        n_neighbors=K,
        threshold=T,
        metric=metric,
        backend=backend,
        **about,
    )
    assert resampling.why_not() == ""
    stacks = [as_stack(a) for a in arrays]
    length = list_length or resampling.list_length
    graph = stacked_graph(
        stacks, length, metric=metric, backend=backend, n_threads=1, progress=False
    )
    resampling.add_layer(graph.indices[0], stacks)
    return resampling.units, resampling.replicates()


def groups_of(rng, n):
    """Documents of one to many sentences, not in order."""
    return [f"d{g}" for g in rng.integers(0, max(2, n // 3), n)]


CASES = ["sentence", "document", "point"]


@pytest.mark.parametrize("list_length", [K, None], ids=["lists of k", "longer lists"])
@pytest.mark.parametrize("ties", [False, True], ids=["distinct", "ties and duplicates"])
@pytest.mark.parametrize("unit", CASES)
def test_replicates_equal_those_of_graphs_computed_anew(unit, ties, list_length):
    seed = np.random.SeedSequence().entropy
    rng = np.random.default_rng(seed)
    sizes = [14] * 5 if unit != "point" else [3, 20, 11, 2, 17]
    arrays = rows(rng, sizes, ties=ties)
    groups = groups_of(rng, 14) if unit == "document" else None
    metric = "cosine" if rng.random() < 0.5 else "euclidean"
    units, found = replicated(
        arrays, list_length=list_length, parallel=unit != "point", groups=groups, metric=metric
    )
    assert found.unit == unit
    X = np.concatenate(arrays)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    sentences = np.tile(np.arange(14), 5) if unit != "point" else None
    kept = draw_halves(units, n_pairs=len(found.subsets.points) // 2, seed=0)

    def check(counts, sample, stays):
        """`sample` indexes the axis of samples: () where there is none."""
        wanted = reference.counts(
            X, labels, sentences, stays,
            n_languages=len(sizes), n_neighbors=K, threshold=T, metric=metric,
        )  # fmt: skip
        message = f"seed {seed}, sample {sample}"
        np.testing.assert_array_equal(counts.points[sample], wanted["points"], message)
        for name in ("bridging", "reached") + ("translations",) * (sentences is not None):
            got = getattr(counts, name)[(*sample, 0)]
            np.testing.assert_array_equal(got, wanted[name], f"{message}, {name}")
        assert (counts.translations is None) == (sentences is None)

    check(found.whole, (), np.ones(len(X), bool))
    for u in rng.permutation(units.n)[:12]:
        check(found.without_one, (u,), units.of_point != u)
    for s in rng.permutation(len(kept))[:8]:
        check(found.subsets, (s,), kept[s][units.of_point])
