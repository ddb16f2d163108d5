"""Similarities of two spaces beside the published way: seconds, peak memory, share of the peak.

    python benchmarks/similarity.py -o similarity.json
    python benchmarks/similarity.py --shape 1012x4096 --measures mutual_knn cknna --repeats 7

The published way is that of Huh et al. 2024: dense n x n matrices of products, orders and masks in
torch float32, written out here from the formulas. Every run is a process of its own, so that its
peak memory is its own; contestants take turns, round by round. Rows are drawn before the clock
starts; the published way also gets them at unit length.

What the published way cannot do in ``--memory`` is not guessed. Mutual k-NN then runs in blocks
of rows, a ``--share`` of them, and its seconds are divided by that share: every row costs the same.
CKNNA and CKA multiply n x n matrices with each other: they run on the first ``--rows`` rows, and so
do we for the ratio. What it takes for all rows is bounded from below: the products of such matrices
alone (three in CKNNA, nine in CKA), at the speed that torch's own product reaches in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import knn_common as common
import numpy as np
from numpy.typing import NDArray
from processes import in_process, memory

MEASURES = ("mutual_knn", "cknna", "cka", "svcca")
BYTES_PER_PAIR = {"mutual_knn": 16, "cknna": 48, "cka": 24, "svcca": 0}
"""What the published way holds at once for every pair of rows: products, their order, masks."""
PRODUCTS = {"mutual_knn": 0, "cknna": 3, "cka": 9, "svcca": 0}
"""Products of two n x n matrices in the published way."""
BLOCK = 256
COMPONENTS = 10

Rows = NDArray[np.float32]


# ---- the published way


def published(measure: str, X: Any, Y: Any, k: int) -> float:
    import torch

    def nearest(rows: Any) -> Any:
        products = (rows @ rows.T).fill_diagonal_(-1e8)
        return products.argsort(dim=1, descending=True)[:, :k]

    def mask(nearest: Any) -> Any:
        return torch.zeros(len(X), len(X)).scatter_(1, nearest, 1.0)

    def biased(K: Any, L: Any) -> Any:
        H = torch.eye(len(K)) - 1 / len(K)
        return torch.trace(K @ H @ L @ H)

    def unbiased(K: Any, L: Any) -> Any:
        m = len(K)
        K, L = K.clone().fill_diagonal_(0), L.clone().fill_diagonal_(0)
        trace = (K * L.T).sum()
        sums = K.sum() * L.sum() / ((m - 1) * (m - 2))
        return (trace + sums - 2 * (K @ L).sum() / (m - 2)) / (m * (m - 3))

    def near(K: Any, L: Any) -> Any:
        both = [M.clone().fill_diagonal_(-torch.inf).topk(k, dim=1).indices for M in (K, L)]
        a = mask(both[0]) * mask(both[1])
        return unbiased(a * K, a * L)

    if measure == "mutual_knn":
        return float((mask(nearest(X)) * mask(nearest(Y))).sum(dim=1).mean() / k)
    if measure == "svcca":
        return canonical(torch, X, Y)
    K, L = X @ X.T, Y @ Y.T
    hsic = near if measure == "cknna" else biased
    return float(hsic(K, L) / torch.sqrt(hsic(K, K) * hsic(L, L)))


def canonical(torch: Any, X: Any, Y: Any) -> float:
    """Directions by a random SVD, then scikit-learn's iterative CCA."""
    from sklearn.cross_decomposition import CCA

    torch.manual_seed(0)
    sides = []
    for rows in (X, Y):
        scaled = (rows - rows.mean(dim=0)) / (rows.std(dim=0) + 1e-8)
        sides.append(torch.svd_lowrank(scaled, q=COMPONENTS)[0].numpy())
    pairs = [side.T for side in CCA(n_components=COMPONENTS).fit(*sides).transform(*sides)]
    return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(*pairs, strict=True)]))


