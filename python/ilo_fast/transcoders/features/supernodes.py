"""Groups of a graph's features, proposed by the likeness of their edges and of their contexts.

One feature at several positions is one thing from the start. Then the two likest groups are joined,
again and again, as long as their members are like each other on average (average linkage). It is a
proposal, for a person to change: likeness of edges is no proof of a common function.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import share, whole_number
from ilo_fast.transcoders.attribution.data import GraphData
from ilo_fast.transcoders.features.description import statements
from ilo_fast.transcoders.features.notes import FeatureNote, Supernode

_TOKENS: Final = 0.7  # weight of peak tokens in the likeness of contexts; the rest: languages

Floats = NDArray[np.float64]


def propose_supernodes(
    graph: GraphData,
    notes: Mapping[tuple[int, int], FeatureNote] | None = None,
    *,
    kept: NDArray[np.bool_] | None = None,
    least_similarity: float = 0.5,
    most: int = 400,
) -> tuple[Supernode, ...]:
    """Groups of two or more of a graph's features.

    Parameters
    ----------
    graph
    notes
        (layer, feature) -> note. Of features without one, and for None, edges alone count.
    kept : (sources,) bool
        The nodes that are shown; others are in no group. None: all.
    least_similarity
        Mean likeness of the members of two groups, from 0 to 1, from which on they are joined.
    most
        At most so many features are looked at, counted once for all positions: those with the
        largest share in what they act on.

    Returns
    -------
    The largest first; of equal ones, that with the first member.
    """
    share("least_similarity", least_similarity)
    whole_number("most", most)
    sources = graph.sources
    chosen = sources.of_kind("feature")
    if kept is not None:
        if np.shape(kept) != chosen.shape:
            raise ValueError(f"kept has shape {np.shape(kept)}, wanted {chosen.shape}")
        chosen = chosen & kept
    indices = np.flatnonzero(chosen)
    if not len(indices):
        return ()
    keys, unit = np.unique(
        np.stack([sources.layer[indices], sources.feature[indices]]), axis=1, return_inverse=True
    )
    unit = unit.reshape(-1)
    size = np.abs(np.asarray(graph.adjacency, dtype=np.float64))
    total = size.sum(axis=1, keepdims=True)
    weight = (size[:, indices] / np.where(total > 0, total, 1)).sum(axis=0)
    units = np.argsort(-np.bincount(unit, weights=weight), kind="stable")[:most]
    units.sort()
    places = [indices[unit == at] for at in units]
    of_unit = [notes.get((int(a), int(b))) if notes else None for a, b in keys[:, units].T]
    groups = _average_linkage(_similarities(graph, places, of_unit), least_similarity)
    found = []
    for group in groups:
        members = sorted(int(i) for at in group for i in places[at])
        if len(members) > 1:
            found.append((members, _name(group, of_unit, keys[:, units])))
    found.sort(key=lambda pair: (-len(pair[0]), pair[0]))
    return _named(found)


def _similarities(
    graph: GraphData, places: Sequence[NDArray[np.int64]], notes: Sequence[FeatureNote | None]
) -> Floats:
    """(units, units), from 0 to 1: of edges, and of contexts where both have any."""
    adjacency = np.asarray(graph.adjacency, dtype=np.float64)
    # Rows are the features, in the order of sources, and features come first among these.
    taken = _cosines(np.stack([_mean_direction(adjacency[at]) for at in places]))
    given = _cosines(np.stack([_mean_direction(adjacency[:, at].T) for at in places]))
    edges = (taken + given) / 2
    tokens = _cosines(_counted([_peaks(note) for note in notes]))
    languages = _cosines(_counted([_languages(note) for note in notes]))
    contexts = _TOKENS * tokens + (1 - _TOKENS) * languages
    known = np.array([note is not None and bool(note.contexts) for note in notes])
    both = known[:, None] & known
    found: Floats = np.where(both, (edges + contexts) / 2, edges).clip(0, 1)
    return found


def _mean_direction(vectors: Floats) -> Floats:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    mean: Floats = (vectors / np.where(length > 0, length, 1)).mean(axis=0)
    return mean


def _cosines(vectors: Floats) -> Floats:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(length > 0, length, 1)
    found: Floats = unit @ unit.T
    return found


def _peaks(note: FeatureNote | None) -> Counter[str]:
    contexts = () if note is None else note.contexts
    return Counter(c.tokens[c.peak].strip().casefold() for c in contexts)


def _languages(note: FeatureNote | None) -> Counter[str]:
    return Counter(c.language for c in (() if note is None else note.contexts))


def _counted(counts: Sequence[Counter[str]]) -> Floats:
    names = {name: at for at, name in enumerate(sorted(set().union(*counts)))}
    found = np.zeros((len(counts), max(len(names), 1)))
    for row, count in enumerate(counts):
        for name, n in count.items():
            found[row, names[name]] = n
    return found


def _average_linkage(similarity: Floats, least: float) -> list[list[int]]:
    """Groups, joined as long as their mean similarity is `least` or more; of equal pairs the first.

    The mean over pairs of members, kept up by the sizes of the groups.
    """
    mean = similarity.copy()
    np.fill_diagonal(mean, -np.inf)
    groups = [[at] for at in range(len(mean))]
    while len(mean):
        a, b = divmod(int(mean.argmax()), len(mean))
        if not mean[a, b] >= least:
            break
        a, b = min(a, b), max(a, b)
        sizes = np.array([len(groups[a]), len(groups[b])], dtype=np.float64)
        joined = sizes / sizes.sum() @ mean[[a, b]]
        mean[a], mean[:, a] = joined, joined
        mean[b], mean[:, b] = -np.inf, -np.inf
        mean[a, a] = -np.inf
        groups[a] += groups[b]
        groups[b] = []
    return [sorted(group) for group in groups if group]


def _name(group: Sequence[int], notes: Sequence[FeatureNote | None], keys: NDArray[Any]) -> str:
    """What most of the descriptions say; else the feature's own name."""
    said = [statements(note.description) for at in group if (note := notes[at]) is not None]
    counts = Counter(statement for one in said for statement in one)
    if counts:
        # Of equally frequent ones what a description says first.
        rank = {statement: one.index(statement) for one in reversed(said) for statement in one}
        return min(counts, key=lambda statement: (-counts[statement], rank[statement]))
    layer, feature = keys[:, group[0]].tolist()
    more = f" and {len(group) - 1} more" if len(group) > 1 else ""
    return f"layer {layer}, feature {feature}{more}"


def _named(found: Sequence[tuple[list[int], str]]) -> tuple[Supernode, ...]:
    """No two of one name."""
    taken: Counter[str] = Counter()
    nodes = []
    for members, name in found:
        taken[name] += 1
        shown = name if taken[name] == 1 else f"{name}, {taken[name]}"
        nodes.append(Supernode(shown, tuple(members), proposed=True))
    return tuple(nodes)
