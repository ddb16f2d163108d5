"""What features tell of a word beyond its last piece: information in bits, and words decoded."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast.transcoders.multilingual.documents import permuted_within
from ilo_fast.transcoders.multilingual.lines import Integers

Floats = NDArray[np.float64]

_PSEUDO: Final = 1.0
"""Occurrences at the group's own rate that every word is taken to have besides its own."""


_DENSE: Final = 20_000_000  # cells that are counted one and all


def informations(
    labelled: Iterator[Integers],
    own: Integers,
    rows: Integers,
    columns: Integers,
    n_columns: int,
) -> Floats:
    """(labellings, n_columns): I(fires; word | group) of each column, in bits, as counted.

    Parameters
    ----------
    labelled
        Words of the occurrences, (occurrences,) each: as they are, or permuted.
    own : (occurrences,) int64
        Of each occurrence the group, its last piece.
    rows, columns : (entries,) int64
        Which columns fire at which occurrences.

    Notes
    -----
    Counted information is too large by about (words - groups) / (2 N ln 2) bits: compare it with
    that of permuted words.
    """
    of_groups = _within(own, rows, columns, n_columns)
    return np.stack([_within(word, rows, columns, n_columns) - of_groups for word in labelled])


def _within(label: Integers, rows: Integers, columns: Integers, n_columns: int) -> Floats:
    """-H(fires | label) of each column, in bits."""
    sizes = np.bincount(label)
    keys = label[rows] * n_columns + columns
    if len(sizes) * n_columns <= _DENSE:  # counted, where that is faster than sorting
        every = np.bincount(keys, minlength=len(sizes) * n_columns)
        cells = np.flatnonzero(every)
        n = every[cells]
    else:
        cells, n = np.unique(keys, return_counts=True)
    logs = _logs(len(label))
    size = sizes[cells // n_columns]
    part = logs[n] + logs[size - n] - logs[size]
    found: Floats = np.bincount(cells % n_columns, part, minlength=n_columns) / len(label)
    return found


@functools.lru_cache(4)
def _logs(most: int) -> Floats:
    """n log2 n of 0 to `most`."""
    n = np.arange(1, most + 1)
    return np.concatenate([[0.0], n * np.log2(n)])


def word_entropy(word: Integers, group: Integers) -> float:
    """H(word | group) in bits, as counted."""
    n_words, n_groups = np.bincount(word), np.bincount(group[word])
    logs = _logs(len(word))
    return float((logs[n_groups].sum() - logs[n_words].sum()) / len(word))


def permuted_words(
    word: Integers, group: Integers, n: int, seed: tuple[int, ...]
) -> Iterator[Integers]:
    """The words of the occurrences, permuted among those of one group, `n` times."""
    random = np.random.default_rng(seed)
    for _ in range(n):
        yield permuted_within(word, group[word], 1, random)[0]


@dataclass(frozen=True, eq=False)
class Decoder:
    """Which word of its group an occurrence is of, told from the features that fire at it.

    Naive Bayes: the word's share of the group, times for each feature that fires its rate at the
    word over its rate in the group. Rates are drawn to that of the group by one occurrence.
    """

    parts: tuple[tuple[Integers, Integers, Floats, Floats], ...]
    """Of each group: its words, columns, log prior, and log rates (words, columns)."""

    @classmethod
    def fitted(
        cls, word: Integers, group: Integers, rows: Integers, columns: Integers, n_columns: int
    ) -> Decoder:
        """From occurrences whose word is known; `rows` ascend."""
        own = group[word]
        order = np.argsort(own[rows], kind="stable")
        bounds = np.searchsorted(own[rows][order], np.arange(group.max() + 2))
        sizes = np.bincount(word, minlength=len(group)).astype(np.float64)
        parts = []
        for number in range(int(group.max()) + 1):
            words = np.flatnonzero(group == number)
            at = order[bounds[number] : bounds[number + 1]]
            used, place = np.unique(columns[at], return_inverse=True)
            local = np.searchsorted(words, word[rows[at]])
            counts = np.bincount(local * len(used) + place, minlength=len(words) * len(used))
            counts = counts.reshape(len(words), len(used)).astype(np.float64)
            n = sizes[words]
            rate = counts.sum(axis=0) / max(n.sum(), 1.0)
            log = np.log((counts + _PSEUDO * rate) / (n[:, None] + _PSEUDO)) - np.log(rate)
            parts.append((words, used, np.log((n + 0.5) / (n.sum() + 0.5 * len(n))), log))
        return cls(tuple(parts))

    def words(self, own: Integers, rows: Integers, columns: Integers) -> Integers:
        """(occurrences,): the likeliest word; `own` is the group of each, `rows` ascend."""
        found = np.empty(len(own), np.int64)
        bounds = np.searchsorted(rows, np.arange(len(own) + 1))
        order = np.argsort(own, kind="stable")
        ends = np.searchsorted(own[order], np.arange(len(self.parts) + 1))
        for number, (words, used, prior, log) in enumerate(self.parts):
            members = order[ends[number] : ends[number + 1]]
            if not len(members):
                continue
            score = np.repeat(prior[None], len(members), axis=0)
            lengths = bounds[members + 1] - bounds[members]
            starts = np.concatenate([[0], np.cumsum(lengths)])
            at = np.repeat(bounds[members] - starts[:-1], lengths) + np.arange(starts[-1])
            member = np.repeat(np.arange(len(members)), lengths)
            if len(used):
                place = np.minimum(np.searchsorted(used, columns[at]), len(used) - 1)
                known = used[place] == columns[at]
                np.add.at(score, member[known], log[:, place[known]].T)
            found[members] = words[score.argmax(axis=1)]
        return found

    def likeliest(self, own: Integers) -> Integers:
        """(occurrences,): the most frequent word of the group: what the last piece alone tells."""
        best = np.array([words[prior.argmax()] for words, _, prior, _ in self.parts])
        found: Integers = best[own]
        return found
