"""`LanguageIdentifier`: the language of short texts, by their character n-grams; how often right.

Multinomial naive Bayes (Cavnar and Trenkle 1994 counted the same n-grams; Lui and Baldwin 2012
weighed them so) over hashed n-grams, one distribution for each length of n-gram.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import whole_number
from ilo_fast._util.json_numbers import nested
from ilo_fast._util.optional import data_frame
from ilo_fast._util.statistics import wilson_interval

UND: Final = "und"
"""ISO 639's code for what cannot be told."""

_SMOOTHING: Final = 0.05  # counts added to every bucket
_PRIME: Final = np.uint64(0x9E3779B97F4A7C15)  # odd: of the golden ratio
_SHIFT: Final = np.uint64(29)

_CELLS: Final = ("length", "language", "n", "share", "low", "high")


@dataclass(frozen=True, eq=False)
class IdentifierAccuracy:
    """How often an identifier is right about pieces of text that it was not fitted on.

    Attributes
    ----------
    languages : tuple of str
        Rows of `confusion`; its columns are these and, last, ``"und"``.
    lengths : tuple of int
        Characters of the pieces.
    confusion : (lengths, languages, languages + 1) int64
        Pieces of each language (row) by what was said of them (column).
    """

    languages: tuple[str, ...]
    lengths: tuple[int, ...]
    confusion: NDArray[np.int64]

    @property
    def n(self) -> NDArray[np.int64]:
        """(lengths, languages): pieces."""
        found: NDArray[np.int64] = self.confusion.sum(axis=2)
        return found

    @property
    def share(self) -> NDArray[np.float64]:
        """(lengths, languages): share of the pieces that was told right; NaN of none."""
        with np.errstate(invalid="ignore"):
            right = np.diagonal(self.confusion, axis1=1, axis2=2)
            return np.asarray(right / self.n, np.float64)

    def interval(self, length: int, language: str) -> tuple[float, float]:
        """Wilson's, 95 %. It is of pieces, which are taken as independent."""
        at = self.lengths.index(length), self.languages.index(language)
        return wilson_interval(float(self.share[at]), int(self.n[at]))

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "languages": list(self.languages),
            "lengths": list(self.lengths),
            "confusion": self.confusion.tolist(),
            "share": nested(self.share),
        }

    def to_dataframe(self) -> Any:
        """A row for each length and language: n, share, low, high."""
        rows = []
        for i, length in enumerate(self.lengths):
            for j, code in enumerate(self.languages):
                n = int(self.n[i, j])
                low, high = self.interval(length, code) if n else (np.nan, np.nan)
                cell = (length, code, n, self.share[i, j], low, high)
                rows.append(dict(zip(_CELLS, cell, strict=True)))
        return data_frame(rows)


