"""Every test here runs on two machines.

"gpu": a real one, inputs in its memory or in the host's; left out where there is none.
"emulated": the same kernels and the same host code on the CUDA emulator (csrc/testing), which is
slow: what it gets is small.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles import knn as reference

from ilo_fast import _core, _core_testing
from ilo_fast.graph import cuda


class Engine:
    """The engine on one machine, and what its answers are held against."""

    def __init__(self, machine: str) -> None:
        self.machine = machine
        self.real = machine == "gpu"

    def size(self, emulated: Any, gpu: Any) -> Any:
        return gpu if self.real else emulated

    # ---- where inputs lie

    def in_place(self, values: NDArray[Any]) -> tuple[int, tuple[int, ...], tuple[int, ...], Any]:
        """Address, shape and strides of the array in the device's memory; last, what keeps it.

        Any strides, negative ones and zeros too: the bytes that the array spans are copied as they
        lie.
        """
        if not self.real:  # any memory will do for the emulator
            return values.ctypes.data, values.shape, values.strides, values
        import torch

        reach = [(n - 1) * step for n, step in zip(values.shape, values.strides, strict=True)]
        first = values.ctypes.data + sum(r for r in reach if r < 0)
        count = sum(abs(r) for r in reach) + values.itemsize
        host = np.frombuffer((ctypes.c_char * count).from_address(first), np.uint8).copy()
        device = torch.from_numpy(host).cuda()
        address = device.data_ptr() + values.ctypes.data - first
        return address, values.shape, values.strides, device

    def place(self, segments: Sequence[NDArray[Any]], where: str) -> tuple[list[Any], list[Any]]:
        """Segments as the core takes them, and what must live as long as they are used."""
        stacks = [s if s.ndim == 3 else s[np.newaxis] for s in segments]
        if where == "host":
            return stacks, stacks
        placed = [self.in_place(s) for s in stacks]
        return [p[:3] for p in placed], [p[3] for p in placed]

    def stream(self) -> int:
        if not self.real:
            return 0
        import torch

        return torch.cuda.current_stream().cuda_stream

    # ---- the engine, and the CPU's

    def stack(
        self,
        X: NDArray[Any] | Sequence[NDArray[Any]],
        k: int,
        metric: str = "cosine",
        *,
        dtype: str = "",
        where: str = "device",
        **options: Any,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], list[dict[str, Any]]]:
        """All layers. X: (n, d) or (layers, n, d), or several such, one after the other."""
        segments = [X] if isinstance(X, np.ndarray) else list(X)
        placed, keep = self.place(segments, where)
        indices, distances, infos = _core_testing.cuda_knn_graph(
            placed,
            dtype or segments[0].dtype.name,
            k,
            cosine=metric == "cosine",
            machine=self.machine,
            stream=self.stream(),
            **({"library": cuda.library()} if self.real else {}),
            **options,
        )
        del keep
        n_base = options.get("n_base", 0)
        for info in infos:
            searched = n_base or info["rows"]
            assert info["rows"] == searched
            assert info["queries"] == indices.shape[1]
            assert info["certified_rows"] + info["widened_rows"] == indices.shape[1]
            if options.get("product"):  # the library says its own name
                assert (info["product"] == "fused") == (options["product"] == "fused")
        return indices, distances, infos

    def graph(
        self, X: Any, k: int, metric: str = "cosine", **options: Any
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], dict[str, Any]]:
        """Of one layer."""
        indices, distances, infos = self.stack(X, k, metric, **options)
        assert len(indices) == len(distances) == len(infos) == 1
        return indices[0], distances[0], infos[0]

    @staticmethod
    def on_cpu(
        X: Any, k: int, metric: str = "cosine", *, dtype: str = "", n_base: int = 0
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Of all layers, by the CPU's exact engine."""
        segments = [X] if isinstance(X, np.ndarray) else list(X)
        stacks = [s if s.ndim == 3 else s[np.newaxis] for s in segments]
        n = sum(s.shape[1] for s in stacks)
        queries = list(range(n_base, n)) if 0 < n_base < n else None
        indices, distances, *_ = _core_testing.knn_graph(
            stacks,
            dtype or stacks[0].dtype.name,
            k,
            cosine=metric == "cosine",
            n_threads=2,
            n_base=n_base,
            queries=queries,
        )
        return indices, distances

    def check(
        self,
        X: Any,
        k: int,
        metric: str = "cosine",
        message: str = "",
        *,
        by_definition: bool = False,
        **options: Any,
    ) -> dict[str, Any]:
        """Equal to the CPU engine to the last bit of the distances; what the engine says of it.

        by_definition: and equal to the definition in NumPy (one layer, in one array, no queries).
        """
        indices, distances, infos = self.stack(X, k, metric, **options)
        given = {name: options[name] for name in ("dtype", "n_base") if name in options}
        wanted = self.on_cpu(X, k, metric, **given)
        message = f"{message}; {self.machine}, k={k}, {metric}, {options}"
        np.testing.assert_array_equal(indices, wanted[0], err_msg=message)
        np.testing.assert_array_equal(
            distances.view(np.uint32), wanted[1].view(np.uint32), err_msg=message
        )
        if by_definition:
            truth, lengths = reference.knn(X, k, metric)
            with np.errstate(over="ignore"):  # lengths of float64 rows may be beyond float32
                lengths = lengths.astype(np.float32)
            np.testing.assert_array_equal(indices[0], truth, err_msg=message)
            np.testing.assert_allclose(distances[0], lengths, rtol=3e-7, atol=0, err_msg=message)
        return infos[0]


STATUS = _core.cuda_status()
MACHINES = ("emulated", "gpu") if STATUS["devices"] else ("emulated",)


@pytest.fixture(scope="session", params=MACHINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "gpu":
        pytest.importorskip("torch").cuda.init()
    return Engine(request.param)


@pytest.fixture(scope="session")
def gpu() -> dict[str, Any]:
    """The first GPU. One test asks for it, so that a run without one says so, once."""
    if not STATUS["devices"]:
        pytest.skip(f"only the CUDA emulator was tested: {STATUS['problem']}")
    return STATUS["devices"][0]


@pytest.fixture(autouse=True)
def any_order() -> None:
    """The emulator runs what has no order in another one each time."""
    seed = int(np.random.SeedSequence().generate_state(1)[0]) + 1
    print(f"order of the emulator: {seed}")  # shown if the test fails
    _core_testing.emulated_device(order=seed)


@pytest.fixture
def rng_and_seed() -> tuple[np.random.Generator, str]:
    """Numbers that no run has seen before, and their seed for the message."""
    seed = np.random.SeedSequence().entropy
    return np.random.default_rng(seed), f"seed {seed}"
