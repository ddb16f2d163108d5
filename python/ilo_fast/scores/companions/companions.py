"""Scores that are read beside ILO: all of them, layer by layer, in one call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import truth, whole_number
from ilo_fast._util.messages import listed
from ilo_fast._util.progress import share_bar
from ilo_fast._util.versions import versions
from ilo_fast.graph.options import thread_count
from ilo_fast.scores.certainty.intervals import check_level
from ilo_fast.scores.companions.directions import directions_removed
from ilo_fast.scores.companions.directions_result import DirectionsRemoved
from ilo_fast.scores.companions.entries import COMPANIONS, Entry
from ilo_fast.scores.companions.layer import LayerScores, Options, layer_scores
from ilo_fast.scores.companions.result import Companion as Companion
from ilo_fast.scores.companions.result import Companions as Companions
from ilo_fast.scores.overlap import overlap
from ilo_fast.scores.result import OverlapScores
from ilo_fast.scores.similarity.halves import Halves
from ilo_fast.scores.similarity.layers import Layers, check_parallel, layer_numbers

Array = NDArray[np.float64]

_N_DRAWS: Final = 8
"""Pairs of halves, fewer than of a single similarity: they cost 4 times as much as the scores."""

_SCORED_SENTENCES: Final = 128  # of which scores without some directions are measured


def companions(
    representations: Mapping[str, Any],
    scores: OverlapScores | None = None,
    *,
    pivots: Sequence[str] | None = None,
    directions: bool = True,
    intervals: bool = False,
    level: float = 0.95,
    seed: int = 0,
    n_threads: int | None = None,
    progress: bool = False,
) -> Companions:
    """Measure what is read beside ILO: retrieval, MEXA, alignment, neighbourhoods, hubs, isotropy.

    Parameters
    ----------
    representations : Representations of parallel text, or mapping of language to such arrays
        Two languages or more, 4 sentences or more.
    scores : OverlapScores, optional
        Of the same representations: their neighbours (``overlap(..., neighbors=True)``), number of
        neighbours, threshold and metric are used. Without, they are measured as `overlap` does.
    pivots : sequence of str, optional
        The languages with which each language is compared, in the means of scores of pairs; all
        others unless given.
    directions : bool
        Also ILO and translation share after the directions of language are removed
        (`directions_removed`), of 128 sentences at most.
    intervals : bool
        From 8 pairs of disjoint halves of the sentences; takes five to ten times as long.
    level, seed : float, int
        Of the intervals; of the halves.
    n_threads : int, optional
        All that the process may use.
    progress : bool
        A bar on standard error.

    Returns
    -------
    Companions
        Of scores of pairs, a language has the mean of both directions over the pivots, of chance
        and z too.

    Raises
    ------
    ValueError, TypeError
        Text that is not parallel, languages or layers that are not those of `scores`, pivots that
        are not there, NaN, infinity, zero rows.

    Notes
    -----
    Cost: some ``layers L^2 n^2 d``. Memory: some copies of one layer.
    """
    began = time.perf_counter()
    level, threads = check_level(level), thread_count(n_threads)
    seed = whole_number("seed", seed, least=0)
    if not isinstance(representations, Mapping):
        raise TypeError(
            f"representations must map each language to its array, got "
            f"{type(representations).__name__}"
        )
    stacks = check_parallel(representations, "representations", zero_rows=False)
    languages, layers = tuple(representations), layer_numbers(representations, len(stacks[0]))
    n = stacks[0].n
    if len(languages) < 2 or n < 4:
        raise ValueError(
            f"representations has {len(languages)} languages of {n} sentences, wanted 2 or more "
            "of 4 or more"
        )
    chosen = _pivots(pivots, languages)
    scores = _with_neighbors(representations, scores, languages, layers, n, threads, progress)
    options = Options(scores.n_neighbors, scores.threshold, scores.metric, threads)
    halves = None
    if truth("intervals", intervals):
        least = max(4, -(-(options.n_neighbors + 1) // len(languages)))
        groups = getattr(representations, "groups", None)
        halves = Halves.draw(n, groups, least=least, n_draws=_N_DRAWS, seed=seed)
    with share_bar(progress, "companions") as update:
        measured = [
            _Layer(stacks, h, scores, options, halves, chosen, update) for h in range(len(layers))
        ]
    removed, reason = None, ""
    if truth("directions", directions):
        removed, reason = _removed(representations, options, n, seed, progress)
    return Companions(
        layers=layers,
        languages=languages,
        scores=tuple(_companion(name, entry, measured, halves, level)
                     for name, entry in COMPANIONS.items()),
        matrices={
            name: np.stack([layer.whole.values[name] for layer in measured])
            for name, values in measured[0].whole.values.items()
            if values.ndim == 2
        },
        level=level,
        removed=removed,
        info={
            "n_sentences": n,
            "n_neighbors": options.n_neighbors,
            "threshold": options.threshold,
            "metric": options.metric,
            "pivots": [languages[p] for p in chosen],
            "intervals": None if halves is None else {
                "unit": halves.unit, "n_units": halves.n_units, "reason": halves.reason,
            },
            "directions": reason or directions,
            "seconds": time.perf_counter() - began,
            "versions": versions("numpy"),
        },
    )  # fmt: skip


def _mean(values: Array) -> Array:
    """Over languages, the last axis; a single pivot has no value. The value itself, if of all."""
    if values.ndim == 0:
        return values
    there = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(there, values, 0).sum(axis=-1) / there.sum(axis=-1))


class _Layer:
    """Scores of one layer, and those of its halves."""

    def __init__(
        self,
        stacks: list[Layers],
        h: int,
        scores: OverlapScores,
        options: Options,
        halves: Halves | None,
        pivots: NDArray[np.int64],
        update: Callable[[float], None] | None,
    ) -> None:
        rows = [stack[h] for stack in stacks]
        assert scores.neighbors is not None
        pairs = () if halves is None else halves.pairs
        done, total = 0.0, 1 + len(pairs) / 2  # a half costs a quarter

        def advance(share: float, cost: float = 1.0) -> None:
            if update:
                update((h + (done + cost * share) / total) / len(stacks[0]))

        self.pivots = pivots
        self.whole: LayerScores = layer_scores(
            rows, options, np.asarray(scores.neighbors.indices[h]), advance
        )
        done += 1
        self.halves: dict[str, list[Array]] = {name: [] for name in self.whole.values}
        for pair in pairs:
            for half in pair:
                found = layer_scores([of_language[half] for of_language in rows], options)
                for name, values in self.halves.items():
                    values.append(self.reduced(found.values[name]))
            done += 0.5
            advance(0.0)

    def reduced(self, values: Array) -> Array:
        """Of pairs, the mean of each language over both directions and the pivots."""
        if values.ndim < 2:
            return values
        both = (values + values.T)[:, self.pivots] / 2
        with np.errstate(invalid="ignore"):
            own = np.arange(len(values))[:, None] == self.pivots
            return np.asarray(np.where(own, 0, both).sum(axis=1) / (~own).sum(axis=1))


def _companion(
    name: str, entry: Entry, layers: list[_Layer], halves: Halves | None, level: float
) -> Companion:
    def stacked(which: str) -> Array | None:
        tables = [getattr(layer.whole, which) for layer in layers]
        if name not in tables[0]:
            return None
        return np.stack([layers[0].reduced(table[name]) for table in tables])

    values = stacked("values")
    assert values is not None
    chance, z = stacked("chance"), stacked("z")
    low = high = means_low = means_high = None
    if halves is not None:
        of_values, of_means = (
            np.stack([_ends(entry, halves, layer, name, level, at) for layer in layers])
            for at in (0, 1)
        )
        low, high = of_values[:, 0], of_values[:, 1]
        means_low, means_high = of_means[:, 0], of_means[:, 1]
    means = values if values.ndim == 1 else _mean(values)
    alone = values.ndim == 1  # of all languages together
    lowest, highest = entry.shown or (entry.lowest, entry.highest)
    if not np.isfinite([lowest, highest]).all():  # as far as the data go
        lowest, highest = min(0.0, float(np.nanmin(values))), max(1.0, float(np.nanmax(values)))
    return Companion(
        name=name,
        title=entry.title,
        about=entry.about,
        lowest=lowest,
        highest=highest,
        values=None if alone else values,
        means=means,
        chance=None if alone else chance,
        low=None if alone else low,
        high=None if alone else high,
        z=None if alone else z,
        means_low=means_low,
        means_high=means_high,
        means_chance=chance if chance is None or alone else _mean(chance),
    )


def _ends(
    entry: Entry, halves: Halves, layer: _Layer, name: str, level: float, at: int
) -> tuple[Array, Array]:
    """Interval of a score's values (at 0) or of their mean (at 1), of one layer."""
    values = layer.reduced(layer.whole.values[name])
    of_halves = layer.halves[name]
    if at == 1:
        values, of_halves = _mean(values), [_mean(half) for half in of_halves]
    return halves.interval(
        values,
        [one - other for one, other in zip(of_halves[::2], of_halves[1::2], strict=True)],
        level=level,
        lowest=entry.lowest,
        highest=entry.highest,
        share=entry.share,
        at_halves=np.mean(of_halves, axis=0) if of_halves else None,
    )


