"""A graph from its tiles, whoever computes them: look at all rows, resume, merge, finish."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast import _core
from ilo_fast._util.hashing import digest
from ilo_fast.graph.tiles.checkpoint import TileFiles
from ilo_fast.graph.tiles.plan import TilePlan
from ilo_fast.graph.tiles.work import BlockId, Found, Settings, Task

# Does tasks in any order, and gives what each found when it is done; a task may come twice. When it
# is closed, it gives up those that are left.
Execute = Callable[[Iterator[Task]], Generator[Found, None, None]]


@dataclass
class _Layer:
    indices: NDArray[np.int64]
    squared: NDArray[np.float64]
    certified: int = 0
    widened: int = 0
    distances: float = 0.0
    seconds: float = 0.0
    computed: set[tuple[int, int]] = field(default_factory=set)
    resumed: set[tuple[int, int]] = field(default_factory=set)


@dataclass(frozen=True)
class Gathered:
    """The graph, and how it came about.

    Attributes
    ----------
    indices, distances
        (layers, n, k), as `NeighborGraph` has them.
    layers
        For ``info``. Of certified and widened rows each counts once for every tile that it is in.
    simd
        Instruction sets that tasks ran on.
    """

    indices: NDArray[np.int64]
    distances: NDArray[np.float32]
    layers: list[dict[str, Any]]
    simd: tuple[str, ...]


def gather(
    plan: TilePlan,
    settings: Settings,
    n_layers: int,
    execute: Execute,
    folder: Path | None,
    update: Callable[[float], None] | None,
) -> Gathered:
    """Compute what no checkpoint holds, and merge all of it.

    Parameters
    ----------
    plan, settings
    n_layers
    execute
        Called twice: for the fingerprints of all blocks, then for tiles.
    folder
        Of the checkpoint.
    update
        Is told the finished share.

    Raises
    ------
    ValueError
        A row that cannot be used; a checkpoint of other data or options; rows that change, or are
        others on some node.
    """
    n, k = plan.problem.n, settings.n_neighbors
    blocks = [
        [BlockId(layer, b, *plan.block(b)) for b in range(plan.n_blocks)]
        for layer in range(n_layers)
    ]
    prints = _fingerprints(blocks, settings, execute)
    files = None
    if folder is not None:
        files = TileFiles(folder, _about(plan, settings, n_layers, prints))
    # The state of merge.h: nothing found yet.
    indices = np.full((n_layers, n, k), -1, np.int64)
    layers = [_Layer(own, np.full((n, k), np.inf)) for own in indices]
    tiles = list(plan.tiles())
    done, total = 0.0, n_layers * sum(plan.products(i, j) for i, j in tiles)
    left = []
    for number, layer in enumerate(layers):
        for i, j in tiles:
            lists = None if files is None else files.load(number, i, j)
            pair: tuple[BlockId, ...] = tuple(blocks[number][b] for b in dict.fromkeys((i, j)))
            if lists is None:
                left.append(Task(settings, pair))
            else:
                _merge(layer, pair, lists)
                layer.resumed.add((i, j))
                done += plan.products(i, j)
    if update and done:
        update(done / total)
    simd: set[str] = set()
    with closing(execute(iter(left))) as results:
        for found in results:
            pair = found.task.blocks
            _check_rows(found, prints)
            layer = layers[pair[0].layer]
            _merge(layer, pair, found.lists)
            if files is not None:
                files.save(found)
            simd.add(found.simd)
            at = pair[0].number, pair[-1].number
            if at not in layer.computed:
                layer.computed.add(at)
                _count(layer, found)
                done += plan.products(*at)
            if update:
                update(min(1.0, done / total))
    return _finished(plan, settings, indices, layers, simd)


def _fingerprints(
    blocks: Sequence[Sequence[BlockId]], settings: Settings, execute: Execute
) -> dict[tuple[int, int], int]:
    """Of every block; so rows that cannot be used are found before any tile is computed."""
    tasks = (Task(settings, (block,), fingerprint_only=True) for row in blocks for block in row)
    prints: dict[tuple[int, int], int] = {}
    with closing(execute(tasks)) as results:
        for found in results:
            block = found.task.blocks[0]
            prints[block.layer, block.number] = found.fingerprints[0]
    return prints


def _about(
    plan: TilePlan, settings: Settings, n_layers: int, prints: dict[tuple[int, int], int]
) -> dict[str, Any]:
    return {
        "rows": plan.problem.n,
        "dimension": plan.problem.d,
        "dtype": settings.dtype,
        "layers": n_layers,
        "n_neighbors": settings.n_neighbors,
        "metric": "cosine" if settings.cosine else "euclidean",
        "n_blocks": plan.n_blocks,
        "content": digest([f"{prints[at]:016x}" for at in sorted(prints)]),
    }


def _check_rows(found: Found, prints: dict[tuple[int, int], int]) -> None:
    for block, fingerprint in zip(found.task.blocks, found.fingerprints, strict=True):
        if prints[block.layer, block.number] != fingerprint:
            raise ValueError(
                f"rows {block.begin} to {block.end - 1} of X changed during the call, or are not "
                "the same on every node: give every node the same file, and write to it no more"
            )


def _merge(layer: _Layer, pair: Sequence[BlockId], lists: Sequence[tuple[Any, Any]]) -> None:
    for block, (indices, squared) in zip(pair, lists, strict=True):
        rows = np.arange(block.begin, block.end)
        _core.merge_neighbors(
            layer.indices, layer.squared, rows, indices, squared, n_columns=len(layer.indices)
        )


def _count(layer: _Layer, found: Found) -> None:
    info = found.info or {}
    layer.certified += info["certified_rows"]
    layer.widened += info["widened_rows"]
    rows = sum(block.end - block.begin for block in found.task.blocks)
    layer.distances += info["candidates_per_row"] * rows
    layer.seconds += found.seconds


def _finished(
    plan: TilePlan,
    settings: Settings,
    indices: NDArray[np.int64],
    layers: Sequence[_Layer],
    simd: set[str],
) -> Gathered:
    n, n_tiles = plan.problem.n, plan.n_tiles
    distances = np.empty((len(layers), n, settings.n_neighbors), np.float32)
    infos = []
    for out, layer in zip(distances, layers, strict=True):
        if len(layer.computed | layer.resumed) != n_tiles or (layer.indices < 0).any():
            raise RuntimeError(
                f"{len(layer.computed | layer.resumed)} of {n_tiles} tiles were computed: this is "
                "an error of ilo_fast"
            )
        squared = layer.squared
        out[:] = 0.5 * squared if settings.cosine else np.sqrt(squared)
        infos.append(
            {
                "rows": n,
                "queries": n,
                "certified_rows": layer.certified,
                "widened_rows": layer.widened,
                "candidates_per_row": layer.distances / n,
                "tiles": n_tiles,
                "seconds_tiles": layer.seconds,
                "resumed_share": len(layer.resumed) / n_tiles,
            }
        )
    return Gathered(indices, distances, infos, tuple(sorted(simd)))
