"""Plans of tiles: every pair of rows once, the memory stated, the bytes counted."""

from __future__ import annotations

import numpy as np
import pytest

from ilo_fast.graph.tiles.plan import (
    TASKS_PER_SLOT,
    Problem,
    TilePlan,
    engine_memory,
    hours,
    plan_tiles,
    task_memory,
)


@pytest.mark.parametrize(
    ("n", "blocks"), [(n, b) for n in (1, 2, 3, 7, 10, 101) for b in (1, 2, 3, 7) if b <= n]
)
def test_every_pair_of_rows_is_in_one_tile(n: int, blocks: int) -> None:
    plan = TilePlan(Problem(n, 4, 4, 1), blocks, 1)
    count = np.zeros((n, n), int)
    for i, j in plan.tiles():
        rows, columns = np.arange(*plan.block(i)), np.arange(*plan.block(j))
        count[np.ix_(rows, columns)] += 1
        if i != j:
            count[np.ix_(columns, rows)] += 1
    expected = np.ones((n, n), int)
    # A row in a block of its own has no tile with itself, and needs none.
    alone = [b for b in range(blocks) if np.diff(plan.block(b))[0] == 1]
    for b in alone:
        expected[plan.block(b)[0], plan.block(b)[0]] = 0
    np.testing.assert_array_equal(count, expected)
    assert plan.n_tiles == len(list(plan.tiles()))
    assert sum(plan.products(i, j) for i, j in plan.tiles()) == n * (n - 1) / 2
    assert plan.block_rows == max(np.diff(plan.block(b))[0] for b in range(blocks))


def test_blocks_are_as_large_as_memory_allows() -> None:
    problem = Problem(2_000_000, 1024, 4, 10)
    for gigabytes in (1, 4, 16, 64):
        memory = gigabytes << 30
        plan = plan_tiles(problem, memory=memory, n_threads=8, slots=1)
        assert plan.task_memory <= memory
        if plan.n_blocks > 3:  # else it is cut for the sake of tasks
            larger = TilePlan(problem, plan.n_blocks - 1, 8)
            assert larger.task_memory > memory


def test_there_are_tasks_for_every_slot_unless_blocks_would_be_small() -> None:
    problem = Problem(2_000_000, 768, 4, 5)
    plan = plan_tiles(problem, memory=1 << 40, n_threads=16, slots=16)
    assert plan.n_blocks * (plan.n_blocks + 1) / 2 >= 16 * TASKS_PER_SLOT
    assert plan_tiles(problem, memory=1 << 40, n_threads=16, slots=1 << 20).block_rows >= 16384
    assert plan_tiles(Problem(9000, 8, 4, 5), memory=1 << 40, n_threads=1, slots=99).n_blocks == 1
    one_layer = plan_tiles(problem, memory=1 << 40, n_threads=1, slots=16, n_layers=1)
    assert plan_tiles(problem, memory=1 << 40, n_threads=1, slots=16, n_layers=50).n_blocks < (
        one_layer.n_blocks
    )


def test_too_little_memory_is_told() -> None:
    with pytest.raises(ValueError, match=r"max_memory=10\.0 MB is too little .* 256 rows of 768"):
        plan_tiles(Problem(10**6, 768, 4, 5), memory=10**7, n_threads=1, slots=1)


def test_memory_grows_with_what_it_is_for() -> None:
    problem = Problem(10**6, 1024, 4, 10)
    assert engine_memory(problem, 1000, 2) < task_memory(problem, 1000, 2)
    # Two blocks of rows packed in float32, and the rows themselves.
    assert task_memory(problem, 10**6, 1) >= 2 * 10**6 * 1024 * (4 + 4)


def test_bytes_read_are_those_of_all_tasks() -> None:
    problem = Problem(1000, 16, 2, 3)
    plan = TilePlan(problem, 7, 1)

    def rows(b: int) -> int:
        begin, end = plan.block(b)
        return end - begin

    read = sum(rows(i) + (rows(j) if i != j else 0) for i, j in plan.tiles()) * 16 * 2
    assert plan.bytes_read == read
    returned = sum(rows(i) + (rows(j) if i != j else 0) for i, j in plan.tiles()) * 3 * 16
    assert plan.bytes_returned == returned


def test_hours_follow_the_measured_speed() -> None:
    plan = TilePlan(Problem(10**6, 1000, 4, 5), 10, 1)
    once = hours(plan, slots=1, products_per_second=1e12, overhead=0)
    assert once == pytest.approx(1e12 / 2 * 1000 / 1e12 / 3600, rel=1e-5)
    assert hours(plan, slots=4, products_per_second=1e12, overhead=0) == pytest.approx(once / 4)
