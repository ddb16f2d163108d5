"""How many threads a process should use."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def usable_processors() -> int:
    """Processors that this process may use: the least of what each of these says.

    The affinity of the process; the processor quota of its control group, which is how containers
    and cluster schedulers share a machine; ``OMP_NUM_THREADS``. More threads than that would only
    wait for each other.
    """
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        allowed = os.cpu_count() or 1
    limits = [allowed, quota_processors(), omp_threads()]
    return max(1, min(n for n in limits if n is not None))


def omp_threads() -> int | None:
    """The first number of ``OMP_NUM_THREADS``; None where there is none."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else None


def quota_processors(root: Path = _CGROUPS, own: Path = _OWN) -> int | None:
    """The quota of the control group, and of those around it, rounded up; None for no limit.

    Parameters
    ----------
    root
        Where control groups are mounted, of version 2 or 1.
    own
        The file that names this process's group.
    """
    found = []
    for folder in _groups(root, own):
        with contextlib.suppress(OSError, ValueError):
            quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
            found.append(math.ceil(int(quota) / int(period)))  # "max" is no number
        with contextlib.suppress(OSError, ValueError):
            quota = (folder / "cpu.cfs_quota_us").read_text(encoding="ascii")
            period = (folder / "cpu.cfs_period_us").read_text(encoding="ascii")
            if int(quota) > 0:  # -1: no limit
                found.append(math.ceil(int(quota) / int(period)))
    return max(1, min(found)) if found else None


def _groups(root: Path, own: Path) -> list[Path]:
    """Folders of the group and its parents, as far as they can be seen from here."""
    folders = [root, root / "cpu"]
    with contextlib.suppress(OSError):
        for line in own.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "cpu" not in controllers.split(","):
                continue
            base = root / "cpu" if controllers else root
            inner = Path(path.lstrip("/"))
            folders += [base / part for part in (inner, *inner.parents)]
    return folders
