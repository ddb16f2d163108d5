"""Approximate k-NN graphs: recall against seconds, `backend="partitioned"` beside its peers.

Every point is one contestant with one setting on one matrix, built once in a process of its own:
seconds, peak memory, and the recall against the certified exact neighbours of ``--sample`` random
rows, which are found once for each matrix by the exact engine (strict row numbers; mean, 1st and
5th percentile over rows). All get the same rows of unit length and the same number of threads.

    python benchmarks/partitioned.py --work /some/large/folder -o partitioned.json
    python benchmarks/partitioned.py --work DIR --vectors sentences.npy -o partitioned.json
    python benchmarks/partitioned.py --work DIR --shape 4000x32 --sample 500 -o tiny.json
    python benchmarks/partitioned.py --plot-only partitioned.json

The report is written after every point; a second call with the same ``-o`` measures only what is
missing. A point that would take longer than ``--limit-seconds`` is stopped, and said to be. The
picture (PNG and SVG) lies beside the report.

Rows: ``--shape N x D``, repeatable, of ``hubs`` (`hub_rows`: many clusters of very different
sizes and spreads, with hubs, of about 32 dimensions each, on a spectrum that falls, around one
common direction), or ``--vectors FILE.npy``, (n, d) sentence representations, and the first rows of
it for every N in ``--rows``.

Ours stops when a pilot of 1000 rows has the recall that is wanted. To find the exact neighbours of
the pilot and of the rows that it reports on takes time that a user spends, too; peers measure
nothing. So both are given: ``seconds`` without, ``seconds_with_measurement`` with it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import knn_common as common
import numpy as np
import partitioned_peers as peers
from numpy.typing import NDArray

BLOCK = 16384
COLOURS = {
    "ilo_fast": ("#0072B2", "o", "-"),
    "hnswlib": ("#999933", "*", ":"),
    "pynndescent": ("#CC79A7", "<", "-."),
    "faiss-ivf": ("#D55E00", "P", "--"),
    "faiss-nndescent": ("#000000", "^", "--"),
}


# ---- rows


def hub_rows(n: int, d: int, seed: int) -> NDArray[np.float32]:
    """Topics of Zipf sizes within themes; rows vary in 32 directions of their theme and, half as
    much, in all; how far they lie from their topic's centre varies, so that some become hubs."""
    rng = np.random.default_rng([seed, 0])
    topics = max(8, n // 150)
    themes = max(4, topics // 30)
    theme = rng.standard_normal((themes, d), dtype=np.float32)
    topic = theme[rng.integers(themes, size=topics)]
    topic += np.float32(0.8) * rng.standard_normal((topics, d), dtype=np.float32)
    share = (1 + np.arange(topics)) ** -0.7
    bases = rng.standard_normal((8, 32, d), dtype=np.float32) / np.float32(6**0.5)
    spectrum = ((1 + np.arange(d)) ** -0.7).astype(np.float32)
    out = np.empty((n, d), np.float32)
    for b, begin in enumerate(range(0, n, BLOCK)):
        rng = np.random.default_rng([seed, 1 + b])
        size = min(BLOCK, n - begin)
        chosen = rng.choice(topics, size, p=share / share.sum())
        local = rng.standard_normal((size, 32), dtype=np.float32)
        block = np.float32(0.5) * rng.standard_normal((size, d), dtype=np.float32)
        for base in range(8):
            mine = chosen % 8 == base
            block[mine] += np.float32(0.9) * local[mine] @ bases[base]
        block *= np.exp(0.4 * rng.standard_normal((size, 1))).astype(np.float32)
        block += topic[chosen]
        block *= spectrum * np.float32((d / (spectrum**2).sum()) ** 0.5)
        block[:, 0] += 6
        out[begin : begin + size] = block
    return out


def matrices(args: argparse.Namespace) -> list[tuple[str, int, Path]]:
    """Name, rows and file of each; files of unit rows are written where they are missing."""
    args.work.mkdir(parents=True, exist_ok=True)
    found = []
    for shape in () if args.vectors else args.shape or ["200000x768", "1000000x768"]:
        n, d = (int(part) for part in shape.lower().split("x"))
        path = args.work / f"hubs-{n}x{d}-{args.seed}.npy"
        if not path.exists():
            write_units(path, hub_rows(n, d, args.seed))
        found.append((f"hubs {n}x{d}", n, path))
    if args.vectors:
        X = np.load(args.vectors, mmap_mode="r")
        for n in args.rows or [len(X)]:
            path = args.work / f"{args.vectors.stem}-{n}x{X.shape[1]}.npy"
            if not path.exists():
                write_units(path, np.array(X[:n], np.float32))
            found.append((f"{args.vectors.stem} {n}x{X.shape[1]}", n, path))
    return found


def write_units(path: Path, X: NDArray[np.float32]) -> None:
    for begin in range(0, len(X), BLOCK):
        block = X[begin : begin + BLOCK]
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    partial = path.with_suffix(".partial.npy")
    np.save(partial, X)
    partial.replace(path)


def truth(path: Path, n: int, args: argparse.Namespace) -> Path:
    """A file with the sampled rows and their certified exact neighbours."""
    file = path.with_suffix(f".truth-{args.n_neighbors}-{args.sample}-{args.seed}.npz")
    if not file.exists():
        from ilo_fast import _core

        X = np.load(path)
        rows = np.sort(
            np.random.default_rng([args.seed, 99]).choice(n, min(n, args.sample), replace=False)
        )
        exact = _core.knn_graph(
            [X[np.newaxis]],
            "float32",
            args.n_neighbors,
            cosine=True,
            n_threads=args.threads,
            queries=rows.tolist(),
            max_memory=2 << 30,
        )[0][0]
        partial = file.with_suffix(".partial.npz")
        np.savez(partial, rows=rows, exact=exact)
        partial.replace(file)
    return file


# ---- one point


def measure(task: dict[str, Any]) -> dict[str, Any]:
    """In the child process: build, and compare with the truth."""
    X = np.load(task["matrix"])
    with np.load(task["truth"]) as saved:
        rows, exact = saved["rows"], saved["exact"]
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    found, about = peers.BUILDERS[task["name"]](
        X, task["n_neighbors"], task["threads"], task["setting"]
    )
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    own = found[rows]
    hits = (own[:, :, np.newaxis] == exact[:, np.newaxis, :]).any(axis=1).mean(axis=1)
    with_measurement = seconds
    seconds -= about.pop("seconds_exact_sample", 0.0)
    low, high = peers.interval(hits, len(X))
    return {
        "seconds": seconds,
        "seconds_with_measurement": with_measurement,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak_mib": after.ru_maxrss / 1024,
        "rows_mib": X.nbytes / 2**20,
        "recall": float(hits.mean()),
        "recall_interval_95": [low, high],
        "recall_p1": float(np.percentile(hits, 1, method="lower")),
        "recall_p5": float(np.percentile(hits, 5, method="lower")),
        "sample_rows": len(rows),
        "about": about,
    }


def run_point(task: dict[str, Any], limit: float) -> dict[str, Any]:
    threads = str(task["threads"])
    held = {"OMP_NUM_THREADS": threads, "NUMBA_NUM_THREADS": threads}
    command = [sys.executable, __file__, "--point", json.dumps(task)]
    try:
        done = subprocess.run(
            command, env=os.environ | held, capture_output=True, text=True, timeout=limit
        )
    except subprocess.TimeoutExpired:
        return {"stopped": f"took longer than {limit:g} s"}
    if done.returncode:
        return {"stopped": done.stderr.strip().splitlines()[-1][:300] if done.stderr else "died"}
    return json.loads(done.stdout.splitlines()[-1])


# ---- the picture


def plot(report: dict[str, Any], output: Path) -> None:
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(point["matrix"] for point in report["points"]))
    with mpl.rc_context({**mpl.rcParamsDefault, "font.size": 10, "svg.hashsalt": "ilo_fast"}):
        figure = Figure(figsize=(6 * max(1, len(names)), 4.8), layout="constrained")
        FigureCanvasAgg(figure)
        for ax, matrix in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
            for name, (colour, marker, dash) in COLOURS.items():
                drawn = sorted(
                    (max(1e-5, 1 - point["recall"]), point["seconds"])
                    for point in report["points"]
                    if point["matrix"] == matrix and point["name"] == name and "recall" in point
                )
                if drawn:
                    xs, ys = zip(*drawn, strict=True)
                    ax.plot(xs, ys, color=colour, marker=marker, linestyle=dash, label=name)
            ax.axvline(0.01, color="#8c8c8c", linewidth=0.8)
            ax.set(title=matrix, xlabel=f"1 - recall at {report['settings']['n_neighbors']}")
            ax.set(xscale="log", yscale="log")
            ax.invert_xaxis()
            ax.grid(True, which="major", color="#d0d7de", linewidth=0.6)
            ax.spines[["top", "right"]].set_visible(False)
            ax.legend(frameon=False, fontsize=9)
        figure.axes[0].set_ylabel("seconds, without measuring the recall")
        figure.suptitle(
            f"threads: {report['settings']['threads']}, {report['machine']['processor']}",
            fontsize=11,
        )
        for suffix in (".png", ".svg"):
            figure.savefig(
                output.with_suffix(suffix),
                dpi=150,
                metadata={"Date": None} if suffix == ".svg" else None,
            )


# ---- all of it


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, help="folder for matrices and exact neighbours")
    parser.add_argument("--shape", action="append", help="N x D of generated rows; repeatable")
    parser.add_argument("--vectors", type=Path, help=".npy of (n, d) representations")
    parser.add_argument("--rows", nargs="+", type=int, help="so many of the first of --vectors")
    parser.add_argument("-k", "--n-neighbors", type=int, default=10)
    parser.add_argument("--threads", type=int, default=common.default_threads())
    parser.add_argument("--sample", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peers", nargs="*", default=list(peers.BUILDERS), choices=peers.BUILDERS)
    parser.add_argument("--near", action="store_true", help="settings near recall 0.99 alone")
    parser.add_argument("--recall", type=float, help="of ours the setting that wants it alone")
    parser.add_argument("--limit-seconds", type=float, default=7200)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--plot-only", type=Path, metavar="REPORT")
    parser.add_argument("--point", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    args = parse()
    if args.point:
        print(json.dumps(measure(json.loads(args.point))))
        return 0
    if args.plot_only:
        plot(json.loads(args.plot_only.read_text()), args.plot_only)
        return 0
    if not args.work or not args.output:
        raise SystemExit("--work and -o are needed")
    settings = {name: getattr(args, name) for name in ("n_neighbors", "threads", "sample", "seed")}
    report: dict[str, Any] = {"machine": common.machine(), "settings": settings, "points": []}
    if args.output.exists():
        before = json.loads(args.output.read_text())
        if before["settings"] != settings:
            raise SystemExit(
                f"{args.output} was measured with {before['settings']}: choose another"
            )
        report["points"] = before["points"]
    have = {
        (p["matrix"], p["name"], json.dumps(p["setting"], sort_keys=True)) for p in report["points"]
    }
    for matrix, n, path in matrices(args):
        exact = truth(path, n, args)
        for name in args.peers:
            chosen = peers.settings(name, n)
            if args.near:
                chosen = [chosen[i] for i in peers.NEAR[name] if i < len(chosen)]
            if args.recall:
                chosen = [s for s in chosen if s.get("recall", args.recall) == args.recall]
            for setting in chosen:
                if (matrix, name, json.dumps(setting, sort_keys=True)) in have:
                    continue
                task = {
                    "matrix": str(path), "truth": str(exact), "name": name, "setting": setting,
                    "n_neighbors": args.n_neighbors, "threads": args.threads,
                }  # fmt: skip
                point = {"matrix": matrix, "name": name, "setting": setting}
                point |= run_point(task, args.limit_seconds)
                print({key: value for key, value in point.items() if key != "about"}, flush=True)
                report["points"].append(point)
                common.write_json(args.output, report)
    plot(report, args.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
