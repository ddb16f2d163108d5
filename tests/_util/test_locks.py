"""A lock that another process holds is refused, or waited for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ilo_fast._util.locks import acquire, locked

HOLDER = """
import sys
from pathlib import Path
from ilo_fast._util.locks import acquire
lock = acquire(Path(sys.argv[1]))
assert lock is not None
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".lock"


@pytest.fixture
def other(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_lock_of_another_process_is_refused(path: Path, other: subprocess.Popen[str]) -> None:
    assert acquire(path) is None
    with pytest.raises(ValueError, match="in use"), locked(path, "in use"):
        pytest.fail("two processes hold the lock")


def test_lock_is_had_once_the_other_process_ends(path: Path, other: subprocess.Popen[str]) -> None:
    assert other.stdin is not None
    other.stdin.close()
    lock = acquire(path, wait=True)
    assert lock is not None and lock.is_locked
    lock.release()


def test_lock_of_a_killed_process_is_free(path: Path, other: subprocess.Popen[str]) -> None:
    other.kill()
    other.wait()
    with locked(path, "in use"):
        assert acquire(path) is None


@pytest.mark.parametrize("error", [RuntimeError(), KeyboardInterrupt()])
def test_lock_is_free_after_an_error(path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), locked(path, "in use"):
        raise error
    with locked(path, "in use"):
        pass
