"""Exact k-NN graphs: ilo_fast beside faiss, torch, scikit-learn and hnswlib.

All contestants get the same rows and the same number of threads and run in turn, round after round,
so that a slow minute of the machine hits them alike; the table gives medians and the ratio to
faiss. Ours is exact by definition (and a sample of rows is checked here against float64); for the
others the share of rows whose neighbours are not those of float64 is printed beside the time.

    python benchmarks/knn_graph.py --shape 31372x1024 --shape 15000x384 --repeats 5 -o knn.json
    ILO_FAST_SIMD=avx2 python benchmarks/knn_graph.py --peers faiss

Rows: ``--data`` isotropic (Gaussian), anisotropic (plus one direction 30 times as long),
massive (two dimensions 300 times the rest); or ``--representations DIR``, a folder that
``ilo-fast extract`` wrote (its layers one by one).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

PEERS = ("faiss", "torch-float32", "torch-bfloat16", "sklearn", "hnswlib")
Search = Callable[[], np.ndarray]


def rows(kind: str, n: int, d: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d), dtype=np.float32)
    if kind == "anisotropic":
        X += 30 * rng.standard_normal(d, dtype=np.float32)
    elif kind == "massive":
        X[:, :2] *= 300
    return X


def contestants(
    X: np.ndarray, k: int, threads: int, peers: list[str], infos: list[dict]
) -> Iterator[tuple[str, Search]]:
    """Name and search; a search gives (n, k) row numbers, the row itself left out.

    What our own say of themselves goes to ``infos``.
    """
    from ilo_fast.graph import knn_graph

    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    own = np.arange(len(X))[:, None]

    def without_self(found: np.ndarray) -> np.ndarray:
        keep = found != own
        keep[keep.all(axis=1), -1] = False
        return found[keep].reshape(len(X), k)

    def ours() -> np.ndarray:
        graph = knn_graph(X, k, n_threads=threads)
        infos.append(graph.info)
        return graph.indices

    yield "ilo_fast", ours
    if "faiss" in peers:
        import faiss

        faiss.omp_set_num_threads(threads)
        yield (
            "faiss",
            lambda: without_self(
                faiss.knn(unit, unit, k + 1, metric=faiss.METRIC_INNER_PRODUCT)[1]
            ),
        )
    for name in ("float32", "bfloat16"):
        if f"torch-{name}" in peers:
            import torch

            torch.set_num_threads(threads)
            matrix = torch.from_numpy(unit).to(getattr(torch, name))

            def search(matrix: torch.Tensor = matrix) -> np.ndarray:
                blocks = [(b @ matrix.T).topk(k + 1).indices for b in matrix.split(1024)]
                return without_self(torch.cat(blocks).numpy())

            yield f"torch-{name}", search
    if "sklearn" in peers:
        from sklearn.neighbors import NearestNeighbors
        from threadpoolctl import threadpool_limits

        def brute() -> np.ndarray:
            with threadpool_limits(threads):
                index = NearestNeighbors(n_neighbors=k, algorithm="brute", metric="euclidean")
                return index.fit(unit).kneighbors(return_distance=False)

        yield "sklearn", brute
    if "hnswlib" in peers:
        yield "hnswlib", lambda: knn_graph(X, k, backend="hnsw", n_threads=threads).indices


def check(X: np.ndarray, found: np.ndarray, k: int, sample: int, seed: int) -> int:
    """Rows of a random sample whose neighbours are not float64's. Must be 0 for us."""
    unit = X.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    wrong = 0
    for i in np.random.default_rng(seed).choice(len(X), min(sample, len(X)), replace=False):
        distances = ((unit - unit[i]) ** 2).sum(axis=1)
        distances[i] = np.inf
        wrong += not np.array_equal(np.argsort(distances, kind="stable")[:k], found[i])
    return wrong


