"""Batches of equal length, and smaller ones where the memory of a GPU runs out."""

from __future__ import annotations

import pytest
import torch

from ilo_fast.representations.batches import plan_batches, run_batches
from ilo_fast.representations.workers import Workers


def test_planned_batches_keep_to_the_budget_longest_first():
    lengths = [3, 9, 5, 1, 9, 4]
    batches = plan_batches(lengths, range(6), 18)
    assert sorted(i for batch in batches for i in batch) == list(range(6))
    assert all(len(b) * max(lengths[i] for i in b) <= 18 for b in batches)
    longest = [lengths[batch[0]] for batch in batches]
    assert longest == sorted(longest, reverse=True)
    assert plan_batches([50], [0], 18) == [[0]]


def squares(lengths, batch_tokens, *, room, workers=1):
    """Square every item where no batch may hold more than `room` padded tokens."""
    results, refused = {}, []

    def work(members):
        padded = len(members) * max(lengths[i] for i in members)
        if padded > room:
            refused.append(padded)
            raise torch.cuda.OutOfMemoryError("no room")
        return [i * i for i in members]

    with Workers(workers) as threads:
        fitted = run_batches(
            work,
            lengths,
            batch_tokens,
            threads,
            on_result=lambda members, values: results.update(zip(members, values, strict=True)),
            name=lambda i: f"item {i}",
        )
    return results, fitted, refused


@pytest.mark.parametrize("workers", [1, 3])
def test_every_item_is_run_once(workers):
    results, fitted, refused = squares([3, 9, 5, 1], 9, room=10**6, workers=workers)
    assert results == {i: i * i for i in range(4)} and fitted == 9 and not refused


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_that_do_not_fit_are_halved_until_they_do(workers, caplog):
    results, fitted, refused = squares([4] * 32, 128, room=20, workers=workers)
    assert results == {i: i * i for i in range(32)}
    assert fitted == 16 and refused and "batch_tokens=16" in caplog.text


def test_item_that_does_not_fit_alone_is_named():
    with pytest.raises(torch.cuda.OutOfMemoryError, match=r"30 tokens \(item 1\)"):
        squares([4, 30, 4], 128, room=20)


def test_no_items_are_no_work():
    assert squares([], 128, room=20) == ({}, 128, [])
