"""What one task does: fingerprint a block, or find the neighbours of a tile."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast import _core
from ilo_fast._util.versions import __version__
from ilo_fast.graph.tiles.source import FileRows, Rows

Source = Sequence[FileRows | Rows]


@dataclass(frozen=True)
class BlockId:
    """A block of rows: of which layer, and which rows, in the whole."""

    layer: int
    number: int
    begin: int
    end: int


@dataclass(frozen=True)
class Settings:
    """What all tasks of a graph have in common."""

    dtype: str  # of Stack
    n_neighbors: int
    cosine: bool
    n_threads: int
    engine_memory: int
    version: str = __version__


@dataclass(frozen=True)
class Task:
    """A tile of two blocks, or the fingerprint of one."""

    settings: Settings
    blocks: tuple[BlockId, ...]
    fingerprint_only: bool = False


@dataclass(frozen=True)
class Found:
    """What a task found.

    Attributes
    ----------
    task
    fingerprints
        Of each of its blocks.
    lists
        For each block numbers of rows in the whole (m, k), and squared distances.
    info
    simd
    seconds
    """

    task: Task
    fingerprints: tuple[int, ...]
    lists: tuple[tuple[NDArray[np.int64], NDArray[np.float64]], ...] = ()
    info: dict[str, Any] | None = None
    simd: str = ""
    seconds: float = 0.0


def run(task: Task, sources: Sequence[Source]) -> Found:
    """Do it, on the rows of each of its blocks.

    Raises
    ------
    ValueError
        A row that cannot be used; its ``row`` and ``layer`` are those of the whole. Other versions
        of ilo_fast here and there.
    FileNotFoundError
        A file that cannot be seen from here.
    """
    settings = task.settings
    if settings.version != __version__:
        raise ValueError(
            f"ilo_fast {__version__} is installed here, {settings.version} where the graph was "
            "asked for: install one version everywhere"
        )
    start = time.perf_counter()
    rows = [_opened(source) for source in sources]
    try:
        if task.fingerprint_only:
            fingerprint = _core.rows_fingerprint(
                rows[0], settings.dtype, cosine=settings.cosine, n_threads=settings.n_threads
            )
            return Found(task, (fingerprint,))
        first, second, *of_second, info, simd = _tile(settings, rows)
    except ValueError as error:
        raise _of_whole(error, task.blocks) from None
    prints = info.pop("fingerprints")
    a, b = task.blocks[0], task.blocks[-1]
    first += b.begin
    lists = [(first, second)]
    if len(rows) == 2:
        of_second[0] += a.begin
        lists.append((of_second[0], of_second[1]))
    seconds = time.perf_counter() - start
    return Found(task, tuple(prints[: len(rows)]), tuple(lists), info, simd, seconds)


def _tile(settings: Settings, rows: list[list[Rows]]) -> tuple[Any, ...]:
    return _core.knn_tile(
        rows[0],
        rows[1] if len(rows) == 2 else [],
        settings.dtype,
        settings.n_neighbors,
        cosine=settings.cosine,
        n_threads=settings.n_threads,
        max_memory=settings.engine_memory,
    )


def _opened(source: Source) -> list[Rows]:
    """Arrays (1, m, d), as the core takes them."""
    return [(part.open() if isinstance(part, FileRows) else part)[np.newaxis] for part in source]


def _of_whole(error: ValueError, blocks: Sequence[BlockId]) -> ValueError:
    """An error of a row, with its number in the whole."""
    row = getattr(error, "row", None)
    if row is None:
        return error
    first = blocks[0].end - blocks[0].begin
    block, row = (blocks[0], row) if row < first else (blocks[-1], row - first)
    problem = getattr(error, "problem", "")
    named = ValueError(f"row {block.begin + row} of X {problem}")
    named.row, named.layer = block.begin + row, block.layer  # type: ignore[attr-defined]
    named.problem = problem  # type: ignore[attr-defined]
    return named
