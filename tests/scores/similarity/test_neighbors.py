"""Graphs of some rows from longer lists of all, against graphs made anew."""

from __future__ import annotations

import numpy as np
import pytest

from ilo_fast.scores.similarity import hubness, jaccard_knn
from ilo_fast.scores.similarity.neighbors import Search, draw_permutations


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("kind", ["plain", "duplicates", "ties", "clusters"])
def test_a_restricted_graph_is_the_graph_of_these_rows(kind, metric):
    entropy = np.random.SeedSequence().entropy
    rng = np.random.default_rng(entropy)
    for _ in range(4):
        n, k = int(rng.integers(30, 120)), int(rng.integers(1, 5))
        X = rng.standard_normal((n, 3)).astype(np.float32)
        if kind == "duplicates":
            X = X[rng.integers(0, max(1, n // 8), n)]
        elif kind == "ties":
            X = rng.integers(1, 4, (n, 3)).astype(np.float32)
        clusters = rng.integers(0, 3, n)
        if kind == "clusters":
            X = (X + 40 * np.eye(3)[clusters]).astype(np.float32)
        # Of a cluster that goes but for one row, no neighbour of this row is left.
        kept = (clusters > 0) if kind == "clusters" else rng.random(n) < 0.5
        kept[:: n // 3] = True
        chosen = np.flatnonzero(kept)
        search = Search.checked(k, metric, 1, halves=True)
        whole = search(X)
        assert whole.lists.shape[1] == min(6 * k + 6, n - 1)
        found, wanted = search.restrict(whole, X, chosen), search(X[chosen])
        np.testing.assert_array_equal(found.indices, wanted.indices, err_msg=str(entropy))
        np.testing.assert_array_equal(found.distances, wanted.distances)


def test_lists_are_only_longer_where_halves_are_wanted():
    X = np.random.default_rng(0).standard_normal((50, 3))
    plain = Search.checked(4, "cosine", 1, halves=False)(X)
    longer = Search.checked(4, "cosine", 1, halves=True)(X)
    assert plain.lists.shape == (50, 4) and longer.lists.shape == (50, 30)
    np.testing.assert_array_equal(plain.indices, longer.indices)


def test_intervals_are_those_of_graphs_made_anew(monkeypatch):
    rng = np.random.default_rng(2)
    X = rng.standard_normal((120, 6))
    Y = X + rng.standard_normal((120, 6))
    restricted = jaccard_knn(X, Y, intervals=True), hubness(X, intervals=True)
    anew = lambda search, whole, rows, chosen: search(rows[chosen])  # noqa: E731
    monkeypatch.setattr(Search, "restrict", anew)
    made_anew = jaccard_knn(X, Y, intervals=True), hubness(X, intervals=True)
    assert restricted[0] == made_anew[0]
    assert restricted[1].to_dict() == made_anew[1].to_dict()


def test_permutations_depend_on_the_seed_alone():
    orders = draw_permutations(7, 3, 5)
    assert (np.sort(orders, axis=1) == np.arange(7)).all()
    np.testing.assert_array_equal(orders, draw_permutations(7, 3, 5))
    assert (orders != draw_permutations(7, 3, 6)).any()
    assert draw_permutations(7, 0, 5).shape == (0, 7)
