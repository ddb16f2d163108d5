"""How scores change with the number of sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.messages import counted
from ilo_fast.scores.certainty.resampling import Units, sampling_units
from ilo_fast.scores.overlap import overlap
from ilo_fast.scores.result import OverlapScores

N_BLOCKS: Final = 8
FEW_SENTENCES: Final = 100
FEW_LANGUAGES: Final = 8


@dataclass(frozen=True, eq=False)
class SizeCurve:
    """Scores of an eighth, a quarter, a half and all of a corpus.

    Attributes
    ----------
    sizes : tuple of float
        Sentences per language, ascending: the mean over languages and blocks.
    n_blocks : tuple of int
        Disjoint parts of the corpus that were scored at each size.
    means : mapping of score to float64, shape (sizes, layers, languages)
        Mean over blocks.
    spread : mapping of score to float64, same shape
        Standard deviation between blocks; NaN for the whole.
    layers : tuple of int
    languages : tuple of str
    """

    sizes: tuple[float, ...]
    n_blocks: tuple[int, ...]
    means: Mapping[str, NDArray[np.float64]]
    spread: Mapping[str, NDArray[np.float64]]
    layers: tuple[int, ...]
    languages: tuple[str, ...]


def size_curve(
    representations: Mapping[str, Any],
    *,
    whole: OverlapScores | None = None,
    n_neighbors: int = 5,
    threshold: int = 3,
    metric: str = "cosine",
    backend: str = "auto",
    n_threads: int | None = None,
    parallel: bool | None = None,
    groups: Sequence[str] | Literal[False] | None = None,
    seed: int = 0,
) -> SizeCurve:
    """Score random parts of a corpus: eight eighths, in pairs four quarters, in pairs two halves.

    Every part has a graph of its own. All together they take about as long as the graph of the
    whole (1.2 times on FLORES-200); lists long enough to give the eighths from one graph, some 16 k
    neighbours, take about twice that.

    Parameters
    ----------
    representations, n_neighbors, threshold, metric, backend, n_threads, parallel
        As `ilo_fast.overlap` has them.
    whole
        The scores of all of it, if they are there already.
    groups
        The document of each sentence: documents stay whole. By default what `Representations` say;
        False: each sentence by itself.
    seed
        Of the parts.

    Returns
    -------
    SizeCurve
        Without the sizes at which a language would have fewer than ``n_neighbors`` + 1 sentences.

    Raises
    ------
    ValueError, TypeError
        As `ilo_fast.overlap`.
    """
    settings: dict[str, Any] = {
        "n_neighbors": n_neighbors,
        "threshold": threshold,
        "metric": metric,
        "backend": backend,
        "n_threads": n_threads,
        "parallel": parallel,
    }
    whole = overlap(representations, **settings) if whole is None else whole
    settings["parallel"] = whole.translation_share is not None
    if groups is None and settings["parallel"]:
        groups = getattr(representations, "groups", None)
    units = sampling_units(whole.n_sentences, parallel=settings["parallel"], groups=groups or None)
    eighths = _blocks(units, seed)
    sizes, n_blocks = [float(np.mean(whole.n_sentences))], [1]
    scored = [_of_blocks([whole])]
    for together in (4, 2, 1):
        blocks = [
            [of_language[np.isin(units.of_point[of_language], units_of_block)]
             for of_language in _points_of_languages(whole.n_sentences)]
            for units_of_block in _joined(eighths, together)
        ]  # fmt: skip
        if min(len(points) for block in blocks for points in block) <= n_neighbors:
            break
        starts = np.cumsum([0, *whole.n_sentences])
        parts = [
            overlap(
                {
                    language: _rows(representations[language], points - start)
                    for language, points, start in zip(whole.languages, block, starts, strict=False)
                },
                **settings,
            )
            for block in blocks
        ]
        sizes.insert(0, float(np.mean([len(points) for block in blocks for points in block])))
        n_blocks.insert(0, len(parts))
        scored.insert(0, _of_blocks(parts))
    return SizeCurve(
        sizes=tuple(sizes),
        n_blocks=tuple(n_blocks),
        means={name: np.stack([means[name] for means, _ in scored]) for name in scored[0][0]},
        spread={name: np.stack([spread[name] for _, spread in scored]) for name in scored[0][1]},
        layers=whole.layers,
        languages=whole.languages,
    )


def size_warnings(sizes: Sequence[int], *, n_neighbors: int, threshold: int) -> tuple[str, ...]:
    """What to know about scores of so few sentences or languages; empty where there is nothing.

    Parameters
    ----------
    sizes
        Sentences of each language.
    """
    found = []
    if (fewest := min(sizes)) < FEW_SENTENCES:
        found.append(
            f"{counted(fewest, 'sentence')} per language {'is' if fewest == 1 else 'are'} few: "
            "scores change with their number, so compare only what was measured on the same "
            f"sentences, and take {FEW_SENTENCES} or more if there are any."
        )
    if (n_languages := len(sizes)) < FEW_LANGUAGES:
        found.append(
            f"{n_languages} languages are few: a point has {n_neighbors} neighbours and must meet "
            f"{threshold} other languages among them, so that random neighbours give less than 1; "
            "read ILO beside what they give, above which it may lie."
        )
    return tuple(found)


def _blocks(units: Units, seed: int) -> list[NDArray[np.int32]]:
    """The units in eight random parts of equal numbers; of each language where units are points."""
    rng = np.random.default_rng([seed, units.n])
    strata = np.zeros(units.n, np.int32) if units.strata is None else units.strata
    parts = [
        np.array_split(rng.permutation(np.flatnonzero(strata == stratum)), N_BLOCKS)
        for stratum in np.unique(strata)
    ]
    return [np.concatenate([part[block] for part in parts]) for block in range(N_BLOCKS)]


def _joined(blocks: list[NDArray[np.int32]], together: int) -> list[NDArray[np.int32]]:
    return [np.concatenate(blocks[b : b + together]) for b in range(0, len(blocks), together)]


def _points_of_languages(sizes: Sequence[int]) -> list[NDArray[np.int64]]:
    return np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])


def _rows(array: Any, rows: NDArray[np.int64]) -> Any:
    """Some sentences of (n, d) or (layers, n, d)."""
    return array[rows] if len(array.shape) == 2 else array[:, rows]


_Means = tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]


def _of_blocks(parts: Sequence[OverlapScores]) -> _Means:
    """Means and standard deviations of each score."""
    names = ["bridge", "reach", "ilo"]
    names += ["translation_share"] if parts[0].translation_share is not None else []
    values = {name: np.stack([part.values(name) for part in parts]) for name in names}
    means = {name: value.mean(axis=0) for name, value in values.items()}
    if len(parts) == 1:
        return means, {name: np.full_like(value[0], np.nan) for name, value in values.items()}
    return means, {name: value.std(axis=0, ddof=1) for name, value in values.items()}