def measure(X: np.ndarray, label: str, args: argparse.Namespace) -> dict:
    from ilo_fast import _core

    n, d = X.shape
    infos: list[dict] = []
    searches = dict(contestants(X, args.n_neighbors, args.threads, args.peers, infos))
    seconds: dict[str, list[float]] = {name: [] for name in searches}
    found: dict[str, np.ndarray] = {}
    peaks = []
    for _ in range(args.repeats + 1):  # the first round only warms up
        peaks.append(_core.peak_flops(n_threads=args.threads))
        for name, search in searches.items():
            start = time.perf_counter()
            found[name] = search()
            seconds[name].append(time.perf_counter() - start)
    peak = max(peaks)  # what the processor can do, not what a busy moment left of it
    full = 2.0 * n * n * d  # operations of the full product; the symmetric half is all that we do
    info = infos[-1]
    exact = np.sort(found["ilo_fast"], axis=1)
    results = {}
    for name, times in seconds.items():
        median = statistics.median(times[1:])
        results[name] = {
            "median_seconds": median,
            "seconds": times[1:],
            "full_product_gflops": full / median / 1e9,
            "wrong_rows": float((np.sort(found[name], axis=1) != exact).any(axis=1).mean()),
        }
    ours = results["ilo_fast"]
    ours["share_of_peak"] = full / 2 / ours["median_seconds"] / peak
    ours["rows_unlike_float64"] = check(
        X, found["ilo_fast"], args.n_neighbors, args.check, args.seed
    )
    return {
        "data": label,
        "n": n,
        "d": d,
        "n_neighbors": args.n_neighbors,
        "threads": args.threads,
        "simd": info["simd"],
        "certified_share": info["layers"][0]["certified_rows"] / n,
        "seconds_by_stage": {
            key: value for key, value in info["layers"][0].items() if key.startswith("seconds")
        },
        "float32_peak_gflops": peak / 1e9,
        "checked_rows": min(args.check, n),
        "results": results,
    }


def show(case: dict) -> None:
    print(
        f"\n{case['data']}, {case['n']} x {case['d']}, k = {case['n_neighbors']}, "
        f"{case['threads']} threads, {case['simd']}; certified at first pass: "
        f"{100 * case['certified_share']:.2f} %; "
        f"float32 peak {case['float32_peak_gflops']:.0f} GFLOP/s"
    )
    print("| | median s | range | speed, ilo_fast = 1 | rows not as in float64 |")
    print("|---|---|---|---|---|")
    ours = case["results"]["ilo_fast"]["median_seconds"]
    for name, r in case["results"].items():
        wrong = (
            f"{r['rows_unlike_float64']} of {case['checked_rows']} checked"
            if name == "ilo_fast"
            else f"{100 * r['wrong_rows']:.2f} %"
        )
        print(
            f"| {name} | {r['median_seconds']:.2f} | {min(r['seconds']):.2f} to "
            f"{max(r['seconds']):.2f} | {ours / r['median_seconds']:.2f} | {wrong} |"
        )
    print(
        f"ilo_fast does {100 * case['results']['ilo_fast']['share_of_peak']:.0f} % of the peak, "
        "counting the half of the product that symmetry leaves, all stages included."
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", action="append", help="N x D, e.g. 31372x1024; repeatable")
    parser.add_argument(
        "--data", default="isotropic", choices=["isotropic", "anisotropic", "massive"]
    )
    parser.add_argument("--representations", type=Path, help="a folder from `ilo-fast extract`")
    parser.add_argument("-k", "--n-neighbors", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=PEERS)
    parser.add_argument("--check", type=int, default=200, help="rows compared with float64")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path)
    return parser.parse_args()


def main() -> int:
    args = parse()
    cases = []
    if args.representations:
        from ilo_fast import Representations

        reps = Representations.load(args.representations)
        for h, layer in enumerate(reps.layers):
            X = np.concatenate([reps[c][h] for c in reps])
            cases.append(measure(X, f"{args.representations.name}, layer {layer}", args))
            show(cases[-1])
    else:
        for shape in args.shape or ["31372x1024", "15000x384"]:
            n, d = (int(part) for part in shape.lower().split("x"))
            cases.append(measure(rows(args.data, n, d, args.seed), args.data, args))
            show(cases[-1])
    if args.output:
        report = {
            "machine": platform.machine(),
            "python": platform.python_version(),
            "cases": cases,
        }
        args.output.write_text(json.dumps(report, indent=1) + "\n")
    return 0 if all(c["results"]["ilo_fast"]["rows_unlike_float64"] == 0 for c in cases) else 1


if __name__ == "__main__":
    sys.exit(main())
