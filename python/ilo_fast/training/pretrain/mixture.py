"""Text of many languages at chosen shares: which row of which batch is of which language.

Four steps, each a function of its arguments alone, so that the batch of a step
is the same whether training was interrupted or not:

    read_texts        folders ─▶ language ─▶ lines
    complete_shares   {"eng_Latn": 0.5} ─▶ a share for every language
    Quota             shares ─▶ how many rows of each batch are of each language
    Stream            lines of one language ─▶ its rows, tokens of a fixed length without padding
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.messages import listed
from ilo_fast.corpora.files import find_files, read_lines
from ilo_fast.corpora.languages import LANGUAGES, resolve_codes
from ilo_fast.errors import CorpusError

_GOLDEN = (5**0.5 - 1) / 2


def read_texts(
    source: Mapping[str, Iterable[str]] | str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    languages: str | Sequence[str] | None = None,
    *,
    allow_unknown: bool = False,
) -> dict[str, list[str]]:
    """The text of every language, sorted by code; empty lines are left out.

    Parameters
    ----------
    source
        Language -> lines; or a folder with ``<code>.txt``, or several, whose lines are joined.
    languages
        Codes or named sets to take. None: all.
    allow_unknown
        Take codes that are not known (see ``ilo-fast languages``).

    Raises
    ------
    CorpusError
        No text at all, a language without text, an unknown code, something that is no line.
    AccessError
        A folder or file cannot be read.
    """
    texts: dict[str, list[str]] = {}
    if isinstance(source, Mapping):
        for code, lines in source.items():
            texts[code] = _lines(code, lines)
    else:
        folders = [source] if isinstance(source, (str, os.PathLike)) else list(source)
        for folder in folders:
            files = find_files(Path(folder).expanduser(), allow_unknown=True)
            for code, file in files.items():
                texts.setdefault(code, []).extend(read_lines(file))
    if languages is not None:
        codes = resolve_codes(languages, allow_unknown=allow_unknown)
        missing = [code for code in codes if code not in texts]
        if missing:
            raise CorpusError(f"languages: no text for {listed(missing)}; {_those(texts)}")
        texts = {code: texts[code] for code in codes}
    unknown = [code for code in sorted(texts) if code not in LANGUAGES]
    if unknown and not allow_unknown:
        raise CorpusError(
            f"texts: no language codes: {listed(unknown)}. Rename them to codes such as eng_Latn, "
            "choose with languages= (command line: --text-languages), or pass allow_unknown=True "
            "(command line: --allow-unknown)"
        )
    texts = {code: [line for line in texts[code] if line.strip()] for code in sorted(texts)}
    empty = [code for code, lines in texts.items() if not lines]
    if empty or not texts:
        raise CorpusError(
            f"texts: {listed(empty)}: no line that is not empty" if empty else "texts is empty"
        )
    return texts


def text_hash(lines: Sequence[str]) -> str:
    """SHA-256 of lines, in order."""
    digest = hashlib.sha256()
    for line in lines:
        data = line.encode("utf-8", "surrogatepass")
        digest.update(f"{len(data)}:".encode() + data)
    return digest.hexdigest()


def complete_shares(
    mixture: Mapping[str, float] | None, languages: Sequence[str]
) -> dict[str, float]:
    """The share of every language: those named as they are, the rest shared equally.

    Parameters
    ----------
    mixture
        Language -> share of the tokens, 0 to 1. None, or empty: equal shares.
    languages
        All languages that have text.

    Returns
    -------
    dict
        Language -> share, in the order of `languages`; sums to 1. A language that is given 0, and
        one for which nothing is left, is there with 0.

    Raises
    ------
    ValueError
        A language without text, a share outside 0 to 1, a sum above 1, or below 1 with no other
        language to take the rest.
    """
    named = dict(mixture or {})
    missing = [code for code in named if code not in languages]
    if missing:
        raise ValueError(
            f"mixture: no text for {', '.join(missing)}; there is text for {', '.join(languages)}"
        )
    for code, share in named.items():
        number = isinstance(share, (int, float)) and not isinstance(share, bool)
        if not number or not 0 <= share <= 1:
            raise ValueError(
                f"mixture[{code!r}]={share!r}: a share of the tokens is from 0 to 1"
                + (f"; write {share / 100:g} for {share:g} %" if number and share > 1 else "")
            )
    total = sum(named.values())
    others = [code for code in languages if code not in named]
    if total > 1 + 1e-9:
        raise ValueError(f"mixture: the shares sum to {total:g}; they may not exceed 1")
    if not others and abs(total - 1) > 1e-9:
        raise ValueError(
            f"mixture names every language, and the shares sum to {total:g}: make them sum to 1, "
            "or leave languages out, which then share the rest equally"
        )
    left = max(0.0, 1.0 - total) if total < 1 - 1e-9 else 0.0
    shares = {code: float(named.get(code, left / max(1, len(others)))) for code in languages}
    return {code: share / sum(shares.values()) for code, share in shares.items()}


class Quota:
    """How many rows of each batch are of each language: the shares, exact to rounding.

    The languages are intervals on [0, 1) as long as their shares. Over the whole run the rows are
    an even grid of points on it, so each language gets its share of all rows, rounded up or down.
    A batch takes points evenly spaced, too, so the same holds of every batch; and consecutive
    batches take them at golden-ratio offsets, so it nearly holds of every stretch of the run.

    Parameters
    ----------
    shares
        Share of each language, not negative; they sum to 1.
    steps, rows
        Batches, and rows in a batch.
    """

    def __init__(self, shares: Sequence[float], *, steps: int, rows: int) -> None:
        offsets = np.argsort(np.argsort(np.arange(steps) * _GOLDEN % 1.0, kind="stable"))
        edges = np.cumsum(np.asarray(shares, dtype=np.float64))[:-1]
        # Row i of step s is the point (i * steps + offset[s] + 1/2) / (rows * steps); count those
        # that lie below each edge.
        below = np.ceil((edges * rows * steps - offsets[:, None] - 0.5) / steps)
        ends = np.full((steps, 1), rows)
        self._cuts = np.hstack([0 * ends, np.clip(below, 0, rows), ends]).astype(np.int64)
        self.counts: NDArray[np.int64] = np.diff(self._cuts, axis=1)  # (steps, languages)
        self._before = np.cumsum(self.counts, axis=0) - self.counts

    @property
    def totals(self) -> NDArray[np.int64]:
        """Rows of each language in the whole run, (languages,)."""
        total: NDArray[np.int64] = self.counts.sum(axis=0)
        return total

    def place(self, step: int, row: int) -> tuple[int, int]:
        """The language of a row, and how many rows of that language came before it."""
        cuts = self._cuts[step]
        language = int(np.searchsorted(cuts, row, side="right")) - 1
        return language, int(self._before[step, language] + row - cuts[language])


class Stream:
    """The lines of one language as an endless row of tokens, cut into rows of equal length.

    When all lines were seen they come again, in another order. Lines run on from row to row, so no
    token is lost and nothing is padded.

    Parameters
    ----------
    ids
        Tokens of all lines, one line after the other.
    offsets
        Line i is ``ids[offsets[i]:offsets[i + 1]]``.
    length
        Tokens in a row.
    seed, language
        What the order of the lines depends on, besides the number of the pass.
    """

    def __init__(
        self,
        ids: NDArray[np.int32],
        offsets: NDArray[np.int64],
        *,
        length: int,
        seed: int,
        language: str,
    ) -> None:
        self._ids = ids
        self._offsets = offsets
        self._length = length
        self._key = [seed, int.from_bytes(hashlib.sha256(language.encode()).digest()[:8], "little")]
        self._passes: dict[int, NDArray[np.int32]] = {}

    @property
    def n_tokens(self) -> int:
        """Tokens of all lines, each once."""
        return len(self._ids)

    def row(self, number: int) -> NDArray[np.int64]:
        """Row `number`, (length,)."""
        begin = number * self._length
        parts: list[NDArray[np.int32]] = []
        missing = self._length
        while missing:
            which, place = divmod(begin, self.n_tokens)
            part = self._pass(which)[place : place + missing]
            parts.append(part)
            begin += len(part)
            missing -= len(part)
        return np.concatenate(parts).astype(np.int64)

    def _pass(self, which: int) -> NDArray[np.int32]:
        """All tokens in the order of one pass; the last two passes are kept."""
        found = self._passes.get(which)
        if found is None:
            lengths = np.diff(self._offsets)
            order = np.random.default_rng([*self._key, which]).permutation(len(lengths))
            # Where each token of the shuffled lines stands in the lines as they are.
            shifts = np.repeat(self._offsets[:-1][order], lengths[order])
            ends = np.cumsum(lengths[order])
            inside = np.arange(len(shifts)) - np.repeat(ends - lengths[order], lengths[order])
            found = self._ids[shifts + inside]
            self._passes = {k: v for k, v in self._passes.items() if abs(k - which) == 1}
            self._passes[which] = found
        return found


class MixedRows(Sequence[dict[str, NDArray[np.int64]]]):
    """All rows of a run, in order: ``{"input_ids": (context,)}``, ``batch_size`` rows a step."""

    def __init__(self, streams: Sequence[Stream], quota: Quota, batch_size: int) -> None:
        self._streams = streams
        self._quota = quota
        self._batch_size = batch_size

    def __len__(self) -> int:
        return len(self._quota.counts) * self._batch_size

    def __getitem__(self, index: int) -> dict[str, NDArray[np.int64]]:  # type: ignore[override]
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        language, number = self._quota.place(*divmod(index, self._batch_size))
        return {"input_ids": self._streams[language].row(number)}


def _lines(code: str, lines: Iterable[str]) -> list[str]:
    if isinstance(lines, (str, bytes)):
        raise CorpusError(f"texts[{code!r}] is one string; wanted lines: texts[{code!r}] = [...]")
    found = list(lines)
    for number, line in enumerate(found, start=1):
        if not isinstance(line, str):
            raise CorpusError(f"texts[{code!r}], line {number} is {type(line).__name__}, not str")
    return found


def _those(texts: Mapping[str, object]) -> str:
    return f"there is text for {', '.join(sorted(texts)) or 'no language'}"
