"""What permutations cost: languages shuffled within sentences, sentences within languages.

    python benchmarks/permutations.py --threads 2 -o permutations.json

Graphs are made up, layer by layer between two ends: neighbours of the own language, and
translations; some are drawn from all points. Prints JSON: medians of wall and CPU seconds (of all
threads; on a busy machine the fairer figure) for both shuffles, for languages alone (as where text
is not parallel), and for all of `mixing_test`, p values included; and, for a scale, one permutation
of languages in NumPy.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast import _core
from ilo_fast.scores.certainty.permutations import mixing_test

Ints = NDArray[np.int32]


def made_up_graphs(rng: np.random.Generator, args: argparse.Namespace) -> Ints:
    """Neighbours (layers, points, k): own language, translations any point, by depth."""
    shape = (args.languages * args.sentences, args.n_neighbors)
    language, sentence = np.divmod(np.arange(shape[0])[:, None], args.sentences)
    graphs = np.empty((args.layers, *shape), np.int32)
    for layer, depth in enumerate(np.linspace(0.05, 0.9, args.layers)):
        same_language = language * args.sentences + rng.integers(0, args.sentences, shape)
        translation = rng.integers(0, args.languages, shape) * args.sentences + sentence
        anywhere = rng.integers(0, shape[0], shape)
        graphs[layer] = np.where(rng.random(shape) < depth, translation, same_language)
        graphs[layer] = np.where(rng.random(shape) < 0.3, anywhere, graphs[layer])
    return graphs


def timed(run: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Medians of wall and CPU seconds."""
    wall, cpu = [], []
    for _ in range(repeats):
        began, worked = time.perf_counter(), time.process_time()
        run()
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - worked)
    return {"wall_s": statistics.median(wall), "cpu_s": statistics.median(cpu)}


def in_numpy(rng: np.random.Generator, graph: Ints, sentences: int, threshold: int) -> None:
    """One permutation of one layer, of up to 64 languages."""
    by_sentence = np.tile(np.arange(len(graph) // sentences), (sentences, 1))
    labels = rng.permuted(by_sentence, axis=1).T.ravel()
    bit = np.uint64(1) << labels.astype(np.uint64)
    others = np.bitwise_or.reduce(bit[graph], axis=1) & ~bit
    np.bincount(labels[np.bitwise_count(others) >= threshold])
    np.bitwise_or.at(np.zeros(64, np.uint64), labels, others)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--layers", type=int, default=33)
    parser.add_argument("--languages", type=int, default=31)
    parser.add_argument("--sentences", type=int, default=1012)
    parser.add_argument("--n-neighbors", type=int, default=5)
    parser.add_argument("--threshold", type=int, default=3)
    parser.add_argument("--permutations", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args()
    if args.languages > 64:
        print("NumPy's words hold 64 languages: it is left out", file=sys.stderr)

    rng = np.random.default_rng(args.seed)
    graphs = made_up_graphs(rng, args)
    languages = np.repeat(np.arange(args.languages, dtype=np.int32), args.sentences)
    sentences = np.tile(np.arange(args.sentences), args.languages)
    common = {
        "n_languages": args.languages,
        "threshold": args.threshold,
        "n_permutations": args.permutations,
        "seed": args.seed,
        "n_threads": args.threads,
    }
    report: dict[str, Any] = {
        "machine": {"processor": platform.processor(), "cpus": os.cpu_count()},
        "load_before": os.getloadavg()[0],
        **{name: value for name, value in vars(args).items() if name != "output"},
        "both": timed(
            lambda: _core.overlap_permutations(graphs, languages, sentences, **common),
            args.repeats,
        ),
        "languages_alone": timed(
            lambda: _core.overlap_permutations(graphs, languages, None, **common), args.repeats
        ),
        "mixing_test": timed(
            lambda: mixing_test(graphs, languages, sentences, **common), args.repeats
        ),
    }
    if args.languages <= 64:
        report["numpy_languages_one_permutation_of_one_layer"] = timed(
            lambda: in_numpy(rng, graphs[0], args.sentences, args.threshold), 5
        )
    text = json.dumps(report, indent=2)
    print(text)
    if args.output:
        args.output.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
