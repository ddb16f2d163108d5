"""What the structure of a graph and its map cost, and the communities beside networkx.

    ilo-fast extract -m MODEL --corpus FLORES_DIR -o reps
    python benchmarks/structure.py reps --layers 0 3 6 -o structure.json

Per layer: seconds of the graph, of `structure`, of `layout`, and of the communities of the whole
graph, with their modularity, beside networkx's Louvain algorithm (``--louvain``; minutes for 30 000
points).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import knn_common as common
import numpy as np
from numpy.typing import NDArray

from ilo_fast.graph.knn import knn_graph
from ilo_fast.representations.result import Representations
from ilo_fast.scores.structure.communities import communities
from ilo_fast.scores.structure.layout import layout
from ilo_fast.scores.structure.structure import structure


def main() -> None:
    """Measure layer after layer, print each, and write all as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reps")
    parser.add_argument("--layers", type=int, nargs="+", default=[0])
    parser.add_argument("--neighbors", type=int, default=5)
    parser.add_argument("--louvain", action="store_true")
    parser.add_argument("-o", "--out", type=Path)
    args = parser.parse_args()
    reps = Representations.load(args.reps)
    codes = [code for code in reps for _ in range(reps[code].shape[1])]
    sentences = [s for code in reps for s in range(reps[code].shape[1])]
    report: dict[str, Any] = {"machine": common.machine(), "points": len(codes), "layers": []}
    for h in args.layers:
        rows = np.concatenate([np.asarray(reps[code][h]) for code in reps])
        graph, of_graph = timed(lambda rows=rows: knn_graph(rows, args.neighbors, n_threads=1))
        _, of_structure = timed(
            lambda graph=graph: structure(
                graph, codes, sentences=sentences if reps.parallel else None
            )
        )
        _, of_layout = timed(lambda graph=graph: layout(graph))
        seconds = {"graph": of_graph, "structure": of_structure, "layout": of_layout}
        found = {"layer": h, "seconds": seconds, **beside(graph.indices, args.louvain)}
        report["layers"].append(found)
        print(found, flush=True)
    if args.out:
        common.write_json(args.out, report)


def beside(indices: NDArray[np.int64], louvain: bool) -> dict[str, Any]:
    """Communities of the whole graph, ours and those of networkx, by its modularity."""
    n, k = indices.shape
    source, target = np.repeat(np.arange(n), k), indices.ravel()
    groups, ours = timed(lambda: communities(source, target, n))
    if not louvain:
        return {"communities": {"ours": {"seconds": ours, "n": int(groups.max()) + 1}}}
    import networkx as nx

    graph = nx.Graph()
    graph.add_nodes_from(range(n))
    pairs, weights = np.unique(
        np.sort(np.stack([source, target]), axis=0), axis=1, return_counts=True
    )
    ends = zip(*pairs.tolist(), weights.tolist(), strict=True)
    graph.add_weighted_edges_from(ends)
    theirs, seconds = timed(lambda: nx.community.louvain_communities(graph, seed=0))
    parts = [np.flatnonzero(groups == g).tolist() for g in range(int(groups.max()) + 1)]
    return {
        "communities": {
            "ours": {
                "seconds": ours,
                "n": len(parts),
                "modularity": nx.community.modularity(graph, parts),
            },
            "networkx": {
                "seconds": seconds,
                "n": len(theirs),
                "modularity": nx.community.modularity(graph, theirs),
            },
        }
    }


def timed(run: Callable[[], Any]) -> tuple[Any, float]:
    """What a call gives, and its seconds."""
    start = time.perf_counter()
    found = run()
    return found, time.perf_counter() - start


if __name__ == "__main__":
    main()
