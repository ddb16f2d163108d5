"""A Ray cluster that is there: a connection, what its nodes can hold, and errors in words."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from ilo_fast._util.messages import byte_size, counted
from ilo_fast._util.optional import require

_THREADS: Final = 16  # of a task, unless asked for more
_SHARE: Final = 0.6  # of a node's memory for tasks, unless said otherwise


@dataclass(frozen=True)
class Node:
    """What a node offers to tasks: processors, bytes of memory, GPUs."""

    cpus: int
    memory: int
    gpus: int = 0

    def tasks(self, threads: int, memory: int, gpus: int = 0) -> int:
        """How many tasks of this size it can run at a time."""
        most = min(self.cpus // threads, self.memory // max(1, memory))
        return min(most, self.gpus // gpus) if gpus else most


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
            memory, gpus = int(resources.get("memory", 0)), int(resources.get("GPU", 0))
            found.append(Node(cpus, memory, gpus))
    return found


def threads_of_task(available: Sequence[Node], asked: int | None) -> int:
    """Threads of a task: as asked, else 16, but no more than the smallest node has."""
    return min(asked or _THREADS, min(node.cpus for node in available))


def memory_of_task(available: Sequence[Node], threads: int) -> int:
    """What a task may take where nothing is said: its share of most of the smallest node."""
    return min(int(_SHARE * node.memory) // max(1, node.cpus // threads) for node in available)


def slots(available: Sequence[Node], threads: int, memory: int, gpus: int = 0) -> int:
    """Tasks that can run at a time."""
    return sum(node.tasks(threads, memory, gpus) for node in available)


def offered(available: Sequence[Node]) -> str:
    """What nodes offer, for a message."""
    each = set()
    for node in available:
        gpus = f", {counted(node.gpus, 'GPU')}" if node.gpus else ""
        each.add(f"{counted(node.cpus, 'processor')}{gpus} and {byte_size(node.memory)}")
    return ", ".join(sorted(each)) or "nothing: none is alive"


def where_of(error: Any) -> str:
    """The node on which a task raised `error`: ``"node 10.0.0.7"``, or ``"a node"``.

    What `ray.get` raises is of the class of the cause, and keeps the address in its text alone.
    """
    address = vars(error).get("ip")
    if address is None:
        found = re.search(r"\bip=([^\s,()]+)", str(error))
        address = None if found is None else found[1]
    return "a node" if address is None else f"node {address}"


def first_line(error: Any) -> str:
    """The first line of what an error says; its class where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def failed_import(cause: Any) -> str | None:
    """What a worker could not import; None where `cause` is no such error.

    Of a function or class that it cannot load Ray makes a RuntimeError with a trace in its text.
    """
    if isinstance(cause, ImportError):
        return str(cause)
    text = str(cause)
    if isinstance(cause, RuntimeError) and "failed to import on the worker" in text:
        return text.strip().splitlines()[-1].strip()[:300]
    return None


def not_sent(what: str, error: Exception) -> RuntimeError:
    """The error where Ray cannot pickle what is to run on its workers."""
    return RuntimeError(
        f"Ray cannot send {what} to its workers ({first_line(error)}): something of it was "
        "replaced or wrapped in this process, or is no plain value"
    )
