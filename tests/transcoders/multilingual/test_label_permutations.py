"""Firings under shuffled labels: the core against NumPy, and the shuffles themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.firings import drawn
from helpers.seeds import fresh_seed

from ilo_fast import _core
from ilo_fast.transcoders.multilingual.documents import permuted_cells
from ilo_fast.transcoders.multilingual.rates.document_counts import DocumentCounts


def fresh() -> tuple[np.random.Generator, int]:
    seed = fresh_seed()
    return np.random.default_rng(seed), seed


def given(random: np.random.Generator, shuffles: int = 37, columns: int = 70) -> dict[str, Any]:
    """Arguments of the core, of random size; every label is in every shuffle."""
    rows, n_labels = int(random.integers(20, 60)), int(random.integers(1, 6))
    dense = random.integers(0, 4, size=(columns, rows)) * (random.random((columns, rows)) < 0.3)
    dense[0] = 0  # a silent column
    column, row = np.nonzero(dense)
    base = np.arange(rows) % n_labels
    return {
        "offsets": np.concatenate([[0], np.cumsum((dense > 0).sum(axis=1))]).astype(np.int64),
        "rows": row.astype(np.int32),
        "counts": dense[column, row].astype(np.int32),
        "tokens": random.integers(1, 50, size=rows),
        "labels": random.permuted(np.tile(base, (shuffles, 1)), axis=1).astype(np.uint16),
        "n_labels": n_labels,
        "dominant": 0.5,
        "others": 0.3,
        "n_threads": 1,
        "dense": dense,
    }


def call(arguments: dict[str, Any], **changes: Any) -> tuple[Any, Any]:
    known = {k: v for k, v in (arguments | changes).items() if k != "dense"}
    first = [known.pop(name) for name in ("offsets", "rows", "counts")]
    return _core.label_permutations(*first, **known)


def test_statistics_of_shuffled_labels_equal_numpy_at_any_number_of_threads() -> None:
    random, _ = fresh()
    some = given(random)
    statistic, dominated = call(some)
    for shuffle, labels in enumerate(some["labels"]):
        one_hot = labels == np.arange(some["n_labels"])[:, None]
        tokens = one_hot @ some["tokens"]
        firings = some["dense"] @ one_hot.T
        np.testing.assert_allclose(statistic[shuffle], (firings**2 / tokens).sum(axis=1))
        rates = firings / tokens
        ranked = np.sort(np.pad(rates, ((0, 0), (1, 0))), axis=1)
        total = rates.sum(axis=1)
        wanted = (total > 0) & (ranked[:, -1] >= 0.5 * total) & (ranked[:, -2] < 0.3 * total)
        assert (dominated[shuffle] == wanted).all()
    again = call(some, n_threads=3)
    assert (again[0] == statistic).all() and (again[1] == dominated).all()


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("rows", lambda v: v + 1000, r"rows\[0\]"),
        ("counts", lambda v: v * 0, r"counts\[0\]=0"),
        ("counts", lambda v: v[1:], "counts has shape"),
        ("tokens", lambda v: v * 0, r"tokens\[0\]=0"),
        ("labels", lambda v: v * 0 + 7000, r"labels\[0, 0\]=7000"),
        ("labels", lambda v: v[:, 1:], "labels has shape"),
        ("offsets", lambda v: v + 1, "offsets go from 1"),
        ("n_labels", lambda v: 0, "n_labels=0"),
        ("n_labels", lambda v: 6, "no row of label"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name: str, change: Any, message: str) -> None:
    some = given(fresh()[0])
    with pytest.raises(ValueError, match=message):
        call(some, **{name: change(some[name])})


def test_labels_stay_in_their_document_where_documents_are_shared() -> None:
    random, _ = fresh()
    counts = DocumentCounts.of(drawn(random, np.full((5, 3), 0.1), 20))
    labels = permuted_cells(counts.language, counts.document, 400, random)
    for document in range(20):
        mine = np.sort(labels[:, counts.document == document], axis=1)
        assert (mine == np.arange(5)).all()
    # Each of 5 places takes each label in a fifth of 8000 draws: 15 standard deviations are far.
    for place in range(5):
        seen = np.bincount(labels[:, counts.language == place].reshape(-1), minlength=5) / 8000
        assert np.abs(seen - 0.2).max() < 15 * np.sqrt(0.16 / 8000)


def test_labels_go_to_any_document_where_none_is_shared() -> None:
    random, _ = fresh()
    counts = DocumentCounts.of(drawn(random, np.full((2, 3), 0.1), 20, languages=("a", "b"),
                                     parallel=False))  # fmt: skip
    labels = permuted_cells(counts.language, counts.document, 50, random)
    assert (labels.sum(axis=1) == 20).all() and len(np.unique(labels, axis=0)) > 40


def test_counts_by_column_are_those_of_the_table() -> None:
    random, _ = fresh()
    table = drawn(random, random.random((5, 9)), 12, clump=2)
    counts = DocumentCounts.of(table)
    dense = np.zeros((60, 9))
    dense[table.rows, table.indices] = table.counts
    by_language = dense.reshape(5, 12, 9)
    assert (counts.firings() == by_language.sum(axis=1)).all() and counts.is_shared
    for language, documents, found in counts.of_columns(np.array([4, 0])).dense():
        assert (found == by_language[language][:, [4, 0]]).all()
        assert (documents == np.arange(12)).all()
    tokens = table.tokens.reshape(5, 12)
    rates = by_language.sum(axis=1) / tokens.sum(axis=1)[:, None]
    residual = ((by_language - rates[:, None] * tokens[:, :, None]) ** 2).sum(axis=(0, 1))
    np.testing.assert_allclose(
        counts.clumping(), np.maximum(1, residual / by_language.sum(axis=(0, 1)))
    )
    part = counts.relabelled(np.where(counts.language == 3, 0, np.where(counts.language, 1, -1)))
    assert (part.firings()[0] == by_language[3].sum(axis=0)).all()
    assert (part.firings()[1] == by_language[[1, 2, 4]].sum(axis=(0, 1))).all()
