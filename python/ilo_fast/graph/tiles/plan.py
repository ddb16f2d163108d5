"""Which parts a graph is made of, and what each costs: memory, bytes read and returned, products.

The rows are cut into blocks of nearly equal length. A tile is a pair of blocks, all of whose
distances one task computes, each once and for both sides; with B blocks there are B (B + 1) / 2. A
task reads two blocks, so all of them together read every block B + 1 times: the larger the blocks,
the less is read. What limits them is the memory of a task.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ilo_fast._util.messages import byte_size

_PROCESS: Final = 256 << 20  # Python, NumPy and the scheduler's own
_THREAD: Final = 6 << 20
_LIST: Final = 1024  # bytes of candidates for a row beside the least that it needs
LEAST_ROWS: Final = 16384  # smaller blocks are not made for the sake of more tasks
_ENTRY: Final = 16  # bytes of a neighbour: number and squared distance
TASKS_PER_SLOT: Final = 4  # so that none waits long for the last


@dataclass(frozen=True)
class Problem:
    """The graph that is wanted: of `n` rows of `d` values of `itemsize` bytes, `k` neighbours."""

    n: int
    d: int
    itemsize: int
    k: int


@dataclass(frozen=True)
class TilePlan:
    """Blocks and tiles of a graph.

    Attributes
    ----------
    problem
    n_blocks
        B.
    n_threads
        Of a task.
    """

    problem: Problem
    n_blocks: int
    n_threads: int

    def block(self, b: int) -> tuple[int, int]:
        """First row of block `b`, and the first behind it."""
        n, count = self.problem.n, self.n_blocks
        return b * n // count, (b + 1) * n // count

    @property
    def block_rows(self) -> int:
        """Rows of the longest block."""
        return -(-self.problem.n // self.n_blocks)

    def tiles(self) -> Iterator[tuple[int, int]]:
        """Pairs of blocks i <= j; those of one block, which are half the work, last."""
        for i in range(self.n_blocks):
            for j in range(i + 1, self.n_blocks):
                yield i, j
        for i in range(self.n_blocks):
            begin, end = self.block(i)
            if end - begin > 1:  # a row alone has no other
                yield i, i

    @property
    def n_tiles(self) -> int:
        """How many tasks there are."""
        return sum(1 for _ in self.tiles())

    def products(self, i: int, j: int) -> float:
        """Pairs of rows of a tile."""
        rows, columns = (end - begin for begin, end in (self.block(i), self.block(j)))
        return rows * columns if i != j else rows * (rows - 1) / 2

    @property
    def engine_memory(self) -> int:
        """Bytes that the engine may take in a task, beside the rows and the result."""
        return engine_memory(self.problem, self.block_rows, self.n_threads)

    @property
    def task_memory(self) -> int:
        """Bytes that a task needs in all, for the scheduler."""
        return task_memory(self.problem, self.block_rows, self.n_threads)

    @property
    def bytes_read(self) -> int:
        """By all tasks together: B (B - 1) / 2 pairs of blocks, and each alone."""
        return self.n_blocks * self.problem.n * self.problem.d * self.problem.itemsize

    @property
    def bytes_returned(self) -> int:
        """By all tasks together: for every row a list from each of the B blocks."""
        return self.n_blocks * self.problem.n * self.problem.k * _ENTRY


def engine_memory(problem: Problem, rows: int, n_threads: int) -> int:
    """Bytes for two blocks of `rows` rows: packed in float32, lists, bookkeeping, threads."""
    row = 4 * problem.d + 18 * problem.k + 420 + _LIST
    return 2 * rows * row + n_threads * _THREAD


def task_memory(problem: Problem, rows: int, n_threads: int) -> int:
    """The same with the rows as they are read, the result twice (as it is sent), and Python."""
    row = problem.d * problem.itemsize + 2 * problem.k * _ENTRY
    return engine_memory(problem, rows, n_threads) + 2 * rows * row + _PROCESS


def plan_tiles(
    problem: Problem, *, memory: int, n_threads: int, slots: int, n_layers: int = 1
) -> TilePlan:
    """The largest blocks that fit, cut further where tasks would be too few.

    Parameters
    ----------
    memory
        Bytes that a task may take.
    n_threads
        Of a task.
    slots
        Tasks that can run at a time.
    n_layers
        Graphs of this kind that are made together.

    Raises
    ------
    ValueError
        The memory holds no two blocks of 256 rows.
    """
    fixed = task_memory(problem, 0, n_threads)
    fitting = (memory - fixed) // (task_memory(problem, 1, n_threads) - fixed)
    least = min(256, problem.n)
    if fitting < least:
        needed = task_memory(problem, least, n_threads)
        raise ValueError(
            f"max_memory={byte_size(memory)} is too little for a task, which needs "
            f"{byte_size(needed)} for two blocks of {least} rows of {problem.d} values, "
            f"k={problem.k} and {n_threads} threads: give more, or fewer threads"
        )
    blocks = -(-problem.n // fitting)
    wanted = TASKS_PER_SLOT * slots / n_layers
    for_slots = math.ceil((math.sqrt(8 * wanted + 1) - 1) / 2)  # B (B + 1) / 2 >= wanted
    most = max(1, problem.n // LEAST_ROWS)
    return TilePlan(problem, max(blocks, min(for_slots, most)), n_threads)


def hours(
    plan: TilePlan, *, slots: int, products_per_second: float, overhead: float = 0.1
) -> float:
    """Hours for a graph of one layer, from the measured speed of a task.

    Parameters
    ----------
    slots
        Tasks that run at a time.
    products_per_second
        Multiply-adds that a task of `plan.n_threads` threads does, all its stages counted.
    overhead
        Share of time added for reading, sending, merging and waiting for the last task.
    """
    n = plan.problem.n
    rounds = n * (n - 1) / 2 * plan.problem.d / products_per_second / slots
    return rounds * (1 + overhead) / 3600
