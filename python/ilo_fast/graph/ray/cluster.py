"""The cluster that is there: a connection to it, and what its nodes can hold."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from ilo_fast._util.messages import byte_size
from ilo_fast._util.optional import require

_THREADS: Final = 16  # of a task, unless asked for more
_SHARE: Final = 0.6  # of a node's memory for tasks, unless said otherwise


@dataclass(frozen=True)
class Node:
    """What a node offers to tasks: processors, and bytes of memory."""

    cpus: int
    memory: int

    def tasks(self, threads: int, memory: int) -> int:
        """How many tasks of this size it can run at a time."""
        return min(self.cpus // threads, self.memory // max(1, memory))


@contextmanager
def connected() -> Iterator[Any]:
    """The module ``ray``, connected: as it is, or else to a cluster that runs here.

    None is started: how many machines there are is not for a library to guess.

    Raises
    ------
    ImportError
        ray is missing.
    RuntimeError
        No cluster runs here.
    """
    require("ray", "ray")
    import ray

    if ray.is_initialized():
        yield ray
        return
    try:
        ray.init(address="auto", log_to_driver=False, logging_level=logging.WARNING)
    except RuntimeError as error:  # such as another version of Ray or Python
        raise RuntimeError(f"backend='ray' cannot join the Ray cluster: {error}") from error
    except ConnectionError as error:
        raise RuntimeError(
            "backend='ray' finds no Ray cluster: run 'ray start --head' on one machine and "
            "'ray start --address=HEAD:6379' on the others, or call ray.init() before to use this "
            f"machine alone; where one runs, its token may be missing here ({error})"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def nodes(ray: Any) -> list[Node]:
    """Nodes that are alive and have processors for tasks."""
    found = []
    for node in ray.nodes():
        resources = node["Resources"]
        cpus = int(resources.get("CPU", 0))
        if node["Alive"] and cpus > 0:
            found.append(Node(cpus, int(resources.get("memory", 0))))
    return found


def threads_of_task(available: Sequence[Node], asked: int | None) -> int:
    """Threads of a task: as asked, else 16, but no more than the smallest node has."""
    return min(asked or _THREADS, min(node.cpus for node in available))


def memory_of_task(available: Sequence[Node], threads: int) -> int:
    """What a task may take where nothing is said: its share of most of the smallest node."""
    return min(int(_SHARE * node.memory) // max(1, node.cpus // threads) for node in available)


def slots(available: Sequence[Node], threads: int, memory: int) -> int:
    """Tasks that can run at a time."""
    return sum(node.tasks(threads, memory) for node in available)


def too_large(available: Sequence[Node], threads: int, memory: int) -> str:
    """The message for a task that no node can hold."""
    largest = ", ".join(
        sorted({f"{node.cpus} processors and {byte_size(node.memory)}" for node in available})
    )
    return (
        f"no node of the cluster can hold a task of {threads} threads and {byte_size(memory)}; "
        f"nodes offer {largest or 'nothing: none is alive'}. Give a smaller max_memory or "
        "n_threads (and a new checkpoint), or add a node"
    )
