"""Scores over neighbours that are translations, against sets, and their chance by random graphs."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from oracles import companions as oracle

from ilo_fast.scores.companions.translation_overlap import (
    translation_bridge_chance,
    translation_overlap,
    translation_reach_chance,
)


def graph(rng, n_points, k, n=None, pull=0.0):
    """Random neighbours; with `pull`, translations of n sentences come more often."""
    rows = []
    for i in range(n_points):
        weights = np.ones(n_points)
        if n:
            weights[i % n :: n] += pull * n_points
        weights[i] = 0
        rows.append(rng.choice(n_points, k, replace=False, p=weights / weights.sum()))
    return np.array(rows)


@pytest.mark.parametrize("threshold", [1, 2, 3])
def test_equals_the_definition_on_sets(rng, threshold):
    indices = np.stack([graph(rng, 40, 5, n=8, pull=p) for p in (0.0, 0.1, 2.0)])
    indices[1, 7, 3:] = -1
    found = translation_overlap(indices, 5, threshold=threshold)
    for h in range(3):
        bridge, reach = oracle.translation_scores(indices[h], 5, threshold)
        np.testing.assert_allclose(found.bridge[h], bridge)
        np.testing.assert_allclose(found.reach[h], reach)
        mean = [2 * b * r / (b + r) if b + r else 0 for b, r in zip(bridge, reach, strict=True)]
        np.testing.assert_allclose(found.ilo[h], mean)
    one = translation_overlap(indices[2], 5, threshold=threshold)
    np.testing.assert_array_equal(one.ilo[0], found.ilo[2])


@pytest.mark.parametrize(("n_languages", "n", "k", "threshold"), [(3, 4, 3, 1), (4, 2, 5, 3)])
def test_chance_of_bridge_is_over_all_sets_of_neighbours(n_languages, n, k, threshold):
    others = range(n_languages * n - 1)  # the first L - 1 are the translations
    sets = list(combinations(others, k))
    good = sum(sum(j < n_languages - 1 for j in chosen) >= threshold for chosen in sets)
    found = translation_bridge_chance(n_languages, n, k, threshold)
    assert found == pytest.approx(good / len(sets), rel=1e-12)


def test_chance_of_reach_is_that_of_random_graphs(rng):
    order = rng.random((2000, 60, 60)) + 2 * np.eye(60)  # no point is its own neighbour
    graphs = order.argpartition(3, axis=2)[:, :, :3]
    found = translation_overlap(graphs, 4, threshold=1)
    assert found.reach.mean() == pytest.approx(found.reach_chance, rel=0.03)
    assert found.reach_chance == translation_reach_chance(4, 15, 3)
    assert found.bridge.mean() == pytest.approx(found.bridge_chance, rel=0.05)


def test_chance_at_the_size_of_flores():
    assert translation_reach_chance(31, 1012, 5) == pytest.approx(0.149, abs=5e-4)
    assert translation_bridge_chance(31, 1012, 5, 3) == pytest.approx(8.1e-9, rel=0.1)


def test_all_translations_are_the_most(rng):
    n, n_languages = 6, 4
    indices = np.array(
        [[c * n + i % n for c in range(n_languages) if c != i // n] for i in range(n * n_languages)]
    )
    found = translation_overlap(indices, n_languages, threshold=3)
    assert (found.ilo == 1).all() and found.n_neighbors == 3


@pytest.mark.parametrize(
    ("shape", "n_languages", "threshold", "message"),
    [((10, 2), 3, 1, "same number"), ((12, 2), 3, 3, "use 2 or less"), ((12, 5), 3, 3, "use 2")],
)
def test_what_makes_no_sense_is_refused(shape, n_languages, threshold, message):
    with pytest.raises(ValueError, match=message):
        translation_overlap(np.zeros(shape, np.int64), n_languages, threshold=threshold)
