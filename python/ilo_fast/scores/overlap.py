"""Bridge, reach and ILO of representations, and how many neighbours are translations.

Source of the scores: Wilie, Cahyawijaya, He and Fung, arXiv 2503.11280.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast import _core
from ilo_fast._util.checks import whole_number
from ilo_fast._util.progress import share_bar
from ilo_fast._util.versions import versions
from ilo_fast.graph.arrays import Stack, as_stack, same_layout
from ilo_fast.graph.cuda import check as check_cuda
from ilo_fast.graph.knn import stacked_graph
from ilo_fast.graph.options import check_metric, chosen_backend, thread_count
from ilo_fast.graph.result import NeighborGraph
from ilo_fast.scores import cuda
from ilo_fast.scores.checks import check_pool
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
    backend : {"auto", "exact", "cuda", "hnsw"}
        As in `knn_graph`.
    n_threads : int, optional
    parallel : bool, optional
        Whether equal row numbers are translations of each other, so that ``translation_share`` can
        be given. By default what `Representations` say of their corpus; False for a plain mapping.
    progress : bool
        A bar on standard error.

    Returns
    -------
    OverlapScores

    Raises
    ------
    ValueError
        Fewer than two languages, an empty language, a threshold that no point can reach, shapes
        that do not fit, NaN, infinity or a zero vector (naming language, sentence and layer).

    Notes
    -----
    Memory of the backend ``"exact"``: the input and at most 512 MiB, one layer at a time, whatever
    the number of layers. Beyond some 500 000 points, or with many neighbours, the lists of
    neighbours (about 16 to 28 bytes per point and neighbour) may need more. Languages whose arrays
    differ in memory order, and arrays that are not native or not aligned, are copied on top. The
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
    stacks = _stacks(representations, languages)
    check_metric(metric)
    backend = chosen_backend(backend)
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
    pool = _Pool(
        stacks=stacks,
        languages=languages,
        layers=layers,
        labels=labels,
        sentences=sentences,
        n_neighbors=n_neighbors,
        threshold=threshold,
        metric=metric,
    )
    start = time.perf_counter()
    with share_bar(progress, "overlap") as update:
        if backend == "cuda":
            bridge, reach, ilo, share, _cross, info = _on_gpu(pool, threads, update)
        else:
            bridge, reach, ilo, share, _cross, info = _layer_by_layer(
                pool, backend, threads, update
            )
    info["versions"] = versions("numpy")
    info["seconds"] = time.perf_counter() - start
    source = getattr(representations, "info", None)
    if source is not None:
        info["representations"] = source
    n = sum(sizes)
    return OverlapScores(
        bridge=bridge,
        reach=reach,
        ilo=ilo,
        layers=layers,
        languages=languages,
        n_sentences=tuple(sizes),
        n_neighbors=n_neighbors,
        threshold=threshold,
        metric=metric,
        translation_share=share,
        translation_chance=np.full(len(sizes), (len(sizes) - 1) / (n - 1)) if parallel else None,
        info=info,
    )


def _stacks(representations: Mapping[str, Any], languages: tuple[str, ...]) -> list[Stack]:
    stacks = []
    for language in languages:
        array = representations[language]
        shape = tuple(getattr(array, "shape", ()))
        if len(shape) in (2, 3) and shape[-2] == 0:
            raise ValueError(f"representations[{language!r}] has no sentences: leave it out")
        stacks.append(as_stack(array, f"representations[{language!r}]"))
    for language, stack in zip(languages, stacks, strict=True):
        first, own = stacks[0], stack.values.shape
        wanted = first.values.shape
        if (own[0], own[2]) != (wanted[0], wanted[2]) or stack.dtype != first.dtype:
            raise ValueError(
                f"representations[{language!r}] has {own[0]} layers of dimension {own[2]} in "
                f"{stack.dtype}, but {languages[0]!r} has {wanted[0]} of {wanted[2]} in "
                f"{first.dtype}: all languages need the same layers, dimension and dtype"
            )
    return stacks


@dataclass(frozen=True)
class _Pool:
    """The points of all languages, and how they are scored."""

    stacks: list[Stack]
    languages: tuple[str, ...]
    layers: tuple[int, ...]
    labels: NDArray[np.int32]
    sentences: NDArray[np.int64] | None
    n_neighbors: int
    threshold: int
    metric: str

    @contextmanager
    def naming_rows(self, first_layer: int = 0) -> Iterator[None]:
        """Say of a row that cannot be used what the caller calls it: language, sentence, layer."""
        try:
            yield
        except ValueError as error:
            row = getattr(error, "row", None)
            if row is None:
                raise
            ends = np.cumsum([stack.values.shape[1] for stack in self.stacks])
            at = int(np.searchsorted(ends, row, side="right"))
            sentence = row - (ends[at - 1] if at else 0)
            layer = self.layers[first_layer + max(0, getattr(error, "layer", 0))]
            raise ValueError(
                f"representations[{self.languages[at]!r}], sentence {sentence}, layer {layer} "
                f"{getattr(error, 'problem', '')}"
            ) from None


_Array = NDArray[np.float64]
_Scores = tuple[_Array, _Array, _Array, "_Array | None", _Array, dict[str, Any]]


def _on_gpu(pool: _Pool, threads: int, update: Callable[[float], None] | None) -> _Scores:
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
    return bridge, reach, ilo, share, cross, info


def _layer_by_layer(
    pool: _Pool, backend: str, threads: int, update: Callable[[float], None] | None
) -> _Scores:
    """One layer after the other: each graph is dropped once it is scored."""
    n_layers = len(pool.layers)
    shape = (n_layers, len(pool.languages))
    bridge, reach, ilo, cross = (np.empty(shape) for _ in range(4))
    share = None if pool.sentences is None else np.empty(shape)
    info: dict[str, Any] = {"layers": []}
    seconds_scoring = 0.0
    for h in range(n_layers):
        graph = _layer_graph(pool, h, backend, threads, update)
        counted = time.perf_counter()
        b, r, i, s, c = _core.overlap(
            graph.indices,
            pool.labels,
            pool.sentences,
            n_languages=len(pool.languages),
            threshold=pool.threshold,
            n_threads=threads,
        )
        seconds_scoring += time.perf_counter() - counted
        bridge[h], reach[h], ilo[h], cross[h] = b[0], r[0], i[0], c[0]
        if share is not None and s is not None:
            share[h] = s[0]
        details = graph.info.pop("layers")[0]
        info["layers"].append({"layer": pool.layers[h], **details})
        info.update(graph.info)
        if update:  # layers may be too short for the core to report
            update((h + 1) / n_layers)
    info["seconds_scoring"] = seconds_scoring
    return bridge, reach, ilo, share, cross, info


def _layer_graph(
    pool: _Pool, h: int, backend: str, threads: int, update: Callable[[float], None] | None
) -> NeighborGraph:
    one = [s.layer(h).in_host_memory() for s in pool.stacks]
    if not all(same_layout(one[0], s) for s in one):  # _core wants one layout; copies one layer
        one = [s.contiguous() for s in one]

    def overall(share: float) -> None:
        if update:
            update((h + share) / len(pool.layers))

    with pool.naming_rows(h):
        return stacked_graph(
            one,
            pool.n_neighbors,
            metric=pool.metric,
            backend=backend,
            n_threads=threads,
            progress=overall,
        )
