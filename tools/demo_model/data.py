"""Text for the demo model: which files, which verses are held out, and the two samplers.

Nothing here knows of models.  ``load_text`` reads, ``encode`` turns text into ragged token
arrays, ``AlignedSampler`` and ``PlainSampler`` draw batches from a seeded generator.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

ALIGNED = ("bible_ot", "bible_nt", "nllb_seed")
PLAIN = "mono_commonvoice"


@dataclass(frozen=True)
class Text:
    """Training text, and the verses kept back.

    Attributes
    ----------
    aligned : corpus name -> language -> lines; line n means the same in every language
    plain : language -> lines that do not align (only languages that occur in ``aligned``)
    heldout : language -> New Testament verses of whole chapters that no training step sees
    """

    aligned: dict[str, dict[str, list[str]]]
    plain: dict[str, list[str]]
    heldout: dict[str, list[str]]

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(sorted({code for corpus in self.aligned.values() for code in corpus}))


def read_lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def load_text(root: Path, *, eval_verses: int, seed: int) -> Text:
    """Read the corpora under `root`; keep back whole chapters of the New Testament.

    Languages without aligned text are not read at all: the model never sees them, so that the
    picture has languages to stand apart.
    """
    aligned: dict[str, dict[str, list[str]]] = {}
    for name in ALIGNED:
        files = sorted((root / name).glob("*.txt"))
        if not files:
            raise FileNotFoundError(f"corpora={root}: no .txt files in {root / name}")
        aligned[name] = {path.stem: read_lines(path) for path in files}
        counts = {code: len(lines) for code, lines in aligned[name].items()}
        if len(set(counts.values())) != 1:
            raise ValueError(f"{root / name}: files differ in length: {counts}")
    languages = {code for corpus in aligned.values() for code in corpus}
    plain = {
        path.stem: read_lines(path)
        for path in sorted((root / PLAIN).glob("*.txt"))
        if path.stem in languages
    }

    # A chapter is the first six digits (BBCCC) of the verse number BBCCCVVV.  Whole chapters,
    # because neighbouring verses share names and phrases.
    ids = read_lines(root / "bible_nt" / "verse_ids.tsv")
    numbers = [re.search(r"\d{7,8}", line) for line in ids]
    chapters_raw = [m.group().zfill(8)[:5] for m in numbers if m]
    n_lines = len(next(iter(aligned["bible_nt"].values())))
    if len(chapters_raw) != n_lines:
        raise ValueError(f"verse_ids.tsv: {len(chapters_raw)} verse numbers, {n_lines} verses")
    chapters = np.array(chapters_raw)
    keep_back = np.zeros(n_lines, dtype=bool)
    for chapter in np.random.default_rng(seed).permutation(np.unique(chapters)):
        if keep_back.sum() >= eval_verses:
            break
        keep_back |= chapters == chapter
    new_testament = aligned["bible_nt"]
    heldout = {
        code: [lines[i] for i in np.flatnonzero(keep_back)] for code, lines in new_testament.items()
    }
    aligned["bible_nt"] = {
        code: [lines[i] for i in np.flatnonzero(~keep_back)]
        for code, lines in new_testament.items()
    }
    return Text(aligned, plain, heldout)


@dataclass(frozen=True)
class Ragged:
    """Sequences of token ids one after the other: sequence i is ids[offsets[i]:offsets[i + 1]]."""

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, i: int) -> NDArray[np.int32]:
        return self.ids[self.offsets[i] : self.offsets[i + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.offsets)


def encode(tokenizer: Tokenizer, lines: Sequence[str]) -> Ragged:
    """Token ids without special tokens."""
    rows = [e.ids for e in tokenizer.encode_batch_fast(list(lines), add_special_tokens=False)]
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(r) for r in rows], out=offsets[1:])
    return Ragged(np.fromiter((t for r in rows for t in r), np.int32, offsets[-1]), offsets)


@dataclass(frozen=True)
class Encoded:
    aligned: dict[str, dict[str, Ragged]]
    plain: dict[str, Ragged]

    def save(self, path: Path) -> None:
        """Write an .npz that `load` reads."""
        arrays = {}
        for name, corpus in (*self.aligned.items(), (PLAIN, self.plain)):
            for code, ragged in corpus.items():
                arrays[f"{name}/{code}/ids"] = ragged.ids
                arrays[f"{name}/{code}/offsets"] = ragged.offsets
        partial = path.with_suffix(".part.npz")
        np.savez(partial, **arrays)
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> Encoded:
        corpora: dict[str, dict[str, Ragged]] = {}
        with np.load(path) as arrays:
            for key in arrays.files:  # in the order in which they were written
                name, code, part = key.split("/")
                if part == "ids":
                    offsets = arrays[f"{name}/{code}/offsets"]
                    corpora.setdefault(name, {})[code] = Ragged(arrays[key], offsets)
        plain = corpora.pop(PLAIN, {})
        return cls(corpora, plain)


def encode_text(tokenizer: Tokenizer, text: Text) -> Encoded:
    return Encoded(
        {
            name: {code: encode(tokenizer, lines) for code, lines in corpus.items()}
            for name, corpus in text.aligned.items()
        },
        {code: encode(tokenizer, lines) for code, lines in text.plain.items()},
    )


def token_use(encoded: Encoded, vocab_size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How the training text uses each token.

    Returns
    -------
    (vocab_size, languages) share of a token's use that falls to each language, zeros for tokens
    that never occur; and (vocab_size,) natural logarithm of its frequency.  Each language's
    counts are first divided by its total, so that more text does not mean more words.
    """
    codes = sorted({code for corpus in encoded.aligned.values() for code in corpus})
    frequency = np.zeros((vocab_size, len(codes)))
    for column, code in enumerate(codes):
        sources = [c[code] for c in encoded.aligned.values() if code in c]
        sources += [encoded.plain[code]] if code in encoded.plain else []
        for ragged in sources:
            frequency[:, column] += np.bincount(ragged.ids, minlength=vocab_size)
        frequency[:, column] /= frequency[:, column].sum()
    total = frequency.sum(axis=1, keepdims=True)
    shares = frequency / np.maximum(total, 1e-30)
    return shares.astype(np.float32), np.log(total[:, 0] / len(codes) + 1e-7).astype(np.float32)


