"""How often each feature fires in each language: rates, entropy with intervals, tests."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import real_number, whole_number
from ilo_fast._util.progress import cost_bar
from ilo_fast.graph.options import thread_count
from ilo_fast.transcoders.multilingual.line_features import LineFeatures
from ilo_fast.transcoders.multilingual.rates.document_counts import DocumentCounts
from ilo_fast.transcoders.multilingual.rates.language_entropy import Draws, estimate_entropy
from ilo_fast.transcoders.multilingual.rates.language_permutations import permutation_test
from ilo_fast.transcoders.multilingual.rates.rates_result import PERMUTED, LanguageRates

N_DRAWS: Final = 500


def language_rates(
    table: LineFeatures,
    *,
    n_permutations: int = 1000,
    seed: int = 0,
    min_firings: int = 20,
    confidence: float = 0.95,
    n_threads: int | None = None,
    progress: bool = False,
) -> LanguageRates:
    """How often each feature fires in each language, and whether languages differ in it.

    The rate is firings over tokens of the language, so that it does not matter how much text there
    is of each. Documents are the unit of everything: a feature of one topic fires often in few of
    them. Where documents are in several languages, they are drawn again in all of them together,
    and labels are permuted within them; else labels are permuted among all documents.

    Parameters
    ----------
    table
        Of `line_features`, two languages or more.
    n_permutations
        p is never below 1 / (1 + n_permutations), adjusted or not.
    seed
        Of permutations and draws.
    min_firings
        Over all languages; features of fewer are not tested.
    confidence
        Of the intervals; its complement is the level of tests.
    n_threads
        None: all that the process may use. The result does not depend on it.
    progress
        Bars on stderr.

    Raises
    ------
    ValueError
        The table has one language; a number is out of range.

    Notes
    -----
    Under the hypothesis that rows of a document are exchangeable, p values are exact. Languages
    whose tokens are shorter have more of them; then p is approximate, and keeps its level in
    simulation.
    """
    n_permutations = whole_number("n_permutations", n_permutations)
    seed = whole_number("seed", seed, least=0)
    min_firings = whole_number("min_firings", min_firings)
    confidence = real_number("confidence", confidence)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence} must be between 0 and 1")
    if len(table.languages) < 2:
        raise ValueError(f"table has {len(table.languages)} language, wanted 2 or more to compare")
    counts = DocumentCounts.of(table)
    firings = counts.firings()
    tested = np.flatnonzero(firings.sum(axis=0) >= min_firings)
    part = counts.of_columns(tested)
    test = permutation_test(
        part,
        n_permutations=n_permutations,
        seed=seed,
        n_threads=thread_count(n_threads),
        progress=progress,
    )
    layers = tested // table.n_features
    draws = Draws.make(N_DRAWS, counts.n_documents, counts.n_languages, seed)
    entropy = np.full((3, table.n_columns), np.nan)
    mean = np.full((table.n_layers, 3), np.nan)
    with cost_bar(
        progress, "drawing documents", cost=len(tested), items=len(tested), unit="feature"
    ) as bar:
        for layer in range(table.n_layers):
            mine = np.flatnonzero(layers == layer)
            found = estimate_entropy(part.of_columns(mine), test.p[mine], draws, confidence, bar)
            entropy[:, tested[mine]] = found.entropy, found.low, found.high
            mean[layer] = found.mean
    null = [test.dominated[1:, layers == layer].sum(axis=1) for layer in range(table.n_layers)]
    return LanguageRates(
        languages=table.languages,
        n_layers=table.n_layers,
        n_features=table.n_features,
        tokens=counts.language_tokens(),
        n_documents=np.bincount(counts.language, minlength=counts.n_languages),
        firings=firings,
        entropy=entropy[0],
        entropy_low=entropy[1],
        entropy_high=entropy[2],
        p=_spread(test.p, tested, table.n_columns, np.nan),
        p_adjusted=_spread(test.p_adjusted, tested, table.n_columns, np.nan),
        dominated=_spread(test.dominated[0], tested, table.n_columns, False),
        dominated_null=np.stack(null, axis=1).astype(np.int64),
        mean_effective=mean,
        permuted=PERMUTED[0] if counts.is_shared else PERMUTED[1],
        n_permutations=n_permutations,
        n_draws=N_DRAWS,
        seed=seed,
        min_firings=min_firings,
        confidence=confidence,
    )


def _spread(values: NDArray[Any], columns: NDArray[np.int64], n: int, empty: Any) -> NDArray[Any]:
    out = np.full(n, empty)
    out[columns] = values
    return out
