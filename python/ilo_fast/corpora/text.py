"""Training text of one language, and the lines that it shares with a corpus."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from ilo_fast._util.messages import listed
from ilo_fast.corpora.files import demo_files, find_files, read_lines
from ilo_fast.errors import CorpusError

_NO_TEXT = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".gz")


def read_text(source: Any, language: str) -> tuple[str, ...]:
    """The text of one language, one example per line.

    Parameters
    ----------
    source
        A file of `language`; a folder that holds ``<language>.txt`` (or a file of FLORES-200 or
        NTREX-128, see :meth:`~ilo_fast.ParallelCorpus.from_dir`); several folders, whose lines are
        joined; a sequence of sentences; a corpus, or a mapping from language code to sentences;
        ``"demo"``, the embedded English text.
    language
        A code, ``eng_Latn``.

    Returns
    -------
    tuple of str
        The lines as they are, blank ones left out (training text need not be aligned).

    Raises
    ------
    AccessError
        A file or folder cannot be read.
    CorpusError
        No text in `language` (names the languages that have some), a file that is not UTF-8, or
        something that is not text.
    """
    lines = [line for line in _lines(source, language) if _is_text(line)]
    if not lines:
        raise CorpusError(f"data: no text in {language}, only blank lines")
    return tuple(lines)


def shared_lines(
    lines: Iterable[str], sentences: Mapping[str, Sequence[str]]
) -> list[tuple[str, int]]:
    """Where a corpus has lines of a training text.

    Differences in case, white space and Unicode form (NFKC) do not count.

    Parameters
    ----------
    lines
        The training text.
    sentences
        Of the corpus: from language code to sentences.

    Returns
    -------
    list of (str, int)
        Language and line number (from 1) in the corpus.
    """
    known = {normalised(line) for line in lines}
    return [
        (code, number)
        for code, texts in sentences.items()
        for number, text in enumerate(texts, start=1)
        if normalised(text) in known
    ]


def normalised(line: str) -> str:
    """A line in the form that is compared: NFKC, case folded, white space as single spaces."""
    return " ".join(unicodedata.normalize("NFKC", line).casefold().split())


def _lines(source: Any, language: str) -> Sequence[str]:
    if isinstance(source, str) and source == "demo":
        return _demo(language)
    if isinstance(source, (str, PathLike)):
        return _read([Path(fspath(source)).expanduser()], language)
    mapping = getattr(source, "sentences", source)
    if isinstance(mapping, Mapping):
        if language not in mapping:
            raise CorpusError(f"language: no text in {language}; there is {listed(list(mapping))}")
        return list(mapping[language])
    if not isinstance(source, Iterable):
        raise CorpusError(
            f"data is a {type(source).__name__}: wanted a file, a folder, sentences, or 'demo'"
        )
    items: list[Any] = list(source)
    if items and all(isinstance(item, PathLike) for item in items):
        return _read([Path(fspath(item)).expanduser() for item in items], language)
    # (For a sentence that is too long to be a file name, os.path.exists is False.)
    if items and all(isinstance(item, str) and os.path.exists(item) for item in items):
        raise CorpusError(
            f"data: {listed(items)}: these are files, and a list of str is sentences: pass "
            "[Path(...), ...]"
        )
    return items


def _demo(language: str) -> list[str]:
    files = demo_files("training")
    if language not in files:
        raise CorpusError(
            f"language: the demo training text has no {language}; it has {listed(list(files))}. "
            "Pass data= of your own"
        )
    return read_lines(files[language])


def _read(paths: Sequence[Path], language: str) -> list[str]:
    """The lines of one file, or of the files of `language` in folders."""
    if len(paths) == 1 and not paths[0].is_dir():
        if paths[0].suffix.lower() in _NO_TEXT:
            raise CorpusError(
                f"data: {paths[0]} is no plain text, one sentence per line: for labelled data give "
                "its folder (LabelledCorpus.from_dir), else write the sentences to a .txt file"
            )
        return read_lines(paths[0])
    lines: list[str] = []
    others: dict[str, None] = {}
    found = False
    for folder in paths:
        files = find_files(folder, allow_unknown=True)
        others.update(dict.fromkeys(files))
        if language in files:
            found = True
            lines += read_lines(files[language])
    if not found:
        where = ", ".join(str(path) for path in paths)
        raise CorpusError(
            f"language: no text in {language} in {where}; there is {listed([*others])}"
        )
    return lines


def _is_text(line: Any) -> bool:
    if not isinstance(line, str):
        raise CorpusError(f"data: wanted sentences, got {line!r} ({type(line).__name__})")
    return bool(line.strip())
