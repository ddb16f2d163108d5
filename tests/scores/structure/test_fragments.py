import numpy as np

from ilo_fast.scores.structure.fragments import (
    communities_outside,
    counts_of,
    main_languages,
    pool_alike,
    stable_labels,
)


def test_main_languages_are_the_fewest_that_hold_the_purity() -> None:
    counts = np.array([5, 80, 0, 15])
    assert main_languages(counts, 0.8) == [1]
    assert main_languages(counts, 0.9) == [1, 3]
    assert main_languages(counts, 1.0) == [1, 3, 0]
    assert main_languages(np.array([1, 1]), 0.9) == [0, 1]  # of equals the first


def test_communities_of_mostly_the_same_languages_are_one_fragment() -> None:
    counts = np.array([[90, 10, 0], [0, 1, 50], [8, 2, 0], [30, 70, 0]])
    assert pool_alike(counts) == [0, 1, 0, 2]  # 0.41 in common with the pool
    assert pool_alike(counts[:1]) == [0]
    assert pool_alike(np.zeros((0, 3), int)) == []


def test_labels_stay_from_layer_to_layer_and_the_largest_is_first() -> None:
    first = np.array([[0, 0, 40], [30, 2, 0]])
    second = np.array([[20, 5, 0], [0, 50, 1], [0, 0, 60]])
    assert stable_labels([first, second], 5) == [[1, 2], [2, 3, 1]]
    assert stable_labels([first, np.zeros((0, 3), int)], 5) == [[1, 2], []]
    assert stable_labels([first, second], 41) == [[-1, -1], [-1, 2, 1]]


def test_small_communities_are_enough_together() -> None:
    counts = np.array([[6, 0], [0, 7], [5, 0]])
    assert stable_labels([counts], 10) == [[1, -1, 1]]


def test_points_of_the_core_and_of_small_communities_are_in_none() -> None:
    # Points 0 to 3 are each other's neighbours; 4 and 5 have neighbours in the core, 6 to 8, too.
    indices = np.array(
        [[1, 2], [0, 2], [0, 3], [2, 1], [5, 6], [4, 7], [7, 8], [6, 8], [6, 7]], np.int32
    )
    core = np.arange(9) >= 6
    groups = communities_outside(indices, core, resolution=1.0, seed=0)
    assert groups.tolist() == [0, 0, 0, 0, -1, -1, -1, -1, -1]
    labels = np.array([0, 1, 1, 1, 0, 0, 0, 0, 0])
    assert counts_of(groups, labels, 2).tolist() == [[1, 3]]
    everything = communities_outside(indices, np.ones(9, bool), resolution=1.0, seed=0)
    assert (everything == -1).all()
