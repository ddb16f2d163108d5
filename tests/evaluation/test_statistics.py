"""F1, bootstraps and groups of languages against slow and plain ones."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from ilo_fast.evaluation import statistics


def slow_macro_f1(true: Any, predicted: Any) -> float:
    scores = []
    for label in sorted({*true, *predicted}):
        pairs = list(zip(true, predicted, strict=True))
        hits = sum(t == p == label for t, p in pairs)
        found, there = sum(p == label for p in predicted), sum(t == label for t in true)
        precision = hits / found if found else 0.0
        recall = hits / there if there else 0.0
        total = precision + recall
        scores.append(2 * precision * recall / total if total else 0.0)
    return sum(scores) / len(scores)


def test_macro_f1_is_that_of_precision_and_recall() -> None:
    rng = np.random.default_rng(0)
    for n_labels, n in ((2, 5), (4, 9), (7, 60), (30, 20)):
        true, predicted = rng.integers(0, n_labels, (2, n))
        counts = statistics.confusion_matrix(true, predicted, n_labels)
        assert counts.sum() == n
        assert counts[true[0], predicted[0]] >= 1
        assert statistics.macro_f1(counts) == pytest.approx(
            slow_macro_f1(true.tolist(), predicted.tolist())
        )


def test_interval_of_f1_is_that_of_drawn_sentences() -> None:
    rng = np.random.default_rng(1)
    true = rng.integers(0, 3, 40)
    predicted = np.where(rng.random(40) < 0.6, true, rng.integers(0, 4, 40))
    counts = statistics.confusion_matrix(true, predicted, 4)
    fast = statistics.macro_f1_interval(counts, seed=(0,), n_boot=20_000)
    drawn = []
    for _ in range(4000):
        rows = rng.integers(0, 40, 40)
        drawn.append(slow_macro_f1(true[rows].tolist(), predicted[rows].tolist()))
    # Both are random; their standard errors here are about 0.003.
    assert fast == pytest.approx(tuple(np.percentile(drawn, (2.5, 97.5))), abs=0.015)
    assert statistics.macro_f1_interval(counts, seed=(0,), n_boot=20_000) == fast
    assert statistics.macro_f1_interval(counts, seed=(1,), n_boot=20_000) != fast


def test_interval_over_languages_is_that_of_all_draws() -> None:
    values = np.array([[0.1, 0.5, 0.7, 0.2], [0.3, 0.3, 0.9, 0.1]])
    means, intervals = statistics.bootstrap_means(values, seed=(0,), n_boot=100_000)
    assert means == pytest.approx(values.mean(axis=1))
    for row, interval in zip(values, intervals, strict=True):
        every = [np.mean(draw) for draw in itertools.product(row, repeat=4)]
        assert interval == pytest.approx(np.percentile(every, (2.5, 97.5)), abs=0.03)
    assert statistics.bootstrap_means(values[:, :1], seed=(0,), n_boot=10)[1] is None