def published_in_blocks(X: Any, Y: Any, k: int, share: float) -> tuple[float, float]:
    """Mutual k-NN of a share of the rows, evenly spread; gives it, and the share that was done."""
    import torch

    n = len(X)
    chosen = torch.arange(n).split(BLOCK)
    chosen = chosen[:: max(1, round(1 / share))]
    total = 0.0
    for rows in chosen:
        masks = []
        for side in (X, Y):
            products = side[rows] @ side.T
            products[torch.arange(len(rows)), rows] = -1e8
            nearest = products.argsort(dim=1, descending=True)[:, :k]
            masks.append(torch.zeros(len(rows), n).scatter_(1, nearest, 1.0))
        total += float((masks[0] * masks[1]).sum() / k)
    done = sum(map(len, chosen))
    return total / done, done / n


# ---- ours


def ours(measure: str, X: Rows, Y: Rows, k: int, threads: int) -> float:
    from ilo_fast.scores import similarity

    function = getattr(similarity, measure)
    options: dict[str, Any] = {"n_threads": threads}
    if measure in ("mutual_knn", "cknna"):
        options["n_neighbors"] = k
    if measure == "cknna":  # as published: the value alone
        options["n_permutations"] = 0
    if measure == "svcca":
        options["n_components"] = COMPONENTS
    return float(function(X, Y, **options))


def parts(X: Rows, Y: Rows, k: int, threads: int) -> dict[str, Any]:
    """The graphs, and what a pair costs once there are graphs."""
    from ilo_fast import _core, knn_graph
    from ilo_fast.scores.similarity import set_overlap

    start = time.perf_counter()
    graphs = [knn_graph(rows, k, n_threads=threads) for rows in (X, Y)]
    made = time.perf_counter()
    set_overlap(*graphs, n_threads=threads)
    compared = time.perf_counter()
    layer = graphs[0].info["layers"][0]
    peak = _core.peak_flops(graphs[0].info["simd"], n_threads=threads)
    half_product = float(layer["unique_rows"]) ** 2 * X.shape[1]
    return {
        "seconds_per_graph": (made - start) / 2,
        "seconds_of_overlap": compared - made,
        "simd": graphs[0].info["simd"],
        "seconds_by_stage": {
            s: layer[f"seconds_{s}"] for s in ("prepare", "filter", "rerank", "widen")
        },
        "peak_gflops": peak / 1e9,
        "share_of_peak_filter": half_product / layer["seconds_filter"] / peak,
    }


# ---- a run, in its own process


def work(task: dict[str, Any]) -> dict[str, Any]:
    X, Y = (np.load(Path(task["folder"]) / f"{side}.npy")[: task["rows"]] for side in "XY")
    k, threads, measure = task["n_neighbors"], task["threads"], task["measure"]
    way: str = task["way"]
    run: Callable[[Any, Any], Any]
    if way == "ours":
        run = lambda X, Y: ours(measure, X, Y, k, threads)  # noqa: E731
    elif way == "parts":
        run = lambda X, Y: parts(X, Y, k, threads)  # noqa: E731
    else:
        import torch

        torch.set_num_threads(threads)
        X, Y = (torch.nn.functional.normalize(torch.from_numpy(V), dim=1) for V in (X, Y))
        if way == "dense":
            run = lambda X, Y: published(measure, X, Y, k)  # noqa: E731
        else:
            run = lambda X, Y: published_in_blocks(X, Y, k, task["share"])  # noqa: E731
    run(X[: 4 * k], Y[: 4 * k])  # libraries are loaded now
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    start, worked = time.perf_counter(), time.process_time()
    value = run(X, Y)
    seconds, cpu = time.perf_counter() - start, time.process_time() - worked
    beside = memory("VmHWM") - before
    out = {"seconds": seconds, "cpu_seconds": cpu, "peak_bytes_beside_rows": beside}
    if way == "parts":
        return out | value
    if way == "blocks":
        value, done = value
        out |= {key: out[key] / done for key in ("seconds", "cpu_seconds")} | {"share": done}
    if way == "dense" and PRODUCTS[measure]:
        out["product_flops"] = product_speed(len(X))
    return out | {"value": value}