class AlignedSampler:
    """Batches of aligned passages: `n_passages` meanings, `n_views` languages of each.

    A passage is a whole line or a part of it.  A part is cut at the same proportion of the
    tokens in every language: rough, but short passages are what everyday sentences look like,
    and they force the signal down to words.  Lines come in runs of neighbours, so that the
    negatives share a chapter's names and cannot be told apart by names alone.
    """

    def __init__(
        self,
        corpora: Mapping[str, Mapping[str, Ragged]],
        weights: Mapping[str, float],
        *,
        run: int,
        max_tokens: int,
        part_tokens: tuple[int, int],
        whole_share: float,
    ) -> None:
        self.corpora = corpora
        self.names = list(weights)
        p = np.array([weights[name] for name in self.names], dtype=np.float64)
        self.p = p / p.sum()
        self.run = run
        self.max_tokens = max_tokens
        self.part_tokens = part_tokens
        self.whole_share = whole_share

    def draw(
        self, rng: np.random.Generator, n_passages: int, n_views: int
    ) -> tuple[list[NDArray[np.int32]], NDArray[np.int64]]:
        """Return token id arrays and, for each, the number of the passage it belongs to."""
        sequences: list[NDArray[np.int32]] = []
        passage: list[int] = []
        number = 0
        while number < n_passages:
            corpus = self.corpora[self.names[rng.choice(len(self.names), p=self.p)]]
            codes = list(corpus)
            n_lines = len(corpus[codes[0]])
            start = int(rng.integers(max(1, n_lines - self.run)))
            for line in range(start, min(start + self.run, n_lines, start + n_passages - number)):
                chosen = rng.permutation(len(codes))[: min(n_views, len(codes))]
                rows = [corpus[codes[c]][line] for c in chosen]
                length = float(np.mean([len(r) for r in rows]))
                share = 1.0
                if rng.random() >= self.whole_share:
                    share = min(1.0, rng.uniform(*self.part_tokens) / length)
                begin = rng.uniform(0.0, 1.0 - share)
                for row in rows:
                    a = round(begin * len(row))
                    b = max(a + 1, round((begin + share) * len(row)))
                    piece = row[a:b][: self.max_tokens]
                    if len(piece):
                        sequences.append(piece)
                        passage.append(number)
                number += 1
        return sequences, np.array(passage, dtype=np.int64)


class PlainSampler:
    """Single lines for the language-model loss, languages flattened by the power `alpha`."""

    def __init__(self, encoded: Encoded, *, alpha: float, plain_share: float) -> None:
        self.sources: list[Ragged] = []
        p: list[float] = []
        aligned: dict[str, list[Ragged]] = {}
        for corpus in encoded.aligned.values():
            for code, ragged in corpus.items():
                aligned.setdefault(code, []).append(ragged)
        languages = sorted(aligned)
        for code in languages:
            n = sum(len(r) for r in aligned[code])
            weight = n**alpha / sum(sum(len(r) for r in aligned[c]) ** alpha for c in languages)
            for ragged in aligned[code]:
                self.sources.append(ragged)
                p.append((1 - plain_share) * weight * len(ragged) / n)
        total = sum(len(r) ** alpha for r in encoded.plain.values())
        for ragged in encoded.plain.values():
            self.sources.append(ragged)
            p.append(plain_share * len(ragged) ** alpha / total)
        self.p = np.array(p) / np.sum(p)

    def draw(self, rng: np.random.Generator, n: int, max_tokens: int) -> list[NDArray[np.int32]]:
        out = []
        for source in rng.choice(len(self.sources), size=n, p=self.p):
            ragged = self.sources[source]
            out.append(ragged[int(rng.integers(len(ragged)))][:max_tokens])
        return out
