"""Programs that ask a cluster for work, in processes of their own that tests start and kill."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

LIMIT_S = 420.0  # of a program: on a quiet machine it takes 10 to 15
_MARK = "FOUND "  # begins the line of a program's answer, among what Ray prints when it likes


def start(program: str, **asked: Any) -> subprocess.Popen[str]:
    """A program that reads what is asked from its first argument, as JSON."""
    return subprocess.Popen(
        [sys.executable, "-c", program, json.dumps(asked)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(driver: subprocess.Popen[str]) -> Any:
    """What a program answers; it is killed where it takes too long."""
    try:
        out, err = driver.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        driver.kill()
        raise
    assert driver.returncode == 0, err[-3000:]
    answers = [line for line in out.splitlines() if line.startswith(_MARK)]
    return json.loads(answers[-1].removeprefix(_MARK))


def wait_for(happened: Callable[[], bool], driver: subprocess.Popen[str]) -> None:
    end = time.monotonic() + LIMIT_S
    while not happened():
        assert driver.poll() is None, driver.communicate()[1][-3000:]
        assert time.monotonic() < end
        time.sleep(0.05)
