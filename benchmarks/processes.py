"""Measurements in processes of their own: what several benchmarks share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def in_process(script: str, task: dict[str, Any]) -> dict[str, Any]:
    """What ``script --work TASK`` prints last, with as many threads as the task says."""
    done = subprocess.run(
        [sys.executable, script, "--work", json.dumps(task)],
        env={**os.environ, "OMP_NUM_THREADS": str(task["threads"])},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def memory(kind: str) -> int:
    """Bytes now (VmRSS), or at the most (VmHWM). ru_maxrss would count the parent's, too."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{kind}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"the system does not tell {kind}")
