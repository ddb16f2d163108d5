"""Scores with replicates, the slow way: a sorted list of all points, read again without a sentence.

`from_marks` needs no vectors: points that bridge independently of each other, so that standard
errors and power are known in closed form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ilo_fast.scores.certainty.replicates import Counts, Replicates
from ilo_fast.scores.result import OverlapScores

Array = NDArray[np.float64]
CODES = ("eng_Latn", "deu_Latn", "rus_Cyrl", "swh_Latn")


def from_vectors(
    vectors: Mapping[str, Array],
    *,
    n_neighbors: int = 5,
    threshold: int = 3,
    n_subsets: int = 40,
    seed: int = 0,
    units_sha256: str | None = "a" * 64,
) -> OverlapScores:
    """Of parallel text: (layers, sentences, dim) for each language; Euclidean neighbours."""
    n_layers, n, _ = next(iter(vectors.values())).shape
    labels = np.repeat(np.arange(len(vectors)), n)
    sentences = np.tile(np.arange(n), len(vectors))
    ordered = [_order(np.concatenate([v[h] for v in vectors.values()])) for h in range(n_layers)]

    def count(keep: NDArray[np.bool_]) -> Counts:
        each = [
            _counts(order, labels, sentences, keep[sentences], n_neighbors, threshold)
            for order in ordered
        ]
        bridging, reached, translations = np.stack(each, axis=1)
        points = np.full(len(vectors), keep.sum(), np.int32)
        return Counts(points, bridging, reached, translations)

    drawn = _halves(n, n_subsets, seed)
    return _scores(
        tuple(vectors),
        count(np.ones(n, bool)),
        _stacked([count(keep) for keep in ~np.eye(n, dtype=bool)]),
        _stacked([count(keep) for keep in drawn]),
        n_kept=n // 2,
        seed=seed,
        n_neighbors=n_neighbors,
        threshold=threshold,
        units_sha256=units_sha256,
    )


def from_marks(
    marks: NDArray[np.bool_],
    codes: Sequence[str] = CODES,
    *,
    n_subsets: int = 40,
    seed: int = 0,
    units_sha256: str | None = None,
) -> OverlapScores:
    """Of marks (layers, sentences, languages): which points bridge. Reach is 1 everywhere.

    Translations are as many as bridges.
    """
    n_layers, n, n_languages = marks.shape
    drawn = _halves(n, n_subsets, seed)

    def counts(keep: NDArray[np.bool_]) -> Counts:
        bridging = (keep.astype(np.float64) @ marks.astype(np.float64)).swapaxes(0, 1)
        reached = np.full((len(keep), n_layers, n_languages), n_languages - 1, np.int32)
        points = np.broadcast_to(keep.sum(axis=1)[:, None], (len(keep), n_languages))
        return Counts(points.astype(np.int32), bridging.astype(np.int32), reached, bridging)

    whole = counts(np.ones((1, n), bool))
    return _scores(
        tuple(codes),
        Counts(whole.points[0], whole.bridging[0], whole.reached[0], whole.bridging[0]),
        counts(~np.eye(n, dtype=bool)),
        counts(drawn),
        n_kept=n // 2,
        seed=seed,
        n_neighbors=5,
        threshold=3,
        units_sha256=units_sha256,
    )


def _halves(n: int, n_subsets: int, seed: int) -> NDArray[np.bool_]:
    """Subsets (subsets, sentences): pairs of halves that have no sentence in common."""
    rng = np.random.default_rng(seed)
    places = np.stack([rng.permutation(n) for _ in range(n_subsets // 2)])
    pairs = [places < n // 2, (places >= n // 2) & (places < 2 * (n // 2))]
    return np.stack(pairs, axis=1).reshape(-1, n)


def _order(points: Array) -> NDArray[np.int64]:
    """For each point all others, the nearest first."""
    squares = np.square(points[:, None] - points[None]).sum(axis=2)
    np.fill_diagonal(squares, -1)
    return np.argsort(squares, axis=1, kind="stable")[:, 1:]


def _counts(
    order: NDArray[np.int64],
    labels: NDArray[np.int64],
    sentences: NDArray[np.int64],
    kept: NDArray[np.bool_],
    n_neighbors: int,
    threshold: int,
) -> NDArray[np.int32]:
    """Bridging, reached and translations of each language, of the points that are kept."""
    n_languages = labels.max() + 1
    found = np.zeros((3, n_languages), np.int32)
    union: list[set[int]] = [set() for _ in range(n_languages)]
    for i in np.flatnonzero(kept):
        near = order[i][kept[order[i]]][:n_neighbors]
        own = labels[i]
        others = set(labels[near].tolist()) - {int(own)}
        union[own] |= others
        found[0, own] += len(others) >= threshold
        found[2, own] += int(((sentences[near] == sentences[i]) & (labels[near] != own)).sum())
    found[1] = [len(languages) for languages in union]
    return found


def _stacked(parts: Sequence[Counts]) -> Counts:
    return Counts(
        *(
            np.stack([getattr(part, name) for part in parts])
            for name in ("points", "bridging", "reached", "translations")
        )
    )


def _scores(
    codes: tuple[str, ...],
    whole: Counts,
    without_one: Counts,
    subsets: Counts,
    *,
    n_kept: int,
    seed: int,
    n_neighbors: int,
    threshold: int,
    units_sha256: str | None,
) -> OverlapScores:
    found = whole.scores(n_neighbors)
    n = int(whole.points[0])
    return OverlapScores(
        bridge=found["bridge"],
        reach=found["reach"],
        ilo=found["ilo"],
        layers=tuple(range(len(found["ilo"]))),
        languages=codes,
        n_sentences=(n,) * len(codes),
        n_neighbors=n_neighbors,
        threshold=threshold,
        metric="euclidean",
        translation_share=found["translation_share"],
        translation_chance=np.full(len(codes), (len(codes) - 1) / (n * len(codes) - 1)),
        info={"run": {"model_name": "org/model", "corpus_name": "text"}},
        replicates=Replicates(
            whole=whole,
            without_one=without_one,
            subsets=subsets,
            n_kept=n_kept,
            seed=seed,
            unit="sentence",
            strata=None,
            n_neighbors=n_neighbors,
            units_sha256=units_sha256,
        ),
    )
