"""Interlingual Local Overlap: bridge, reach, ILO, and how many neighbours are translations.

Source of the scores: Wilie, Cahyawijaya, He and Fung, arXiv 2503.11280.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast import _core
from ilo_fast._util.files import parse_json, write_text
from ilo_fast._util.progress import share_bar
from ilo_fast._util.versions import __version__, versions
from ilo_fast.graph import cuda
from ilo_fast.graph.arrays import Stack, as_count, as_stack, same_layout
from ilo_fast.graph.knn import (
    NeighborGraph,
    check_metric,
    chosen_backend,
    stacked_graph,
    thread_count,
)

SCHEMA_VERSION = 1
_KIND = "ilo_fast.scores"


@dataclass(frozen=True)
class OverlapScores:
    """Scores of every layer and language.

    Attributes
    ----------
    bridge, reach, ilo : float64, shape (layers, languages)
        Shares between 0 and 1. ILO is the harmonic mean of bridge and reach. It measures how
        languages mix, not whether meanings meet: unstructured noise scores near 1.
    layers, languages : tuple
        What the two axes stand for. Layer 0 is the embedding output.
    n_sentences : tuple of int
        Points of each language.
    n_neighbors, threshold : int
    metric : str
    translation_share : float64, shape (layers, languages), or None
        Share of a point's neighbours that are its translations, for parallel text.
    translation_chance : float64, shape (languages,), or None
        The same if neighbours were drawn at random.
    info : dict
        How the scores were made: backend, instruction set, certified and widened rows of each
        layer, seconds, and under ``"representations"`` what `extract` said.
    """

    bridge: NDArray[np.float64]
    reach: NDArray[np.float64]
    ilo: NDArray[np.float64]
    layers: tuple[int, ...]
    languages: tuple[str, ...]
    n_sentences: tuple[int, ...]
    n_neighbors: int
    threshold: int
    metric: str
    translation_share: NDArray[np.float64] | None = None
    translation_chance: NDArray[np.float64] | None = None
    info: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        best = int(self.ilo.mean(axis=1).argmax())
        return (
            f"OverlapScores({len(self.layers)} layers x {len(self.languages)} languages, "
            f"k={self.n_neighbors}, t={self.threshold}, {self.metric}; mean ILO is highest at "
            f"layer {self.layers[best]}: {self.ilo[best].mean():.3f})"
        )

    def rows(self) -> list[dict[str, Any]]:
        """One record for each layer and language, as in ``scores.json`` and ``scores.csv``."""
        share, chance = self.translation_share, self.translation_chance
        return [
            {
                "layer": layer,
                "language": language,
                "bridge": float(self.bridge[h, c]),
                "reach": float(self.reach[h, c]),
                "ilo": float(self.ilo[h, c]),
                "translation_share": None if share is None else float(share[h, c]),
                "translation_chance": None if chance is None else float(chance[c]),
                "n_sentences": self.n_sentences[c],
            }
            for h, layer in enumerate(self.layers)
            for c, language in enumerate(self.languages)
        ]

    def to_dataframe(self) -> Any:
        """`rows` as a pandas DataFrame (needs pandas)."""
        import pandas

        return pandas.DataFrame(self.rows())

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": _KIND,
            "settings": {
                "n_neighbors": self.n_neighbors,
                "threshold": self.threshold,
                "metric": self.metric,
                "backend": self.info.get("backend"),
            },
            "versions": self.info.get("versions", versions("numpy")),
            "info": self.info,
            "rows": self.rows(),
        }

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """`to_dict` as JSON text; with ``path``, also written there, whole or not at all."""
        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        if path is not None:
            write_text(Path(path), text)
        return text

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> OverlapScores:
        """The inverse of `to_dict`."""
        if data.get("kind") != _KIND:
            raise ValueError(f"not a scores file: kind={data.get('kind')!r}, wanted {_KIND!r}")
        if data.get("schema_version") != SCHEMA_VERSION:
            raise ValueError(
                f"schema_version={data.get('schema_version')!r} cannot be read by ilo_fast "
                f"{__version__}, which knows {SCHEMA_VERSION}: score again, or update ilo_fast"
            )
        rows, settings = data.get("rows"), data.get("settings")
        if not rows or not settings:
            raise ValueError("the scores are incomplete: no rows or no settings")
        layers = tuple(dict.fromkeys(row["layer"] for row in rows))
        languages = tuple(dict.fromkeys(row["language"] for row in rows))
        shape = (len(layers), len(languages))
        order = [(h, c) for h in layers for c in languages]
        if [(row["layer"], row["language"]) for row in rows] != order:
            raise ValueError(
                f"the scores are incomplete: {len(rows)} rows for {shape[0]} layers x {shape[1]} "
                "languages"
            )

        def column(name: str) -> NDArray[np.float64]:
            return np.array([row[name] for row in rows], np.float64).reshape(shape)

        parallel = rows[0]["translation_share"] is not None
        return cls(
            bridge=column("bridge"),
            reach=column("reach"),
            ilo=column("ilo"),
            layers=layers,
            languages=languages,
            n_sentences=tuple(row["n_sentences"] for row in rows[: shape[1]]),
            n_neighbors=settings["n_neighbors"],
            threshold=settings["threshold"],
            metric=settings["metric"],
            translation_share=column("translation_share") if parallel else None,
            translation_chance=column("translation_chance")[0] if parallel else None,
            info=dict(data.get("info", {})),
        )

    @classmethod
    def from_json(cls, source: str | os.PathLike[str]) -> OverlapScores:
        """Read what `to_json` gave: its text, or the path it was written to."""
        return cls.from_dict(parse_json(source))

    def plot(self, kind: str = "heatmap", score: str = "ilo", ax: Any = None) -> Any:
        """Draw a ``"heatmap"`` (layers x languages) or a ``"curve"``; gives Matplotlib axes."""
        from ilo_fast.plots import figures

        if kind == "heatmap":
            return figures.heatmap(self, score=score, ax=ax)
        if kind == "curve":
            return figures.curve(self, ax=ax)
        raise ValueError(f"kind={kind!r} is not known: use 'heatmap' or 'curve'")


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
    neighbours (about 16 to 28 bytes a point and neighbour) may need more. Languages whose arrays
    differ in memory order, and arrays that are not native or not aligned, are copied on top. The
    backend ``"cuda"`` takes of the GPU's memory what is free; graphs never leave it.
    """
    n_neighbors = as_count(n_neighbors, "n_neighbors")
    threshold = as_count(threshold, "threshold")
    threads = thread_count(n_threads)
    languages = tuple(representations)
    stacks = _stacks(representations, languages)
    check_metric(metric)
    backend = chosen_backend(backend)
    if backend == "cuda":
        cuda.check(stacks, [f"representations[{language!r}]" for language in languages])
    n_layers, _, _ = stacks[0].values.shape
    sizes = [s.values.shape[1] for s in stacks]
    if parallel is None:
        parallel = bool(getattr(representations, "parallel", False))
    _check(languages, sizes, n_neighbors, threshold, parallel)

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
            bridge, reach, ilo, share, info = _on_gpu(pool, threads, update)
        else:
            bridge, reach, ilo, share, info = _layer_by_layer(pool, backend, threads, update)
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
    if not isinstance(representations, Mapping):
        raise TypeError(
            f"representations must map each language to its array, got "
            f"{type(representations).__name__}"
        )
    if len(languages) < 2:
        raise ValueError(
            f"representations has {len(languages)} language(s): overlap between languages needs at "
            "least 2"
        )
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


