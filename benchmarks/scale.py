"""Tasks, bytes and hours of a graph on a cluster, on paper, from a measured speed.

    python benchmarks/scale.py
    python benchmarks/scale.py --rows 2000000 --dim 768 --nodes 4 --cores 16 --gigabytes 64

The speed is that of one process over a whole graph with all its stages, as --measured gives it:
rows, dimension, threads and seconds. It is assumed for every thread of every node, with a tenth for
reading, sending, merging and the last task: what storage must deliver for that is the last column.
"""

from __future__ import annotations

import argparse
import json

from ilo_fast._util.messages import byte_size
from ilo_fast._util.ray_cluster import Node, memory_of_task, slots, threads_of_task
from ilo_fast.graph.tiles.plan import Problem, hours, plan_tiles


def main() -> None:
    args = parsed()
    rows, dim, threads, seconds = args.measured
    per_thread = rows * (rows - 1) / 2 * dim / seconds / threads
    print(f"{per_thread:.3g} multiply-adds per second and thread, assumed the same at any number")
    print(
        "| rows | nodes | at a time | blocks | tasks | GB a task | read | returned | hours | GB/s |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    found = []
    for n in args.rows:
        for count in args.nodes:
            nodes = [Node(args.cores, args.gigabytes * 10**9)] * count
            task_threads = threads_of_task(nodes, args.threads)
            memory = memory_of_task(nodes, task_threads)
            at_a_time = slots(nodes, task_threads, memory)
            plan = plan_tiles(
                Problem(n, args.dim, args.itemsize, args.k),
                memory=memory,
                n_threads=task_threads,
                slots=at_a_time,
            )
            time = hours(plan, slots=at_a_time, products_per_second=per_thread * task_threads)
            found.append(
                {"rows": n, "nodes": count, "slots": at_a_time, "blocks": plan.n_blocks,
                 "tasks": plan.n_tiles, "task_bytes": plan.task_memory,
                 "bytes_read": plan.bytes_read, "bytes_returned": plan.bytes_returned,
                 "hours": time}
            )  # fmt: skip
            cells = (
                f"{n:,}".replace(",", " "), count, at_a_time, plan.n_blocks, plan.n_tiles,
                f"{plan.task_memory / 1e9:.1f}", byte_size(plan.bytes_read),
                byte_size(plan.bytes_returned), f"{time:.2g}",
                f"{plan.bytes_read / 3600 / time / 1e9:.2g}",
            )  # fmt: skip
            print("| " + " | ".join(map(str, cells)) + " |")
    if args.output:
        with open(args.output, "w", encoding="utf-8") as file:
            json.dump({"per_thread": per_thread, "measured": args.measured, "plans": found}, file)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10**7, 10**8])
    parser.add_argument("--dim", type=int, default=1024)
    parser.add_argument("--itemsize", type=int, default=4, help="bytes of a value (default: 4)")
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--nodes", type=int, nargs="+", default=[8, 64, 512])
    parser.add_argument("--cores", type=int, default=64, help="of a node")
    parser.add_argument("--gigabytes", type=int, default=256, help="of a node")
    parser.add_argument("--threads", type=int, help="of a task (default: as the backend chooses)")
    parser.add_argument(
        "--measured",
        type=float,
        nargs=4,
        metavar=("ROWS", "DIM", "THREADS", "SECONDS"),
        default=[10**6, 768, 2, 973],
        help="default: docs/results/knn, a million rows out of core",
    )
    parser.add_argument("-o", "--output", help="JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
