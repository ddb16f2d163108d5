"""What intervals and permutations cost beside the scores alone, on representations on disk.

    ilo-fast extract -m MODEL --corpus FLORES_DIR -o reps
    python benchmarks/certainty_cost.py reps --layers 13 --repeats 2

Interleaved, in one process. With more layers than the representations have, these are repeated:
the cost of a layer does not depend on the others.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

import numpy as np

from ilo_fast import overlap
from ilo_fast.representations.result import Representations

WAYS: dict[str, dict[str, Any]] = {
    "scores": {},
    "intervals": {"intervals": True},
    "intervals and 1000 permutations": {"intervals": True, "n_permutations": 1000},
}


def main() -> None:
    """Time each way in turn and print medians and ratios as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reps")
    parser.add_argument("--layers", type=int, default=13)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    reps = Representations.load(args.reps)
    arrays = {
        code: np.concatenate([np.asarray(array)] * (args.layers // len(array) + 1))[: args.layers]
        for code, array in reps.items()
    }
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(args.repeats):
        for way, options in WAYS.items():
            start = time.perf_counter()
            overlap(arrays, parallel=True, groups=reps.groups, n_threads=args.threads, **options)
            seconds[way].append(time.perf_counter() - start)
    medians = {way: statistics.median(values) for way, values in seconds.items()}
    shape = [len(arrays), *next(iter(arrays.values())).shape]
    print(
        json.dumps(
            {
                "languages, layers, sentences, dim": shape,
                "threads": args.threads,
                "seconds": medians,
                "ratio": {way: value / medians["scores"] for way, value in medians.items()},
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