def _pivots(pivots: Sequence[str] | None, languages: tuple[str, ...]) -> NDArray[np.int64]:
    if pivots is None:
        return np.arange(len(languages))
    if not isinstance(pivots, Iterable):
        raise TypeError(f"pivots must be codes of languages, got {pivots!r}")
    pivots = (pivots,) if isinstance(pivots, str) else tuple(pivots)
    missing = [code for code in pivots if code not in languages]
    if missing or not pivots:
        raise ValueError(
            f"pivots holds {listed(missing) or 'nothing'}, but the languages are "
            f"{listed(languages)}"
        )
    return np.array([languages.index(code) for code in dict.fromkeys(pivots)])


def _with_neighbors(
    representations: Mapping[str, Any],
    scores: OverlapScores | None,
    languages: tuple[str, ...],
    layers: tuple[int, ...],
    n: int,
    n_threads: int,
    progress: bool,
) -> OverlapScores:
    """The scores with the neighbours that they were made of; measured again where those lack."""
    options: dict[str, Any] = {}
    if scores is not None:
        if not isinstance(scores, OverlapScores):
            raise TypeError(f"scores must be OverlapScores, got a {type(scores).__name__}")
        if (scores.languages, scores.layers) != (languages, layers):
            raise ValueError(
                f"scores are of layers {listed(scores.layers)} and languages "
                f"{listed(scores.languages)}, the representations of layers {listed(layers)} and "
                f"languages {listed(languages)}: pass those that the scores were made of"
            )
        if set(scores.n_sentences) != {n}:
            raise ValueError(
                f"scores are of {listed(sorted(set(scores.n_sentences)))} sentences, the "
                f"representations of {n}: pass those that the scores were made of"
            )
        if scores.neighbors is not None:
            return scores
        options = {"n_neighbors": scores.n_neighbors, "threshold": scores.threshold,
                   "metric": scores.metric}  # fmt: skip
    else:
        k = min(5, len(languages) * n - 1)
        options = {"n_neighbors": k, "threshold": min(3, k, len(languages) - 1)}
    return overlap(
        representations, **options, parallel=True, neighbors=True, n_threads=n_threads,
        progress=progress,
    )  # fmt: skip


def _removed(
    representations: Mapping[str, Any], options: Options, n: int, seed: int, progress: bool
) -> tuple[DirectionsRemoved | None, str]:
    """Scores without the directions of language; None where sentences are too few, and why."""
    groups = getattr(representations, "groups", None)
    least = -(-(options.n_neighbors + 1) // len(representations))
    reason = Halves.draw(n, groups, least=least, n_draws=1, seed=seed).reason
    if reason:
        return None, reason
    found = directions_removed(
        representations,
        n_neighbors=options.n_neighbors,
        threshold=options.threshold,
        metric=options.metric,
        max_scored=max(least, _SCORED_SENTENCES),
        seed=seed,
        n_threads=options.n_threads,
        progress=progress,
    )
    return found, ""