def _check(
    languages: tuple[str, ...], sizes: list[int], n_neighbors: int, threshold: int, parallel: bool
) -> None:
    reachable = min(len(languages) - 1, n_neighbors)
    if threshold > reachable:
        raise ValueError(
            f"threshold={threshold} cannot be reached with {len(languages)} languages "
            f"and n_neighbors={n_neighbors}: use threshold={reachable} or less"
        )
    if parallel and len(set(sizes)) > 1:
        counts = ", ".join(f"{c}: {n}" for c, n in zip(languages, sizes, strict=True))
        raise ValueError(
            f"parallel=True needs the same number of sentences in every language, got {counts}"
        )


@dataclass(frozen=True)
class _Pool:
    """All points of all languages, and what is asked of them."""

    stacks: list[Stack]
    languages: tuple[str, ...]
    layers: tuple[int, ...]
    labels: NDArray[np.int32]
    sentences: NDArray[np.int64] | None
    n_neighbors: int
    threshold: int
    metric: str

    def named(self, error: ValueError, layer: int) -> ValueError:
        """The error with the row's name as the caller knows it, if it is about a row."""
        row = getattr(error, "row", None)
        if row is None:
            return error
        for language, stack in zip(self.languages, self.stacks, strict=True):
            if row < stack.values.shape[1]:
                return ValueError(
                    f"representations[{language!r}], sentence {row}, layer {self.layers[layer]} "
                    f"{getattr(error, 'problem', '')}"
                )
            row -= stack.values.shape[1]
        return error


