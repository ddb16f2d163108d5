"""Text as windows of tokens, each of one language, with the document of every token.

Lines run on, an end token between them, as in pretraining. Some lines are held out: of blocks of
`BLOCK_LINES` consecutive lines, one of so many, chosen by a hash of the seed and the number of the
block alone. So translations (line n of every language) are held out together, and a text that grows
keeps its held-out lines.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from ilo_fast._util.checks import real_number, whole_number
from ilo_fast._util.messages import counted
from ilo_fast.corpora.lines import is_blank, read_lines
from ilo_fast.corpora.text import normalised
from ilo_fast.errors import AccessError, CorpusError
from ilo_fast.training.pretrain.mixture import Texts, read_texts
from ilo_fast.training.pretrain.tokenizer import encode_lines

BLOCK_LINES: Final = 10
_LEAST_SHARE: Final = 1e-6
UNKNOWN: Final = "und"  # the language of a text that nobody named (ISO 639)
_NO_TEXT: Final = (".tsv", ".csv", ".jsonl", ".json", ".parquet", ".zip", ".xz", ".bz2", ".zst")


@dataclass(frozen=True)
class Windows:
    """Windows of tokens, all of one length, nothing padded.

    Attributes
    ----------
    ids : (windows, context) int64
    language : (windows,) int64
        Index into `languages`: a window never holds two.
    document : (windows, context) int64
        The line of the language's text that a token is of.
    languages : tuple of str
    """

    ids: torch.Tensor
    language: torch.Tensor
    document: torch.Tensor
    languages: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)


def transcoder_texts(
    source: Texts,
    languages: str | Sequence[str] | None = None,
    *,
    language: str | None = None,
    allow_unknown: bool = False,
) -> dict[str, list[str]]:
    """The lines of every language, blank ones too, so that line n of all languages is line n.

    Parameters
    ----------
    source
        As for `pretrain`: language -> lines, a folder, a table, or several; or one plain text file.
    languages
        Codes or named sets to take. None: all.
    language
        Of the one plain text file. None: ``"und"``, undetermined.
    allow_unknown
        Take codes that are not known.

    Raises
    ------
    CorpusError, AccessError
        As `read_texts`; `language` for what has languages of its own.
    """
    file = _one_file(source)
    if isinstance(source, (str, os.PathLike)) and not Path(source).expanduser().exists():
        raise AccessError(f"text: there is no file or folder {str(source)!r}")
    if file is None:
        if language is not None:
            raise CorpusError(
                f"language={language!r} is of one plain text file, and the text here has languages "
                "of its own: choose among them with languages= (command line: --languages)"
            )
        return read_texts(source, languages, allow_unknown=allow_unknown, keep_blank=True)
    if languages is not None:
        raise CorpusError(
            f"languages={languages!r} chooses files of a folder, and {file} is one file: say what "
            "it is with language= (command line: --language)"
        )
    code = language or UNKNOWN
    unknown = allow_unknown or code == UNKNOWN
    return read_texts({code: read_lines(file)}, allow_unknown=unknown, keep_blank=True)


def _one_file(source: Any) -> Path | None:
    """The plain text file that `source` is; None where it is anything else."""
    if not isinstance(source, (str, os.PathLike)):
        return None
    path = Path(source).expanduser()
    other = Path(path.name.lower().removesuffix(".gz")).suffix in _NO_TEXT
    return path if path.is_file() and not other else None


def read_windows(
    tokenizer: Any,
    texts: Mapping[str, Sequence[str]],
    *,
    context_length: int = 64,
    eval_fraction: float = 0.05,
    seed: int = 0,
) -> tuple[Windows, Windows]:
    """The windows to train on, and those of held-out lines.

    Parameters
    ----------
    tokenizer
        Of the model. Where it begins a text with its BOS token, every window begins with one, and
        has no other.
    texts
        Language -> lines, as of `transcoder_texts`.
    context_length
        Tokens in a window.
    eval_fraction
        Share of the blocks of lines that is held out, up to a half: one block of
        ``round(1 / eval_fraction)``.
    seed
        Of the choice.

    Returns
    -------
    train, held_out
        Both in the order of languages and lines. Nothing is trained on that is, but for case,
        white space and Unicode form, the same as a held-out line of the same language.

    Raises
    ------
    CorpusError
        A language has too little text for one window of either kind.
    ValueError
        A parameter that cannot be.
    """
    whole_number("context_length", context_length, least=2)
    whole_number("seed", seed, least=0)
    _stride(eval_fraction)
    parts: dict[bool, list[_Part]] = {False: [], True: []}
    for code, lines in texts.items():
        numbers = [n for n, line in enumerate(lines) if not is_blank(line)]
        ids, offsets = encode_lines(tokenizer, [lines[n] for n in numbers])
        held = [is_held_out(n, seed=seed, eval_fraction=eval_fraction) for n in numbers]
        kept = {normalised(lines[n]) for n, h in zip(numbers, held, strict=True) if h}
        for side in (False, True):
            chosen = [
                at
                for at, n in enumerate(numbers)
                if held[at] == side and (side or normalised(lines[n]) not in kept)
            ]
            part = _cut(tokenizer, ids, offsets, chosen, np.asarray(numbers), context_length)
            if not len(part.ids):
                tokens = sum(int(offsets[at + 1] - offsets[at]) for at in chosen)
                raise _too_short(
                    code, side, len(chosen), tokens, len(numbers), context_length, eval_fraction
                )
            parts[side].append(part)
    train, held_out = (_joined(parts[side], tuple(texts)) for side in (False, True))
    return train, held_out


def all_windows(
    tokenizer: Any, texts: Mapping[str, Sequence[str]], *, context_length: int = 64
) -> Windows:
    """The windows of all lines, of text that nothing was trained on. As `read_windows`, else.

    Raises
    ------
    CorpusError
        A language has too little text for one window.
    """
    parts = []
    kept = {
        code: [n for n, line in enumerate(lines) if not is_blank(line)]
        for code, lines in texts.items()
    }
    # All at once: a call of the tokenizer costs more than some hundred lines.
    all_ids, all_offsets = encode_lines(
        tokenizer, [texts[code][n] for code, numbers in kept.items() for n in numbers]
    )
    first = 0
    for code, numbers in kept.items():
        offsets = all_offsets[first : first + len(numbers) + 1]
        ids, offsets = all_ids[offsets[0] : offsets[-1]], offsets - offsets[0]
        first += len(numbers)
        every = range(len(numbers))
        part = _cut(tokenizer, ids, offsets, every, np.asarray(numbers), context_length)
        if not len(part.ids):
            raise CorpusError(
                f"{code}: its text is {len(ids)} tokens in {len(numbers)} lines, less than one "
                f"window of context_length={context_length}: give more text, or leave the "
                "language out"
            )
        parts.append(part)
    return _joined(parts, tuple(texts))


def draw_windows(windows: Windows, most: int | None, seed: int = 0) -> Windows:
    """At most so many, of every language as many as of another where it has them; in order.

    Raises
    ------
    ValueError
        `most` is less than one for each language.
    """
    n = len(windows.languages)
    if most is None or len(windows) <= most:
        return windows
    if most < n:
        raise ValueError(f"windows={most}: wanted one or more for each of {counted(n, 'language')}")
    random = torch.Generator().manual_seed(seed)
    rows = [(windows.language == at).nonzero()[:, 0] for at in range(n)]
    left, share = most, {}
    for done, at in enumerate(sorted(range(n), key=lambda at: len(rows[at]))):  # the smallest first
        share[at] = min(len(rows[at]), left // (n - done))
        left -= share[at]
    kept = [
        rows[at][torch.randperm(len(rows[at]), generator=random)[: share[at]]] for at in range(n)
    ]
    chosen = torch.cat(kept).sort().values
    return Windows(
        windows.ids[chosen],
        windows.language[chosen],
        windows.document[chosen],
        windows.languages,
    )


def is_held_out(line: int, *, seed: int, eval_fraction: float) -> bool:
    """Whether a line, counted from 0, is never trained on; the same in every language."""
    stride = _stride(eval_fraction)
    group, place = divmod(line // BLOCK_LINES, stride)
    key = hashlib.sha256(f"ilo_fast.held_out/{seed}/{group}".encode()).digest()
    return int.from_bytes(key[:8], "little") % stride == place


def _stride(eval_fraction: float) -> int:
    share = real_number("eval_fraction", eval_fraction)
    if not _LEAST_SHARE <= share <= 0.5:
        raise ValueError(
            f"eval_fraction={eval_fraction!r}: wanted a share from {_LEAST_SHARE:g} to 0.5"
        )
    return round(1 / share)


@dataclass(frozen=True)
class _Part:
    """Windows of one language."""

    ids: NDArray[np.int64]
    document: NDArray[np.int64]


def _cut(
    tokenizer: Any,
    ids: NDArray[np.int32],
    offsets: NDArray[np.int64],
    chosen: Sequence[int],
    numbers: NDArray[np.int64],
    context: int,
) -> _Part:
    """The chosen lines, one after the other, cut into windows; what is left at the end is lost.

    A BOS token is an attention sink wherever it stands, with vectors unlike all others: it stands
    at the beginning of a window, where no token counts, and nowhere else.
    """
    bos = tokenizer.bos_token_id
    begins = bos is not None and len(ids) > 0 and ids[0] == bos
    pieces = [ids[offsets[at] : offsets[at + 1]] for at in chosen]
    if begins:
        pieces = [piece[int(piece[0] == bos) :] for piece in pieces]
    flat = np.concatenate([np.empty(0, np.int32), *pieces]).astype(np.int64)
    documents = np.repeat(numbers[list(chosen)], [len(piece) for piece in pieces])
    length = context - begins
    n = len(flat) // length
    rows, of_rows = (values[: n * length].reshape(n, length) for values in (flat, documents))
    if begins:
        rows = np.pad(rows, ((0, 0), (1, 0)), constant_values=bos)
        of_rows = np.pad(of_rows, ((0, 0), (1, 0)), mode="edge")
    return _Part(rows, of_rows)


def _joined(parts: Sequence[_Part], languages: tuple[str, ...]) -> Windows:
    counts = torch.tensor([len(part.ids) for part in parts])
    return Windows(
        ids=torch.from_numpy(np.concatenate([part.ids for part in parts])),
        language=torch.repeat_interleave(torch.arange(len(parts)), counts),
        document=torch.from_numpy(np.concatenate([part.document for part in parts])),
        languages=languages,
    )


def _too_short(
    code: str,
    held: bool,
    lines: int,
    tokens: int,
    all_lines: int,
    context: int,
    eval_fraction: float,
) -> CorpusError:
    kind = "held-out text" if held else "text to train on"
    remedy = "give more text, take a smaller context_length, or leave the language out"
    if held:
        every = BLOCK_LINES * _stride(eval_fraction)
        more = "raise eval_fraction (0.2, say), " if eval_fraction < 0.2 else ""
        remedy = (
            f"{BLOCK_LINES} lines of every {every} are held out: {more}give more text, or take a "
            "smaller context_length"
        )
    return CorpusError(
        f"{code}: its {kind} is {tokens} tokens in {lines} lines (of {all_lines}), less than one "
        f"window of context_length={context}: {remedy}"
    )
