"""The exact engine on a GPU: what can be used, and calls of it."""

from __future__ import annotations

import functools
import importlib.util
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ilo_fast import _core
from ilo_fast.graph.arrays import Stack, of_one_layout, strides
from ilo_fast.graph.result import NeighborGraph

# Where pip puts cuBLASLt, by CUDA's major version.
_LIBRARIES = {
    13: ("cu13/lib/libcublasLt.so.13",),
    12: ("cublas/lib/libcublasLt.so.12",),
}


@functools.cache
def status() -> dict[str, Any]:
    """What `_core.cuda_status` says; asked once, for it wakes the driver."""
    return _core.cuda_status()


def problem(device: int = 0) -> str:
    """Why the engine cannot run on this device; "" if it can."""
    found = status()
    if found["problem"]:
        return str(found["problem"])
    devices = found["devices"]
    if device >= len(devices):
        return f"there is no cuda:{device}, only {len(devices)} device(s)"
    numbers = [int(number) for number in re.findall(r"\d+", found["architectures"])]
    major, minor = devices[device]["capability"]
    if numbers and 10 * major + minor < min(numbers):
        return (
            f"cuda:{device} ({devices[device]['name']}) has compute capability {major}.{minor}, "
            f"and this build is for {found['architectures']}: use backend='exact', which gives the "
            "same neighbours"
        )
    return ""


def check(stacks: Sequence[Stack], names: Sequence[str]) -> None:
    """Raise ValueError where the engine cannot take them."""
    for name, stack in zip(names, stacks, strict=True):
        if stack.device != stacks[0].device:
            raise ValueError(
                f"{names[0]} lies {stacks[0].place}, {name} {stack.place}: backend='cuda' wants "
                "everything in one place"
            )
    reason = problem(_device_of(stacks))
    if reason:
        raise ValueError(f"backend='cuda': {reason}")


def graph(
    segments: Sequence[Stack],
    n_neighbors: int,
    queries: Stack | None,
    metric: str,
    n_threads: int,
    max_memory: int,
    update: Callable[[float], None] | None,
) -> NeighborGraph:
    """The graph that the exact engine gives."""
    n = sum(s.values.shape[1] for s in segments)
    rows = of_one_layout(segments if queries is None else [*segments, queries])
    indices, distances, layers = _core.cuda_knn_graph(
        [segment(s) for s in rows],
        rows[0].dtype,
        n_neighbors,
        cosine=metric == "cosine",
        n_base=n,
        **place_and_limits(rows, n_threads, max_memory, update),
    )
    info = run_info(rows, max_memory, layers)
    return NeighborGraph(indices, distances, info, n, queries is not None)


def library() -> str:
    """Path of the cuBLASLt that pip installed, as torch wants it; "" if there is none."""
    spec = importlib.util.find_spec("nvidia")
    folders = [] if spec is None else [Path(p) for p in spec.submodule_search_locations or ()]
    major = status()["runtime"] // 1000
    for version in sorted(_LIBRARIES, key=lambda v: (v != major, -v)):
        for folder in folders:
            for name in _LIBRARIES[version]:
                if (folder / name).is_file():
                    return str(folder / name)
    return ""


def segment(stack: Stack) -> Any:
    """As the core takes it."""
    if stack.device is None:
        return stack.values
    return stack.values.data_ptr(), tuple(stack.values.shape), strides(stack)


def _device_of(stacks: Sequence[Stack]) -> int:
    """Where the work is done: where the rows lie, or else where torch works."""
    if stacks[0].device is not None:
        return stacks[0].device
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return int(torch.cuda.current_device())
    return 0


def place_and_limits(
    stacks: Sequence[Stack],
    n_threads: int,
    max_memory: int,
    update: Callable[[float], None] | None,
) -> dict[str, Any]:
    """What every call of the engine takes besides the rows."""
    device = _device_of(stacks)
    stream = 0
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        stream = torch.cuda.current_stream(device).cuda_stream
    return {
        "device": device,
        "stream": stream,
        "library": library(),
        "n_threads": n_threads,
        "max_memory": max_memory,
        "progress": update,
    }


def run_info(
    stacks: Sequence[Stack], max_memory: int, layers: list[dict[str, Any]]
) -> dict[str, Any]:
    """How a call was made, for the result's ``info``."""
    info = {"backend": "cuda", "device": status()["devices"][_device_of(stacks)]["name"]}
    return info | ({"max_memory": max_memory} if max_memory else {}) | {"layers": layers}
