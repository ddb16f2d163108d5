"""Hold finished scores against a float64 brute force in NumPy, at full size.

    ilo-fast extract --model DIR --corpus DIR -o reps
    ilo-fast score reps -o scores
    python benchmarks/verify_scores.py reps scores/scores.json

For every point of every layer, all distances are computed in float64 (in blocks: a matrix product
proposes a few more than k, the definition decides among them, and where the proposal is not clearly
apart from the rest, all of that row are decided by the definition). Then bridge, reach, ILO and the
translation share are counted point by point. Shares nothing with the package but the files. Exit
status 1 if any number differs.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from oracles import knn as reference

SPARE = 16


def neighbours(X: np.ndarray, k: int, metric: str) -> np.ndarray:
    U, _ = reference.as_definition(X, metric)
    centred = U - U.mean(axis=0)
    half = 0.5 * np.einsum("ij,ij->i", centred, centred)
    n, found, doubtful = len(U), np.empty((len(U), k), np.int64), 0
    for begin in range(0, n, 512):
        end = min(n, begin + 512)
        score = half - centred[begin:end] @ centred.T
        score[np.arange(end - begin), np.arange(begin, end)] = np.inf
        proposed = np.argpartition(score, k + SPARE, axis=1)[:, : k + SPARE]
        for r in range(end - begin):
            i, columns = begin + r, proposed[r]
            squared = reference.lane_sum((U[columns] - U[i]) ** 2)
            order = np.lexsort((columns, squared))[:k]
            # |u_i - u_j|^2 = 2 (score + half_i); the product errs by far less than this margin.
            beyond = 2 * (score[r, columns].max() + half[i])
            if squared[order[-1]] > beyond - 1e-9 * half.max():
                doubtful += 1
                columns = np.delete(np.arange(n), i)
                squared = reference.lane_sum((U[columns] - U[i]) ** 2)
                order = np.lexsort((columns, squared))[:k]
            found[i] = columns[order]
    print(f"  {doubtful} of {n} rows decided among all columns", file=sys.stderr)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("representations", type=Path, help="a folder from `ilo-fast extract`")
    parser.add_argument("scores", type=Path, help="scores.json from `ilo-fast score` or `run`")
    parser.add_argument("--layers", type=int, nargs="*", help="only these (default: all)")
    args = parser.parse_args()

    from ilo_fast import OverlapScores, Representations

    reps = Representations.load(args.representations)
    scores = OverlapScores.from_json(args.scores)
    if tuple(reps) != scores.languages or reps.layers != scores.layers:
        sys.exit("these scores are not of these representations")
    sizes = [reps[code].shape[1] for code in reps]
    labels = np.repeat(np.arange(len(sizes)), sizes)
    wrong = 0
    for h, layer in enumerate(scores.layers):
        if args.layers is not None and layer not in args.layers:
            continue
        start = time.perf_counter()
        X = np.concatenate([reps[code][h] for code in reps])
        found = neighbours(X, scores.n_neighbors, scores.metric)
        wanted = dict(
            zip(
                ("bridge", "reach", "ilo"),
                reference.overlap(found, labels, len(sizes), scores.threshold),
                strict=True,
            )
        )
        if scores.translation_share is not None:
            sentences = np.concatenate([np.arange(size) for size in sizes])
            wanted["translation_share"] = reference.translation_share(
                found, labels, sentences, len(sizes)
            )
        differences = {
            name: float(np.abs(getattr(scores, name)[h] - value).max())
            for name, value in wanted.items()
        }
        # Shares are counts over counts: the three scores must be equal to the bit.
        equal = all(differences[name] == 0 for name in ("bridge", "reach", "ilo"))
        equal &= differences.get("translation_share", 0.0) < 1e-12
        wrong += not equal
        print(
            f"layer {layer}: {'equal' if equal else 'DIFFERENT'} {differences}, "
            f"{time.perf_counter() - start:.0f} s",
            flush=True,
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
