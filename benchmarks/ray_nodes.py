"""The graph on one and two local Ray nodes, beside one process with as many threads, in turns.

    python benchmarks/ray_nodes.py -o ray.json       # 131072 x 768; wants a quiet machine
    python benchmarks/ray_nodes.py --shape 3000x32 --rounds 1 --tiny

One process with t threads and a cluster of t nodes with one thread each do the same work on the
same cores, so the overhead is what tiles, processes and messages cost. Rows are read from a
memory-mapped file. Starting the cluster is not counted; a first small graph warms up its workers.
Bytes are compared each time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

import numpy as np
from helpers.ray_cluster import LocalCluster, local_cluster

from ilo_fast import NeighborGraph, knn_graph
from ilo_fast.graph.knn import simd_level
from ilo_fast.graph.tiles import plan


@contextlib.contextmanager
def connected(nodes: int, store: int) -> Iterator[LocalCluster]:
    """A cluster of so many nodes of one processor, connected to."""
    import ray

    with local_cluster(memory=store) as cluster:
        for _ in range(nodes - 1):
            cluster.add()
        ray.init(address=cluster.address, log_to_driver=False)
        try:
            yield cluster
        finally:
            ray.shutdown()


def timed(file: Path, k: int, **options: Any) -> tuple[float, NeighborGraph]:
    start = time.perf_counter()
    graph = knn_graph(file, k, **options)
    return time.perf_counter() - start, graph


def main() -> None:
    args = parsed()
    n, d = args.shape
    if args.tiny:
        plan.LEAST_ROWS = max(64, n // 16)
    seconds: dict[str, list[float]] = {}
    infos: dict[str, Any] = {}
    wanted: NeighborGraph | None = None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.npy"
        rng = np.random.default_rng(args.seed)
        centres = 4 * rng.standard_normal((max(1, n // 250), d))
        X = rng.standard_normal((n, d)) + centres[rng.integers(0, len(centres), n)]
        np.save(file, X.astype(np.float32))
        small = Path(folder) / "small.npy"
        np.save(small, X[:2000].astype(np.float32))
        del X
        for _ in range(args.rounds):
            for nodes in (1, 2):
                name = f"one process, {nodes} threads"
                spent, graph = timed(file, args.k, n_threads=nodes)
                wanted = wanted or graph
                assert graph == wanted, "not the same bytes"
                seconds.setdefault(name, []).append(spent)
                print(f"{name}: {spent:.2f} s", flush=True)
                with connected(nodes, args.gigabytes << 30):
                    timed(small, args.k, backend="ray", n_threads=1)  # starts the workers
                    name = f"ray, {nodes} nodes"
                    spent, graph = timed(file, args.k, backend="ray", n_threads=1)
                assert graph == wanted, "not the same bytes"
                seconds.setdefault(name, []).append(spent)
                print(f"{name}: {spent:.2f} s", flush=True)
                infos[name] = graph.info
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, median in medians.items():
        print(f"{name:24} {median:8.2f} s  {[round(s, 2) for s in seconds[name]]}")
    overhead = {
        nodes: medians[f"ray, {nodes} nodes"] / medians[f"one process, {nodes} threads"] - 1
        for nodes in (1, 2)
    }
    for nodes, share in overhead.items():
        print(f"overhead on {nodes} nodes: {100 * share:.1f} %")
    if args.output:
        report = {
            "shape": [n, d], "k": args.k, "simd": simd_level(), "seconds": seconds,
            "overhead": overhead, "info": infos,
        }  # fmt: skip
        Path(args.output).write_text(json.dumps(report, indent=1, default=str))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--shape",
        type=lambda text: tuple(map(int, text.split("x"))),
        default=(131072, 768),
        help="rows x dimensions (default: 131072x768)",
    )
    parser.add_argument("--k", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gigabytes", type=int, default=6, help="that a node offers to tasks")
    parser.add_argument("--tiny", action="store_true", help="several blocks also of few rows")
    parser.add_argument("-o", "--output", help="JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
