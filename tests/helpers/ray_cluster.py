"""A Ray cluster of several nodes on this machine, for tests; started slowly where it must be.

On a busy machine the processes of a node come up later than Ray expects: ports are given, so that
nobody waits for them to be found out, and what is late counts as dead only after minutes.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from typing import Any

MEMORY = 2 << 30  # bytes that a node offers to tasks
_STORE = 100 << 20
_TRIES = 5
_PATIENT = {
    "agent_register_timeout_ms": 300_000,
    "gcs_server_request_timeout_seconds": 300,
    "health_check_timeout_ms": 30_000,
    "worker_register_timeout_seconds": 300,
}


class LocalCluster:
    """Nodes of one processor each; the first is the head, to which drivers connect.

    Each offers `memory` bytes to tasks.
    """

    def __init__(self, memory: int = MEMORY) -> None:
        self._memory = memory
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        from ray.cluster_utils import Cluster

        self._cluster = Cluster()
        self._start(include_dashboard=False, _system_config=_PATIENT)
        self.address: str = self._cluster.address

    def add(self) -> Any:
        """One more node; from the main thread only."""
        return self._start()

    def _start(self, **options: Any) -> Any:
        for tries_left in reversed(range(_TRIES)):
            try:
                return self._cluster.add_node(**_node(self._memory), **options)
            except Exception:  # some of Ray's limits cannot be set: its agents have 15 s to come up
                if not tries_left:
                    raise

    def remove(self, node: Any) -> None:
        """Kill all processes of a node."""
        self._cluster.remove_node(node, allow_graceful=False)

    def shutdown(self) -> None:
        self._cluster.shutdown()


@contextlib.contextmanager
def local_cluster(memory: int = MEMORY) -> Iterator[LocalCluster]:
    """A cluster of one node, which ends with the block."""
    cluster = LocalCluster(memory)
    try:
        yield cluster
    finally:
        cluster.shutdown()


def _node(memory: int) -> dict[str, Any]:
    names = (
        "metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port",
        "runtime_env_agent_port",
    )  # fmt: skip
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    return {"num_cpus": 1, "memory": memory, "object_store_memory": _STORE, **ports}


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at the moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