_Scores = tuple[
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.float64],
    "NDArray[np.float64] | None",
    "dict[str, Any]",
]


def _on_gpu(pool: _Pool, threads: int, update: Callable[[float], None] | None) -> _Scores:
    """All layers in one call: while one is worked on, the next is brought to the GPU."""
    try:
        bridge, reach, ilo, share, info = cuda.overlap(
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
    except ValueError as error:
        named = pool.named(error, max(0, getattr(error, "layer", 0)))
        if named is error:
            raise
        raise named from None
    info["layers"] = [
        {"layer": layer, **details}
        for layer, details in zip(pool.layers, info["layers"], strict=True)
    ]
    return bridge, reach, ilo, share, info


def _layer_by_layer(
    pool: _Pool, backend: str, threads: int, update: Callable[[float], None] | None
) -> _Scores:
    """A graph lives only until it is counted."""
    n_layers = len(pool.layers)
    shape = (n_layers, len(pool.languages))
    bridge, reach, ilo = np.empty(shape), np.empty(shape), np.empty(shape)
    share = None if pool.sentences is None else np.empty(shape)
    info: dict[str, Any] = {"layers": []}
    seconds_scoring = 0.0
    for h in range(n_layers):
        graph = _layer_graph(pool, h, backend, threads, update)
        counted = time.perf_counter()
        b, r, i, s = _core.overlap(
            graph.indices,
            pool.labels,
            pool.sentences,
            n_languages=len(pool.languages),
            threshold=pool.threshold,
            n_threads=threads,
        )
        seconds_scoring += time.perf_counter() - counted
        bridge[h], reach[h], ilo[h] = b[0], r[0], i[0]
        if share is not None and s is not None:
            share[h] = s[0]
        details = graph.info.pop("layers")[0]
        info["layers"].append({"layer": pool.layers[h], **details})
        info.update(graph.info)
        if update:  # layers may be too short for the core to report
            update((h + 1) / n_layers)
    info["seconds_scoring"] = seconds_scoring
    return bridge, reach, ilo, share, info


def _layer_graph(
    pool: _Pool, h: int, backend: str, threads: int, update: Callable[[float], None] | None
) -> NeighborGraph:
    one = [s.layer(h).in_host_memory() for s in pool.stacks]
    if not all(same_layout(one[0], s) for s in one):  # the core wants one; a layer's copy at a time
        one = [s.contiguous() for s in one]

    def overall(share: float) -> None:
        if update:
            update((h + share) / len(pool.layers))

    try:
        return stacked_graph(
            one,
            pool.n_neighbors,
            metric=pool.metric,
            backend=backend,
            n_threads=threads,
            progress=overall,
        )
    except ValueError as error:
        named = pool.named(error, h)
        if named is error:
            raise
        raise named from None