def product_speed(n: int) -> float:
    """Operations per second of torch's product of two n x n matrices."""
    import torch

    square = torch.randn(n, n)
    start = time.perf_counter()
    square @ square
    return 2.0 * n**3 / (time.perf_counter() - start)


# ---- the comparison


def contestants(n: int, args: argparse.Namespace) -> list[dict[str, Any]]:
    tasks = [{"measure": "mutual_knn", "way": "parts", "rows": n}]
    for measure in args.measures:
        tasks.append({"measure": measure, "way": "ours", "rows": n})
        if BYTES_PER_PAIR[measure] * n * n <= args.memory * 1e9:
            tasks.append({"measure": measure, "way": "dense", "rows": n})
        elif measure == "mutual_knn":
            tasks.append({"measure": measure, "way": "blocks", "rows": n})
        else:
            rows = min(args.rows, n)
            tasks.append({"measure": measure, "way": "ours", "rows": rows})
            tasks.append({"measure": measure, "way": "dense", "rows": rows})
    return tasks


def spaces(n: int, d: int, noise: float, seed: int) -> tuple[Rows, Rows]:
    """Two layers, so to speak: variances fall as 1 / i in random directions, and Y is X and noise,
    turned another way."""
    rng = np.random.default_rng(seed)
    spread = (1 + np.arange(d, dtype=np.float32)) ** -0.5
    X, other = (spread * rng.standard_normal((n, d), dtype=np.float32) for _ in "XY")
    turns = [np.linalg.qr(rng.standard_normal((d, d), dtype=np.float32))[0] for _ in "XY"]
    return X @ turns[0], (X + noise * other) @ turns[1]


def measure(n: int, d: int, args: argparse.Namespace) -> dict[str, Any]:
    tasks = contestants(n, args)
    runs: list[list[dict[str, Any]]] = [[] for _ in tasks]
    load = []
    with tempfile.TemporaryDirectory() as folder:
        X, Y = spaces(n, d, args.noise, args.seed)
        np.save(Path(folder) / "X.npy", X)
        np.save(Path(folder) / "Y.npy", Y)
        del X, Y
        shared = {key: getattr(args, key) for key in ("n_neighbors", "threads", "share")}
        for number in range(args.repeats):
            for task, own in zip(tasks, runs, strict=True):
                load.append(os.getloadavg()[0])
                own.append(in_process(__file__, {**shared, **task, "folder": folder}))
                words = f"{task['measure']} {task['way']} {task['rows']} rows"
                print(f"round {number}: {words}: {own[-1]['seconds']:.3f} s", flush=True)
    results = []
    for task, own in zip(tasks, runs, strict=True):
        median = {
            key: statistics.median(run[key] for run in own)
            for key, value in own[0].items()
            if isinstance(value, float | int)
        }
        results.append({**own[-1], **task, **median, "all_seconds": [r["seconds"] for r in own]})
    return {
        "n": n,
        "d": d,
        "noise": args.noise,
        "n_neighbors": args.n_neighbors,
        "threads": args.threads,
        "load": [min(load), max(load)],
        "results": results,
        "ratios": ratios(results, n),
    }


def ratios(results: list[dict[str, Any]], n: int) -> list[dict[str, Any]]:
    """How many times our seconds the published way takes, measure by measure."""
    found = []
    for theirs in results:
        if theirs["way"] not in ("dense", "blocks"):
            continue
        own = {
            r["rows"]: r
            for r in results
            if r["way"] == "ours" and r["measure"] == theirs["measure"]
        }
        same = own[theirs["rows"]]
        entry = {
            "measure": theirs["measure"],
            "rows": theirs["rows"],
            "way": theirs["way"],
            "times_as_fast": theirs["seconds"] / same["seconds"],
            "times_as_fast_by_cpu": theirs["cpu_seconds"] / same["cpu_seconds"],
            "values": [same["value"], theirs["value"]],
        }
        if theirs["rows"] < n:
            products = PRODUCTS[theirs["measure"]] * 2.0 * n**3 / theirs["product_flops"]
            least = max(products, theirs["seconds"] * (n / theirs["rows"]) ** 2)
            entry["published_seconds_for_all_at_least"] = least
            entry["published_bytes_for_all"] = BYTES_PER_PAIR[theirs["measure"]] * n * n
            entry["at_least_times_as_fast_for_all"] = least / own[n]["seconds"]
        found.append(entry)
    return found


