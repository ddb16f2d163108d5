"""Features that parallel sentences share, all pairs of languages: beside a product of scipy.sparse.

    python benchmarks/sharing.py --threads 2 -o sharing.json
    python benchmarks/sharing.py --languages 6 --sentences 100 --layers 3 --repeats 2

Random tables of `--languages` x `--sentences` x `--layers` with `--active` features each of
`--features`. Contestants, in turn, round by round: `matched`, the core's sums over translations
alone; `all`, with `--shuffles` shuffled pairs beside them; `feature_sharing`, all of it with
intervals; `scipy`, translations alone by elementwise products and minima of sparse matrices, layer
by layer and pair by pair, on one thread; it takes a sample of `--scipy-pairs` pairs of languages,
and its time is that of the sample times all pairs over those. Its numbers are compared with ours.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import knn_common as common
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ilo_fast import _core
from ilo_fast.transcoders.multilingual.line_features import LineFeatures
from ilo_fast.transcoders.multilingual.sharing.partners import other_lines
from ilo_fast.transcoders.multilingual.sharing.sharing import feature_sharing


def random_table(args: argparse.Namespace) -> LineFeatures:
    """Each line has `active` features in each layer: one in each of as many equal parts."""
    random = np.random.default_rng(args.seed)
    rows = args.languages * args.sentences
    step = args.features // args.active
    found = random.integers(0, step, (rows, args.layers, args.active), dtype=np.int32)
    found += (np.arange(args.active) * step).astype(np.int32)
    found += (np.arange(args.layers) * args.features).astype(np.int32)[:, None]
    values = random.uniform(0.1, 3.0, found.size).astype(np.float32)
    line = np.tile(np.arange(args.sentences), args.languages)
    return LineFeatures(
        languages=tuple(f"l{at:02}" for at in range(args.languages)),
        language=np.repeat(np.arange(args.languages), args.sentences),
        line=line, document=line // 4, tokens=np.full(rows, 30),
        indptr=np.arange(rows + 1) * (args.layers * args.active), indices=found.ravel(),
        counts=np.ones(found.size, np.int32), sums=values, maxima=values,
        n_layers=args.layers, n_features=args.features, is_parallel=True,
    )  # fmt: skip


def core(table: LineFeatures, partners: NDArray[np.int32], threads: int) -> Any:
    """What the core gives: sums over documents."""
    n = len(table) // len(table.languages)
    return _core.sum_sharing(
        table.indptr, table.indices, table.maxima,
        row_of=np.arange(len(table)).reshape(-1, n), documents=table.document[:n].astype(np.int32),
        partners=partners, n_layers=table.n_layers, n_features=table.n_features,
        n_documents=int(table.document.max()) + 1, n_threads=threads,
    )  # fmt: skip


def by_scipy(table: LineFeatures, n_pairs: int) -> NDArray[np.float64]:
    """(pairs, layers, 3): the means over lines of the first pairs."""
    n, width = len(table) // len(table.languages), table.n_features
    whole = sparse.csr_matrix(
        (table.maxima.astype(np.float64), table.indices, table.indptr),
        shape=(len(table), table.n_columns),
    )
    first, second = np.triu_indices(len(table.languages), 1)
    out = np.zeros((n_pairs, table.n_layers, 3))
    for layer in range(table.n_layers):
        part = whole[:, layer * width : (layer + 1) * width]
        blocks = [part[at * n : (at + 1) * n] for at in range(len(table.languages))]
        on = [(block > 0).astype(np.float64) for block in blocks]
        sums = [np.asarray(block.sum(axis=1))[:, 0] for block in blocks]
        sizes = [np.asarray(block.sum(axis=1))[:, 0] for block in on]
        norms = [np.sqrt(np.asarray(b.multiply(b).sum(axis=1))[:, 0]) for b in blocks]
        for pair, (a, b) in enumerate(zip(first[:n_pairs], second[:n_pairs], strict=True)):
            both = np.asarray(on[a].multiply(on[b]).sum(axis=1))[:, 0]
            low = np.asarray(blocks[a].minimum(blocks[b]).sum(axis=1))[:, 0]
            product = np.asarray(blocks[a].multiply(blocks[b]).sum(axis=1))[:, 0]
            out[pair, layer] = [
                (both / (sizes[a] + sizes[b] - both)).mean(),
                (low / (sums[a] + sums[b] - low)).mean(),
                (product / (norms[a] * norms[b])).mean(),
            ]
    return out


def main() -> None:
    """Measure in turn, compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (
        ("--languages", 31),
        ("--sentences", 1012),
        ("--layers", 12),
        ("--features", 4096),
        ("--active", 100),
        ("--shuffles", 20),
        ("--threads", 2),
        ("--repeats", 3),
        ("--scipy-pairs", 20),
        ("--seed", 0),
    ):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("-o", "--out", type=Path)
    args = parser.parse_args()
    table = random_table(args)
    all_pairs = args.languages * (args.languages - 1) // 2
    sample = min(args.scipy_pairs, all_pairs)
    n = args.sentences
    partners = other_lines(table.document[:n], args.shuffles, seed=args.seed)[0]
    none = partners[:0]
    runs: dict[str, Callable[[], Any]] = {
        "matched": lambda: core(table, none, args.threads)[0],
        "all": lambda: core(table, partners, args.threads)[0],
        "feature_sharing": lambda: feature_sharing(
            table, n_shuffles=args.shuffles, n_threads=args.threads, max_density=1.0
        ),
        "scipy": lambda: by_scipy(table, sample),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    found: dict[str, Any] = {}
    for _ in range(args.repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            found[name] = run()
            scale = all_pairs / sample if name == "scipy" else 1.0
            seconds[name].append(scale * (time.perf_counter() - start))
    ours = found["matched"][:sample].sum(axis=2) / n
    report = {
        "machine": common.machine(),
        **{key: value for key, value in vars(args).items() if key != "out"},
        "pairs": all_pairs,
        "median_seconds": {name: statistics.median(of) for name, of in seconds.items()},
        "seconds": seconds,
        "scipy_threads": 1,
        "largest_difference_from_scipy": float(np.abs(ours - found["scipy"]).max()),
    }
    print(report["median_seconds"], report["largest_difference_from_scipy"])
    if args.out:
        common.write_json(args.out, report)


if __name__ == "__main__":
    main()
