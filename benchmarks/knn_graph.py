"""Exact k-NN graphs: ilo_fast beside faiss, torch, scikit-learn and hnswlib.

All contestants get the same rows and the same number of threads and run in turn, round after round,
so that a slow minute of the machine hits them alike; the tables give medians. Ours must be exact: a
sample of rows is compared with float64, all levels with each other, and the exit status is 1 if any
row differs. For the others the share of rows whose neighbours are not ours (as sets) is printed
beside the time. What each contestant really runs (faiss held to AVX2: how) is printed first.

    python benchmarks/knn_graph.py --shape 31372x1024 --shape 31372x4096 -o knn.json
    python benchmarks/knn_graph.py --levels avx512 avx2 --peers faiss faiss-avx2 --repeats 5

Ours runs at the best instruction set of the machine, and also at those in ``--levels``. Shares of
the peak count the half of the product that symmetry leaves, against what registers alone reach
with the same instructions (bfloat16 for the bf16 levels, float32 for the others).

Rows: ``--data`` isotropic, anisotropic (plus one direction 30 times as long), massive (two
dimensions 300 times the rest), clusters (5 % of the rows in groups of 50 near-duplicates),
near-duplicates (all rows in groups of 1000, a thousandth apart); or ``--representations DIR``, a
folder that ``ilo-fast extract`` wrote (its layers one by one).
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import knn_common as common
import numpy as np
from numpy.typing import NDArray

STAGES = ("prepare", "filter", "rerank", "widen")


def measure(X: NDArray[np.float32], label: str, args: argparse.Namespace) -> dict[str, Any]:
    from ilo_fast import _core

    n, d = X.shape
    levels = common.our_levels(args.levels)
    infos: dict[str, list[dict[str, Any]]] = {}
    peaks: dict[str, list[float]] = {level: [] for level in levels}
    found: dict[str, common.Indices] = {}
    with common.contestants(X, args.n_neighbors, args.threads, levels, args.peers, infos) as (
        searches,
        ran,
    ):
        seconds: dict[str, list[float]] = {name: [] for name in searches}
        for _ in range(args.repeats + 1):  # the first round only warms up
            for level in levels:
                peaks[level].append(_core.peak_flops(level, n_threads=args.threads))
            for name, search in searches.items():
                taken, found[name] = search()
                seconds[name].append(taken)
    best = found[common.ours(levels[0])]
    best_as_sets = np.sort(best, axis=1)
    results: dict[str, dict[str, Any]] = {}
    for name, times in seconds.items():
        median = statistics.median(times[1:])
        as_sets = np.sort(found[name], axis=1)
        results[name] = {
            "median_seconds": median,
            "seconds": times[1:],
            "full_product_gflops": 2.0 * n * n * d / median / 1e9,
            "wrong_rows": float((as_sets != best_as_sets).any(axis=1).mean()),
        }
    generator = np.random.default_rng(args.seed)
    sample = generator.choice(n, min(args.check, n), replace=False)
    reference = common.exact_neighbours(X, sample, args.n_neighbors, args.threads)
    for level in levels:
        name = common.ours(level)
        # What the processor can do, not what a busy moment left of it.
        result = results[name] | stages(infos[name][1:], d, max(peaks[level]))
        result["peak_gflops"] = max(peaks[level]) / 1e9
        result["rows_unlike_float64"] = differing(found[name][sample], reference)
        result["rows_unlike_best_level"] = differing(found[name], best)
        results[name] = result
    return {
        "data": label,
        "n": n,
        "d": d,
        "n_neighbors": args.n_neighbors,
        "threads": args.threads,
        "levels": levels,
        "ran": ran,
        "checked_rows": len(sample),
        "results": results,
    }


def differing(a: common.Indices, b: common.Indices) -> int:
    return int((a != b).any(axis=1).sum())


def stages(infos: list[dict[str, Any]], d: int, peak: float) -> dict[str, Any]:
    """Medians over the rounds of what the engine says of itself, and its shares of the peak."""
    layers = [info["layers"][0] for info in infos]
    seconds = {s: statistics.median(x[f"seconds_{s}"] for x in layers) for s in STAGES}
    total = statistics.median(info["seconds"] for info in infos)
    half_product = float(layers[0]["unique_rows"]) ** 2 * d  # two operations a multiply-add
    return {
        "seconds_by_stage": seconds,
        "share_of_time_by_stage": {s: value / total for s, value in seconds.items()},
        "share_of_peak_filter": half_product / seconds["filter"] / peak,
        "share_of_peak": half_product / total / peak,
        "certified_share": layers[0]["certified_rows"] / layers[0]["rows"],
        "widened_rows": layers[0]["widened_rows"],
        "candidates_per_row": layers[0]["candidates_per_row"],
    }


def show(case: dict[str, Any]) -> None:
    results = case["results"]
    own = [common.ours(level) for level in case["levels"]]
    print(
        f"\n{case['data']}, {case['n']} x {case['d']}, k = {case['n_neighbors']}, "
        f"{case['threads']} threads"
    )
    for name, what in case["ran"].items():
        print(f"- {name}: {what}")
    versus = " | ".join(f"/ {x}" for x in own)
    print(f"\n| | median s | range | GFLOP/s | {versus} | wrong rows |")
    print("|---" * (5 + len(own)) + "|")
    for name, r in results.items():
        wrong = f"{100 * r['wrong_rows']:.2f} %"
        if name in own:
            wrong = f"{r['rows_unlike_float64']} of {case['checked_rows']} checked"
        times = [f"{r['median_seconds'] / results[x]['median_seconds']:.2f}" for x in own]
        print(
            f"| {name} | {r['median_seconds']:.3f} | {min(r['seconds']):.3f} to "
            f"{max(r['seconds']):.3f} | {r['full_product_gflops']:.0f} | {' | '.join(times)} "
            f"| {wrong} |"
        )
    print(
        "\n| seconds (share) | "
        + " | ".join(STAGES)
        + " | certified | candidates a row | peak, GFLOP/s | filter, of peak | all, of peak |\n"
        + "|---" * (6 + len(STAGES))
        + "|"
    )
    for name in own:
        r = results[name]
        cells = [
            f"{r['seconds_by_stage'][s]:.3f} ({100 * r['share_of_time_by_stage'][s]:.0f} %)"
            for s in STAGES
        ]
        print(
            f"| {name} | {' | '.join(cells)} | {100 * r['certified_share']:.2f} % | "
            f"{r['candidates_per_row']:.1f} | {r['peak_gflops']:.0f} | "
            f"{100 * r['share_of_peak_filter']:.0f} % | {100 * r['share_of_peak']:.0f} % |"
        )
    for name in own[1:]:
        if results[name]["rows_unlike_best_level"]:
            print(f"{name}: {results[name]['rows_unlike_best_level']} rows unlike {own[0]}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", action="append", help="N x D, e.g. 31372x1024; repeatable")
    parser.add_argument("--data", nargs="+", default=["isotropic"], choices=common.DATA)
    parser.add_argument("--representations", type=Path, help="a folder from `ilo-fast extract`")
    parser.add_argument("--layers", nargs="+", type=int, help="only these of the representations")
    parser.add_argument("-k", "--n-neighbors", type=int, default=5)
    parser.add_argument("--threads", type=int, default=common.default_threads())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--levels", nargs="*", default=[], help="also ours at these, e.g. avx2")
    parser.add_argument("--peers", nargs="*", default=list(common.PEERS), choices=common.PEERS)
    parser.add_argument("--check", type=int, default=200, help="rows compared with float64")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path)
    return parser.parse_args()


def inputs(args: argparse.Namespace) -> Iterator[tuple[str, NDArray[np.float32]]]:
    if args.representations:
        from ilo_fast import Representations

        reps = Representations.load(args.representations)
        for h, layer in enumerate(reps.layers):
            if not args.layers or layer in args.layers:
                X = np.concatenate([reps[c][h] for c in reps]).astype(np.float32, copy=False)
                yield f"{args.representations.name}, layer {layer}", X
        return
    for shape in args.shape or ["31372x1024", "15000x384"]:
        n, d = (int(part) for part in shape.lower().split("x"))
        for kind in args.data:
            yield kind, common.rows(kind, n, d, args.seed)


def main() -> int:
    args = parse()
    common.free_libraries()
    report: dict[str, Any] = {"machine": common.machine(), "cases": []}
    for label, X in inputs(args):
        report["cases"].append(measure(X, label, args))
        show(report["cases"][-1])
        if args.output:
            common.write_json(args.output, report)
    wrong = sum(
        r.get("rows_unlike_float64", 0) + r.get("rows_unlike_best_level", 0)
        for case in report["cases"]
        for r in case["results"].values()
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
