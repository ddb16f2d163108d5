"""ILO and translation share after the directions that tell languages apart are removed.

How many dimensions keep the languages apart? The directions are fitted on one half of the
sentences, and the scores are those of the other half: on the half that they were fitted on, they
would also take what is chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import whole_number
from ilo_fast._util.progress import share_bar
from ilo_fast.graph.knn import Metric
from ilo_fast.scores.companions.directions_result import DirectionsRemoved as DirectionsRemoved
from ilo_fast.scores.overlap import overlap
from ilo_fast.scores.similarity.halves import Halves
from ilo_fast.scores.similarity.layers import Rows, check_parallel, layer_numbers, unit_factor

Array = NDArray[np.float64]

NOTHING, MEANS = -1, 0
"""Among the ranks: the vectors as they are, and each language's mean subtracted."""


def directions_removed(
    representations: Mapping[str, Any],
    *,
    ranks: Sequence[int] | None = None,
    n_neighbors: int = 5,
    threshold: int = 3,
    metric: Metric = "cosine",
    max_scored: int | None = None,
    seed: int = 0,
    n_threads: int | None = None,
    progress: bool = False,
) -> DirectionsRemoved:
    """Score representations from which more and more language directions are removed.

    Parameters
    ----------
    representations : Representations of parallel text, or mapping of language to such arrays
    ranks : sequence of int, optional
        How many directions to remove, at most L - 1; -1 for nothing, 0 for the mean of each
        language (Libovicky, Rosa and Fraser 2020). By default -1, 0, 1, 2, 4, ... and L - 1.
    n_neighbors, threshold, metric, n_threads
        As in `ilo_fast.overlap`.
    max_scored : int, optional
        Score so many sentences of the half at the most, drawn at random.
    seed : int
        Of the halves, which keep documents whole.
    progress : bool
        A bar on standard error.

    Returns
    -------
    DirectionsRemoved
        Means over languages. Scores of half the sentences are not those of all: compare them with
        those at rank -1, which are of the same sentences.

    Raises
    ------
    ValueError, TypeError
        Text that is not parallel, fewer than two units in a half, ranks out of range.

    Notes
    -----
    The directions are those of LSAR (`language_directions`). Cost: an exact graph of half the
    points for each rank and layer.
    """
    stacks = check_parallel(representations, "representations", zero_rows=metric != "cosine")
    n_languages, n = len(stacks), stacks[0].n
    chosen = _ranks(ranks, n_languages)
    limit = n if max_scored is None else whole_number("max_scored", max_scored)
    groups = getattr(representations, "groups", None)
    fitted, scored = _halves(n, groups, seed)
    if len(scored) > limit:
        rng = np.random.default_rng([seed, len(scored)])
        scored = np.sort(rng.choice(scored, limit, replace=False))
    layers = layer_numbers(representations, len(stacks[0]))
    ilo, share = np.empty((2, len(chosen), len(layers)))
    with share_bar(progress, "directions") as update:
        for h in range(len(layers)):
            rows = _near_unit([stack[h] for stack in stacks])
            means = np.stack([one[fitted].mean(axis=0, dtype=np.float64) for one in rows])
            for r, rank in enumerate(chosen):
                before = [one[scored] for one in rows]
                points = without(before, means, rank)
                if metric == "cosine" and _lost_direction(before, points):
                    ilo[r, h] = share[r, h] = np.nan
                else:
                    found = overlap(
                        {f"language {c}": one for c, one in enumerate(points)},
                        n_neighbors=n_neighbors,
                        threshold=threshold,
                        metric=metric,
                        n_threads=n_threads,
                        parallel=True,
                    )
                    assert found.translation_share is not None
                    ilo[r, h], share[r, h] = found.ilo.mean(), found.translation_share.mean()
                if update:
                    update((h + (r + 1) / len(chosen)) / len(layers))
    return DirectionsRemoved(layers, chosen, ilo, share, len(fitted), len(scored))


def language_directions(means: Array, rank: int) -> Array:
    """Orthonormal directions along which the means of languages differ, shape (d, rank).

    LSAR (Xie, Zhao, Yu and Li 2022, arXiv 2401.05792): the means are fitted by a common part and
    `rank` directions, the best in the sense of least squares; then the common part is made
    orthogonal to the directions, so that removing them takes nothing that languages share.

    Parameters
    ----------
    means : float64, shape (languages, d)
    rank : int
        From 1 to languages - 1; fewer directions come back where the means have fewer.

    Notes
    -----
    ``w = pinv(F)' 1 / |pinv(F)' 1|^2``, with the squared norm: only then is ``F' w`` the same for
    all languages. Some programs divide by the norm.
    """
    peak = np.abs(means).max()
    M = means.T / (peak if peak > 0 else 1.0)  # directions have no scale; squares overflow
    rounding = 1e-9 * np.linalg.norm(M)
    center = M.mean(axis=1, keepdims=True)
    u, s, v = np.linalg.svd(M - center, full_matrices=False)
    if np.linalg.norm(center) > rounding:  # else nothing is common, and the directions stand
        fit = center + (u[:, :rank] * s[:rank]) @ v[:rank]
        common = np.linalg.pinv(fit).T.sum(axis=1, keepdims=True)
        common /= (common**2).sum()
        u, s, _ = np.linalg.svd(fit - common, full_matrices=False)
    kept = s[:rank] > rounding
    directions: Array = u[:, :rank][:, kept]
    return directions


def without(rows: Sequence[Rows], means: Array, rank: int) -> list[Rows]:
    """Rows of each language without that many directions (`NOTHING`, `MEANS` or 1 and more)."""
    if rank == NOTHING:
        return list(rows)
    if rank == MEANS:
        return [(one - mean).astype(one.dtype) for one, mean in zip(rows, means, strict=True)]
    directions = language_directions(means, rank)
    return [(one - (one @ directions) @ directions.T).astype(one.dtype) for one in rows]


def _lost_direction(before: Sequence[Rows], after: Sequence[Rows]) -> bool:
    """Whether of some row nothing but rounding is left."""
    return any(
        bool((np.abs(b).max(axis=1) <= np.finfo(b.dtype).eps * np.abs(a).max(axis=1)).any())
        for a, b in zip(before, after, strict=True)
    )


def _near_unit(rows: Sequence[Rows]) -> list[Rows]:
    """Rows of huge or tiny numbers times one factor, which changes no neighbour.

    Their sums and differences would overflow. Others are not copied.
    """
    peak = max(float(np.abs(one).max()) for one in rows)
    if 2.0**-64 < peak < 2.0**64:
        return list(rows)
    widest = np.result_type(*rows)
    return [one * unit_factor(widest, peak) for one in rows]


def _ranks(ranks: Sequence[int] | None, n_languages: int) -> tuple[int, ...]:
    most = n_languages - 1
    if ranks is None:
        powers = [2**p for p in range(most.bit_length()) if 2**p < most]
        return (NOTHING, MEANS, *powers, most)
    found = tuple(whole_number("ranks", rank, least=-1, most=most) for rank in ranks)
    if not found or len(set(found)) < len(found):
        raise ValueError(f"ranks={list(ranks)!r}: wanted one or more, each once")
    return found


def _halves(
    n: int, groups: Sequence[str] | None, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    halves = Halves.draw(n, groups, n_draws=1, seed=seed, least_units=4)
    if halves.reason:
        raise ValueError(f"directions are fitted on half the sentences: {halves.reason}")
    return halves.pairs[0]
