"""One batch per core, rather than all cores on one batch.

The operations of a small model are too short to share: threads wait for each other at the end of
each, and on a busy machine for whichever was preempted. Threads with batches of their own never
wait for each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

# Each running batch holds its own activations, so a big machine gets no worker per core.
_MAX_WORKERS = 8


class Workers:
    """Threads that run batches side by side, and share the cores between them; a context.

    Parameters
    ----------
    n_threads
        Cores to use in total; 1 runs everything in the calling thread.
    """

    def __init__(self, n_threads: int) -> None:
        self.count = max(1, min(n_threads, _MAX_WORKERS))
        self._each = max(1, n_threads // self.count)
        self._before = torch.get_num_threads()
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Workers:
        if self.count > 1:
            self._before = torch.get_num_threads()
            self._pool = ThreadPoolExecutor(
                self.count,
                thread_name_prefix="ilo-worker",
                initializer=torch.set_num_threads,
                initargs=(self._each,),
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            # After an error or Ctrl-C: wait for the batches under way, drop those not begun.
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
            # A thread's number of cores is its own, but it also becomes that of threads to come.
            torch.set_num_threads(self._before)

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """``map`` in order, a few items ahead of the caller; the first error stops it."""
        if self._pool is None:
            yield from map(work, items)
            return
        ahead: deque[Future[Result]] = deque()
        source = iter(items)
        try:
            for item in source:
                ahead.append(self._pool.submit(work, item))
                if len(ahead) > 2 * self.count:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()
