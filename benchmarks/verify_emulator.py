"""Hold the engine for GPUs, on the CUDA emulator, against the CPU engine, on real representations.

    ilo-fast extract --model DIR --corpus DIR -o reps
    python benchmarks/verify_emulator.py reps

Layer by layer the graph of all languages' points, by both engines: neighbours and the bits of their
distances. Needs a build with ILO_FAST_TESTING=ON. A minute or more per layer for 31 000 points of
384 values; no time means anything here. Exit status 1 if any differs.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from ilo_fast import Representations, _core_testing, knn_graph


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("representations", help="a folder from `ilo-fast extract`")
    parser.add_argument("--layers", type=int, nargs="*", help="rows of the stack (default: all)")
    parser.add_argument("-k", type=int, default=5)
    args = parser.parse_args()
    reps = Representations.load(args.representations)
    differ = 0
    for h in range(len(reps.layers)) if args.layers is None else args.layers:
        X = np.concatenate([np.asarray(reps[language])[h] for language in reps])
        wanted = knn_graph(X, args.k, backend="exact")
        indices, distances, infos = _core_testing.cuda_knn_graph(
            [X[np.newaxis]], X.dtype.name, args.k, cosine=True, machine="emulated",
            product="library",
        )  # fmt: skip
        rows = (indices[0] != wanted.indices) | (distances[0] != wanted.distances)
        differ += int(rows.any())
        print(
            f"layer {reps.layers[h]}: {rows.any(axis=1).sum()} of {len(X)} rows differ, "
            f"{infos[0]['certified_rows']} certified in the first pass, "
            f"{infos[0]['candidates_per_row']:.2f} float64 distances a row",
            flush=True,
        )
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