def show(case: dict[str, Any]) -> None:
    low, high = case["load"]
    print(f"\n{case['n']} x {case['d']}, k = {case['n_neighbors']}, "
          f"{case['threads']} threads, load {low:.1f} to {high:.1f}\n")  # fmt: skip
    print("| measure | way | rows | median s | CPU s | memory beside the rows, MB | value |")
    print("|---" * 7 + "|")
    for r in case["results"]:
        if r["way"] != "parts":
            print(
                f"| {r['measure']} | {r['way']} | {r['rows']} | {r['seconds']:.3f} | "
                f"{r['cpu_seconds']:.3f} | {r['peak_bytes_beside_rows'] / 1e6:.0f} | "
                f"{r['value']:.5f} |"
            )
    for r in case["ratios"]:
        more = ""
        if "at_least_times_as_fast_for_all" in r:
            more = (
                f"; for all rows at least {r['at_least_times_as_fast_for_all']:.0f} times, and "
                f"{r['published_bytes_for_all'] / 1e9:.0f} GB for the published way"
            )
        print(f"- {r['measure']}, {r['rows']} rows, {r['way']}: {r['times_as_fast']:.1f} times as "
              f"fast, {r['times_as_fast_by_cpu']:.1f} by CPU seconds{more}")  # fmt: skip
    p = case["results"][0]
    stages = ", ".join(f"{s} {value:.2f}" for s, value in p["seconds_by_stage"].items())
    print(
        f"- a graph {p['seconds_per_graph']:.2f} s ({stages}; {p['simd']}, filter at "
        f"{100 * p['share_of_peak_filter']:.0f} % of the peak of {p['peak_gflops']:.0f} GFLOP/s), "
        f"then a pair {1000 * p['seconds_of_overlap']:.1f} ms: 13 layers, all pairs, "
        f"{13 * p['seconds_per_graph'] + 91 * p['seconds_of_overlap']:.1f} s"
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", action="append", help="N x D, e.g. 31372x1024; repeatable")
    parser.add_argument("--measures", nargs="+", default=list(MEASURES), choices=MEASURES)
    parser.add_argument("--noise", type=float, default=0.5, help="of Y, in deviations of X")
    parser.add_argument("-k", "--n-neighbors", type=int, default=10)
    parser.add_argument("--threads", type=int, default=common.default_threads())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", type=float, default=12.0, help="GB for the published way")
    parser.add_argument("--share", type=float, default=0.1, help="of the rows, in blocks")
    parser.add_argument("--rows", type=int, default=5000, help="for what does not fit in blocks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("-o", "--output", type=Path)
    return parser.parse_args()


def main() -> int:
    args = parse()
    if args.work:
        print(json.dumps(work(json.loads(args.work))))
        return 0
    report: dict[str, Any] = {"machine": common.machine(), "cases": []}
    wrong = 0
    for shape in args.shape or ["1012x4096", "31372x1024"]:
        n, d = (int(part) for part in shape.lower().split("x"))
        case = measure(n, d, args)
        report["cases"].append(case)
        show(case)
        if args.output:
            common.write_json(args.output, report)
        # float32 may exchange two neighbours that lie equally far.
        wrong += any(
            abs(r["values"][0] - r["values"][1]) > 2e-3
            for r in case["ratios"]
            if r["measure"] in ("mutual_knn", "cknna", "cka") and r["way"] == "dense"
        )
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
