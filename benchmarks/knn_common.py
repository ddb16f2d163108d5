"""What the k-NN benchmarks share: data, contestants, and a float64 reference of chosen rows.

Every faiss contestant runs in a process of its own, because faiss and its BLAS choose their
instruction set once, when they are loaded: ``faiss`` chooses freely, ``faiss-avx2`` and
``faiss-avx512`` are held by environment variables (`HOLDS`). (An OpenBLAS that does not know the
processor may choose badly, so ``faiss`` is not always the best that faiss can do.) The worker then
says what really runs in it, and a contestant that cannot be held to its name stops the benchmark.
A worker does one timed search when it is asked, so contestants still take turns.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The definition that tests compare with is the one that benchmarks compare with.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from oracles.knn import lane_sum, unit_rows

Indices = NDArray[np.int64]
Search = Callable[[], tuple[float, Indices]]
"""Gives seconds and (n, k) row numbers, the row itself left out."""

FAISS = ("faiss", "faiss-avx2", "faiss-avx512")
PEERS = (*FAISS, "torch-float32", "torch-bfloat16", "sklearn", "hnswlib")
DATA = ("isotropic", "anisotropic", "massive", "clusters", "near-duplicates")

# FAISS_OPT_LEVEL is read by the loader of wheels with one library an instruction set,
# FAISS_SIMD_LEVEL by those that choose at run time, the other two by OpenBLAS and MKL.
HOLDS: dict[str, dict[str, str]] = {
    "faiss": {},
    "faiss-avx2": {
        "FAISS_OPT_LEVEL": "AVX2",
        "FAISS_SIMD_LEVEL": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
    # faiss itself takes AVX-512 where it can; its OpenBLAS may be older than the processor.
    "faiss-avx512": {"OPENBLAS_CORETYPE": "SkylakeX"},
}
HELD_VARIABLES = (*HOLDS["faiss-avx2"], "OPENBLAS_L2_SIZE")
HELD_BLAS = {"faiss-avx2": ("Haswell", "Zen"), "faiss-avx512": ("SkylakeX",)}


# ---- data


def rows(kind: str, n: int, d: int, seed: int) -> NDArray[np.float32]:
    """isotropic: Gaussian. anisotropic: plus one direction 30 times as long. massive: two
    dimensions 300 times the rest. clusters: 5 % of the rows in groups of 50 near-duplicates.
    near-duplicates: all rows in groups of 1000, a thousandth apart."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d), dtype=np.float32)
    if kind == "anisotropic":
        X += 30 * rng.standard_normal(d, dtype=np.float32)
    elif kind == "massive":
        X[:, :2] *= 300
    elif kind == "clusters":
        size = min(n, 50)
        groups = rng.permutation(n)[: max(1, n // 20 // size) * size].reshape(-1, size)
        for group in groups:
            jitter = rng.standard_normal((size, d), dtype=np.float32)
            X[group] = X[group[0]] + np.float32(1e-4) * jitter
    elif kind == "near-duplicates":
        size = min(n, 1000)
        X = X[rng.integers(0, max(1, n // size), n)]
        X += np.float32(1e-3) * rng.standard_normal((n, d), dtype=np.float32)
    return X


# ---- the answer


def units(X: NDArray[Any]) -> NDArray[np.float64]:
    """`reference.unit_rows`, all rows at once where none needs its care for extreme numbers."""
    X = X.astype(np.float64)
    largest = np.abs(X).max(axis=1)
    if not ((largest >= 2.0**-400) & (largest <= 2.0**400)).all():
        return unit_rows(X)
    return X / np.sqrt(lane_sum(X * X))[:, None]


def exact_neighbours(
    X: NDArray[Any],
    queries: Indices,
    k: int,
    threads: int,
    progress: Callable[[float], None] = lambda share: None,
) -> Indices:
    """Cosine neighbours of some rows of ``X`` by (distance, index), in float64.

    A float64 matrix product finds at least 64 candidates a row, which are ordered by the distance
    as it is defined. A row whose last candidate is not clearly farther than its k-th (rounding
    might have cost it a neighbour) is compared with all rows by the definition.
    """
    import torch

    torch.set_num_threads(threads)
    n, d = X.shape
    keep = min(n - 1, max(64, 4 * k))
    Q = units(X[queries])
    own = torch.from_numpy(queries)
    similarity = torch.full((len(Q), keep), -np.inf, dtype=torch.float64)
    candidates = torch.zeros((len(Q), keep), dtype=torch.int64)
    for begin in range(0, n, 8192):
        block = X[begin : begin + 8192].astype(np.float64)
        block /= np.linalg.norm(block, axis=1, keepdims=True)
        for q in range(0, len(Q), 1024):
            part = slice(q, q + 1024)
            found = torch.from_numpy(Q[part]) @ torch.from_numpy(block).T
            here = (own[part] >= begin) & (own[part] < begin + len(block))
            found[here, own[part][here] - begin] = -np.inf
            values, columns = found.topk(min(keep, len(block)))
            values = torch.cat([similarity[part], values], dim=1)
            columns = torch.cat([candidates[part], columns + begin], dim=1)
            similarity[part], order = values.topk(keep)
            candidates[part] = columns.gather(1, order)
        progress(min(n, begin + 8192) / n)
    clear = similarity[:, -1] < similarity[:, k - 1] - 1e-11
    result = np.empty((len(Q), k), np.int64)
    step = max(1, 2**22 // (keep * d))
    for q in range(0, len(Q), step):
        ids = candidates[q : q + step].numpy()
        u = units(X[ids.ravel()]).reshape(*ids.shape, d)
        squared = lane_sum((u - Q[q : q + step, None]) ** 2)
        result[q : q + step] = np.take_along_axis(ids, np.lexsort((ids, squared)), axis=1)[:, :k]
    if keep < n - 1:
        for q in np.flatnonzero(~clear.numpy()):
            result[q] = _by_definition(X, int(queries[q]), Q[q], k)
    return result


def _by_definition(X: NDArray[Any], row: int, u: NDArray[np.float64], k: int) -> Indices:
    squared = np.concatenate(
        [lane_sum((units(X[b : b + 1024]) - u) ** 2) for b in range(0, len(X), 1024)]
    )
    squared[row] = np.inf
    return np.argsort(squared, kind="stable")[:k]


# ---- contestants


def our_levels(names: Sequence[str]) -> list[str]:
    """The best level of this machine (or what ``ILO_FAST_SIMD`` says), then the named ones."""
    from ilo_fast import _core

    best = _core.simd_level()
    known = _core.simd_available()
    for name in names:
        if name not in known:
            raise SystemExit(f"level {name} is not available here: {', '.join(known)}")
    return [best, *(name for name in dict.fromkeys(names) if name != best)]


def ours(level: str) -> str:
    return f"ilo_fast ({level})"


@contextmanager
def simd(level: str) -> Iterator[None]:
    before = os.environ.get("ILO_FAST_SIMD")
    os.environ["ILO_FAST_SIMD"] = level
    try:
        yield
    finally:
        if before is None:
            del os.environ["ILO_FAST_SIMD"]
        else:
            os.environ["ILO_FAST_SIMD"] = before


def without_self(found: NDArray[Any], k: int) -> Indices:
    """k of k + 1 columns: all but the row itself, or but the last where it is not there."""
    keep = found != np.arange(len(found))[:, None]
    keep[keep.all(axis=1), -1] = False
    return found[keep].reshape(len(found), k)


def timed(search: Callable[[], Indices]) -> Search:
    def run() -> tuple[float, Indices]:
        start = time.perf_counter()
        found = search()
        return time.perf_counter() - start, found

    return run


def hnsw(X: NDArray[np.float32], k: int, threads: int) -> Indices:
    """Build and ask, with the settings of ``backend="hnsw"`` but without its measured recall."""
    import hnswlib

    index = hnswlib.Index(space="cosine", dim=X.shape[1])
    index.init_index(len(X), M=16, ef_construction=200, random_seed=0)
    index.set_num_threads(threads)
    index.set_ef(min(len(X), max(100, 4 * (k + 1))))
    index.add_items(X)
    return without_self(index.knn_query(X, k=k + 1)[0].astype(np.int64), k)


@contextmanager
def contestants(
    X: NDArray[np.float32],
    k: int,
    threads: int,
    levels: Sequence[str],
    peers: Sequence[str],
    infos: dict[str, list[dict[str, Any]]] | None = None,
) -> Iterator[tuple[dict[str, Search], dict[str, str]]]:
    """Searches by name, and what runs in each peer, in words.

    ``infos`` receives, by name, what ours say of each of their runs.
    """
    from ilo_fast import _core, knn_graph

    searches: dict[str, Search] = {}
    ran: dict[str, str] = {}
    unit = X / np.linalg.norm(X, axis=1, keepdims=True) if peers else X
    with ExitStack() as stack:
        for level in levels:

            def own(level: str = level) -> Indices:
                with simd(level):
                    graph = knn_graph(X, k, n_threads=threads)
                if graph.info["simd"] != level:
                    raise RuntimeError(f"asked for {level}, {graph.info['simd']} ran")
                if infos is not None:
                    infos.setdefault(ours(level), []).append(graph.info)
                return graph.indices

            searches[ours(level)] = timed(own)
        faiss = [name for name in FAISS if name in peers]
        if faiss:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            np.save(folder / "unit.npy", unit)
        for name in faiss:
            if name == "faiss-avx512" and "avx512" not in _core.simd_available():
                ran[name] = "left out: this processor has no AVX-512"
                continue
            worker = stack.enter_context(FaissWorker(name, folder, k, threads))
            ran[name] = worker.ran
            if name != "faiss" and worker.ran == ran.get("faiss"):
                ran[name] = "left out: this is what faiss does here by itself"
                worker.close()
                continue
            searches[name] = worker.search
        for name in ("float32", "bfloat16"):
            if f"torch-{name}" in peers:
                import torch

                torch.set_num_threads(threads)
                matrix = torch.from_numpy(unit).to(getattr(torch, name))

                def product(matrix: torch.Tensor = matrix) -> Indices:
                    blocks = [(b @ matrix.T).topk(k + 1).indices for b in matrix.split(1024)]
                    return without_self(torch.cat(blocks).numpy(), k)

                searches[f"torch-{name}"] = timed(product)
                capability = torch.backends.cpu.get_cpu_capability()
                ran[f"torch-{name}"] = f"torch {torch.__version__}, {capability}"
        if "sklearn" in peers:
            import sklearn
            from threadpoolctl import threadpool_limits

            def brute() -> Indices:
                from sklearn.neighbors import NearestNeighbors

                with threadpool_limits(threads):
                    index = NearestNeighbors(n_neighbors=k, algorithm="brute", metric="euclidean")
                    return index.fit(unit).kneighbors(return_distance=False)

            searches["sklearn"] = timed(brute)
            ran["sklearn"] = f"scikit-learn {sklearn.__version__}, {blas(of_numpy=True)}"
        if "hnswlib" in peers:
            searches["hnswlib"] = timed(lambda: hnsw(unit, k, threads))
            ran["hnswlib"] = "hnswlib, M 16, ef_construction 200, ef 100 or 4 (k + 1)"
        yield searches, ran


class FaissWorker:
    """faiss in a process of its own; it answers with one timed search at a time."""

    def __init__(self, name: str, folder: Path, k: int, threads: int) -> None:
        free = {key: value for key, value in os.environ.items() if key not in HELD_VARIABLES}
        self._found = folder / f"{name}.npy"
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(folder), str(self._found), str(k), str(threads)],
            env={**free, **HOLDS[name], "OMP_NUM_THREADS": str(threads)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        says = self._hear()
        self.ran = f"faiss {says['version']}: {says['level']}; {says['blas']}; {threads} threads"
        wanted = HELD_BLAS.get(name)
        level_is_right = name != "faiss-avx2" or says["level"] == "AVX2"
        if wanted and not (level_is_right and any(core in says["blas"] for core in wanted)):
            self.close()
            raise SystemExit(f"{name} cannot be held here; it runs {self.ran}")

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the faiss worker ended with status {self._process.wait()}")
        return json.loads(line)

    def search(self) -> tuple[float, Indices]:
        assert self._process.stdin
        self._process.stdin.write("search\n")
        self._process.stdin.flush()
        return self._hear()["seconds"], np.load(self._found)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> FaissWorker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def work(folder: Path, found: Path, k: int, threads: int) -> None:
    """The faiss worker: says what it is, then searches once for every line that it reads."""
    import faiss

    faiss.omp_set_num_threads(threads)
    unit = np.load(folder / "unit.npy", mmap_mode="r")
    if hasattr(faiss, "SIMDConfig"):
        level = faiss.SIMDConfig.get_level_name()
    else:  # one extension module an instruction set
        loaded = max((m for m in sys.modules if m.startswith("faiss.swigfaiss")), key=len)
        level = loaded.removeprefix("faiss.swigfaiss").strip("_").upper() or "GENERIC"
    faiss.knn(unit[: 4 * k], unit[: 4 * k], 1)  # BLAS has chosen its kernels now
    says = {"version": faiss.__version__, "level": level, "blas": blas(of_numpy=False)}
    print(json.dumps(says), flush=True)

    def search() -> Indices:
        return without_self(faiss.knn(unit, unit, k + 1, metric=faiss.METRIC_INNER_PRODUCT)[1], k)

    for _ in sys.stdin:
        seconds, indices = timed(search)()
        np.save(found, indices)
        print(json.dumps({"seconds": seconds}), flush=True)


# ---- the machine


def blas(of_numpy: bool) -> str:
    """The BLAS libraries in this process and the processor that each takes this one for."""
    from threadpoolctl import threadpool_info

    names = []
    for library in threadpool_info():
        bundled = any(part in library["filepath"] for part in ("numpy.libs", "scipy.libs"))
        if library["user_api"] == "blas" and bundled == of_numpy:
            kernels = library.get("architecture", "kernels unknown")
            names.append(f"{library['internal_api']} {library['version']} {kernels}")
    return ", ".join(names) or "BLAS unknown"


def machine() -> dict[str, Any]:
    from ilo_fast import _core

    model = ""
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), "")
    return {
        "processor": model or platform.machine(),
        "simd_available": list(_core.simd_available()),
        "system": platform.system(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def free_libraries() -> None:
    """Start again without variables that hold BLAS libraries back: they were read at import."""
    held = {key: os.environ.pop(key) for key in HELD_VARIABLES if key in os.environ}
    if held:
        taken = ", ".join(f"{key}={value}" for key, value in held.items())
        print(f"taken out of the environment: {taken}", flush=True)
        os.execv(sys.executable, [sys.executable, *sys.argv])


def default_threads() -> int:
    return len(os.sched_getaffinity(0))


def write_json(path: Path, report: dict[str, Any]) -> None:
    """All or nothing: a killed benchmark leaves the last whole report."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(report, indent=1) + "\n")
    partial.replace(path)


if __name__ == "__main__":
    work(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
