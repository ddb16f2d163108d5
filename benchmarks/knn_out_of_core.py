"""An exact k-NN graph of a matrix on disk: bounded memory, killed once, resumed, and checked.

Writes (or reuses) a .npy matrix in ``--work``, block by block. A child process maps it into memory
and builds the graph with ``max_memory`` and ``checkpoint``; at ``--kill-after`` of its progress it
is killed (SIGKILL), and a second child goes on from the checkpoint. Both are watched for their
memory. Then random rows of the result are compared with float64 brute force, order included; and on
the first ``--compare`` rows ours takes turns with hnswlib and pynndescent, whose recall is the
share of exact neighbours that they find. Exit status 1 if a row differs or nothing was resumed.

    python benchmarks/knn_out_of_core.py --work /some/large/folder -o out_of_core.json
    python benchmarks/knn_out_of_core.py --work /tmp/x --shape 20000x32 --checkpoint-seconds 0.1 \\
        --check 500 --compare 5000

Memory: "resident" is all that the process holds, pages of the mapped file among it, which the
system may take back at any time; "anonymous" is what it allocated itself.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import knn_common as common
import numpy as np
from numpy.typing import NDArray

BLOCK = 16384
MIB = 2**20


# ---- the matrix


def blocks(kind: str, n: int, d: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """isotropic: Gaussian. clustered: about 250 rows around each of n / 250 Gaussian centres, their
    differences half as long. Every block has a generator of its own."""
    centres = np.random.default_rng(seed).standard_normal((max(1, n // 250), d), dtype=np.float32)
    for b, begin in enumerate(range(0, n, BLOCK)):
        rng = np.random.default_rng([seed, b])
        block = rng.standard_normal((min(BLOCK, n - begin), d), dtype=np.float32)
        if kind == "clustered":
            block *= 0.5
            block += centres[rng.integers(len(centres), size=len(block))]
        yield block


def matrix(args: argparse.Namespace) -> Path:
    """The file, written if it is not there; a reused one must begin as this one would."""
    path = args.work / f"{args.data}-{args.n}x{args.d}-{args.seed}.npy"
    if path.exists():
        first = next(blocks(args.data, args.n, args.d, args.seed))
        X = np.load(path, mmap_mode="r")
        if X.shape != (args.n, args.d) or not np.array_equal(X[: len(first)], first):
            raise SystemExit(f"{path} is not the matrix that its name says; remove it")
        print(f"reusing {path}")
        return path
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (args.n, args.d)}
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks(args.data, args.n, args.d, args.seed):
            block.tofile(file)
    partial.replace(path)
    print(f"wrote {path}, {path.stat().st_size / MIB:.0f} MiB")
    return path


# ---- the child


def child(path: str, folder: str, out: str, args: argparse.Namespace) -> None:
    """Builds the graph, tells its progress line by line, and at last what the engine says."""
    from ilo_fast import _core, knn_graph

    if args.checkpoint_seconds is not None:  # for trying at sizes that take less than 30 s
        core = _core.knn_graph
        _core.knn_graph = lambda *a, **options: core(
            *a, **{**options, "checkpoint_seconds": args.checkpoint_seconds}
        )
    told = -1.0

    def tell(share: float) -> None:
        nonlocal told
        if share >= told + 0.001:
            told = share
            print(json.dumps({"share": share}), flush=True)

    graph = knn_graph(
        np.load(path, mmap_mode="r"),
        args.n_neighbors,
        n_threads=args.threads,
        max_memory=args.max_memory,
        checkpoint=folder,
        progress=tell,  # anything callable is told the share
    )
    np.save(out, graph.indices)
    print(json.dumps({"info": graph.info}), flush=True)


class Memory(threading.Thread):
    """Peaks of a process, in bytes, read from /proc every 50 ms until it is gone."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.status = Path(f"/proc/{pid}/status")
        self.peaks: dict[str, int] = {}

    def run(self) -> None:
        while True:
            try:
                lines = self.status.read_text().splitlines()
            except OSError:
                return
            fields = dict(line.split(":", 1) for line in lines)
            if "VmHWM" not in fields:  # a zombie
                return
            for name, field in (
                ("resident", "VmHWM"),
                ("anonymous", "RssAnon"),
                ("file", "RssFile"),
            ):
                now = 1024 * int(fields[field].split()[0])
                self.peaks[name] = max(now, self.peaks.get(name, 0))
            time.sleep(0.05)


