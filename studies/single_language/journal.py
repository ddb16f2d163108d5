"""Runs in a folder: one result.json each, written whole or not at all; finished ones are kept."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from .plan import Run

SCHEMA = 1


class _Missing:
    """A setting that one side does not have: equal to no value, None neither."""

    def __repr__(self) -> str:
        return "missing"


_MISSING = _Missing()


class MismatchError(Exception):
    """A finished run was made with other settings."""


def write_text(path: Path, text: str) -> None:
    """Write to a file aside, then rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, data: Any) -> None:
    """As `write_text`; null stands for numbers that are not finite."""
    write_text(path, json.dumps(_finite(data), allow_nan=False) + "\n")


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


class Journal:
    """The finished runs of a study, ``folder/runs/NAME/result.json``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def folder_of(self, run: Run) -> Path:
        """Where a run works and leaves its result."""
        return self.folder / "runs" / run.name

    def read(self, run: Run, settings: dict[str, Any]) -> dict[str, Any] | None:
        """The result of a run; None where it is not finished.

        Raises
        ------
        MismatchError
            Where it was made with other settings, naming them.
        """
        return self._read(self.folder_of(run) / "result.json", settings)

    def write(self, run: Run, settings: dict[str, Any], result: dict[str, Any]) -> None:
        """Keep a result."""
        self._write(self.folder_of(run) / "result.json", settings, {"run": run.to_dict(), **result})

    def once(
        self, name: str, settings: dict[str, Any], make: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """What ``folder/NAME.json`` holds, made first where it is missing."""
        path = self.folder / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            found = self._read(path, settings)
            if found is None:
                self._write(path, settings, make())
                found = self._read(path, settings)
                assert found is not None
        return found

    @contextlib.contextmanager
    def claim(self, run: Run) -> Iterator[bool]:
        """Whether the run is this process's; not where another one is at work on it."""
        folder = self.folder_of(run)
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def has(self, run: Run) -> bool:
        """Whether the run is finished, whatever its settings: `read` looks at those."""
        return (self.folder_of(run) / "result.json").is_file()

    def elsewhere(self, run: Run) -> bool:
        """Whether another process is at work on the run."""
        if not (self.folder_of(run) / ".lock").is_file():
            return False
        with self.claim(run) as ours:
            return not ours

    @contextlib.contextmanager
    def reporting(self) -> Iterator[None]:
        """One process at a time: who reads later what is finished also writes later."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".report.lock"):
            yield

    def _read(self, path: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
        if not path.is_file():
            return None
        found = json.loads(path.read_text(encoding="utf-8"))
        theirs = found["settings"]
        wanted = json.loads(json.dumps(settings))
        keys = theirs.keys() | wanted.keys()
        pairs = {k: (theirs.get(k, _MISSING), wanted.get(k, _MISSING)) for k in sorted(keys)}
        other = {k: pair for k, pair in pairs.items() if pair[0] != pair[1]}
        if found.get("schema") != SCHEMA or other:
            shown = ", ".join(f"{k} was {was!r}, is {now!r}" for k, (was, now) in other.items())
            raise MismatchError(
                f"{path} was made with other settings ({shown or 'another version'}): "
                "give the same flags, another --out, or remove it"
            )
        return found

    def _write(self, path: Path, settings: dict[str, Any], result: dict[str, Any]) -> None:
        write_json(path, {"schema": SCHEMA, "settings": settings, **result})


class Progress:
    """Lines on stderr: what is done, how long it took, how much time is left.

    Several processes may work on one plan. What others have done is counted where it is handed to
    `done`; the time left is that of one process that does all the rest.
    """

    def __init__(self, plan: Sequence[Run], expected: Callable[[Run], float]) -> None:
        self.left = list(plan)
        self._n = len(plan)
        self._expected = expected
        self._took: dict[tuple[str, str, str], list[float]] = {}
        self._started = time.perf_counter()

    def estimate(self) -> float:
        """Seconds that the runs not yet done will take.

        A run takes as long as those of its condition did; else what was expected of it, by the
        factor by which the expectation has erred for other runs.
        """
        known = [
            (sum(times), self._expected(Run(task, "", label, condition, 0)) * len(times))
            for (task, label, condition), times in self._took.items()
        ]
        factor = sum(t for t, _ in known) / sum(e for _, e in known) if known else 1.0
        total = 0.0
        for run in self.left:
            times = self._took.get((run.task, run.label, run.condition))
            total += sum(times) / len(times) if times else factor * self._expected(run)
        return total

    def done(self, run: Run, seconds: float | None, note: str = "") -> None:
        """A run is finished; ``seconds`` is None where it was not finished here and now."""
        self.left.remove(run)
        if seconds is None:
            return
        self._took.setdefault((run.task, run.label, run.condition), []).append(seconds)
        number = self._n - len(self.left)
        spent = time.perf_counter() - self._started
        say(
            f"[{number}/{self._n}] {run.name}: {seconds:.0f} s{note}; {clock(spent)} spent, about "
            f"{clock(self.estimate())} left for this process alone"
        )


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"


def say(text: str) -> None:
    """A line on stderr."""
    print(text, file=sys.stderr, flush=True)
