"""Bridge, reach and ILO of representations, and how many neighbours are translations.

Source of the scores: Wilie, Cahyawijaya, He and Fung, arXiv 2503.11280.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ilo_fast import _core
from ilo_fast._util.checks import truth, whole_number
from ilo_fast._util.progress import share_bar
from ilo_fast._util.versions import versions
from ilo_fast.graph.checkpoint import open_folder
from ilo_fast.graph.cuda import check as check_cuda
from ilo_fast.graph.options import check_metric, chosen_backend, thread_count
from ilo_fast.graph.result import NeighborGraph
from ilo_fast.scores import cuda
from ilo_fast.scores.certainty.intervals import Intervals, check_level, no_intervals
from ilo_fast.scores.certainty.intervals import intervals as intervals_of
from ilo_fast.scores.certainty.limits import Limits
from ilo_fast.scores.certainty.nulls import translation_chance, translation_chance_given_graph
from ilo_fast.scores.certainty.permutations import MixingTest, mixing_test
from ilo_fast.scores.certainty.replicates import Replicates
from ilo_fast.scores.certainty.resampling import Resampling
from ilo_fast.scores.checks import check_pool
from ilo_fast.scores.pool import (
    LAYER_FOLDERS,
    Pool,
    as_stacks,
    documents_of,
    layer_graph,
    layer_rows,
    units_sha256,
)
from ilo_fast.scores.result import OverlapScores


def overlap(
    representations: Mapping[str, Any],
    *,
    n_neighbors: int = 5,
    threshold: int = 3,
    metric: str = "cosine",
    backend: str = "auto",
    n_threads: int | None = None,
    parallel: bool | None = None,
    groups: Sequence[str] | Literal[False] | None = None,
    intervals: bool = False,
    n_permutations: int = 0,
    level: float = 0.95,
    seed: int = 0,
    neighbors: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> OverlapScores:
    """Score how far the neighbourhoods of each language reach into the others, layer by layer.

    All points of all languages lie in one pool. For a point, L is the set of *other* languages
    among its ``n_neighbors`` nearest points. Of a language, ``bridge`` is the share of points with
    at least ``threshold`` languages in L; ``reach`` is the share of the other languages that occur
    in the L of any of its points; ``ilo`` is their harmonic mean (arXiv 2503.11280).

    Parameters
    ----------
    representations : Representations, or mapping of language to (n, d) or (layers, n, d)
        NumPy arrays or torch tensors, here or on a GPU. Languages may differ in n, not in layers, d
        and dtype.
    n_neighbors, threshold : int
        k and t.
    metric : {"cosine", "euclidean"}
    backend : {"auto", "exact", "cuda", "ray", "hnsw", "partitioned"}
        As in `knn_graph`.
    n_threads : int, optional
        Of this process; tasks of ``"ray"`` have what their node has.
    parallel : bool, optional
        Whether equal row numbers are translations of each other, so that ``translation_share`` can
        be given. By default what `Representations` say of their corpus; False for a plain mapping.
    groups : sequence of str, False, or None
        The document of each sentence of parallel text: what is drawn anew, as one, where a study is
        repeated. By default what `Representations` say; False: each sentence by itself.
    intervals : bool
        Also the interval of every score (`Intervals`), of every mean over languages, and the
        replicates that groups and comparisons are made of. Takes some 1.4 times as long
        (docs/results/coverage.md). Of ``"hnsw"`` and ``"partitioned"`` scores may then
        differ a little from those without, since a search for more neighbours finds more.
    n_permutations : int
        Of languages within sentences, and of sentences within languages, for p-values
        (`MixingTest`). 0: none.
    level : float
        Of the intervals.
    seed : int
        Of the permutations, and of the random halves that intervals are made of.
    neighbors : bool
        Also keep the graph of every layer (`OverlapScores.neighbors`), 12 bytes per layer, point
        and neighbour: what `structure` and the report look at.
    checkpoint : path, optional
        A folder (made if missing) for finished work, as in `knn_graph`, with a folder in it for
        every layer: the same call goes on from there. For ``"exact"`` and ``"ray"``.
    progress : bool
        A bar on standard error.

    Returns
    -------
    OverlapScores

    Raises
    ------
    ValueError
        Fewer than two languages, an empty language, a threshold that no point can reach, shapes
        that do not fit, NaN, infinity or a zero vector (naming language, sentence and layer); a
        checkpoint of other data or options.

    Notes
    -----
    Memory of the backend ``"exact"``: the input and at most 512 MiB, one layer at a time, whatever
    the number of layers. Beyond some 500 000 points, or with many neighbours, the lists of
    neighbours (about 16 to 28 bytes per point and neighbour) may need more. Languages whose arrays
    differ in memory order, and arrays that are not native or not aligned, are copied on top.
    Permutations keep the graphs of all layers, 4 bytes per layer, point and neighbour. The
    backend ``"cuda"`` takes of the GPU's memory what is free; graphs never leave it.
    """
    n_neighbors = whole_number("n_neighbors", n_neighbors)
    threshold = whole_number("threshold", threshold)
    threads = thread_count(n_threads)
    if not isinstance(representations, Mapping):
        raise TypeError(
            f"representations must map each language to its array, got "
            f"{type(representations).__name__}"
        )
    languages = tuple(representations)
    if len(languages) < 2:
        check_pool(
            dict.fromkeys(languages, 1), n_neighbors=1, threshold=1, parallel=False
        )  # names what is wanted
    stacks = as_stacks(representations, languages)
    check_metric(metric)
    backend = chosen_backend(backend)
    if checkpoint is not None and backend not in ("exact", "ray"):
        raise ValueError(
            f"checkpoint is for backend='exact' and 'ray', not for backend={backend!r}"
        )
    if backend == "cuda":
        check_cuda(stacks, [f"representations[{language!r}]" for language in languages])
    n_layers, _, _ = stacks[0].values.shape
    sizes = [s.values.shape[1] for s in stacks]
    if parallel is None:
        parallel = bool(getattr(representations, "parallel", False))
    elif not isinstance(parallel, bool):
        raise TypeError(f"parallel={parallel!r}: wanted True, False or None")
    check_pool(
        dict(zip(languages, sizes, strict=True)),
        n_neighbors=n_neighbors,
        threshold=threshold,
        parallel=parallel,
    )

    labels = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    sentences = np.tile(np.arange(sizes[0]), len(sizes)) if parallel else None
    layers = tuple(int(h) for h in getattr(representations, "layers", range(n_layers)))
    if len(layers) != n_layers:
        raise ValueError(f"layers names {len(layers)} layers, but the arrays hold {n_layers}")
    documents = documents_of(representations, groups, sizes, parallel)
    pool = Pool(
        stacks=stacks,
        languages=languages,
        layers=layers,
        labels=labels,
        sentences=sentences,
        n_neighbors=n_neighbors,
        threshold=threshold,
        metric=metric,
        groups=documents,
        units_sha256=units_sha256(representations, documents),
    )
    start = time.perf_counter()
    wanted = _Wanted(
        intervals=truth("intervals", intervals),
        n_permutations=whole_number("n_permutations", n_permutations, least=0),
        level=check_level(level),
        seed=whole_number("seed", seed, least=0),
        neighbors=truth("neighbors", neighbors),
    )
    with (
        share_bar(progress, "overlap") as update,
        open_folder(checkpoint, LAYER_FOLDERS) as folder,
    ):
        if backend == "cuda" and not wanted.lists:
            found = _on_gpu(pool, threads, update)
        else:
            found = _layer_by_layer(pool, backend, threads, wanted, folder, update)
    test = _test(pool, found, wanted, threads, progress=progress)
    info = found.info
    info["versions"] = versions("numpy")
    info["seconds"] = time.perf_counter() - start
    source = getattr(representations, "info", None)
    if source is not None:
        info["representations"] = source
    return OverlapScores(
        bridge=found.bridge,
        reach=found.reach,
        ilo=found.ilo,
        layers=layers,
        languages=languages,
        n_sentences=tuple(sizes),
        n_neighbors=n_neighbors,
        threshold=threshold,
        metric=metric,
        translation_share=found.share,
        translation_chance=(
            np.full(len(sizes), translation_chance(len(sizes), sizes[0])) if parallel else None
        ),
        translation_chance_given_graph=(
            translation_chance_given_graph(found.cross, sizes[0]) if parallel else None
        ),
        limits=Limits.of(sizes, n_neighbors, threshold),
        intervals=found.intervals,
        mixing_test=test,
        replicates=found.replicates,
        neighbors=found.graph(),
        info=info,
    )


@dataclass(frozen=True)
class _Wanted:
    """What is to stand beside the scores."""

    intervals: bool
    n_permutations: int
    level: float
    seed: int
    neighbors: bool

    @property
    def lists(self) -> bool:
        """Whether the lists of neighbours are needed, beyond what is counted in them."""
        return self.intervals or self.neighbors or self.n_permutations > 0


@dataclass
class _Measured:
    """Scores of all layers, each (layers, languages), and what the rest is made of."""

    bridge: NDArray[np.float64]
    reach: NDArray[np.float64]
    ilo: NDArray[np.float64]
    share: NDArray[np.float64] | None
    cross: NDArray[np.float64]
    info: dict[str, Any]
    neighbors: NDArray[np.int32] | None = None  # (layers, n, k), for permutations and `graph`
    distances: NDArray[np.float32] | None = None
    replicates: Replicates | None = None
    intervals: Intervals | None = None

    def graph(self) -> NeighborGraph | None:
        """The graphs of all layers, where they are to be kept."""
        if self.neighbors is None or self.distances is None:
            return None
        return NeighborGraph(self.neighbors.astype(np.int64), self.distances, dict(self.info))

    def scores(self) -> dict[str, NDArray[np.float64]]:
        """By name, those that there are."""
        scores = {"bridge": self.bridge, "reach": self.reach, "ilo": self.ilo}
        return scores if self.share is None else {**scores, "translation_share": self.share}


def _on_gpu(pool: Pool, threads: int, update: Callable[[float], None] | None) -> _Measured:
    """All layers in one call: the next is copied to the GPU while one is scored."""
    with pool.naming_rows():
        bridge, reach, ilo, share, cross, info = cuda.overlap(
            pool.stacks,
            pool.n_neighbors,
            pool.labels,
            pool.sentences,
            n_languages=len(pool.languages),
            threshold=pool.threshold,
            metric=pool.metric,
            n_threads=threads,
            update=update,
        )
    info["layers"] = [
        {"layer": layer, **details}
        for layer, details in zip(pool.layers, info["layers"], strict=True)
    ]
    return _Measured(bridge, reach, ilo, share, cross, info)


def _layer_by_layer(
    pool: Pool,
    backend: str,
    threads: int,
    wanted: _Wanted,
    folder: str | None,
    update: Callable[[float], None] | None,
) -> _Measured:
    """One layer after the other: each graph is dropped once it is scored."""
    shape = (len(pool.layers), len(pool.languages))
    found = _Measured(
        bridge=np.empty(shape),
        reach=np.empty(shape),
        ilo=np.empty(shape),
        share=None if pool.sentences is None else np.empty(shape),
        cross=np.empty(shape),
        info={"layers": []},
    )
    lists = (shape[0], len(pool.labels), pool.n_neighbors)
    if wanted.n_permutations or wanted.neighbors:
        found.neighbors = np.empty(lists, np.int32)
    if wanted.neighbors:
        found.distances = np.empty(lists, np.float32)
    resampling = _resampling(pool, backend, threads, wanted) if wanted.intervals else None
    reason = "" if resampling is None else resampling.why_not()
    seconds_scoring = 0.0
    for h in range(shape[0]):
        wide = pool.n_neighbors if resampling is None or reason else resampling.list_length
        one = layer_rows(pool, h)
        graph = layer_graph(pool, h, one, wide, backend, threads, folder, update)
        indices = np.ascontiguousarray(graph.indices[..., : pool.n_neighbors])
        counted = time.perf_counter()
        b, r, i, s, c = _core.overlap(
            indices,
            pool.labels,
            pool.sentences,
            n_languages=len(pool.languages),
            threshold=pool.threshold,
            n_threads=threads,
        )
        seconds_scoring += time.perf_counter() - counted
        found.bridge[h], found.reach[h], found.ilo[h], found.cross[h] = b[0], r[0], i[0], c[0]
        if found.share is not None and s is not None:
            found.share[h] = s[0]
        if found.neighbors is not None:
            found.neighbors[h] = indices[0]
        if found.distances is not None:
            found.distances[h] = graph.distances[0, :, : pool.n_neighbors]
        if resampling is not None and not reason:
            resampling.add_layer(graph.indices[0], one)
        details = graph.info.pop("layers")[0]
        found.info["layers"].append({"layer": pool.layers[h], **details})
        found.info.update(graph.info)
        if update:  # layers may be too short for the core to report
            update((h + 1) / shape[0])
    found.info["seconds_scoring"] = seconds_scoring
    if resampling is not None and reason:
        unit, n_units = resampling.units.kind, resampling.units.n
        found.intervals = no_intervals(found.scores(), wanted.level, unit, n_units, reason)
    elif resampling is not None:
        found.replicates = replace(resampling.replicates(), units_sha256=pool.units_sha256)
        found.intervals = intervals_of(found.replicates, level=wanted.level)
    return found


def _resampling(pool: Pool, backend: str, threads: int, wanted: _Wanted) -> Resampling:
    return Resampling(
        [stack.values.shape[1] for stack in pool.stacks],
        parallel=pool.sentences is not None,
        groups=pool.groups,
        n_neighbors=pool.n_neighbors,
        threshold=pool.threshold,
        metric=pool.metric,
        backend="exact" if backend == "ray" else backend,  # it asks for few rows at a time
        n_threads=threads,
        seed=wanted.seed,
        jackknife=pool.sentences is not None,
    )


def _test(
    pool: Pool, found: _Measured, wanted: _Wanted, threads: int, *, progress: bool
) -> MixingTest | None:
    if found.neighbors is None or not wanted.n_permutations:
        return None
    start = time.perf_counter()
    with share_bar(progress, "permutations") as update:
        test = mixing_test(
            found.neighbors,
            pool.labels,
            pool.sentences,
            n_languages=len(pool.languages),
            threshold=pool.threshold,
            n_permutations=wanted.n_permutations,
            seed=wanted.seed,
            n_threads=threads,
            progress=update,
        )
    found.info["seconds_permutations"] = time.perf_counter() - start
    return test
