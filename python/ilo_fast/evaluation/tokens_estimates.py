"""From counts of tokens to statistics of languages and scripts, with a bootstrap over documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.statistics import percentile_tail
from ilo_fast.evaluation.tokens_counting import COUNTED, TokenCounts

Floats = NDArray[np.float64]

STATISTICS: Final = (
    "fertility", "single_token_words", "characters_per_token", "bytes_per_token", "premium",
    "premium_median", "unknown", "partial",
)  # fmt: skip
"""In the order of `TokenStatistics.values`, where they are defined."""
INEQUALITIES: Final = ("gini", "most_to_least")

_RATIOS: Final = {
    "fertility": ("pieces", "words"),
    "single_token_words": ("single", "words"),
    "characters_per_token": ("characters", "tokens"),
    "bytes_per_token": ("bytes", "tokens"),
    "unknown": ("unknown", "tokens"),
    "partial": ("partial", "tokens"),
}
_CELLS: Final = 4_000_000  # of weights that are held at once


@dataclass(frozen=True, eq=False)
class Estimates:
    """Statistics, each with its bootstrap draws.

    Attributes
    ----------
    values : (languages, statistics)
        NaN where there is none.
    draws : (n_bootstrap, languages, statistics)
        Where the corpus is parallel, draw by draw of the same documents in all languages.
    tokens : (n_bootstrap, languages)
        Tokens in each draw.
    inequality : (2,), inequality_draws : (n_bootstrap, 2)
        `INEQUALITIES` over the tokens of the languages; NaN where the corpus is not parallel.
    n_documents : (languages,) int64
    """

    values: Floats
    draws: Floats
    tokens: Floats
    inequality: Floats
    inequality_draws: Floats
    n_documents: NDArray[np.int64]


def estimates(
    counts: TokenCounts, *, reference: str | None, n_bootstrap: int, seed: int
) -> Estimates:
    """All statistics of all languages, and their bootstrap over documents.

    In a parallel corpus a document is drawn in all languages at once: what is compared between
    languages, or between tokenizers by the same seed, is paired.
    """
    n_languages = len(counts.languages)
    values = np.empty((n_languages, len(STATISTICS)))
    draws = np.empty((n_bootstrap, n_languages, len(STATISTICS)))
    tokens = np.empty((n_bootstrap, n_languages))
    base = None if reference is None else counts.languages.index(reference)
    at_tokens = COUNTED.index("tokens")
    for at, (code, table, document) in enumerate(
        zip(counts.languages, counts.counts, counts.document, strict=True)
    ):
        n_documents = int(document.max()) + 1
        # Of a parallel corpus from the seed alone: the same documents in every language.
        entropy = (seed,) if counts.is_parallel else (seed, *code.encode())
        random = np.random.default_rng(entropy)
        other = table if base is None else counts.counts[base]
        sums = np.zeros((n_documents, 2 * len(COUNTED)))
        np.add.at(sums, document, np.concatenate([table, other], axis=1))
        median = _LineRatios(table[:, at_tokens], other[:, at_tokens], document)
        values[at] = _statistics(sums.sum(axis=0), median(np.ones((1, n_documents))))
        for start, size in _parts(n_bootstrap, max(n_documents, len(document))):
            weights = random.multinomial(n_documents, np.full(n_documents, 1 / n_documents), size)
            drawn = weights @ sums
            part = slice(start, start + size)
            tokens[part, at] = drawn[:, at_tokens]
            draws[part, at] = _statistics(drawn, median(weights) if base is not None else np.nan)
        hidden = [] if counts.has_words[at] else ["fertility", "single_token_words"]
        hidden += [] if counts.knows_partial else ["partial"]
        hidden += [] if base is not None else ["premium", "premium_median"]
        columns = [STATISTICS.index(name) for name in hidden]
        values[at, columns] = np.nan
        draws[:, at, columns] = np.nan
    every = np.array([float(table[:, at_tokens].sum()) for table in counts.counts])
    equal = counts.is_parallel and n_languages > 1
    return Estimates(
        values, draws, tokens,
        _inequality(every) if equal else np.full(2, np.nan),
        _inequality(tokens) if equal else np.full((n_bootstrap, 2), np.nan),
        np.array([int(document.max()) + 1 for document in counts.document], np.int64),
    )  # fmt: skip


def intervals(draws: Floats, n_documents: NDArray[np.int64] | int) -> Floats:
    """(..., 2): 95 % percentile intervals along the first axis, expanded for few documents.

    n_documents: one for all, or one for each entry of the axis behind the first.

    Notes
    -----
    The percentiles are those of `percentile_tail`.
    """
    numbers = np.broadcast_to(np.asarray(n_documents), draws.shape[1:2] or (1,))
    out = np.full((*draws.shape[1:], 2), np.nan)
    for n in np.unique(numbers):
        if n < 2:
            continue
        # Of 2 or 3 documents Student's interval is wider than all that a bootstrap can draw.
        tail = percentile_tail(int(n))
        of_n = numbers == n
        part = draws[:, of_n] if draws.ndim > 1 else draws[:, None]
        ends = np.quantile(part, [tail, 1 - tail], axis=0)  # NaN where a draw is not defined
        if draws.ndim > 1:
            out[of_n] = np.moveaxis(ends, 0, -1)
        else:
            out[...] = ends[:, 0]
    return out


def group_means(
    found: Estimates, groups: Mapping[str, Sequence[str]], languages: Sequence[str]
) -> tuple[Floats, Floats]:
    """(groups, statistics) and their intervals: means over the languages that have a value.

    Intervals are of documents, not of languages: of these very languages on other text.
    """
    values = np.full((len(groups), len(STATISTICS)), np.nan)
    spans = np.full((len(groups), len(STATISTICS), 2), np.nan)
    for row, codes in enumerate(groups.values()):
        at = np.array([languages.index(code) for code in codes])
        for column in range(len(STATISTICS)):
            known = at[~np.isnan(found.values[at, column])]
            if len(known):
                values[row, column] = found.values[known, column].mean()
                n = int(found.n_documents[known].min())
                spans[row, column] = intervals(found.draws[:, known, column].mean(axis=1), n)
    return values, spans


class _LineRatios:
    """The median over lines of tokens / tokens of the reference, where documents have weights."""

    def __init__(
        self, own: NDArray[np.int64], other: NDArray[np.int64], document: NDArray[np.int64]
    ) -> None:
        if len(own) != len(other):  # not parallel: there is no reference
            own, other, document = own[:0], other[:0], document[:0]
        known = other > 0
        ratios = own[known] / other[known]
        order = np.argsort(ratios, kind="stable")
        self._ratios, self._document = ratios[order], document[known][order]

    def __call__(self, weights: NDArray[np.float64] | NDArray[np.int64]) -> Floats:
        """weights: (draws, documents)."""
        if not len(self._ratios):
            return np.full(len(weights), np.nan)
        reached = np.cumsum(weights[:, self._document], axis=1, dtype=np.float64)
        half = reached[:, -1:] / 2
        # The mean of the two in the middle, where their number is even.
        low = np.minimum((reached < half).sum(axis=1), len(self._ratios) - 1)
        high = np.minimum((reached <= half).sum(axis=1), len(self._ratios) - 1)
        found: Floats = (self._ratios[low] + self._ratios[high]) / 2
        found[reached[:, -1] == 0] = np.nan
        return found


def _statistics(sums: Floats, median: Floats | float) -> Floats:
    """(..., statistics) from sums of `COUNTED`, first of the language, then of the reference."""
    by_name = {name: sums[..., at] for at, name in enumerate(COUNTED)}
    out = np.empty((*sums.shape[:-1], len(STATISTICS)))
    for name, (upper, lower) in _RATIOS.items():
        out[..., STATISTICS.index(name)] = _ratio(by_name[upper], by_name[lower])
    other = sums[..., len(COUNTED) + COUNTED.index("tokens")]
    out[..., STATISTICS.index("premium")] = _ratio(by_name["tokens"], other)
    out[..., STATISTICS.index("premium_median")] = median
    return out


def _ratio(upper: Floats, lower: Floats) -> Floats:
    found = np.full(np.shape(upper), np.nan)
    np.divide(upper, lower, out=found, where=lower > 0)
    return found


def _inequality(tokens: Floats) -> Floats:
    """(..., 2): Gini coefficient of the languages' tokens, and the most over the least."""
    ordered = np.sort(tokens, axis=-1)
    n = ordered.shape[-1]
    ranks = np.arange(1, n + 1)
    gini = 2 * (ranks * ordered).sum(axis=-1) / (n * ordered.sum(axis=-1)) - (n + 1) / n
    return np.stack([gini, ordered[..., -1] / ordered[..., 0]], axis=-1)


def _parts(total: int, width: int) -> list[tuple[int, int]]:
    size = max(1, _CELLS // max(1, width))
    return [(start, min(size, total - start)) for start in range(0, total, size)]
