"""How many workers extract on a Ray cluster, and what each takes of its node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ilo_fast._util.checks import whole_number


@dataclass(frozen=True)
class RayWorkers:
    """Workers of ``extract(..., backend="ray")``; each loads the model once.

    Parameters
    ----------
    count
        How many. None: as many as the cluster holds, and as there is work for.
    n_threads
        Of a worker. None: 8, or what the smallest node has; beside a GPU 1.
    memory
        Bytes that are reserved for a worker. None: twice its weight files and 1 GiB.

    Raises
    ------
    ValueError, TypeError
        One that is no whole number from 1.
    """

    count: int | None = None
    n_threads: int | None = None
    memory: int | None = None

    def __post_init__(self) -> None:
        for name in ("count", "n_threads", "memory"):
            value: Any = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, whole_number(name, value))
