"""Tasks on a cluster, without one: how many at a time, what is handed over, what failures say."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from ilo_fast import knn_graph
from ilo_fast._util import ray_cluster as cluster
from ilo_fast._util.ray_cluster import Node, memory_of_task, slots, threads_of_task
from ilo_fast.graph.ray import tasks
from ilo_fast.graph.ray.tasks import RayTasks
from ilo_fast.graph.tiles.source import FileRows
from ilo_fast.graph.tiles.work import BlockId, Found, Settings, Task


class _Error(Exception):
    pass


class FakeErrors:
    """Names of ``ray.exceptions``."""

    RayError = _Error
    OutOfMemoryError = type("OutOfMemoryError", (_Error,), {})
    GetTimeoutError = type("GetTimeoutError", (_Error,), {})
    WorkerCrashedError = type("WorkerCrashedError", (_Error,), {})

    class RayTaskError(_Error):
        """As `ray.get` raises it: the address is in the text alone."""

        def __init__(
            self, cause: Exception, text: str = "ray::_run() (pid=7, ip=10.0.0.7)"
        ) -> None:
            super().__init__(text)
            self.cause = cause


@dataclass(eq=False)
class Ref:
    args: tuple[Any, ...]


@dataclass
class FakeRay:
    """As much of ``ray`` as the backend calls; a task is done when it is waited for."""

    cpus: int = 2
    memory: int = 1 << 30
    fails: dict[int, Exception] = field(default_factory=dict)
    hangs: bool = False
    refuses: Exception | None = None
    exceptions: Any = FakeErrors
    submitted: list[Ref] = field(default_factory=list)
    waited_for: list[int] = field(default_factory=list)
    put_objects: list[Any] = field(default_factory=list)
    cancelled: list[Ref] = field(default_factory=list)
    options_given: dict[str, Any] = field(default_factory=dict)

    def nodes(self) -> list[dict[str, Any]]:
        resources = {"CPU": float(self.cpus), "memory": float(self.memory)}
        return [
            {"Alive": True, "Resources": resources},
            {"Alive": False, "Resources": {"CPU": 64.0, "memory": 2.0**40}},
            {"Alive": True, "Resources": {"memory": 2.0**40}},  # a head that takes no tasks
        ]

    def remote(self, function: Any) -> FakeRay:
        if isinstance(function, Task):
            raise AssertionError
        self.function = function
        return self

    def options(self, **given: Any) -> Any:
        self.options_given = given
        fake = self

        class Remote:
            def remote(self, *args: Any) -> Ref:
                if fake.refuses is not None:
                    raise fake.refuses
                fake.submitted.append(Ref(args))
                return fake.submitted[-1]

        return Remote()

    def put(self, value: Any) -> Any:
        self.put_objects.append(value)
        return ("ref", len(self.put_objects))

    def wait(self, refs: list[Ref], num_returns: int, timeout: float) -> tuple[list[Ref], Any]:
        assert num_returns == 1 and 0 < timeout < 10
        self.waited_for.append(len(refs))
        if self.hangs:
            return [], refs
        return [refs[len(refs) // 2]], []  # not the one that was submitted first

    def get(self, ref: Ref, timeout: float) -> Found:
        assert timeout > 0
        number = self.submitted.index(ref)
        if number in self.fails:
            raise self.fails[number]
        return Found(ref.args[0], (0,))

    def cancel(self, ref: Ref, force: bool) -> None:
        assert force
        self.cancelled.append(ref)


SETTINGS = Settings("float32", 3, True, 1, 1 << 20)


def some_tasks(count: int) -> Iterator[Task]:
    return (
        Task(SETTINGS, (BlockId(0, b, 10 * b, 10 * b + 10), BlockId(0, 99, 990, 1000)))
        for b in range(count)
    )


def executor(ray: Any, sources: Any = lambda block: [np.zeros((10, 2))]) -> RayTasks:
    return RayTasks(ray, sources, n_threads=1, memory=1 << 20, work=1e9)


def test_a_bounded_number_is_in_flight_and_all_are_done() -> None:
    ray = FakeRay(cpus=3)
    run = executor(ray)
    found = list(run(some_tasks(50)))
    assert len(found) == 50 == len({task.task.blocks[0].number for task in found})
    assert max(ray.waited_for) == 6 == run.most_in_flight
    assert ray.cancelled == []
    assert ray.options_given["memory"] == 1 << 20 and ray.options_given["num_cpus"] == 1
    assert ray.options_given["max_retries"] > 0 and ray.options_given["retry_exceptions"] is False


def test_rows_in_memory_are_put_once_and_files_go_by_name() -> None:
    ray = FakeRay()
    list(executor(ray)(some_tasks(5)))
    assert len(ray.put_objects) == 6  # five blocks, and the one that all tasks have
    ray = FakeRay()
    file = FileRows("/x.npy", 80, 0, (10, 2), (8, 4), "<f4")
    list(executor(ray, lambda block: [file])(some_tasks(5)))
    assert ray.put_objects == []
    assert ray.submitted[0].args[1] == [file]


@pytest.mark.parametrize(
    ("failure", "kind", "message"),
    [
        (FakeErrors.RayTaskError(ValueError("row 7 of X holds NaN")), ValueError, "row 7 of X"),
        (
            FakeErrors.RayTaskError(FileNotFoundError(2, "cannot be seen from here", "/x.npy")),
            FileNotFoundError,
            r"node 10\.0\.0\.7 cannot see the file of X .* all nodes mount .*/x\.npy",
        ),
        (FakeErrors.RayTaskError(MemoryError()), MemoryError, "give a smaller max_memory"),
        (
            FakeErrors.RayTaskError(ModuleNotFoundError("No module named 'ilo_fast'")),
            RuntimeError,
            "install ilo_fast on every node",
        ),
        (
            FakeErrors.RayTaskError(
                RuntimeError(
                    "The remote function failed to import on the worker. This may be because "
                    "dependencies are not installed:\n\nTraceback\n  File\n"
                    "ModuleNotFoundError: No module named 'ilo_fast'"
                )
            ),
            RuntimeError,
            r"a worker on node 10\.0\.0\.7 cannot import .*No module named 'ilo_fast'\): install",
        ),
        (FakeErrors.RayTaskError(KeyError("k"), "lost"), RuntimeError, "failed on a node: 'k'"),
        (FakeErrors.RayTaskError(KeyError("k")), RuntimeError, "rows 20 to 29 and 990 to 999"),
        (FakeErrors.OutOfMemoryError("x"), RuntimeError, r"1\.0 MB were reserved .* max_memory"),
        (FakeErrors.GetTimeoutError("x"), RuntimeError, "did not arrive within 600 s"),
        (FakeErrors.WorkerCrashedError("gone\nlong"), RuntimeError, "lost 6 times .*gone.*check"),
    ],
)
def test_a_failure_is_told_and_the_other_tasks_are_cancelled(failure, kind, message) -> None:
    ray = FakeRay(fails={2: failure})
    with pytest.raises(kind, match=message):
        list(executor(ray)(some_tasks(50)))
    assert len(ray.cancelled) > 0
    assert len(ray.submitted) < 50


def test_what_ray_cannot_pickle_is_told() -> None:
    ray = FakeRay()
    ray.refuses = TypeError("Could not serialize the function ilo_fast.graph.ray.tasks._run:\n===")
    with pytest.raises(RuntimeError, match=r"cannot send the task of rows 0 to 9.*\(Could not"):
        list(executor(ray)(some_tasks(5)))


def test_nothing_that_moves_ends_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10**6, 100))
    monkeypatch.setattr(tasks.time, "monotonic", lambda: float(next(clock)))
    ray = FakeRay(hangs=True)
    with pytest.raises(RuntimeError, match=r"none of 4 tasks finished within 1\d\d\d s"):
        list(executor(ray)(some_tasks(9)))
    assert len(ray.cancelled) == 4


def test_no_node_for_a_task_ends_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10**6, 20))
    monkeypatch.setattr(tasks.time, "monotonic", lambda: float(next(clock)))
    ray = FakeRay(hangs=True, memory=1 << 10)
    with pytest.raises(RuntimeError, match=r"no node .* 1 thread and 1\.0 MB; nodes offer 2 proc"):
        list(executor(ray)(some_tasks(9)))


def test_an_interrupt_cancels_what_is_in_flight() -> None:
    ray = FakeRay()
    results = executor(ray)(some_tasks(9))
    next(results)
    results.close()
    assert len(ray.cancelled) == 3


def test_what_a_task_takes_of_the_nodes() -> None:
    few, many = Node(4, 8 << 30), Node(32, 64 << 30)
    assert threads_of_task([few, many], None) == 4
    assert threads_of_task([many], None) == 16
    assert threads_of_task([few, many], 2) == 2
    assert threads_of_task([few, many], 99) == 4
    assert memory_of_task([few, many], 4) == min(int(0.6 * few.memory), int(0.6 * many.memory) // 8)
    assert slots([few, many], 4, 8 << 30) == 1 + 8
    assert slots([few], 1, 9 << 30) == 0


def test_without_the_package_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "ray" else find(name, *a)
    )
    with pytest.raises(ImportError, match=r"needs ray: pip install 'ilo_fast\[ray\]'"):
        knn_graph(np.eye(9, dtype=np.float32), 2, backend="ray")


def test_what_only_other_backends_take_is_refused() -> None:
    X = np.eye(9, dtype=np.float32)
    with pytest.raises(ValueError, match="queries is for backend='exact', not for backend='ray'"):
        knn_graph(X, 2, queries=X, backend="ray")
    with pytest.raises(ValueError, match="n_neighbors=9 needs at least 10 rows, got 9"):
        knn_graph(X, 9, backend="ray")


def test_time_is_that_of_the_machine() -> None:
    """The clock that the tests above replace is the one that is used."""
    assert tasks.time is time and cluster.nodes(FakeRay()) == [Node(2, 1 << 30)]
