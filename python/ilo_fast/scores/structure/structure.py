"""Which language neighbours which, the core that languages share, and the fragments around it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import real_number, share, whole_number
from ilo_fast._util.progress import share_bar
from ilo_fast._util.versions import versions
from ilo_fast.corpora.languages import describe_language
from ilo_fast.graph.result import NeighborGraph
from ilo_fast.scores.certainty.graph_overlap_moments import LinkSums
from ilo_fast.scores.result import OverlapScores
from ilo_fast.scores.structure.components import language_components, languages_needed, mutual_links
from ilo_fast.scores.structure.fragments import (
    communities_outside,
    counts_of,
    main_languages,
    stable_labels,
)
from ilo_fast.scores.structure.graph_of import graph_of
from ilo_fast.scores.structure.language_shares import link_counts
from ilo_fast.scores.structure.parts import Component, LayerComponents, short_name
from ilo_fast.scores.structure.result import Structure

_LEAST_OF_A_LANGUAGE: Final = 0.1  # a fragment has at least so much of a language's points
_DRAWS: Final = 4  # of languages exchanged at random; the core under mixing hardly varies


def structure(
    scores: OverlapScores | NeighborGraph,
    languages: Sequence[str] | None = None,
    *,
    sentences: Sequence[int] | None = None,
    layers: Sequence[int] | None = None,
    min_share: float = 0.5,
    purity: float = 0.9,
    resolution: float = 1.0,
    seed: int = 0,
    progress: bool = False,
) -> Structure:
    """Which language neighbours which, the core that languages share, and the fragments around it.

    The definitions are ours (docs/explanation/structure.md); the paper on ILO (arXiv 2503.11280)
    speaks of a shared region and of fragments, and defines neither.

    Two points of different languages are linked where each is among the other's nearest neighbours.
    The **core** is every connected component of these links that holds at least ``min_share`` of
    the languages; a language is held by the core if at least half of its points are inside. Points
    outside fall into communities of the whole graph (Leiden); a community larger than a
    neighbourhood is part of a **fragment** if ``purity`` of its points are of one language, of
    fewer than half as many as a core needs, or of languages of one script, family or region.
    Communities of the same languages are one fragment, if together they have as many points as a
    tenth of a language.

    Parameters
    ----------
    scores : OverlapScores or NeighborGraph
        Scores that kept their graph (``overlap(..., neighbors=True)``), or a graph of the points of
        all languages.
    languages : sequence of str
        The code of each row's language; for a graph alone.
    sentences : sequence of int, optional
        Of parallel text, the number of each row's sentence; for a graph alone. Scores know.
    layers : sequence of int, optional
        Names of the graph's layers; for a graph alone. By default 0, 1, ...
    min_share : float
        Above 0, at most 1.
    purity : float
        Above 0.5, at most 1.
    resolution : float
        Of communities; more is smaller.
    seed : int
        Of the order in which communities are searched, and of the exchange of languages.
    progress : bool
        A bar on standard error.

    Returns
    -------
    Structure

    Raises
    ------
    ValueError
        Scores without their graph, fewer than two languages, rows without a language, a graph of
        queries.

    Notes
    -----
    Some 2 seconds per layer of 31 372 points on one core (benchmarks/structure.py).
    """
    pool = _pool(scores, languages, sentences, layers)
    rules = _Rules(
        needed=languages_needed(len(pool.languages), _least("min_share", min_share, 0.0)),
        purity=_least("purity", purity, 0.5),
        resolution=_positive("resolution", resolution),
        seed=whole_number("seed", seed, least=0),
    )
    start = time.perf_counter()
    found = []
    with share_bar(progress, "structure") as update:
        for h, indices in enumerate(pool.indices):
            found.append(_layer(pool, indices, rules))
            if update:
                update((h + 1) / len(pool.indices))
    labels, names, components = _components(pool, found, rules)
    return Structure(
        layers=pool.layers,
        languages=pool.languages,
        n_points=pool.sizes,
        n_neighbors=pool.indices.shape[2],
        counts=np.stack([layer.counts for layer in found]),
        link_sums=tuple(layer.links for layer in found),
        components=components,
        names=names,
        flows=tuple(_flows(a, b) for a, b in itertools.pairwise(labels)),
        labels=labels,
        settings={
            "min_share": min_share,
            "languages_needed": rules.needed,
            "purity": purity,
            "resolution": resolution,
            "seed": seed,
            "parallel": pool.sentences is not None,
            "n_draws": _DRAWS,
        },
        info={"seconds": time.perf_counter() - start, "versions": versions("numpy")},
    )


@dataclass(frozen=True)
class _Points:
    """The points of all languages, and their graph."""

    indices: NDArray[np.int32]  # (layers, n, k)
    labels: NDArray[np.int64]
    sentences: NDArray[np.int64] | None
    languages: tuple[str, ...]
    layers: tuple[int, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(np.bincount(self.labels, minlength=len(self.languages)).tolist())


@dataclass(frozen=True)
class _Rules:
    needed: int
    purity: float
    resolution: float
    seed: int


@dataclass(frozen=True)
class _Layer:
    """What is found in one layer, before fragments are compared across layers."""

    counts: NDArray[np.int64]
    links: LinkSums
    core: NDArray[np.bool_]
    n_parts: int
    largest: int
    core_under_mixing: float
    translations: float | None
    groups: NDArray[np.int64]  # communities that are part of a fragment; -1: no such


def _pool(
    scores: OverlapScores | NeighborGraph,
    languages: Sequence[str] | None,
    sentences: Sequence[int] | None,
    layers: Sequence[int] | None,
) -> _Points:
    graph = graph_of(scores)
    if isinstance(scores, NeighborGraph):
        return _pool_of_graph(graph, languages, sentences, layers)
    if any(given is not None for given in (languages, sentences, layers)):
        raise ValueError("languages, sentences and layers are for a graph alone; scores know them")
    sizes = scores.n_sentences
    parallel = scores.translation_share is not None
    return _pool_of_graph(
        graph,
        np.repeat(np.array(scores.languages, object), sizes).tolist(),
        np.concatenate([np.arange(n) for n in sizes]).tolist() if parallel else None,
        scores.layers,
    )


def _pool_of_graph(
    graph: NeighborGraph,
    languages: Sequence[str] | None,
    sentences: Sequence[int] | None,
    layers: Sequence[int] | None,
) -> _Points:
    indices = np.asarray(graph.indices, np.int32)
    indices = indices[None] if indices.ndim == 2 else indices
    n_layers, n, _ = indices.shape
    if languages is None or len(languages) != n:
        got = "none" if languages is None else len(languages)
        raise ValueError(f"languages must name the language of each of {n} rows, got {got}")
    codes = tuple(dict.fromkeys(str(code) for code in languages))
    if len(codes) < 2:
        raise ValueError(f"languages names {len(codes)}, wanted at least two: nothing is shared")
    number = {code: c for c, code in enumerate(codes)}
    numbers = None if sentences is None else np.asarray(sentences)
    if numbers is not None and numbers.shape != (n,):
        got = len(numbers) if numbers.ndim == 1 else f"shape {numbers.shape}"
        raise ValueError(f"sentences must number each of {n} rows, got {got}")
    if numbers is not None and not np.issubdtype(numbers.dtype, np.integer):
        raise TypeError(f"sentences have dtype {numbers.dtype}, wanted whole numbers")
    named = tuple(range(n_layers)) if layers is None else tuple(int(h) for h in layers)
    if len(named) != n_layers:
        raise ValueError(f"layers names {len(named)} layers, but the graph has {n_layers}")
    return _Points(
        indices=indices,
        labels=np.array([number[str(code)] for code in languages], np.int64),
        sentences=None if numbers is None else numbers.astype(np.int64),
        languages=codes,
        layers=named,
    )


def _layer(pool: _Points, indices: NDArray[np.int32], rules: _Rules) -> _Layer:
    n_languages, n = len(pool.languages), len(pool.labels)
    links = mutual_links(indices)
    component, reached = language_components(links, pool.labels, n_languages)
    core = reached >= rules.needed
    rng = np.random.default_rng(rules.seed)
    mixed = []
    for _ in range(_DRAWS):
        labels = _exchanged(pool, rng)
        mixed.append((language_components(links, labels, n_languages)[1] >= rules.needed).sum())
    return _Layer(
        counts=link_counts(indices, pool.labels, n_languages),
        links=LinkSums.of(indices),
        core=core,
        n_parts=len(np.unique(component[core])),
        largest=int(np.bincount(component, minlength=n).max()),
        core_under_mixing=float(np.mean(mixed)),
        translations=_translations(pool, links, core),
        groups=_fragment_groups(pool, indices, core, rules),
    )


def _exchanged(pool: _Points, rng: np.random.Generator) -> NDArray[np.int64]:
    """The languages of the points, exchanged within sentences, or among all points."""
    order = rng.permutation(len(pool.labels))
    if pool.sentences is None:
        return pool.labels[order]
    # In a random order, then by sentence: those of one sentence lie together, shuffled.
    shuffled = order[np.argsort(pool.sentences[order], kind="stable")]
    labels = np.empty_like(pool.labels)
    labels[np.argsort(pool.sentences, kind="stable")] = pool.labels[shuffled]
    return labels


def _translations(
    pool: _Points,
    links: tuple[NDArray[np.int64], NDArray[np.int64]],
    core: NDArray[np.bool_],
) -> float | None:
    """Of the links of the core, the share between translations; None where that is not known."""
    source, target = links
    within = core[source] & core[target] & (pool.labels[source] != pool.labels[target])
    if pool.sentences is None or not within.any():
        return None
    return float((pool.sentences[source] == pool.sentences[target])[within].mean())


def _fragment_groups(
    pool: _Points, indices: NDArray[np.int32], core: NDArray[np.bool_], rules: _Rules
) -> NDArray[np.int64]:
    """Communities outside the core that are part of a fragment, from 0; -1 of other points."""
    groups = communities_outside(indices, core, resolution=rules.resolution, seed=rules.seed)
    counts = counts_of(groups, pool.labels, len(pool.languages))
    few = np.array([_is_fragment(pool, row, rules) for row in counts], bool)
    number = np.append(np.where(few, np.cumsum(few) - 1, -1), -1)  # the last for group -1
    return number[groups]


def _is_fragment(pool: _Points, counts: NDArray[np.int64], rules: _Rules) -> bool:
    main = main_languages(counts, rules.purity)
    return len(main) == 1 or 2 * len(main) < rules.needed or bool(_common(pool, main))


def _common(pool: _Points, languages: Sequence[int]) -> dict[str, str]:
    """What languages have in common, of family, script and region, where that is known."""
    about = [describe_language(pool.languages[c]) for c in languages]
    values = {by: {one[by] for one in about} for by in ("family", "script", "region")}
    return {by: next(iter(v)) for by, v in values.items() if len(v) == 1 and all(v)}


def _title(pool: _Points, languages: Sequence[int]) -> str:
    """``"Danish, Swedish"``; of many languages two, and what so few others have in common."""
    names = [short_name(pool.languages[c], pool.languages) for c in languages]
    if len(names) <= 3:
        return ", ".join(names)

    def having(by: str) -> int:
        return sum(describe_language(code)[by] == common[by] for code in pool.languages)

    common = _common(pool, languages)
    rarest = min(common, key=having, default=None)
    kind = "" if rarest is None else f" ({common[rarest]})"
    return f"{names[0]}, {names[1]} + {len(names) - 2}{kind}"


def _components(
    pool: _Points, found: Sequence[_Layer], rules: _Rules
) -> tuple[NDArray[np.int32], dict[int, str], tuple[LayerComponents, ...]]:
    n_languages = len(pool.languages)
    by_group = [counts_of(layer.groups, pool.labels, n_languages) for layer in found]
    group_labels = stable_labels(by_group, _LEAST_OF_A_LANGUAGE * len(pool.labels) / n_languages)
    labels = np.empty((len(found), len(pool.labels)), np.int32)
    for row, layer, of_groups in zip(labels, found, group_labels, strict=True):
        row[:] = np.array([*of_groups, -1])[layer.groups]
        row[layer.core] = 0
    names = {-1: "rest", 0: "core"}
    for label in range(1, int(labels.max()) + 1):
        points = np.nonzero(labels == label)[1]
        counts = np.bincount(pool.labels[points], minlength=n_languages)
        names[label] = _title(pool, main_languages(counts, rules.purity))
    components = []
    for row, layer, of_groups in zip(labels, found, group_labels, strict=True):
        parts = {label: of_groups.count(label) for label in sorted(set(of_groups) - {-1})}
        fragments = [_component(pool, row, label, n, rules) for label, n in parts.items()]
        components.append(
            LayerComponents(
                core=_component(pool, row, 0, layer.n_parts, rules),
                fragments=tuple(sorted(fragments, key=lambda one: (-one.size, one.label))),
                rest=int((row == -1).sum()),
                largest=layer.largest,
                core_under_mixing=layer.core_under_mixing,
                translations=layer.translations,
            )
        )
    return labels, names, tuple(components)


def _component(
    pool: _Points,
    row: NDArray[np.int32],
    label: int,
    n_parts: int,
    rules: _Rules,
) -> Component:
    counts = np.bincount(pool.labels[row == label], minlength=len(pool.languages))
    size = int(counts.sum())
    main = main_languages(counts, rules.purity) if label else []
    held = 2 * counts >= np.array(pool.sizes)
    return Component(
        label=label,
        name=_title(pool, main) if main else "core",
        size=size,
        n_parts=n_parts,
        counts=tuple(counts.tolist()),
        languages=tuple(code for code, inside in zip(pool.languages, held, strict=True) if inside),
        main=tuple(pool.languages[c] for c in main),
        purity=float(counts[main].sum() / size) if main else None,
        common=_common(pool, main) if main else {},
    )


def _flows(here: NDArray[np.int32], there: NDArray[np.int32]) -> tuple[tuple[int, int, int], ...]:
    pairs, counts = np.unique(np.stack([here, there], axis=1), axis=0, return_counts=True)
    return tuple((int(a), int(b), int(n)) for (a, b), n in zip(pairs, counts, strict=True))


def _least(name: str, value: Any, above: float) -> float:
    number = share(name, value)
    if number <= above:
        raise ValueError(f"{name}={number:g} must be above {above:g}, and at most 1")
    return number


def _positive(name: str, value: Any) -> float:
    number = real_number(name, value)
    if number <= 0:
        raise ValueError(f"{name}={number:g} must be above 0")
    return number
