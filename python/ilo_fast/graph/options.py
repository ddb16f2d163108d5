"""Checks of the options that graphs and scores take."""

from __future__ import annotations

import re
from typing import Any

from ilo_fast._util.checks import choice, whole_number
from ilo_fast._util.processors import usable_processors


def as_bytes(value: Any, name: str) -> int:
    """A number of bytes, from an int or a string such as "6GiB" or "500 MB"."""
    if not isinstance(value, str):
        return whole_number(name, value)
    units = {unit: 1000**p for p, unit in enumerate(("b", "kb", "mb", "gb", "tb"))}
    units |= {unit: 1024**p for p, unit in enumerate(("", "kib", "mib", "gib", "tib")) if p}
    match = re.fullmatch(r"\s*(\d{1,30}(?:\.\d+)?)\s*([a-z]*)\s*", value.lower())
    unit = match and units.get(match[2] or "b")
    if not match or not unit or int(float(match[1]) * unit) < 1:
        raise ValueError(f"{name}={value!r} is no size: give bytes, or a string such as '6GiB'")
    return whole_number(name, int(float(match[1]) * unit))


def check_metric(metric: str) -> None:
    """Raise ValueError for an unknown metric."""
    choice("metric", metric, ("cosine", "euclidean"))


APPROXIMATE = ("hnsw", "partitioned")
"""Backends whose neighbours may differ from those of all others, which are the same."""


def chosen_backend(backend: str) -> str:
    """The engine that ``backend`` names; "auto" is the exact one on the CPU."""
    choice("backend", backend, ("auto", "exact", "cuda", "ray", *APPROXIMATE))
    return "exact" if backend == "auto" else backend


def thread_count(n_threads: int | None) -> int:
    """``n_threads`` as a number of threads, at most 1024; None: all that the process may use."""
    if n_threads is None:
        return usable_processors()
    return min(1024, whole_number("n_threads", n_threads))
