"""Workers on a cluster: a bounded number of shards at a time, and what goes wrong in words.

Ray makes a worker anew where its process or node is lost, and gives it its shards again. A shard
has no side effect but its files, which are the same each time, so it does not matter how often it
was computed. Nothing waits for ever: limits below.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import PicklingError
from typing import Any, Final

from ilo_fast._util.messages import byte_size, counted
from ilo_fast._util.ray_cluster import (
    failed_import,
    first_line,
    nodes,
    not_sent,
    offered,
    slots,
    where_of,
)
from ilo_fast.errors import AccessError, CorpusError
from ilo_fast.representations.preparation import Prepared
from ilo_fast.representations.ray.work import Done, Identity, Settings, ShardWork, Spec
from ilo_fast.representations.ray.worker import Worker
from ilo_fast.representations.shards import Shard, named

logger = logging.getLogger(__name__)

RETRIES: Final = 5  # of a shard whose worker or node is lost
AHEAD: Final = 2  # shards of a worker: one at work, one that waits
POLL_S: Final = 2.0
NO_ROOM_S: Final = 60.0  # no node alive can hold a worker
LOAD_S: Final = 3600.0  # no worker has loaded the model
IDLE_S: Final = 900.0  # no shard finishes, and beside it
IDLE_S_PER_1E10: Final = 1.0  # this for each 1e10 multiply-adds: a fraction of what a thread does

_GOES_ON: Final = "The same call goes on from the shards that are finished"


@dataclass(frozen=True)
class Size:
    """What a worker takes of its node."""

    n_threads: int
    memory: int
    gpus: int


class Pool:
    """Workers of one model; to be closed.

    Parameters
    ----------
    ray
        The module, connected.
    spec
    size
    most
        Workers, at most; there are no more than the cluster holds.
    """

    def __init__(self, ray: Any, spec: Spec, size: Size, most: int) -> None:
        self._ray = ray
        self._spec, self._size, self._most = spec, size, most
        self._class = ray.remote(Worker).options(
            num_cpus=size.n_threads,
            num_gpus=size.gpus,
            memory=size.memory,
            max_restarts=-1,
            max_task_retries=RETRIES,
            scheduling_strategy="SPREAD",
        )
        self._workers: list[Any] = []
        self.most_in_flight = 0

    @property
    def count(self) -> int:
        """How many workers there are."""
        return len(self._workers)

    def close(self) -> None:
        """End the workers. What they were doing is given up."""
        for worker in self._workers:
            try:
                self._ray.kill(worker)
            except (
                Exception
            ) as error:  # the cluster may be gone: the first error is the one to tell
                logger.debug("ending a worker: %s", error)
        self._workers.clear()

    def identify(self) -> Identity:
        """What the model is, as the first worker says that has loaded it; all begin to load it.

        Raises
        ------
        Exception
            As `run`.
        """
        self._grow()
        asked = {self._send(worker.identify): worker for worker in self._workers}
        ref = self._first(list(asked))
        # It is asked first from now on: others may have to wait for room.
        self._workers.sort(key=lambda worker: worker is not asked[ref])
        found = self._result(ref, "the model")
        assert isinstance(found, Identity)
        return found

    def prepare(
        self, settings: Settings, samples: Sequence[Sequence[int]], checked: bool
    ) -> Prepared:
        """What the work needs to know, as one worker finds it."""
        self._grow()
        ref = self._first([self._send(self._workers[0].prepare, settings, samples, checked)])
        found = self._result(ref, "the model")
        assert isinstance(found, Prepared)
        return found

    def run(
        self, shards: Sequence[Shard], packed: Callable[[Shard], ShardWork], work: float
    ) -> Iterator[tuple[Shard, Done]]:
        """Compute shards; gives each as it is finished, once.

        Parameters
        ----------
        packed
            Makes of a shard what is sent.
        work
            Multiply-adds of a shard, at most.

        Raises
        ------
        CorpusError, AccessError, ValueError, FloatingPointError, OSError
            What a worker raised.
        RuntimeError
            A shard was lost again and again, no node holds a worker, or nothing moves.
        """
        limit = IDLE_S + IDLE_S_PER_1E10 * work / 1e10
        todo = deque(range(len(shards)))
        pending: dict[Any, tuple[Any, int]] = {}
        left = set(todo)
        progressed = fits = time.monotonic()
        while left:
            self._grow(len(left))
            for worker, number in self._next(todo, pending, left):
                pending[self._send(worker.represent, packed(shards[number]))] = worker, number
            self.most_in_flight = max(self.most_in_flight, len(pending))
            ready, _ = self._ray.wait(list(pending), num_returns=1, timeout=POLL_S)
            for ref in ready:
                _, number = pending.pop(ref)
                if number not in left:
                    continue  # a copy
                found = self._result(ref, named(shards[number]))
                assert isinstance(found, Done)
                left.discard(number)
                yield shards[number], found
                progressed = time.monotonic()
            if not ready:
                now = time.monotonic()
                fits = self._check_room(now, fits)
                if now - progressed > limit:
                    raise RuntimeError(
                        f"none of {len(left)} shards finished within {now - progressed:.0f} s, the "
                        f"limit for their size: look at the nodes (ray status). {_GOES_ON}"
                    )

    def _next(
        self, todo: deque[int], pending: dict[Any, tuple[Any, int]], left: set[int]
    ) -> Iterator[tuple[Any, int]]:
        """What is to be given to whom now.

        Where nothing is left to give, a worker without work takes a copy of the shard that has
        waited longest: the worker that has it may be lost, with no room to make it anew.
        """
        loads = Counter({worker: 0 for worker in self._workers})
        loads.update(worker for worker, _ in pending.values())
        for depth in range(AHEAD):
            for worker in self._workers:
                if loads[worker] == depth and todo:
                    loads[worker] += 1
                    yield worker, todo.popleft()
        copies = Counter(number for _, number in pending.values())
        once = deque(number for _, number in pending.values() if copies[number] == 1)
        for worker in self._workers:
            if loads[worker] == 0:
                while once and once[0] not in left:
                    once.popleft()
                if once:
                    yield worker, once.popleft()

    def _grow(self, useful: int | None = None) -> None:
        """Make workers for what the cluster holds now: nodes come and go."""
        most = self._most if useful is None else min(self._most, useful)
        held = slots(nodes(self._ray), self._size.n_threads, self._size.memory, self._size.gpus)
        if not self._workers and held == 0:
            raise RuntimeError(self._too_large())
        for _ in range(min(most, held) - len(self._workers)):
            self._workers.append(self._send(self._class, self._spec))

    def _send(self, call: Any, *arguments: Any) -> Any:
        try:
            return call.remote(*arguments)
        except (TypeError, PicklingError) as error:
            raise not_sent("the work of extraction", error) from error

    def _first(self, refs: list[Any]) -> Any:
        """The first that has ended."""
        start = fits = time.monotonic()
        while True:
            ready, _ = self._ray.wait(refs, num_returns=1, timeout=POLL_S)
            if ready:
                return ready[0]
            now = time.monotonic()
            fits = self._check_room(now, fits)
            if now - start > LOAD_S:
                raise RuntimeError(
                    f"no worker has loaded the model within {LOAD_S:.0f} s: look at the nodes (ray "
                    "status, ray logs)"
                )

    def _result(self, ref: Any, what: str) -> Any:
        errors = self._ray.exceptions
        try:
            return self._ray.get(ref, timeout=LOAD_S)
        except errors.RayTaskError as error:
            raise _told(error, what, self._spec.cache) from error
        except errors.RayError as error:
            raise RuntimeError(
                f"{what}: the worker was lost {RETRIES + 1} times ({type(error).__name__}: "
                f"{first_line(error)}); {byte_size(self._size.memory)} were reserved for it, and "
                "where memory runs out, Ray ends it: see its logs, and RayWorkers(memory=...). "
                f"{_GOES_ON}"
            ) from error

    def _check_room(self, now: float, fits: float) -> float:
        """When a node could last hold a worker; raises where that is long ago."""
        size = self._size
        if slots(nodes(self._ray), size.n_threads, size.memory, size.gpus) > 0:
            return now
        if now - fits > NO_ROOM_S:
            raise RuntimeError(self._too_large())
        return fits

    def _too_large(self) -> str:
        size = self._size
        gpu, cpu = (" and a GPU", " or device='cpu'") if size.gpus else ("", "")
        return (
            f"no node of the cluster can hold a worker of {counted(size.n_threads, 'thread')}, "
            f"{byte_size(size.memory)}{gpu}; nodes offer {offered(nodes(self._ray))}. Pass "
            f"workers=RayWorkers(n_threads=..., memory=...){cpu}, or add a node"
        )


def _told(error: Any, what: str, cache: str) -> Exception:
    """What to raise for an exception of a worker."""
    cause, at = error.cause, where_of(error)
    if isinstance(cause, FileNotFoundError) and Path(str(cause.filename)).is_relative_to(cache):
        return FileNotFoundError(
            cause.errno,
            f"a worker on {at} cannot see the cache ({cause.strerror}): give cache= a folder that "
            "all nodes mount under one path",
            cause.filename,
        )
    missing = failed_import(cause)
    if missing is not None:
        return RuntimeError(
            f"a worker on {at} cannot import what it needs ({missing}): install ilo_fast on every "
            "node, in the environment that Ray runs in"
        )
    if isinstance(cause, AccessError):
        return AccessError(
            f"on {at}: {cause}: each worker loads the model, from storage or the Hub"
        )
    if isinstance(cause, MemoryError):
        return MemoryError(f"{what}: a worker on {at} got no memory: choose fewer layers=")
    if type(cause) is ValueError:  # of the model, or of what is installed there
        return ValueError(f"on {at}: {cause}")
    if isinstance(cause, (CorpusError, ValueError, OSError, FloatingPointError)):
        return cause
    return RuntimeError(
        f"{what}: a worker on {at} failed: {type(cause).__name__}: {first_line(cause)}"
    )
