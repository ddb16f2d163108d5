"""Similarities of neighbours against their definitions, their chance, and what they do not see."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from oracles import near

from ilo_fast.graph.knn import knn_graph
from ilo_fast.representations.result import Representations
from ilo_fast.scores.similarity import (
    cknna,
    cycle_knn,
    edit_distance_knn,
    jaccard_knn,
    lcs_knn,
    mutual_knn,
)
from ilo_fast.scores.similarity.neighbors import draw_permutations

OF_LISTS = {
    mutual_knn: near.mutual_knn,
    jaccard_knn: near.jaccard_knn,
    cycle_knn: near.cycle_knn,
    lcs_knn: near.lcs_knn,
    edit_distance_knn: near.edit_distance_knn,
}
ALL = (*OF_LISTS, cknna)


def rows(rng, n, d, kind):
    """Random rows; with ties, whole numbers from few; with duplicates, each row several times."""
    if kind == "ties":
        return rng.integers(1, 4, (n, d)).astype(np.float64)
    X = rng.standard_normal((n, d))
    return X[rng.integers(0, max(1, n // 3), n)] if kind == "duplicates" else X


@pytest.mark.parametrize("kind", ["plain", "ties", "duplicates"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("function", OF_LISTS)
def test_values_are_those_of_the_definition(function, metric, kind):
    entropy = np.random.SeedSequence().entropy
    rng = np.random.default_rng(entropy)
    for _ in range(3):
        n = int(rng.integers(3, 25))
        k = int(rng.integers(1, n))
        X, Y = rows(rng, n, 3, kind), rows(rng, n, 2, kind)
        Y = np.where(rng.random((n, 1)) < 0.5, X[:, :2], Y)
        lists = [knn_graph(V, k, metric=metric).indices.tolist() for V in (X, Y)]
        if kind != "ties":  # rounding decides a tie of two different rows
            assert lists == [near.neighbours(V, k, metric) for V in (X, Y)], entropy
        found = function(X, Y, n_neighbors=k, metric=metric)
        assert float(found) == pytest.approx(OF_LISTS[function](*lists), abs=1e-12), entropy


@pytest.mark.parametrize("kind", ["plain", "duplicates"])
def test_cknna_is_that_of_the_definition(kind):
    entropy = np.random.SeedSequence().entropy
    rng = np.random.default_rng(entropy)
    for _ in range(4):
        n = int(rng.integers(8, 20))
        k = int(rng.integers(3, n))
        X = rows(rng, n, 4, kind)
        Y = X[:, :3] + 0.3 * rng.standard_normal((n, 3))
        found = float(cknna(X, Y, n_neighbors=k, n_permutations=0))
        assert found == pytest.approx(near.cknna(X, Y, k), abs=1e-5, nan_ok=True), entropy


def test_cknna_of_all_neighbours_is_unbiased_cka():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((40, 5))
    Y = X[:, :3] + rng.standard_normal((40, 3))
    gram = []
    for V in (X, Y):
        unit = V / np.linalg.norm(V, axis=1, keepdims=True)
        gram.append((unit @ unit.T).tolist())
    K, L = gram
    wanted = near.hsic(K, L) / np.sqrt(near.hsic(K, K) * near.hsic(L, L))
    assert float(cknna(X, Y, n_neighbors=39, n_permutations=0)) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("function", ALL)
def test_a_space_with_itself_gives_one(function):
    X = np.random.default_rng(0).standard_normal((60, 8))
    assert float(function(X, X, n_permutations=0)
                 if function is not mutual_knn else function(X, X)) == pytest.approx(
        near.cycle_knn(*2 * [near.neighbours(X, 10)]) if function is cycle_knn else 1.0
    )  # fmt: skip


@pytest.mark.parametrize("function", ALL)
def test_rotation_and_scale_change_nothing(function):
    rng = np.random.default_rng(5)
    X, noise = rng.standard_normal((2, 80, 6))
    Y = X + noise
    rotation = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    before = float(function(X, Y))
    assert float(function(3 * X @ rotation, 0.1 * Y)) == pytest.approx(before, abs=1e-6)
    if function is not cknna:
        before = float(function(X, Y, metric="euclidean"))
        assert float(function(X + 2, Y - 1, metric="euclidean")) == pytest.approx(before, abs=1e-6)


@pytest.mark.parametrize("function", [mutual_knn, jaccard_knn, lcs_knn, edit_distance_knn])
def test_spaces_may_be_exchanged(function):
    rng = np.random.default_rng(6)
    X, noise = rng.standard_normal((2, 50, 6))
    assert float(function(X, X + noise)) == pytest.approx(float(function(X + noise, X)))


def test_a_cycle_starts_in_the_second_space():
    # Two near pairs in X; in Y everything is nearest to row 0, which is nearest to row 1.
    X = np.array([[0.0], [1.0], [10.0], [11.0]])
    Y = np.array([[0.0, 0.0], [2.0, 0.0], [-3.0, 0.0], [0.0, 3.0]])
    graphs = [knn_graph(V, 1, metric="euclidean").indices.ravel().tolist() for V in (X, Y)]
    assert graphs == [[1, 0, 3, 2], [1, 0, 0, 0]]
    # Row 2: to 0 in Y, then to 1 in X. The other way: to 3 in X, then to 0 in Y.
    assert float(cycle_knn(X, Y, n_neighbors=1, metric="euclidean", n_permutations=0)) == 0.5


@pytest.mark.parametrize("function", [mutual_knn, jaccard_knn])
def test_chance_is_the_mean_over_all_renumberings(function):
    rng = np.random.default_rng(8)
    X, Y = rng.standard_normal((2, 6, 3))
    A, B = (knn_graph(V, 2).indices.tolist() for V in (X, Y))
    all_values = [
        OF_LISTS[function](A, near.renumbered(B, order)) for order in permutations(range(6))
    ]
    found = function(X, Y, n_neighbors=2)
    assert float(found.chance) == pytest.approx(np.mean(all_values))
    if function is mutual_knn:
        z = (float(found) - np.mean(all_values)) / np.std(all_values)
        assert float(found.z) == pytest.approx(z)


@pytest.mark.parametrize("function", [f for f in OF_LISTS if f is not mutual_knn])
def test_chance_and_z_are_those_of_permuted_rows(function):
    rng = np.random.default_rng(9)
    X, Y = rng.standard_normal((2, 30, 3))
    A, B = (knn_graph(V, 4).indices.tolist() for V in (X, Y))
    orders = draw_permutations(30, 20, 7).tolist()
    permuted = [OF_LISTS[function](A, near.renumbered(B, order)) for order in orders]
    found = function(X, Y, n_neighbors=4, n_permutations=20, seed=7)
    chance = float(found.chance) if function is jaccard_knn else np.mean(permuted)
    assert float(found.chance) == pytest.approx(chance)
    z = (float(found) - chance) / np.std(permuted, ddof=1)
    assert float(found.z) == pytest.approx(z)
    plain = function(X, Y, n_neighbors=4, n_permutations=0)
    assert plain.z is None


def test_permuted_cknna_is_that_of_permuted_rows():
    rng = np.random.default_rng(9)
    X = rng.standard_normal((16, 3))
    Y = X + 0.5 * rng.standard_normal((16, 3))
    permuted = []
    for order in draw_permutations(16, 5, 3):
        moved = np.empty_like(Y)
        moved[order] = Y
        permuted.append(near.cknna(X, moved, 6))
    found = cknna(X, Y, n_neighbors=6, n_permutations=5, seed=3)
    assert float(found.chance) == pytest.approx(np.mean(permuted), abs=1e-5)
    z = (float(found) - np.mean(permuted)) / np.std(permuted, ddof=1)
    assert float(found.z) == pytest.approx(z, abs=1e-3)


@pytest.mark.parametrize("function", ALL)
def test_independent_spaces_lie_at_chance(function):
    rng = np.random.default_rng(10)
    X, Y = rng.standard_normal((2, 6, 150, 5))
    found = function(X, Y)
    assert found.z.shape == (6, 6)
    assert abs(found.z.mean()) < 0.7 and 0.6 < found.z.std() < 1.6


@pytest.mark.parametrize("function", ALL)
def test_tables_are_those_of_their_pairs(function):
    rng = np.random.default_rng(11)
    X = rng.standard_normal((3, 40, 5)).astype(np.float32)
    Y = X[:2] + rng.standard_normal((2, 40, 5)).astype(np.float32)
    layers, alone = function(X, Y), function(X)
    for a in range(3):
        for b in range(2):
            assert layers.values[a, b] == pytest.approx(float(function(X[a], Y[b])))
        assert alone.values[a, a] >= alone.values[a].max() - 1e-9 or function is cycle_knn
    reps = Representations({"deu": X, "eng": X[::-1]}, (0, 1, 2), parallel=True)
    languages = function(reps)
    assert languages.values.shape == (3, 2, 2)
    assert languages.values[0, 0, 1] == pytest.approx(float(function(X[0], X[2])))


@pytest.mark.parametrize("function", ALL)
def test_threads_do_not_change_a_bit(function):
    rng = np.random.default_rng(12)
    X, noise = rng.standard_normal((2, 2, 600, 6))
    one, three = (function(X, X + noise, n_threads=t) for t in (1, 3))
    np.testing.assert_array_equal(one.values, three.values)
    np.testing.assert_array_equal(one.chance, three.chance)
    np.testing.assert_array_equal(one.z, three.z)


def test_intervals_hold_the_value():
    rng = np.random.default_rng(13)
    X, noise = rng.standard_normal((2, 200, 6))
    for function in ALL:
        found = function(X, X + 0.5 * noise, intervals=True)
        assert found.low <= found.values <= found.high
        assert 0 < found.high - found.low < 0.5
    few = mutual_knn(X[:20], noise[:20], intervals=True)
    assert np.isnan(few.low) and "need" in few.reason


def test_what_cannot_be_compared_is_refused():
    X = np.random.default_rng(0).standard_normal((12, 3))
    with pytest.raises(ValueError, match=r"X has 12 rows, mutual_knn with .* needs 13"):
        mutual_knn(X, X, n_neighbors=12)
    with pytest.raises(ValueError, match=r"n_permutations=1 gives no standard deviation"):
        lcs_knn(X, X, n_permutations=1)
    with pytest.raises(ValueError, match=r"metric='dot' is not known"):
        cycle_knn(X, X, metric="dot")
    with pytest.raises(ValueError, match=r"row 2 is a zero vector"):
        cknna(X, np.where(np.arange(12)[:, None] == 2, 0, X))
