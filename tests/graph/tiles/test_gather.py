"""A graph gathered from tiles in this process: any order, repetition, checkpoints, failures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.engine import independent_of_forcing
from numpy.typing import NDArray

from ilo_fast import NeighborGraph, knn_graph
from ilo_fast.graph.arrays import as_stack
from ilo_fast.graph.tiles.gather import Execute, Gathered, gather
from ilo_fast.graph.tiles.plan import Problem, TilePlan
from ilo_fast.graph.tiles.source import block_rows
from ilo_fast.graph.tiles.work import BlockId, Found, Settings, Task, run

pytestmark = independent_of_forcing

N, D, K, BLOCKS = 130, 12, 4, 4


def rows(rng: np.random.Generator, layers: int = 1, n: int = N) -> NDArray[Any]:
    X = rng.standard_normal((layers, n, D)) + 5 * rng.standard_normal(D)
    X[:, rng.integers(0, n, n // 4)] = X[:, rng.integers(0, n, n // 4)]
    return X.astype(np.float32)


def here(X: NDArray[Any], order: Callable[[list[Task]], list[Task]] = list) -> Execute:
    """Does tasks in this process, in some order."""
    stack = as_stack(X)

    def execute(tasks: Iterator[Task]) -> Iterator[Found]:
        for task in order(list(tasks)):
            sources = [block_rows([stack], b.layer, b.begin, b.end) for b in task.blocks]
            yield run(task, sources)

    return execute


def graph_of(
    X: NDArray[Any], execute: Execute, folder: Path | None = None, **changed: Any
) -> Gathered:
    given = {"metric": "cosine", "k": K, "blocks": BLOCKS, "update": None, **changed}
    layers, n, d = X.shape
    plan = TilePlan(Problem(n, d, X.itemsize, given["k"]), given["blocks"], 1)
    settings = Settings(X.dtype.name, given["k"], given["metric"] == "cosine", 1, 1 << 28)
    return gather(plan, settings, layers, execute, folder, given["update"])


def assert_is(found: Gathered, wanted: NeighborGraph, message: object = "") -> None:
    assert found.indices.tobytes() == wanted.indices.tobytes(), message
    assert found.distances.tobytes() == wanted.distances.tobytes(), message


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_any_order_and_repetition_gives_the_bytes_of_one_pass(metric: Any) -> None:
    seed = np.random.SeedSequence().entropy
    rng = np.random.default_rng(seed)
    X = rows(rng, layers=2)

    def twice_in_any_order(tasks: list[Task]) -> list[Task]:
        return [tasks[t] for t in rng.permutation(np.repeat(np.arange(len(tasks)), 2))]

    wanted = knn_graph(X, K, metric=metric)
    for blocks in (1, 2, 5, 13):
        shares: list[float] = []
        found = graph_of(
            X, here(X, twice_in_any_order), metric=metric, blocks=blocks, update=shares.append
        )
        assert_is(found, wanted, (seed, blocks))
        assert shares[-1] == pytest.approx(1) and shares == sorted(shares)
        assert all(layer["resumed_share"] == 0 for layer in found.layers)


def test_fewer_rows_than_neighbours_in_a_block() -> None:
    X = rows(np.random.default_rng(), n=9)
    assert_is(graph_of(X, here(X), k=8, blocks=4), knn_graph(X, 8))


class KilledError(Exception):
    """The driver dies here."""


def killed_after(X: NDArray[Any], n_tiles: int) -> Execute:
    execute = here(X)

    def until(tasks: Iterator[Task]) -> Iterator[Found]:
        for count, found in enumerate(execute(tasks)):
            if not found.task.fingerprint_only and count == n_tiles:
                raise KilledError
            yield found

    return until


def test_a_killed_run_goes_on_from_its_tiles(tmp_path: Path) -> None:
    seed = np.random.SeedSequence().entropy
    X = rows(np.random.default_rng(seed), layers=2)
    wanted = knn_graph(X, K)
    with pytest.raises(KilledError):
        graph_of(X, killed_after(X, 7), tmp_path)
    assert len(list(tmp_path.glob("tile-*.npz"))) == 7
    done: list[Task] = []

    def noted(tasks: list[Task]) -> list[Task]:
        done.extend(tasks)
        return tasks

    found = graph_of(X, here(X, noted), tmp_path)
    assert_is(found, wanted, seed)
    assert sum(not task.fingerprint_only for task in done) == 2 * 10 - 7
    assert [layer["resumed_share"] for layer in found.layers] == [0.7, 0.0]
    again = graph_of(X, here(X), tmp_path)
    assert_is(again, wanted, seed)
    assert [layer["resumed_share"] for layer in again.layers] == [1.0, 1.0]


def test_tiles_of_two_runs_may_be_put_together(tmp_path: Path) -> None:
    X = rows(np.random.default_rng())
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, keep in zip(folders, (0, 1), strict=True):
        folder.mkdir()
        graph_of(X, here(X), folder)
        for number, file in enumerate(sorted(folder.glob("tile-*.npz"))):
            if number % 2 != keep:
                file.unlink()
    for file in folders[1].glob("tile-*.npz"):
        os.replace(file, folders[0] / file.name)
    found = graph_of(X, here(X), folders[0])
    assert_is(found, knn_graph(X, K))
    assert found.layers[0]["resumed_share"] == 1.0


def test_damaged_tiles_are_computed_again(tmp_path: Path) -> None:
    seed = np.random.SeedSequence().entropy
    rng = np.random.default_rng(seed)
    X = rows(rng)
    wanted = knn_graph(X, K)
    graph_of(X, here(X), tmp_path)
    files = sorted(tmp_path.glob("tile-*.npz"))
    whole = [file.read_bytes() for file in files]
    files[0].write_bytes(whole[0][:-9])
    files[1].write_bytes(b"")
    files[2].write_bytes(b"PK" + bytes(rng.integers(0, 256, 500, dtype=np.uint8)))
    in_the_middle = bytearray(whole[3])
    in_the_middle[whole[3].index(b"squared_0") + 300] ^= 1 << 4
    files[3].write_bytes(bytes(in_the_middle))
    with pytest.warns(RuntimeWarning, match="the tile is computed again") as caught:
        assert_is(graph_of(X, here(X), tmp_path), wanted, seed)
    assert len(caught) == 4
    assert [file.read_bytes() for file in files] == whole


def test_work_of_other_data_or_options_is_refused(tmp_path: Path) -> None:
    X = rows(np.random.default_rng())
    graph_of(X, here(X), tmp_path)
    other = X.copy()
    other[0, 77, 3] += 1
    for message, call in {
        "content": lambda: graph_of(other, here(other), tmp_path),
        "n_neighbors": lambda: graph_of(X, here(X), tmp_path, k=3),
        "metric": lambda: graph_of(X, here(X), tmp_path, metric="euclidean"),
        "n_blocks": lambda: graph_of(X, here(X), tmp_path, blocks=3),
        "rows": lambda: graph_of(X[:, 1:], here(X[:, 1:]), tmp_path),
    }.items():
        with pytest.raises(ValueError, match=f"tiles of a graph of other settings .*{message}"):
            call()
    # A tile that was copied from elsewhere.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    graph_of(other, here(other), elsewhere)
    name = "tile-000-00000-00001.npz"
    os.replace(elsewhere / name, tmp_path / name)
    with pytest.raises(ValueError, match=rf"{name} is of other data or options"):
        graph_of(X, here(X), tmp_path)


def test_a_folder_that_cannot_be_written_to_is_a_warning(tmp_path: Path) -> None:
    X = rows(np.random.default_rng())
    folder = tmp_path / "gone"
    folder.mkdir()
    execute = here(X)

    def removing(tasks: Iterator[Task]) -> Iterator[Found]:
        for count, found in enumerate(execute(tasks)):
            if count == 2 and not found.task.fingerprint_only:
                for file in folder.iterdir():
                    file.unlink()
                folder.rmdir()
            yield found

    with pytest.warns(RuntimeWarning, match="checkpoint cannot be written") as caught:
        assert_is(graph_of(X, removing, folder), knn_graph(X, K))
    assert len(caught) == 1


def test_rows_that_are_others_on_some_node_are_told() -> None:
    X = rows(np.random.default_rng())
    other = X.copy()
    other[0, 100, 0] += 1
    execute, elsewhere = here(X), here(other)

    def mixed(tasks: Iterator[Task]) -> Iterator[Found]:
        for count, task in enumerate(tasks):
            odd = not task.fingerprint_only and count == 5
            yield from (elsewhere if odd else execute)(iter([task]))

    with pytest.raises(ValueError, match=r"rows \d+ to \d+ of X changed .* same on every node"):
        graph_of(X, mixed)


def test_an_error_gives_up_the_tasks_that_are_left() -> None:
    X = rows(np.random.default_rng())
    execute = here(X)
    closed: list[bool] = []

    def wrong_tiles(tasks: Iterator[Task]) -> Iterator[Found]:
        try:
            for found in execute(tasks):
                if not found.task.fingerprint_only:
                    found = replace(found, fingerprints=(0,) * len(found.task.blocks))
                yield found
        except GeneratorExit:
            closed.append(True)
            raise

    with pytest.raises(ValueError, match="changed during the call") as caught:
        graph_of(X, wrong_tiles)
    assert caught is not None and closed == [True]  # though the error keeps all frames alive


def test_a_row_that_cannot_be_used_is_named_as_in_the_whole() -> None:
    X = rows(np.random.default_rng(), layers=2)
    X[1, 101, 2] = np.nan
    with pytest.raises(ValueError, match="row 101 of X holds NaN") as caught:
        graph_of(X, here(X))
    assert (caught.value.row, caught.value.layer) == (101, 1)  # type: ignore[attr-defined]
    X[1, 101] = 0
    with pytest.raises(ValueError, match="row 101 of X is a zero vector"):
        graph_of(X, here(X))


def test_a_task_refuses_another_version() -> None:
    X = rows(np.random.default_rng())
    settings = replace(Settings("float32", K, True, 1, 1 << 28), version="9.9")
    task = Task(settings, (BlockId(0, 0, 0, N),))
    with pytest.raises(ValueError, match=r"9\.9 where the graph was asked for"):
        run(task, [[X[0]]])
