"""Hubness against SciPy and the definitions, its chance against random graphs."""

from __future__ import annotations

import json
from math import comb

import numpy as np
import pytest
from scipy.stats import skew

from ilo_fast.graph.knn import knn_graph
from ilo_fast.representations.result import Representations
from ilo_fast.scores.similarity import hubness
from ilo_fast.scores.similarity.hubness import STATISTICS, hubness_by_chance, hubness_of_graph


def in_degrees(indices):
    into = [0] * len(indices)
    for row in indices.tolist():
        for j in row:
            into[j] += 1
    return np.array(into)


def check(found, into, k):
    mean = into.mean()
    assert found["skew"] == pytest.approx(skew(into))
    assert found["robin_hood"] == pytest.approx(np.abs(into - mean).sum() / (2 * into.sum()))
    assert found["antihubs"] == pytest.approx(sum(x == 0 for x in into) / len(into))
    assert found["hubs"] == pytest.approx(sum(x > 2 * k for x in into) / len(into))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_statistics_are_those_of_in_degrees(metric):
    entropy = np.random.SeedSequence().entropy
    X = np.random.default_rng(entropy).standard_normal((60, 30))
    found = hubness(X, n_neighbors=4, metric=metric)
    assert found.skew.shape == () and found.of_languages is None and found.n == 60
    into = in_degrees(knn_graph(X, 4, metric=metric).indices)
    check({name: getattr(found, name) for name in STATISTICS}, into, 4)


def test_languages_of_a_pool_are_looked_at_one_by_one():
    rng = np.random.default_rng(1)
    arrays = {
        "deu": rng.standard_normal((2, 30, 8)).astype(np.float32),
        "eng": 0.2 * rng.standard_normal((2, 30, 8)).astype(np.float32) + 0.1,
        "swa": rng.standard_normal((2, 30, 8)).astype(np.float32),
    }
    reps = Representations(arrays, (0, 4), parallel=True)
    found = hubness(reps, n_neighbors=5, metric="euclidean")
    assert found.layers == (0, 4) and found.languages == ("deu", "eng", "swa")
    for h in range(2):
        pool = np.concatenate([arrays[code][h] for code in arrays])
        graph = knn_graph(pool, 5, metric="euclidean")
        into = in_degrees(graph.indices)
        check({name: getattr(found, name)[h] for name in STATISTICS}, into, 5)
        for c in range(3):
            own = into[30 * c : 30 * c + 30]
            check({name: found.of_languages[name][h, c] for name in STATISTICS}, own, 5)
            assert found.of_languages["received"][h, c] == pytest.approx(own.mean() / 5)
        labels = np.repeat([0, 1, 2], 30)
        again = hubness_of_graph(graph, labels, reps.languages)
        assert again.skew == found.skew[h]
        np.testing.assert_array_equal(
            again.of_languages["received"][0], found.of_languages["received"][h]
        )
    assert (found.of_languages["received"][:, 1] > 1).all()  # near the middle: everybody's
    json.dumps(found.to_dict(), allow_nan=False)
    assert "mean of 2 layers" in repr(found)


def test_chance_is_that_of_the_binomial_distribution():
    n, k = 12, 3
    p = k / (n - 1)
    chance_of = [comb(n - 1, x) * p**x * (1 - p) ** (n - 1 - x) for x in range(n)]
    mean = sum(x * q for x, q in enumerate(chance_of))
    central = [sum((x - mean) ** r * q for x, q in enumerate(chance_of)) for r in (2, 3)]
    found = hubness_by_chance(n, k)
    assert found["skew"] == pytest.approx(central[1] / central[0] ** 1.5)
    away = sum(abs(x - mean) * q for x, q in enumerate(chance_of))
    assert found["robin_hood"] == pytest.approx(away / (2 * k))
    assert found["antihubs"] == pytest.approx(chance_of[0])
    assert found["hubs"] == pytest.approx(sum(chance_of[2 * k + 1 :]))


def test_a_random_graph_lies_at_chance():
    rng = np.random.default_rng(2)
    n, k = 2000, 10
    indices = np.array([rng.permutation(n - 1)[:k] for _ in range(n)])
    indices += indices >= np.arange(n)[:, None]
    graph = knn_graph(rng.standard_normal((n, 2)), k)
    graph.indices[:] = indices
    found = hubness(graph)
    for name, tolerance in {
        "skew": 0.2,
        "robin_hood": 0.01,
        "antihubs": 1e-3,
        "hubs": 3e-3,
    }.items():
        assert getattr(found, name) == pytest.approx(found.chance[name], abs=tolerance)


def test_all_to_all_has_no_hubs():
    found = hubness(np.random.default_rng(3).standard_normal((11, 3)), n_neighbors=10)
    for name in STATISTICS:
        assert getattr(found, name) == found.chance[name] == 0


def test_intervals_hold_the_values_and_say_why_not():
    rng = np.random.default_rng(4)
    arrays = {c: rng.standard_normal((2, 60, 12)).astype(np.float32) for c in ("deu", "eng")}
    reps = Representations(arrays, (0, 1), parallel=True, groups=[str(i // 2) for i in range(60)])
    found = hubness(reps, intervals=True)
    for name in STATISTICS:
        value = getattr(found, name)
        assert (found.low[name] <= value).all() and (value <= found.high[name]).all()
        assert found.low[f"languages_{name}"].shape == (2, 2)
    assert (found.low["skew"] < found.high["skew"]).all()
    few = hubness(rng.standard_normal((12, 4)), intervals=True, n_neighbors=2)
    assert not few.reason and np.isfinite(few.low["skew"])
    fewer = hubness(rng.standard_normal((9, 4)), intervals=True, n_neighbors=2)
    assert "need" in fewer.reason and np.isnan(fewer.low["skew"])


def test_what_cannot_be_measured_is_refused():
    X = np.random.default_rng(0).standard_normal((30, 3))
    with pytest.raises(ValueError, match="needs the vectors of X, not their graph"):
        hubness(knn_graph(X, 3), intervals=True)
    with pytest.raises(ValueError, match="graph is one of queries"):
        hubness(knn_graph(X, 3, queries=X))
    with pytest.raises(ValueError, match="have 2, 1 layers"):
        hubness({"deu": np.stack([X, X]), "eng": X})
    with pytest.raises(ValueError, match="needs parallel text"):
        hubness({"deu": X, "eng": X[:20]}, intervals=True)
    assert hubness({"deu": X, "eng": X[:20]}).n == 50
