"""``backend="ray"``: plan tiles for the cluster that is there, run them, report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ilo_fast._util.ray_cluster import (
    connected,
    memory_of_task,
    nodes,
    slots,
    threads_of_task,
)
from ilo_fast.graph.arrays import Stack, of_one_layout
from ilo_fast.graph.ray.tasks import RayTasks, too_large
from ilo_fast.graph.result import NeighborGraph
from ilo_fast.graph.tiles.checkpoint import saved_blocks
from ilo_fast.graph.tiles.gather import gather
from ilo_fast.graph.tiles.plan import Problem, TilePlan, plan_tiles
from ilo_fast.graph.tiles.source import FileRows, Rows, block_rows, in_file
from ilo_fast.graph.tiles.work import BlockId, Settings


def graph(
    segments: Sequence[Stack],
    n_neighbors: int,
    metric: str,
    n_threads: int | None,
    memory: int | None,
    folder: str | None,
    update: Callable[[float], None] | None,
) -> NeighborGraph:
    """The graph that the exact engine gives, from tiles that tasks of Ray compute.

    Parameters
    ----------
    n_threads, memory
        Of a task; None: as `cluster` chooses.
    folder
        Of the checkpoint. What is in it decides how the rows are cut.
    """
    segments = of_one_layout(segments)
    n_layers, _, d = segments[0].values.shape
    n = sum(stack.values.shape[1] for stack in segments)
    if n_neighbors >= n:
        raise ValueError(
            f"n_neighbors={n_neighbors} needs at least {n_neighbors + 1} rows, got {n} (rows of X)"
        )
    problem = Problem(n, d, segments[0].values.itemsize, n_neighbors)
    with connected() as ray:
        available = nodes(ray)
        if not available:
            raise RuntimeError(too_large(available, n_threads or 1, memory or 0))
        threads = threads_of_task(available, n_threads)
        memory = memory or memory_of_task(available, threads)
        blocks = None if folder is None else saved_blocks(Path(folder))
        if blocks is None:
            at_a_time = max(1, slots(available, threads, memory))
            plan = plan_tiles(
                problem, memory=memory, n_threads=threads, slots=at_a_time, n_layers=n_layers
            )
        else:
            plan = TilePlan(problem, min(blocks, n), threads)
        if slots(available, threads, plan.task_memory) == 0:
            raise RuntimeError(too_large(available, threads, plan.task_memory))
        tasks = RayTasks(
            ray,
            lambda block: _source(segments, block),
            n_threads=threads,
            memory=plan.task_memory,
            work=float(plan.block_rows) ** 2 * d,
        )
        settings = Settings(
            segments[0].dtype, n_neighbors, metric == "cosine", threads, plan.engine_memory
        )
        found = gather(
            plan, settings, n_layers, tasks, None if folder is None else Path(folder), update
        )
        info = {
            "backend": "ray",
            "simd": ", ".join(found.simd),
            "n_threads": threads,
            "max_memory": plan.task_memory,
            "nodes": len(available),
            "blocks": plan.n_blocks,
            "most_in_flight": tasks.most_in_flight,
            "layers": found.layers,
        }
    return NeighborGraph(found.indices, found.distances, info, n)


def _source(segments: Sequence[Stack], block: BlockId) -> list[FileRows] | list[Rows]:
    """Rows in files by their names; where some are not in files, all of the block as arrays."""
    rows = block_rows(segments, block.layer, block.begin, block.end)
    files = [in_file(part) for part in rows]
    named = [file for file in files if file is not None]
    return named if len(named) == len(files) else [np.ascontiguousarray(part) for part in rows]
