"""Features of single languages: found on one half of the documents, tested on the other.

The rule is that of Harrasse et al. (2025, arXiv 2511.10840): of the rates in all languages at least
half in one, less than a tenth in every other. They found and counted on the same text; selected
features are then as selective as the selection wants, and less so on new text. Here the figures are
those of the half that did not select.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import share, whole_number
from ilo_fast._util.holm import holm_p
from ilo_fast._util.max_t import step_down_p
from ilo_fast._util.progress import cost_bar
from ilo_fast.transcoders.multilingual.by_language import largest_other, rates, shares, summed
from ilo_fast.transcoders.multilingual.documents import (
    document_halves,
    effective_interval,
    permuted_labels,
)
from ilo_fast.transcoders.multilingual.language_features.language_features_table import (
    LanguageFeatures,
)
from ilo_fast.transcoders.multilingual.line_features import LineFeatures

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

_CHANCE: Final = 20  # permutations that count what passes by chance


def language_features(
    table: LineFeatures,
    *,
    n_per_language: int = 10,
    min_firings: int = 20,
    selectivity: float = 0.5,
    others_below: float = 0.1,
    layers: tuple[int, ...] | None = None,
    n_permutations: int = 1000,
    seed: int = 0,
    progress: bool = False,
) -> LanguageFeatures:
    """Features of each language.

    With rate = firings / tokens of a language, a feature's shares are its rates over their sum:
    what text there is more of does not count for more.

    Parameters
    ----------
    table
        Of text in two languages or more.
    n_per_language
        So many of those that pass are kept for each language: the largest selectivity * rate on
        the half that finds them. What is merely rare is pure by luck, and explains little.
    min_firings
        In the language, on the half that finds.
    selectivity, others_below
        The rule: share of the language at least, share of every other language less than.
    layers
        None: all.
    n_permutations
        Of the labels of the other half's documents.
    seed
        Of the halves and the permutations.
    progress
        A bar on stderr.

    Raises
    ------
    ValueError
        One language alone, a language of fewer than four documents, a layer that is not there.
    """
    if len(table.languages) < 2:
        raise ValueError(f"table has {table.languages} alone: a feature is selective among several")
    lacking = np.setdiff1d(np.arange(len(table.languages)), table.language)
    if len(lacking):
        raise ValueError(f"table has no line of {table.languages[lacking[0]]}: select() the others")
    whole_number("n_per_language", n_per_language)
    whole_number("min_firings", min_firings)
    share("selectivity", selectivity)
    share("others_below", others_below)
    whole_number("n_permutations", n_permutations)
    chosen = range(table.n_layers) if layers is None else layers
    for layer in chosen:
        whole_number("layers", layer, least=0, most=table.n_layers - 1)
    open_ = np.isin(np.arange(table.n_columns) // table.n_features, chosen)
    first = document_halves(table.language, table.document, seed=seed)
    cells = table.by_document()
    finding, testing = (cells.of_rows(first[cells.document] == half) for half in (True, False))
    random = np.random.default_rng([seed, 1])

    def passing(labels: Integers) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        fired, found = summed(finding, finding.counts, labels), rates(finding, labels)
        part = shares(found)
        pure = (part >= selectivity) & (largest_other(part) < others_below)
        return fired, found, pure & (fired >= min_firings) & open_

    fired, found_rates, passed = passing(finding.language)
    found_shares = shares(found_rates)
    columns, language = [], []
    for code in range(len(table.languages)):
        mine = np.flatnonzero(passed[code])
        order = np.argsort(-(found_shares * found_rates)[code, mine], kind="stable")[
            :n_per_language
        ]
        columns.append(mine[order])
        language.append(np.full(len(order), code))
    found, of = np.concatenate(columns), np.concatenate(language)
    by_chance = np.zeros(passed.shape)
    n_steps = _CHANCE + n_permutations
    with cost_bar(progress, "permuting", cost=n_steps, items=n_steps, unit="permutation") as bar:
        for _ in range(_CHANCE):
            by_chance += passing(permuted_labels(finding.language, finding.document, random))[2]
            bar.advance(1, 1)
        counts = _dense(testing, found)
        drawn = np.empty((1 + n_permutations, len(found)))
        at = np.arange(len(found))
        for step in range(1 + n_permutations):
            labels = testing.language
            if step:
                labels = permuted_labels(testing.language, testing.document, random)
                bar.advance(1, 1)
            sums, tokens = _sums(counts, testing.tokens, labels, len(table.languages))
            drawn[step] = np.nan_to_num(shares(sums / tokens[:, None])[of, at])
    sums, tokens = _sums(counts, testing.tokens, testing.language, len(table.languages))
    tested = sums / tokens[:, None]
    tested_shares = shares(tested)
    ends = [_interval(counts[:, k], testing, tested[:, k], int(of[k])) for k in range(len(found))]
    own, other = tested_shares[of, at], largest_other(tested_shares)[of, at]
    p = (drawn >= drawn[0] - 1e-12).mean(axis=0)

    def by_layer(marks: NDArray[np.number] | NDArray[np.bool_]) -> Floats:
        shaped = marks.reshape(len(table.languages), table.n_layers, table.n_features)
        return np.asarray(shaped.sum(axis=2, dtype=np.float64).T)

    return LanguageFeatures(
        languages=table.languages,
        n_layers=table.n_layers,
        n_features=table.n_features,
        columns=found,
        language=of,
        firings=np.stack([fired[of, found], sums[of, at]], axis=1).astype(np.int64),
        found_selectivity=found_shares[of, found],
        found_other=largest_other(found_shares)[of, found],
        selectivity=own,
        other=other,
        low=np.array([low for low, _ in ends]),
        high=np.array([high for _, high in ends]),
        rates=tested.T,
        p=p,
        p_holm=holm_p(p),
        p_adjusted=step_down_p(drawn) if len(found) else p,
        holds=(own >= selectivity) & (other < others_below),
        counts=by_layer(passed),
        chance_counts=by_layer(by_chance) / _CHANCE,
        passed=np.flatnonzero(passed.any(axis=0)),
        n_documents=np.array([first.sum(), (~first).sum()]),
        test_documents=~first,
        options={
            "n_per_language": n_per_language, "min_firings": min_firings,
            "selectivity": selectivity, "others_below": others_below, "layers": list(chosen),
            "n_permutations": n_permutations, "seed": seed,
        },
    )  # fmt: skip


def _dense(cells: LineFeatures, columns: Integers) -> Floats:
    """(cells, columns): firings."""
    place = np.full(cells.n_columns, -1)
    place[columns] = np.arange(len(columns))
    at = place[cells.indices]
    dense = np.zeros((len(cells), len(columns)))
    dense[cells.rows[at >= 0], at[at >= 0]] = cells.counts[at >= 0]
    return dense


def _sums(
    counts: Floats, tokens: Integers, labels: Integers, n_languages: int
) -> tuple[Floats, Floats]:
    """Firings (languages, columns) and tokens (languages,) of rows by label; all labels occur."""
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], np.arange(n_languages))
    return (
        np.add.reduceat(counts[order], starts, axis=0),
        np.add.reduceat(tokens[order], starts).astype(np.float64),
    )


def _interval(counts: Floats, cells: LineFeatures, rates: Floats, own: int) -> tuple[float, float]:
    """Of the share of one language among a feature's rates, over documents."""
    total = rates.sum()
    if total <= 0:
        return np.nan, np.nan
    value = rates[own] / total
    tokens = np.bincount(cells.language, weights=cells.tokens, minlength=len(rates))
    off = (counts - rates[cells.language] * cells.tokens) / tokens[cells.language]
    weight = np.where(cells.language == own, 1 - value, -value) / total
    of_document = np.bincount(cells.document, weights=weight * off).astype(np.float64)
    influence = of_document[np.bincount(cells.document) > 0]
    return effective_interval(float(value), influence, n_most=float(counts.sum()))
