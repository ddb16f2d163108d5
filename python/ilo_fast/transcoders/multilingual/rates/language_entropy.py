"""Over how many languages a feature spreads: entropy, with intervals by document."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.progress import CostBar
from ilo_fast.transcoders.multilingual.by_language import shares
from ilo_fast.transcoders.multilingual.rates.document_counts import DocumentCounts

Floats = NDArray[np.float64]

_BYTES: Final = 64e6  # of the draws of some columns
_GRAIN: Final = 2.0**20  # weights are multiples of 1 / grain: their sums are exact in any order


def entropy_bits(p: Floats, axis: int = 0) -> Floats:
    """-sum p log2 p, where 0 log 0 is 0; NaN where any is."""
    logs = np.log2(p, out=np.zeros_like(p), where=p > 0)
    found: Floats = np.abs((p * logs).sum(axis=axis))
    return found


@dataclass(frozen=True, eq=False)
class Draws:
    """Documents drawn again: a weight for each, and pseudo-firings for each language.

    Not `DocumentBootstrap`, in whose draws a language can lose all documents that a feature is in.

    Attributes
    ----------
    weights : (draws, documents)
        Exponential, mean 1 (Rubin's Bayesian bootstrap): of a document in all its languages.
    prior : (draws, languages)
        Gamma of shape 1 / languages: one firing in all. Without it a language in which a feature
        was not seen would be one in which it cannot be.
    """

    weights: Floats
    prior: Floats

    @classmethod
    def make(cls, n: int, n_documents: int, n_languages: int, seed: int) -> Draws:
        random = np.random.default_rng([seed, 1])
        weights = np.round(random.standard_exponential((n, n_documents)) * _GRAIN) / _GRAIN
        return cls(weights, random.standard_gamma(1 / n_languages, (n, n_languages)))

    def rates(self, counts: DocumentCounts, clumping: Floats) -> Floats:
        """(draws, languages, columns): rates of each draw."""
        out = np.empty((len(self.weights), counts.n_languages, counts.n_columns))
        for language, documents, dense in counts.dense():
            weights = self.weights[:, documents]
            tokens = weights @ counts.tokens[counts.language == language].astype(np.float64)
            firings = weights @ dense + self.prior[:, language, None] * clumping
            out[:, language] = firings / tokens[:, None]
        return out

    def batch(self, n_languages: int) -> int:
        """Columns at a time."""
        return max(1, int(_BYTES / (8 * len(self.weights) * n_languages)))


@dataclass(frozen=True, eq=False)
class EntropyEstimate:
    """Entropy of columns in bits, with interval; and one figure for all of them.

    Attributes
    ----------
    entropy, low, high : (columns,) float64
    mean : (3,) float64
        Effective number of languages, a mean over columns weighted by their rates; its interval.
    """

    entropy: Floats
    low: Floats
    high: Floats
    mean: Floats


def estimate_entropy(
    counts: DocumentCounts, p: Floats, draws: Draws, confidence: float, bar: CostBar
) -> EntropyEstimate:
    """Entropy over languages of the shares of rates.

    Parameters
    ----------
    p
        (columns,): of the test that rates are equal. Where it does not reject them, the interval
        goes up to equal rates.

    Notes
    -----
    The estimate adds the bias that Miller (1955) found, clumping * (seen - 1) / (2 firings ln 2)
    bits, where `seen` languages have any firings. Draws are as far below the plain estimate as
    that is below the truth, and further where languages are missed: the upper end adds this bias
    and that of all languages, the lower end adds nothing. In simulation 95 % intervals cover in 92
    to 100 % of the cases, most often near 0 and near log2 of the languages, which they can reach.
    """
    n, most = counts.n_columns, math.log2(counts.n_languages)
    firings, tokens = counts.firings(), counts.language_tokens()
    rates = firings / tokens[:, None]
    clumping = counts.clumping()
    plain = entropy_bits(shares(rates))
    seen = (firings > 0).sum(axis=0)
    per_language = clumping / (2 * firings.sum(axis=0) * math.log(2))
    bias, worst = per_language * (seen - 1), per_language * (counts.n_languages - 1)
    entropy = np.minimum(plain + bias, most)
    low, high = np.empty(n), np.empty(n)
    n_draws = len(draws.weights)
    weighted, weight = np.zeros(n_draws), np.zeros(n_draws)
    step = draws.batch(counts.n_languages)
    for first in range(0, n, step):
        part = slice(first, first + step)
        columns = np.arange(n)[part]
        drawn = draws.rates(counts.of_columns(columns), clumping[part])
        total = drawn.sum(axis=1)
        found = entropy_bits(drawn / total[:, None], axis=1)
        tail = (1 - confidence) / 2
        low[part], high[part] = np.quantile(found, [tail, 1 - tail], axis=0)
        weighted += (total * 2**found).sum(axis=1)
        weight += total.sum(axis=1)
        bar.advance(len(columns), len(columns))
    low = np.where(seen == 1, 0, np.minimum(low, entropy))
    high = np.where(p > 1 - confidence, most, np.clip(high + bias + worst, entropy, most))
    return EntropyEstimate(
        entropy, low, high, _mean(entropy, rates.sum(axis=0), weighted, weight, confidence, most)
    )


def _mean(
    entropy: Floats, rates: Floats, weighted: Floats, weight: Floats, confidence: float, most: float
) -> Floats:
    if not len(entropy):
        return np.full(3, np.nan)
    mean = (rates * 2**entropy).sum() / rates.sum()
    # All columns are biased to one side, so that draws are about another mean: only their spread
    # is taken.
    drawn = weighted / weight
    tail = (1 - confidence) / 2
    ends = mean + np.quantile(drawn - drawn.mean(), [tail, 1 - tail])
    found: Floats = np.clip(np.array([mean, *ends]), 1, 2**most)
    return found
