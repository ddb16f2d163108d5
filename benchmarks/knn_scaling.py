"""What an exact k-NN graph costs as the rows grow in number, and as they grow in length.

Two sweeps, each contestant in turn within every round, medians: N at a fixed d, and d at a fixed N.
A contestant is left out of a point where its previous point in the sweep says that one run would
take longer than ``--limit-seconds`` (N counts squared, in hnswlib to the power 1.2, d once); what
was left out is printed and written. (That the answers are right is `knn_graph.py`'s business.)

    python benchmarks/knn_scaling.py -o scaling.json --levels avx512
    python benchmarks/knn_scaling.py --plot-only scaling.json

The report is written after every point, and a second call with the same ``-o`` measures only what
is missing in it. The picture (PNG and SVG, both axes logarithmic, with fitted slopes) lies beside.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import knn_common as common
import numpy as np

SETTINGS = ("data", "n_neighbors", "threads", "repeats", "seed", "at_d", "at_n")
# Okabe and Ito's colours where they last; told apart by marker as well, ours solid, peers broken.
OURS = [("#0072B2", "o"), ("#56B4E9", "s"), ("#009E73", "D"), ("#332288", "p"), ("#44AA99", "h")]
PEERS = {
    "faiss": ("#000000", "^", "--"),
    "faiss-avx2": ("#8c8c8c", "v", "--"),
    "faiss-avx512": ("#D55E00", "P", "--"),
    "torch-float32": ("#E69F00", "X", "-."),
    "torch-bfloat16": ("#CC79A7", "<", ":"),
    "sklearn": ("#7f5539", ">", "-."),
    "hnswlib": ("#999933", "*", ":"),
}
INK = "#24292f"


def sweeps(args: argparse.Namespace) -> dict[str, list[tuple[int, int]]]:
    return {
        "n": [(n, args.at_d) for n in sorted(args.n)],
        "d": [(args.at_n, d) for d in sorted(args.d)],
    }


def power(name: str) -> float:
    return 1.2 if name == "hnswlib" else 2


def predicted(points: list[dict[str, Any]], name: str, n: int, d: int) -> float | None:
    """Seconds of one run at (n, d), from the nearest smaller point where it was measured."""
    for point in reversed(points):
        if name in point["results"] and point["n"] <= n and point["d"] <= d:
            seconds = point["results"][name]["median_seconds"]
            return seconds * (n / point["n"]) ** power(name) * (d / point["d"])
    return None


def measure(point: dict[str, Any], earlier: list[dict[str, Any]], args: argparse.Namespace) -> None:
    """Adds to a point what it lacks."""
    n, d = point["n"], point["d"]
    levels, peers = [], []
    wanted = {common.ours(level): (level, levels) for level in common.our_levels(args.levels)}
    wanted |= {name: (name, peers) for name in args.peers}
    for name, (key, group) in wanted.items():
        if name in point["results"]:
            continue
        seconds = predicted(earlier, name, n, d)
        if seconds is not None and seconds > args.limit_seconds:
            point["left_out"][name] = f"about {seconds:.3g} s a run, over the limit"
            print(f"{n} x {d}: {name} left out: {point['left_out'][name]}")
            continue
        point["left_out"].pop(name, None)
        group.append(key)
    if not levels and not peers:
        return
    X = common.rows(args.data, n, d, args.seed)
    with common.contestants(X, args.n_neighbors, args.threads, levels, peers) as (searches, ran):
        point["ran"].update(ran)
        point["left_out"].update({name: ran[name] for name in peers if name not in searches})
        times: dict[str, list[float]] = {name: [] for name in searches}
        for _ in range(args.repeats + 1):  # the first round only warms up
            for name, search in searches.items():
                times[name].append(search()[0])
    for name, seconds in times.items():
        median = statistics.median(seconds[1:])
        point["results"][name] = {"median_seconds": median, "seconds": seconds[1:]}
    medians = [f"{name} {r['median_seconds']:.3f}" for name, r in point["results"].items()]
    print(f"{n} x {d}, seconds: {', '.join(medians)}", flush=True)


def load(args: argparse.Namespace) -> dict[str, Any]:
    settings = {key: getattr(args, key) for key in SETTINGS}
    if not args.output.exists():
        return {"settings": settings, "machine": common.machine(), "sweeps": {"n": [], "d": []}}
    report = json.loads(args.output.read_text())
    if report["settings"] != settings:
        raise SystemExit(f"{args.output} has other settings: {report['settings']}; take another -o")
    if report["machine"]["processor"] != common.machine()["processor"]:
        raise SystemExit(f"{args.output} was measured on another processor; take another -o")
    return report


def run(args: argparse.Namespace) -> dict[str, Any]:
    report = load(args)
    for sweep, shapes in sweeps(args).items():
        points = report["sweeps"][sweep]
        for n, d in shapes:
            point = next((p for p in points if (p["n"], p["d"]) == (n, d)), None)
            if point is None:
                point = {"n": n, "d": d, "results": {}, "left_out": {}, "ran": {}}
            earlier = [p for p in points if p[sweep] < point[sweep]]
            measure(point, earlier, args)
            if point not in points:
                points.append(point)
                points.sort(key=lambda p: p[sweep])
            common.write_json(args.output, report)
    return report


# ---- the picture


def slope(xs: list[int], ys: list[float]) -> str:
    if len(xs) < 2:
        return "unknown"
    return f"{np.polyfit(np.log(xs), np.log(ys), 1)[0]:.2f}"


def plot(report: dict[str, Any], output: Path) -> None:
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

    settings, points = report["settings"], report["sweeps"]
    names = list(dict.fromkeys(name for s in "nd" for p in points[s] for name in p["results"]))
    own_names = [name for name in names if name not in PEERS]
    style = PEERS | {name: (*OURS[i % len(OURS)], "-") for i, name in enumerate(own_names)}
    panels = {
        "n": f"number of rows N  (d = {settings['at_d']:,})",
        "d": f"dimension d  (N = {settings['at_n']:,})",
    }
    with mpl.rc_context({**mpl.rcParamsDefault, "font.size": 10, "svg.hashsalt": "ilo_fast"}):
        figure = Figure(figsize=(12, 5.6), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(1, 2)
        for ax, (sweep, label) in zip(axes, panels.items(), strict=True):
            ax.set(xscale="log", yscale="log", xlabel=label)
            ticks = sorted({p[sweep] for p in points[sweep]})
            heights: dict[str, float] = {}
            for name in names:
                drawn = [p for p in points[sweep] if name in p["results"]]
                if not drawn:
                    continue
                xs = [p[sweep] for p in drawn]
                ys = [p["results"][name]["median_seconds"] for p in drawn]
                colour, marker, dash = style[name]
                ax.plot(
                    xs,
                    ys,
                    color=colour,
                    marker=marker,
                    linestyle=dash,
                    linewidth=1.6 if name in PEERS else 2.4,
                    markersize=6,
                    label=f"{name}, slope {slope(xs, ys)}",
                )
                # Slowest first, as the lines lie; a line that ends early by where it was going.
                heights[name] = ys[-1] * (ticks[-1] / xs[-1]) ** (
                    power(name) if sweep == "n" else 1
                )
            ax.xaxis.set_major_locator(FixedLocator(ticks))
            ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
            ax.xaxis.set_minor_locator(NullLocator())
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 3), numticks=12))
            ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
            ax.grid(True, which="major", color="#d0d7de", linewidth=0.6)
            ax.spines[["top", "right"]].set_visible(False)
            ax.tick_params(axis="x", rotation=30 if len(ticks) > 6 else 0)
            handles, labels = ax.get_legend_handles_labels()
            order = sorted(range(len(handles)), key=lambda i: -list(heights.values())[i])
            ax.legend(
                [handles[i] for i in order],
                [labels[i] for i in order],
                loc="upper left",
                bbox_to_anchor=(0, -0.16),
                ncols=2,
                frameon=False,
                fontsize=9,
                columnspacing=1.2,
                handlelength=2.6,
                borderpad=0,
            )
        axes[0].set_ylabel("seconds, median")
        figure.suptitle(
            f"k-NN graph, k = {settings['n_neighbors']}, {settings['data']} rows, "
            f"threads: {settings['threads']}, {report['machine']['processor']}",
            color=INK,
            fontsize=11,
        )
        for suffix in (".png", ".svg"):
            picture = output.with_suffix(suffix)
            metadata = {"Date": None} if suffix == ".svg" else None
            figure.savefig(picture, dpi=160, facecolor="white", metadata=metadata)
            print(f"wrote {picture}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", nargs="+", type=int, default=[2**i for i in range(13, 18)])
    parser.add_argument("--at-d", type=int, default=1024, help="d while N varies")
    parser.add_argument("--d", nargs="+", type=int, default=[2**i for i in range(8, 14)])
    parser.add_argument("--at-n", type=int, default=16384, help="N while d varies")
    parser.add_argument("--data", default="isotropic", choices=common.DATA)
    parser.add_argument("-k", "--n-neighbors", type=int, default=5)
    parser.add_argument("--threads", type=int, default=common.default_threads())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--levels", nargs="*", default=[], help="also ours at these, e.g. avx2")
    parser.add_argument(
        "--peers",
        nargs="*",
        choices=common.PEERS,
        default=["faiss", "faiss-avx512", "torch-float32", "torch-bfloat16"],
    )
    parser.add_argument("--limit-seconds", type=float, default=120, help="of one run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=Path("knn_scaling.json"))
    parser.add_argument("--plot-only", type=Path, metavar="JSON", help="draw a report again")
    return parser.parse_args()


def main() -> int:
    args = parse()
    if args.plot_only:
        plot(json.loads(args.plot_only.read_text()), args.plot_only)
        return 0
    common.free_libraries()
    plot(run(args), args.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