@dataclass(frozen=True, eq=False)
class LanguageIdentifier:
    """Tells which of some languages a text is in.

    It knows no others, and gives every text with a letter to one of these: rubbish, too.

    Attributes
    ----------
    languages : tuple of str
    orders : tuple of int
        Characters of the n-grams.
    weights : (languages, buckets) float32
        Logarithms of probabilities, n-grams being hashed into buckets.
    n_lines : mapping
        Language -> lines that it was fitted on.
    """

    languages: tuple[str, ...]
    orders: tuple[int, ...]
    weights: NDArray[np.float32]
    n_lines: Mapping[str, int]

    @classmethod
    def fit(
        cls,
        lines: Mapping[str, Sequence[str]],
        *,
        orders: Sequence[int] = (1, 2, 3, 4),
        buckets: int = 2**18,
    ) -> LanguageIdentifier:
        """Fit on lines of each language.

        Parameters
        ----------
        lines
            Language -> lines. Languages count alike, whatever they have.
        orders
            Characters of the n-grams.
        buckets
            N-grams are hashed into so many.

        Raises
        ------
        ValueError
            Fewer than two languages; one has no letter.
        """
        if len(lines) < 2:
            raise ValueError(f"lines has {len(lines)} languages: it takes two to tell them apart")
        orders = tuple(whole_number("orders", n, 1, 8) for n in orders)
        if not orders:
            raise ValueError("orders is empty: give lengths of n-grams, such as (1, 2, 3, 4)")
        buckets = whole_number("buckets", buckets, least=2)
        table = np.empty((len(lines), buckets), np.float32)
        for row, (code, texts) in zip(table, lines.items(), strict=True):
            if isinstance(texts, str) or not any(map(has_letters, texts)):
                raise ValueError(f"lines of {code} hold no letter: leave the language out")
            row[:] = _log_probabilities(texts, orders, buckets)
        return cls(tuple(lines), orders, table, {code: len(own) for code, own in lines.items()})

    def scores(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """(texts, languages): log probability of each text's n-grams in each language."""
        found = np.zeros((len(texts), len(self.languages)))
        for at, text in enumerate(texts):
            hashed, _ = _hashed([text], self.orders, self.weights.shape[1])
            found[at] = self.weights[:, hashed].sum(axis=1, dtype=np.float64)
        return found

    def predict(self, texts: Sequence[str]) -> list[str | None]:
        """The likeliest language of each text; None where it has no letter."""
        likeliest = self.scores(texts).argmax(axis=1)
        return [
            self.languages[at] if has_letters(text) else None
            for text, at in zip(texts, likeliest, strict=True)
        ]

    def accuracy(
        self,
        lines: Mapping[str, Sequence[str]],
        *,
        lengths: Sequence[int] = (8, 15, 30, 40),
        per_language: int = 500,
        seed: int = 0,
    ) -> IdentifierAccuracy:
        """How often it is right about pieces of lines that it was not fitted on.

        Parameters
        ----------
        lines
            Language -> lines; languages that were fitted.
        lengths
            Characters of the pieces. They begin where a word does, if the line has words.
        per_language
            So many pieces at most for each language and length, from lines drawn at random, one
            of each line.
        seed
            Of the draw.
        """
        unknown = [code for code in lines if code not in self.languages]
        if unknown:
            raise ValueError(f"lines names {unknown[0]}, which was not fitted: {self.languages}")
        lengths = tuple(whole_number("lengths", n) for n in lengths)
        whole_number("per_language", per_language)
        random = np.random.default_rng(seed)
        columns = {code: at for at, code in enumerate(lines)}
        confusion = np.zeros((len(lengths), len(lines), len(lines) + 1), np.int64)
        for i, length in enumerate(lengths):
            for code, own in lines.items():
                pieces = _pieces(own, length, per_language, random)
                for said in self.predict(pieces):
                    # A language that has no lines here is none of the columns: it is wrong, too.
                    column = columns.get(said or UND, len(lines))
                    confusion[i, columns[code], column] += 1
        return IdentifierAccuracy(tuple(lines), lengths, confusion)


def has_letters(text: str) -> bool:
    """Whether there is anything in a text that a language could be told by."""
    return any(c.isalpha() for c in text)


def _pieces(lines: Sequence[str], length: int, most: int, random: np.random.Generator) -> list[str]:
    found: list[str] = []
    for at in random.permutation(len(lines)):
        line = " ".join(lines[at].split())
        room = len(line) - length
        if room < 0:
            continue
        starts = [0, *(n + 1 for n, c in enumerate(line) if c == " ")]
        starts = [n for n in starts if n <= room]
        start = int(random.choice(starts)) if len(starts) > 1 else int(random.integers(room + 1))
        piece = line[start : start + length]
        if has_letters(piece):
            found.append(piece)
        if len(found) == most:
            break
    return found


def _log_probabilities(
    texts: Sequence[str], orders: Sequence[int], buckets: int
) -> NDArray[np.float64]:
    hashed, order = _hashed(texts, orders, buckets)
    found = np.zeros(buckets)
    total = np.zeros(buckets)
    for n in range(len(orders)):
        counts = np.bincount(hashed[order == n], minlength=buckets)
        found += counts
        total += counts.sum()
    return np.asarray(np.log((found + _SMOOTHING) / (total / len(orders) + _SMOOTHING * buckets)))


def _hashed(
    texts: Sequence[str], orders: Sequence[int], buckets: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Bucket of every n-gram of some texts, and the number of its order."""
    joined = "\0".join(f" {_plain(text)} " for text in texts)
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    found, kinds = [], []
    state = np.zeros(len(codes), np.uint64)
    whole = np.ones(len(codes), bool)
    for n in range(1, max(orders) + 1):
        ends = len(codes) - n + 1
        if ends <= 0:
            break
        state, whole = state[:ends], whole[:ends] & (codes[n - 1 :] != 0)
        state = (state ^ codes[n - 1 :]) * _PRIME
        state = state ^ (state >> _SHIFT)
        if n in orders:
            kept = state[whole]
            if n == 1:
                kept = kept[codes[whole] != ord(" ")]
            found.append((kept * _PRIME >> np.uint64(20)).astype(np.int64) % buckets)
            kinds.append(np.full(len(found[-1]), orders.index(n)))
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate(found), np.concatenate(kinds)


def _plain(text: str) -> str:
    """Lower case, digits and runs of white space as one space."""
    return " ".join("".join(" " if c.isdigit() else c for c in text.casefold()).split())
