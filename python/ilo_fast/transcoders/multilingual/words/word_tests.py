"""Features that tell words of one last piece apart: found on one half of the documents, tested on
the other, against words permuted among those of the same last piece."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.max_t import step_down_p
from ilo_fast.transcoders.multilingual.document_bootstrap import DocumentBootstrap
from ilo_fast.transcoders.multilingual.lines import Integers
from ilo_fast.transcoders.multilingual.words.word_information import (
    Decoder,
    informations,
    permuted_words,
)
from ilo_fast.transcoders.multilingual.words.word_occurrences import Active, WordOccurrences

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_SELECTING: Final = 20  # permutations whose mean is taken off before features are ranked
_TAILS: Final = (0.025, 0.975)


@dataclass(frozen=True, eq=False)
class Told:
    """What features tell of words beyond the last piece.

    Attributes
    ----------
    information : (selected,) float64
        I(fires; word | last piece) in bits, less its mean over permutations.
    p : (selected,) float64
        Step-down maxT over all that were selected.
    by_layer : (layers,) float64
        Mean information of a layer's selected features; NaN where it has none.
    null : (layers, 2) float64
        2.5 % and 97.5 % of the same under permutation.
    """

    information: Floats
    p: Floats
    by_layer: Floats
    null: Floats


@dataclass(frozen=True, eq=False)
class Swapped:
    """Text in which the earlier pieces of a word are those of another that ends alike.

    Attributes
    ----------
    occurrence : (swaps,) int64
        Of the second half.
    inserted : (swaps,) int64
        The word that stands there now.
    active : Active
        At its last piece; row by row of the swaps.
    """

    occurrence: Integers
    inserted: Integers
    active: Active


@dataclass(frozen=True, eq=False)
class Selected:
    """Features that told most about words on the first half, as they do on the second.

    Attributes
    ----------
    layer, feature : (selected,) int64
    told : Told
        Of the text as it stands.
    unswapped, of_pieces, of_context : Told or None
        Of the occurrences that were swapped: as the text stands; in swapped text, of the word that
        was put in, and of the one that stood there. Of equally many, so that they compare.
    word : (selected,) int64
        The word that it fires for most beyond others of its group, on the first half.
    rate, rate_others : (selected,) float64
        Share of the occurrences of that word, and of the others of its group, at which it fires.
    """

    layer: Integers
    feature: Integers
    told: Told
    unswapped: Told | None
    of_pieces: Told | None
    of_context: Told | None
    word: Integers
    rate: Floats
    rate_others: Floats


def select_and_test(
    found: WordOccurrences,
    active: Active,
    swapped: Swapped | None,
    *,
    n_selected: int,
    n_permutations: int,
    seed: int,
) -> Selected:
    """The `n_selected` features of each layer with most information on one half, on the other."""
    rows = [np.flatnonzero(found.half == half) for half in (0, 1)]
    word = [found.word[at] for at in rows]
    half = [active.of_rows(at) for at in rows]
    layers, features = [], []
    for layer in range(active.n_layers):
        r, c = half[0].of_layer(layer)
        drawn = permuted_words(word[0], found.group, _SELECTING, (seed, layer, 0))
        every = informations(
            itertools.chain([word[0]], drawn), found.group[word[0]], r, c, active.n_features
        )
        excess = every[0] - every[1:].mean(axis=0)
        fires = np.bincount(c, minlength=active.n_features) > 0
        best = np.argsort(-np.where(fires, excess, -np.inf), kind="stable")[:n_selected]
        best = best[fires[best]]
        layers.append(np.full(len(best), layer))
        features.append(best)
    layer_of, feature = np.concatenate(layers), np.concatenate(features)
    column = layer_of * active.n_features + feature
    of_column = np.full(active.n_layers * active.n_features, -1)
    of_column[column] = np.arange(len(column))

    def chosen(part: Active) -> tuple[Integers, Integers]:
        place = of_column[part.columns]
        return part.rows[place >= 0], place[place >= 0]

    def told(labels: Integers, part: Active, stream: int) -> Told:
        drawn = permuted_words(labels, found.group, n_permutations, (seed, stream))
        values = informations(
            itertools.chain([labels], drawn), found.group[labels], *chosen(part), len(column)
        )
        return _told(values, layer_of, active.n_layers)

    best_word = _preferred(word[0], found.group, *chosen(half[0]), len(column))
    rate, others = _rates(best_word, word[1], found.group, *chosen(half[1]))
    unswapped = of_pieces = of_context = None
    if swapped is not None:
        before = found.word[swapped.occurrence]
        unswapped = told(before, active.of_rows(swapped.occurrence), 8)
        of_pieces = told(swapped.inserted, swapped.active, 6)
        of_context = told(before, swapped.active, 7)
    return Selected(
        layer_of,
        feature,
        told(word[1], half[1], 1),
        unswapped,
        of_pieces,
        of_context,
        best_word,
        rate,
        others,
    )


def _told(values: Floats, layer_of: Integers, n_layers: int) -> Told:
    """From the information of each feature, observed and in each permutation."""
    excess = values - values[1:].mean(axis=0)
    by_layer = np.full((len(values), n_layers), np.nan)
    for layer in np.unique(layer_of):
        by_layer[:, layer] = excess[:, layer_of == layer].mean(axis=1)
    null = np.quantile(by_layer[1:], _TAILS, axis=0).T
    return Told(excess[0], step_down_p(values), by_layer[0], null)


def _counts(word: Integers, n_words: int, rows: Integers, columns: Integers, n: int) -> Floats:
    """(words, columns): how often each fires at each word."""
    cells = np.bincount(word[rows] * n + columns, minlength=n_words * n)
    return cells.reshape(n_words, n).astype(np.float64)


def _preferred(
    word: Integers, group: Integers, rows: Integers, columns: Integers, n: int
) -> Integers:
    """(n,): the word of the largest difference of rates to its group, in standard errors."""
    fires = _counts(word, len(group), rows, columns, n)
    size = np.bincount(word, minlength=len(group)).astype(np.float64)[:, None]
    of_group = np.zeros((group.max() + 1, n))
    np.add.at(of_group, group, fires)
    n_group = np.bincount(group, size[:, 0])[:, None]
    other, n_other = of_group[group] - fires, n_group[group] - size
    rate = of_group[group] / n_group[group]
    error = np.sqrt(rate * (1 - rate) * (1 / size + 1 / n_other))
    difference = fires / size - other / n_other
    z = np.divide(difference, error, out=np.zeros_like(difference), where=error > 0)
    found: Integers = z.argmax(axis=0)
    return found


def _rates(
    best: Integers, word: Integers, group: Integers, rows: Integers, columns: Integers
) -> tuple[Floats, Floats]:
    n = len(best)
    fires = _counts(word, len(group), rows, columns, n)
    size = np.bincount(word, minlength=len(group)).astype(np.float64)
    of_group = np.zeros((group.max() + 1, n))
    np.add.at(of_group, group, fires)
    own = fires[best, np.arange(n)]
    n_other = np.bincount(group, size)[group[best]] - size[best]
    return own / size[best], (of_group[group[best], np.arange(n)] - own) / n_other


@dataclass(frozen=True, eq=False)
class Decoded:
    """Words told from the features of a layer at their last piece.

    Attributes
    ----------
    right : (tested, layers) bool
        Of each occurrence of the second half.
    guessed : (tested,) bool
        The same by the most frequent word of the last piece.
    null : (n_null, layers) float64
        Share that is right where words of the first half are permuted within last pieces.
    """

    right: NDArray[np.bool_]
    guessed: NDArray[np.bool_]
    null: Floats


def decode_words(
    found: WordOccurrences, active: Active, swapped: Swapped | None, *, n_null: int, seed: int
) -> tuple[Decoded, tuple[Bools, Bools, Bools]]:
    """Words from features: fitted on one half, told on the other, and in swapped text.

    Returns
    -------
    Decoded
    as_inserted, as_original : (swaps, layers) bool
        Whether the word that was told is the one that was put in, and the one that stood there.
    likeliest : (swaps,) bool
        Whether the one that was put in is the most frequent of its last piece.
    """
    rows = [np.flatnonzero(found.half == half) for half in (0, 1)]
    word = [found.word[at] for at in rows]
    half = [active.of_rows(at) for at in rows]
    own = found.group[word[1]]
    n = active.n_layers
    right = np.zeros((len(rows[1]), n), bool)
    null = np.zeros((n_null, n))
    n_swaps = 0 if swapped is None else len(swapped.occurrence)
    as_inserted, as_original = np.zeros((n_swaps, n), bool), np.zeros((n_swaps, n), bool)
    guessed, likeliest = np.zeros(len(rows[1]), bool), np.zeros(n_swaps, bool)
    for layer in range(n):
        first, second = half[0].of_layer(layer), half[1].of_layer(layer)
        decoder = Decoder.fitted(word[0], found.group, *first, active.n_features)
        right[:, layer] = decoder.words(own, *second) == word[1]
        guessed = decoder.likeliest(own) == word[1]
        if swapped is not None:
            likeliest = decoder.likeliest(found.group[swapped.inserted]) == swapped.inserted
            told = decoder.words(found.group[swapped.inserted], *swapped.active.of_layer(layer))
            as_inserted[:, layer] = told == swapped.inserted
            as_original[:, layer] = told == found.word[swapped.occurrence]
        drawn = permuted_words(word[0], found.group, n_null, (seed, layer, 2))
        for at, permuted in enumerate(drawn):
            chance = Decoder.fitted(permuted, found.group, *first, active.n_features)
            null[at, layer] = (chance.words(own, *second) == word[1]).mean()
    return Decoded(right, guessed, null), (as_inserted, as_original, likeliest)


def shares(
    right: NDArray[np.bool_], document: Integers, *, n_bootstrap: int, seed: tuple[int, ...]
) -> tuple[Floats, Floats]:
    """(layers,) and (layers, 2): shares, and 95 % intervals by drawing documents.

    right: (occurrences, layers). NaN where there is no occurrence; the interval, of one document.
    """
    n_layers = right.shape[1]
    if not len(right):
        return np.full(n_layers, np.nan), np.full((n_layers, 2), np.nan)
    _, number, sizes = np.unique(document, return_inverse=True, return_counts=True)
    sums = np.zeros((len(sizes), n_layers))
    np.add.at(sums, number, right)
    found = DocumentBootstrap(sizes.astype(np.float64), n_draws=n_bootstrap, seed=seed).means(sums)
    return found.values, np.stack([found.low, found.high], axis=1)
