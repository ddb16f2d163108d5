"""Which language neighbours which: counts of links, and what chance gives, exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ilo_fast.scores.certainty.graph_overlap_moments import LinkSums


def link_counts(
    indices: NDArray[np.integer], labels: NDArray[np.integer], n_languages: int
) -> NDArray[np.int64]:
    """Links from the points of each language (row) to those of each language (column).

    Parameters
    ----------
    indices : (n, k)
        The neighbours of each point.
    labels : (n,)
        The number of each point's language.
    """
    pairs = labels[:, None].astype(np.int64) * n_languages + labels[indices]
    found = np.bincount(pairs.ravel(), minlength=n_languages**2)
    return found.reshape(n_languages, n_languages)


def expected_shares(sizes: Sequence[int]) -> NDArray[np.float64]:
    """Of a point of language c, the share of neighbours in c' where they are drawn at random.

    ``(n_c' - [c = c']) / (N - 1)``: every other point is equally likely to be a neighbour.
    """
    n = np.asarray(sizes, np.float64)
    expected = np.tile(n, (len(n), 1))
    expected[np.diag_indices(len(n))] -= 1
    expected /= n.sum() - 1
    return expected


def permutation_moments(
    links: LinkSums, sizes: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and variance of `link_counts` over all N! ways to give the labels to the points.

    The graph stays, with its hubs and its mutual links. A pair of languages is a graph, too: all
    links from the points of one to those of the other. So the moments are those of the overlap of
    two graphs (Mantel 1967), of which the coincidences of Schilling (JASA 1986) and Henze (Annals
    of Statistics 1988) are the diagonal.

    Returns
    -------
    mean, variance : float64, shape (languages, languages)
    """
    kinds, kind = np.unique(np.asarray(sizes), return_inverse=True)
    across, own = np.empty((len(kinds), len(kinds), 2)), np.empty((len(kinds), 2))
    for i, source in enumerate(kinds.tolist()):
        own[i] = links.overlap_moments(_all_links(links.n, source, source, own=True))
        for j, target in enumerate(kinds.tolist()):
            pair = _all_links(links.n, source, target, own=False)
            across[i, j] = links.overlap_moments(pair)
    moments = across[kind[:, None], kind]
    moments[np.diag_indices(len(sizes))] = own[kind]
    return moments[..., 0], moments[..., 1]


def z_scores(
    counts: NDArray[np.int64], links: LinkSums, sizes: Sequence[int]
) -> NDArray[np.float64]:
    """How many standard deviations `link_counts` lie above `permutation_moments`.

    NaN where chance has no spread: all labels give the same count.
    """
    mean, variance = permutation_moments(links, sizes)
    # Below one part in 10^9 of the mean's square, a variance is what rounding left of zero.
    spread = np.where(variance > 1e-9 * np.maximum(mean, 1.0), variance, np.nan)
    z: NDArray[np.float64] = (counts - mean) / np.sqrt(spread)
    return z


def modularity(counts: NDArray[np.int64], groups: Sequence[Sequence[int]]) -> float:
    """How many more links stay within groups of languages than degrees alone would give.

    ``Q = sum over groups g of [m_gg / m - out_g in_g / m^2]`` of directed links (Leicht and Newman,
    Physical Review Letters 100, 2008); at most 1. Chance: `modularity_chance`.

    Parameters
    ----------
    counts : (languages, languages)
        `link_counts`.
    groups
        Numbers of languages; each language in one group.
    """
    total = float(counts.sum())
    value = 0.0
    for group in groups:
        chosen = list(group)
        within = float(counts[np.ix_(chosen, chosen)].sum())
        value += within / total
        value -= float(counts[chosen].sum()) * float(counts[:, chosen].sum()) / total**2
    return value


def modularity_chance(sizes: Sequence[int], groups: Sequence[Sequence[int]]) -> float:
    """The exact mean of `modularity` over all ways to give the labels to the points.

    ``-(1 - p) / N``, where p is the chance that two points are of one group: nearly 0.
    """
    n = sum(sizes)
    pairs = (sum(sizes[c] for c in group) for group in groups)
    together = sum(size * (size - 1) for size in pairs) / (n * (n - 1))
    return -(1 - together) / n


def groups_of(names: Mapping[str, Sequence[str]], languages: Sequence[str]) -> list[list[int]]:
    """Groups of language codes, as numbers in `languages`."""
    number = {code: c for c, code in enumerate(languages)}
    return [[number[code] for code in codes] for codes in names.values()]


def _all_links(n: int, source: int, target: int, own: bool) -> LinkSums:
    """The graph of all links from `source` points to `target` others, or among `source` points."""
    if own:
        links = source * (source - 1)
        twice = links * (source - 2)
        return LinkSums(n, links, links, twice, twice, twice)
    links = source * target
    return LinkSums(n, links, 0, links * (target - 1), links * (source - 1), 0)
