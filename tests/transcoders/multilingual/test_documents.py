"""Halves, permuted labels and intervals with documents as units."""

from __future__ import annotations

import numpy as np
import pytest

from ilo_fast._util.holm import holm_p
from ilo_fast.transcoders.multilingual.documents import (
    document_halves,
    in_turn,
    mean_interval,
    permuted_labels,
    share_interval,
)


def test_halves_are_of_whole_documents_and_every_language_has_its_share() -> None:
    language = np.repeat(np.arange(3), 40)
    document = np.tile(np.repeat(np.arange(20), 2), 3)
    first = document_halves(language, document, seed=3)
    assert first.sum() == 10 and (first == document_halves(language, document, seed=3)).all()
    assert (first != document_halves(language, document, seed=4)).any()
    apart = document + 20 * language  # no document in two languages
    first = document_halves(language, apart)
    assert [int(first[20 * code : 20 * code + 20].sum()) for code in range(3)] == [10, 10, 10]
    with pytest.raises(ValueError, match="language 1 has 3 documents, 1 of them in one half"):
        document_halves(np.array([0] * 4 + [1] * 3), np.array([0, 1, 2, 3, 0, 1, 2]))


def test_labels_are_permuted_within_documents_and_kept_together() -> None:
    random = np.random.default_rng()
    language, document = np.repeat(np.arange(4), 30), np.tile(np.repeat(np.arange(10), 3), 4)
    seen = set()
    for _ in range(40):
        labels = permuted_labels(language, document, random)
        of_cell = {(int(d), int(c)): set() for d, c in zip(document, language, strict=True)}
        for d, c, label in zip(document, language, labels, strict=True):
            of_cell[int(d), int(c)].add(int(label))
        assert all(len(found) == 1 for found in of_cell.values())
        for d in range(10):
            assert {next(iter(of_cell[d, c])) for c in range(4)} == {0, 1, 2, 3}
        seen.add(tuple(labels))
    assert len(seen) > 30
    apart = document + 10 * language
    labels = permuted_labels(language, apart, random)
    assert (np.bincount(labels) == 30).all() and (labels != language).any()


def test_rows_are_taken_in_turn_of_their_documents() -> None:
    document = np.array([2, 0, 2, 2, 1, 0])
    assert in_turn(document).tolist() == [1, 4, 0, 5, 2, 3]
    assert in_turn(document[:0]).tolist() == []


@pytest.mark.parametrize("truth", [0.5, 0.9, 0.97])
def test_intervals_of_shares_cover_where_documents_differ(truth: float) -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(1000):
        totals = random.integers(5, 40, 30).astype(float)
        own = random.beta(12 * truth, 12 * (1 - truth), 30)
        hits = random.binomial(totals.astype(int), own).astype(float)
        value, low, high = share_interval(hits, totals)
        assert 0 <= low <= value <= high <= 1
        covered += low <= truth <= high
    assert 0.92 <= covered / 1000 <= 0.985, covered


def test_a_share_of_all_or_nothing_has_an_interval_of_some_width() -> None:
    totals = np.full(30, 20.0)
    assert share_interval(totals, totals)[0] == 1 and 0.8 < share_interval(totals, totals)[1] < 0.95
    assert np.isnan(share_interval(np.zeros(3), np.zeros(3))[0])


def test_intervals_of_means_cover() -> None:
    random = np.random.default_rng(2)
    covered = 0
    for _ in range(1000):
        totals = random.integers(10, 60, 15).astype(float)
        sums = totals * (0.1 + random.normal(0, 0.05, 15)) + random.normal(0, 1, 15)
        value, low, high = mean_interval(sums, totals)
        assert value == pytest.approx(sums.sum() / totals.sum())
        covered += low <= 0.1 <= high
    assert 0.925 <= covered / 1000 <= 0.975, covered


def test_holm_corrects_step_by_step() -> None:
    assert holm_p([0.01, 0.04, np.nan, 0.03]) == pytest.approx(
        [0.03, 0.06, np.nan, 0.06], nan_ok=True
    )
    assert holm_p(np.full((2, 2), 0.5)).tolist() == [[1, 1], [1, 1]]
    assert holm_p([]).shape == (0,)