def run(
    path: Path, folder: Path, out: Path, kill_at: float | None, args: argparse.Namespace
) -> Any:
    """One child until its end, or until it is killed; what it took, and what it said."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, __file__, "--child", str(path), str(folder), str(out), *sys.argv[1:]],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    memory = Memory(process.pid)
    memory.start()
    part: dict[str, Any] = {"killed_at": None, "info": None}
    try:
        for line in process.stdout:
            said = json.loads(line)
            part["info"] = said.get("info")
            share = said.get("share", 0.0)
            saved = any(folder.glob("layer-*.ilo"))
            if kill_at is not None and kill_at <= share < 1 and saved:
                process.send_signal(signal.SIGKILL)
                part["killed_at"] = share
                break
        status = process.wait()
    finally:
        process.kill()
    part["wall_seconds"] = time.perf_counter() - start
    memory.join()
    part["peak_bytes"] = memory.peaks
    if part["killed_at"] is None and status:
        raise SystemExit(f"the child ended with status {status}")
    return part


def build(path: Path, args: argparse.Namespace) -> tuple[dict[str, Any], common.Indices]:
    from ilo_fast import _core

    level = common.our_levels([])[0]
    peaks = [_core.peak_flops(level, n_threads=args.threads, seconds=1.0)]
    folder = Path(tempfile.mkdtemp(prefix="checkpoint-", dir=args.work))
    out = folder.with_suffix(".graph.npy")
    try:
        parts = []
        if args.kill_after > 0:
            parts.append(run(path, folder, out, args.kill_after, args))
            if parts[0]["killed_at"] is None:
                print("the first child ended before it could be killed: nothing is resumed")
                shutil.rmtree(folder)
            else:
                show_part("killed", parts[0])
        if not parts or parts[0]["killed_at"] is not None:
            parts.append(run(path, folder, out, None, args))
        show_part("ended", parts[-1])
        saved = sum(f.stat().st_size for f in folder.iterdir()) if folder.exists() else 0
        indices = np.load(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        out.unlink(missing_ok=True)
    peaks.append(_core.peak_flops(level, n_threads=args.threads, seconds=1.0))
    info = parts[-1]["info"]
    layer = info["layers"][0]
    half_product = float(layer["unique_rows"]) ** 2 * args.d  # two operations a multiply-add
    wall = sum(part["wall_seconds"] for part in parts)
    filtered = (1 - layer["resumed_share"]) * half_product
    built = {
        "level": info["simd"],
        "peak_gflops": max(peaks) / 1e9,
        "parts": parts,
        "wall_seconds": wall,
        "resumed_share": layer["resumed_share"],
        "checkpoint_bytes": saved,
        # Everything against everything: start of Python, lost and repeated work among it.
        "share_of_peak": half_product / wall / max(peaks),
        "share_of_peak_filter": filtered / layer["seconds_filter"] / max(peaks),
        "peak_resident_bytes": max(part["peak_bytes"]["resident"] for part in parts),
        "peak_anonymous_bytes": max(part["peak_bytes"]["anonymous"] for part in parts),
    }
    print(
        f"{wall:.1f} s in all, {100 * built['share_of_peak']:.1f} % of the {info['simd']} peak "
        f"({built['peak_gflops']:.0f} GFLOP/s); the filter of the last part "
        f"{100 * built['share_of_peak_filter']:.1f} %\n"
        f"resumed share {layer['resumed_share']:.3f}, checkpoint {saved / MIB:.0f} MiB; "
        f"certified {100 * layer['certified_rows'] / layer['rows']:.3f} %, candidates a row "
        f"{layer['candidates_per_row']:.1f}",
        flush=True,
    )
    return built, indices


def show_part(how: str, part: dict[str, Any]) -> None:
    peaks = {name: f"{value / MIB:.0f}" for name, value in part["peak_bytes"].items()}
    at = f" at {100 * part['killed_at']:.1f} %" if part["killed_at"] is not None else ""
    print(
        f"{how}{at} after {part['wall_seconds']:.1f} s; peak MiB: resident {peaks['resident']}, "
        f"anonymous {peaks['anonymous']}, mapped files {peaks['file']}",
        flush=True,
    )


# ---- the answer, and others


def check(path: Path, indices: common.Indices, args: argparse.Namespace) -> dict[str, Any]:
    X = np.load(path, mmap_mode="r")
    size = min(args.check, args.n)
    sample = np.sort(np.random.default_rng(args.seed + 1).choice(args.n, size, replace=False))
    start, told = time.perf_counter(), time.perf_counter()

    def tell(share: float) -> None:
        nonlocal told
        if time.perf_counter() > told + 60:
            told = time.perf_counter()
            print(f"float64: {100 * share:.0f} % after {told - start:.0f} s", flush=True)

    exact = common.exact_neighbours(X, sample, args.n_neighbors, args.threads, tell)
    wrong = int((exact != indices[sample]).any(axis=1).sum())
    seconds = time.perf_counter() - start
    print(f"{wrong} of {size} rows differ from float64 brute force ({seconds:.0f} s)", flush=True)
    return {"rows": size, "rows_unlike_float64": wrong, "seconds": seconds}


def pynndescent(X: NDArray[np.float32], k: int, threads: int) -> common.Indices:
    from pynndescent import NNDescent

    index = NNDescent(X, metric="cosine", n_neighbors=k + 1, n_jobs=threads, random_state=0)
    return common.without_self(index.neighbor_graph[0].astype(np.int64), k)


def compare(path: Path, args: argparse.Namespace) -> dict[str, Any]:
    from ilo_fast import knn_graph

    X = np.array(np.load(path, mmap_mode="r")[: args.compare])
    k, threads = args.n_neighbors, args.threads
    searches = {
        "ilo_fast": common.timed(lambda: knn_graph(X, k, n_threads=threads).indices),
        "hnswlib": common.timed(lambda: common.hnsw(X, k, threads)),
        "pynndescent": common.timed(lambda: pynndescent(X, k, threads)),
    }
    searches = {name: searches[name] for name in ("ilo_fast", *args.peers)}
    if "pynndescent" in args.peers:
        pynndescent(X[:2000], k, threads)  # its compiler runs before the clock does
    seconds: dict[str, list[float]] = {name: [] for name in searches}
    recall: dict[str, float] = {}
    for _ in range(args.repeats):
        for name, search in searches.items():
            taken, found = search()
            seconds[name].append(taken)
            if name == "ilo_fast":
                exact = found
            recall[name] = share_found(found, exact)
    print(f"\nthe first {len(X)} rows, k = {k}\n| | median s | / ilo_fast | recall |")
    print("|---|---|---|---|")
    ours = statistics.median(seconds["ilo_fast"])
    results = {}
    for name, times in seconds.items():
        median = statistics.median(times)
        results[name] = {"median_seconds": median, "seconds": times, "recall": recall[name]}
        print(f"| {name} | {median:.2f} | {median / ours:.2f} | {recall[name]:.4f} |", flush=True)
    return {"rows": len(X), "results": results}


def share_found(found: common.Indices, exact: common.Indices) -> float:
    parts = range(0, len(found), 10_000)
    hits = [(found[p : p + 10_000, :, None] == exact[p : p + 10_000, None, :]).sum() for p in parts]
    return float(sum(hits) / exact.size)


# ---- command line


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for matrix and checkpoint")
    parser.add_argument("--shape", default="1000000x768", help="N x D")
    parser.add_argument("--data", default="clustered", choices=["clustered", "isotropic"])
    parser.add_argument("-k", "--n-neighbors", type=int, default=10)
    parser.add_argument("--threads", type=int, default=common.default_threads())
    parser.add_argument("--max-memory", default="2GiB", help="of the engine, e.g. 512MiB")
    parser.add_argument("--kill-after", type=float, default=0.4, help="share; 0: never")
    parser.add_argument("--checkpoint-seconds", type=float, help="instead of 30, for tiny shapes")
    parser.add_argument("--check", type=int, default=10_000, help="rows compared with float64")
    parser.add_argument("--compare", type=int, default=200_000, help="first rows; 0: not at all")
    parser.add_argument(
        "--peers",
        nargs="*",
        default=["hnswlib", "pynndescent"],
        choices=["hnswlib", "pynndescent"],
    )
    parser.add_argument("--repeats", type=int, default=1, help="rounds of the comparison")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.n, args.d = (int(part) for part in args.shape.lower().split("x"))
    args.compare = min(args.compare, args.n)
    return args


def main() -> int:
    args = parse()
    if args.child:
        child(*args.child, args)
        return 0
    common.free_libraries()
    args.work.mkdir(parents=True, exist_ok=True)
    path = matrix(args)
    report: dict[str, Any] = {
        "machine": common.machine(),
        "settings": {
            "shape": [args.n, args.d],
            "data": args.data,
            "seed": args.seed,
            "n_neighbors": args.n_neighbors,
            "threads": args.threads,
            "max_memory": args.max_memory,
            "kill_after": args.kill_after,
        },
    }

    def keep(name: str, value: Any) -> None:
        report[name] = value
        if args.output:
            common.write_json(args.output, report)

    built, indices = build(path, args)
    keep("built", built)
    keep("check", check(path, indices, args))
    if args.compare:
        keep("compare", compare(path, args))
    resumed = args.kill_after <= 0 or built["resumed_share"] > 0
    return 0 if resumed and report["check"]["rows_unlike_float64"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
