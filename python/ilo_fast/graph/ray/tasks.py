"""Tasks on a cluster: a bounded number at a time, and what goes wrong with them in words.

Ray runs a task again where its worker or node is lost. A task has no side effects and gives the
same bytes each time, so it does not matter how often it ran. Nothing waits for ever: limits below.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pickle import PicklingError
from typing import Any, Final

from ilo_fast._util.messages import byte_size, counted
from ilo_fast._util.ray_cluster import (
    Node,
    failed_import,
    first_line,
    nodes,
    not_sent,
    offered,
    slots,
    where_of,
)
from ilo_fast.graph.tiles.source import FileRows
from ilo_fast.graph.tiles.work import BlockId, Found, Source, Task, run

logger = logging.getLogger(__name__)

RETRIES: Final = 5  # of a task whose worker or node is lost
POLL_S: Final = 2.0
NO_ROOM_S: Final = 60.0  # no node alive can hold a task
IDLE_S: Final = 900.0  # nothing finishes, and this for each 1e12 multiply-adds of a task:
IDLE_S_PER_1E12: Final = 1000.0  # a hundredth of what one thread of a laptop does
FETCH_S: Final = 600.0  # a finished result does not arrive

_GOES_ON: Final = "With checkpoint= the same call goes on from the tiles that are finished"


class RayTasks:
    """Runs tasks; an instance serves one graph.

    Parameters
    ----------
    ray
        The module, connected.
    sources
        Where the rows of a block are. What is not in a file is handed to Ray once, when it is first
        needed: no node has to share a disk with this process then, and nodes that are on one
        machine share the memory. It lives as long as this process, as the graph does.
    n_threads, memory
        Of a task: what the scheduler reserves.
    work
        Multiply-adds of a task, at most.
    """

    def __init__(
        self,
        ray: Any,
        sources: Callable[[BlockId], Source],
        *,
        n_threads: int,
        memory: int,
        work: float,
    ) -> None:
        self._ray = ray
        self._sources = sources
        self._threads, self._memory = n_threads, memory
        self._idle_s = IDLE_S + IDLE_S_PER_1E12 * work / 1e12
        self._remote = ray.remote(_run).options(
            num_cpus=n_threads,
            memory=memory,
            max_retries=RETRIES,
            retry_exceptions=False,
            scheduling_strategy="SPREAD",
        )
        self._put: dict[BlockId, Any] = {}
        self.most_in_flight = 0

    def __call__(self, tasks: Iterator[Task]) -> Generator[Found, None, None]:
        """Run them, twice as many submitted as can run; give what is found as it comes.

        Raises
        ------
        ValueError, FileNotFoundError
            What a task raised.
        RuntimeError
            A task was lost, ran out of memory, has no node, or nothing moves.
        """
        pending: dict[Any, Task] = {}
        progressed = fits = time.monotonic()
        try:
            while True:
                # Anew each time: nodes come and go.
                room = 2 * max(1, slots(nodes(self._ray), self._threads, self._memory))
                while len(pending) < room and (task := next(tasks, None)) is not None:
                    pending[self._submit(task)] = task
                self.most_in_flight = max(self.most_in_flight, len(pending))
                if not pending:
                    return
                ready, _ = self._ray.wait(list(pending), num_returns=1, timeout=POLL_S)
                now = time.monotonic()
                for ref in ready:
                    yield self._result(ref, pending.pop(ref))
                    progressed = time.monotonic()
                if not ready:
                    fits = self._check_room(now, fits)
                    self._check_idle(now - progressed, len(pending))
        finally:
            for ref in pending:
                self._cancel(ref)

    def _submit(self, task: Task) -> Any:
        sources = [self._source(block) for block in task.blocks]
        try:
            return self._remote.remote(task, *sources)
        except (TypeError, PicklingError) as error:
            raise not_sent(f"the task of {_named(task)}", error) from error

    def _source(self, block: BlockId) -> Any:
        """Files by name; what is in memory as an object of Ray, put once."""
        if block in self._put:
            return self._put[block]
        source = self._sources(block)
        if all(isinstance(part, FileRows) for part in source):
            return source
        self._put[block] = self._ray.put(source)
        return self._put[block]

    def _result(self, ref: Any, task: Task) -> Found:
        errors = self._ray.exceptions
        where = f"the task of {_named(task)}"
        try:
            found = self._ray.get(ref, timeout=FETCH_S)
        except errors.RayTaskError as error:
            raise _told(error, where) from error
        except errors.OutOfMemoryError as error:
            raise RuntimeError(
                f"{where} ran out of memory on its node, again and again "
                f"({byte_size(self._memory)} were reserved for it): give a smaller max_memory, or "
                "stop what else runs there"
            ) from error
        except errors.GetTimeoutError as error:
            raise RuntimeError(
                f"{where} is finished, but its result did not arrive within {FETCH_S:.0f} s: look "
                "at the network and the object store (ray status, ray memory)"
            ) from error
        except errors.RayError as error:
            raise RuntimeError(
                f"{where} was lost {RETRIES + 1} times ({type(error).__name__}: "
                f"{first_line(error)}): see the logs of Ray on its nodes. {_GOES_ON}"
            ) from error
        assert isinstance(found, Found)
        return found

    def _check_room(self, now: float, fits: float) -> float:
        """When a node could last hold a task; raises where that is long ago."""
        available = nodes(self._ray)
        if slots(available, self._threads, self._memory) > 0:
            return now
        if now - fits > NO_ROOM_S:
            raise RuntimeError(too_large(available, self._threads, self._memory))
        return fits

    def _check_idle(self, idle: float, n_pending: int) -> None:
        if idle > self._idle_s:
            raise RuntimeError(
                f"none of {n_pending} tasks finished within {idle:.0f} s, the limit for their "
                f"size: look at the nodes (ray status, ray list tasks). {_GOES_ON}"
            )

    def _cancel(self, ref: Any) -> None:
        try:
            self._ray.cancel(ref, force=True)
        except Exception as error:  # the cluster may be gone: the first error is the one to tell
            logger.debug("cancelling a task: %s", error)


def _run(task: Task, *sources: Source) -> Found:
    """What a worker executes."""
    return run(task, sources)


def _told(error: Any, where: str) -> Exception:
    """What to raise for an exception of a task."""
    cause, at = error.cause, where_of(error)
    if isinstance(cause, FileNotFoundError):
        return FileNotFoundError(
            cause.errno,
            f"a worker on {at} cannot see the file of X ({cause.strerror}): put it on "
            "storage that all nodes mount under one path, or pass an array in memory",
            cause.filename,
        )
    if isinstance(cause, MemoryError):
        return MemoryError(f"{where} got no memory on {at}: give a smaller max_memory")
    missing = failed_import(cause)
    if missing is not None:
        return RuntimeError(
            f"a worker on {at} cannot import what it needs ({missing}): install ilo_fast on "
            "every node, in the environment that Ray runs in"
        )
    if isinstance(cause, (ValueError, OSError)):
        return cause
    return RuntimeError(f"{where} failed on {at}: {first_line(cause)}")


def _named(task: Task) -> str:
    rows = [f"{block.begin} to {block.end - 1}" for block in task.blocks]
    return f"rows {' and '.join(rows)}"


def too_large(available: Sequence[Node], threads: int, memory: int) -> str:
    """The message for a task that no node can hold."""
    return (
        f"no node of the cluster can hold a task of {counted(threads, 'thread')} and "
        f"{byte_size(memory)}; nodes offer {offered(available)}. Give a smaller max_memory or "
        "n_threads (and a new checkpoint), or add a node"
    )
