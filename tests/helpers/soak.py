"""What tests/soak.py stands on: cases in processes of their own, damage to files, what is a fault.

Linux: a case is a fork of the process that has imported everything, so that a crash is its own, and
it can be killed at any moment.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ilo_fast import AccessError
from ilo_fast.cli import main

PACKAGE = Path(__import__("ilo_fast").__file__).parent
# What users are to meet; a subclass is as good.
EXPECTED = (ValueError, TypeError, OSError, ImportError, AccessError)
# A library's words in place of ours.
RAW = ("incompatible function arguments", "Invoked with", "a bug in ilo_fast", "object has no attr")
PATIENCE = 240  # seconds; a case that takes longer hangs


class Fault(Exception):  # noqa: N818
    """An outcome that is neither the right value nor a clear error."""


def own_error(error: BaseException) -> bool:
    """Whether an error was raised by ilo_fast with words of its own.

    Its last frame is a ``raise`` of the package, or a call of its core.
    """
    if isinstance(error, FileNotFoundError) and error.filename:
        return True  # Python's own says it all
    frames = traceback.extract_tb(error.__traceback__)
    inside = bool(frames) and PACKAGE in Path(frames[-1].filename).parents
    line = (frames[-1].line or "") if frames else ""
    said = inside and (line.startswith("raise") or "_core." in line or line == "")
    lines = str(error).strip()
    return isinstance(error, EXPECTED) and said and bool(lines) and not any(r in lines for r in RAW)


def refused_or(call: Callable[[], Any], check: Callable[[Any], None]) -> str:
    """Run `call`: "refused" where it raises an error of ours, "right" where `check` is content."""
    try:
        value = call()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if own_error(error):
            return "refused"
        where = traceback.extract_tb(error.__traceback__)[-1]
        raise Fault(
            f"{type(error).__name__}: {str(error)[:200]!r} from {Path(where.filename).name}:"
            f"{where.lineno} ({where.line})"
        ) from error
    check(value)
    return "right"


def wanted(condition: Any, message: str) -> None:
    if not condition:
        raise Fault(message)


# ---- processes


def forked(case: Callable[[], str], *, kill_after: float | None = None) -> str:
    """The outcome of `case` in a process of its own; "killed" where it was in time.

    Raises
    ------
    Fault
        What the case found, or a crash, or a case that hangs.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setsid()
        try:
            outcome = {"outcome": case()}
        except Fault as fault:
            outcome = {"fault": str(fault)}
        except BaseException as error:
            outcome = {"fault": f"{type(error).__name__}: {error}"[:400]}
        with os.fdopen(writing, "w") as out:
            json.dump(outcome, out)
        os._exit(0)
    os.close(writing)
    deadline = time.monotonic() + (PATIENCE if kill_after is None else kill_after)
    status = None
    while status is None:
        found, code = os.waitpid(child, os.WNOHANG)
        if found:
            status = code
        elif time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL) if _leads(child) else os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(reading)
            if kill_after is None:
                raise Fault(f"still at it after {PATIENCE} s")
            return "killed"
        else:
            time.sleep(0.002)
    with os.fdopen(reading) as source:
        text = source.read()
    if not text:
        raise Fault(f"crashed: signal {os.waitstatus_to_exitcode(status)}")
    outcome = json.loads(text)
    if "fault" in outcome:
        raise Fault(outcome["fault"])
    return str(outcome["outcome"])


def _leads(child: int) -> bool:
    try:
        return os.getpgid(child) == child
    except ProcessLookupError:
        return False


# ---- damage


def damaged(folder: Path, rng: np.random.Generator, names: str = "*") -> str:
    """Spoil one file below a folder; says which and how."""
    files = sorted(f for f in folder.rglob(names) if f.is_file() and not f.name.endswith(".lock"))
    if not files:
        return "nothing"
    file = files[rng.integers(len(files))]
    data = bytearray(file.read_bytes())
    ways = ["flip", "truncate", "remove", "empty", "append", "noise", "swap"]
    way = ways[rng.integers(len(ways))] if data else "remove"
    if way == "flip":
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    elif way == "truncate":
        del data[rng.integers(len(data)) :]
    elif way == "empty":
        data.clear()
    elif way == "append":
        data += rng.bytes(int(rng.integers(1, 50)))
    elif way == "noise":
        at = int(rng.integers(len(data)))
        noise = rng.bytes(int(rng.integers(1, 200)))
        data[at : at + len(noise)] = noise
    if way == "remove":
        file.unlink()
    elif way == "swap":  # with another file of the folder
        other = files[rng.integers(len(files))]
        file.write_bytes(other.read_bytes())
    else:
        file.write_bytes(data)
    return f"{way} {file.relative_to(folder)}"


def copied(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    return target


# ---- commands


def command(*argv: str) -> tuple[int, str]:
    """Exit status and output of the command line, in this process; a fault in what it says."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            status = main(list(argv))
        except SystemExit as exit_:
            status = int(exit_.code or 0)
    text = out.getvalue()
    for raw in ("Traceback", *RAW):
        at = text.find(raw)
        wanted(at < 0, f"{argv[0]} says {text[max(0, at - 300) : at + 200]!r}")
    hidden = [c for c in text if c in "\x00\x07\x08\x1b\x9b" or "\u202a" <= c <= "\u202e"]
    wanted(not hidden, f"{argv[0]} sends control characters {sorted(set(hidden))} to the terminal")
    wanted(status in (0, 1, 2, 3), f"{argv[0]} exits with {status}")
    return status, text


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """What libraries write to the process's standard error goes nowhere."""
    null, kept = os.open(os.devnull, os.O_WRONLY), os.dup(2)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(null)


# ---- what callers pass

ODD_VALUES: list[Any] = [
    None, "", "x", -1, 0, 1.5, 10**20, -(10**20), float("nan"), b"b", [], {}, (), object(),
    "../up", "\x1b[2J", True, "1e9", "9" * 50 + "TB", Path("."), [1, "a"],
]  # fmt: skip
ODD_LINES = [
    "\x1b[31mred\x1b[0m", "\x00", "\u202eabc", "a" * 20000, "\ufeff", "\u200b", "\r", "", "\x9b2J",
    "é" * 50, "\U0001f600" * 20, "<script>alert(1)</script>", "$(rm -rf x)", "í ½", "\t\t", "../up",
]  # fmt: skip
ODD_NAMES = ["\x1b[2Jxx_Latn", "a b", "-rf", "eng_Latn\u202e", "CON", "x" * 99]
