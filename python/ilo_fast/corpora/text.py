"""Training text of one language, and the lines that it shares with a corpus."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from ilo_fast._util.messages import elide, listed, plain
from ilo_fast.corpora.files import CorpusFiles, demo_files, find_texts
from ilo_fast.corpora.languages import find_language, resolve_code
from ilo_fast.corpora.lines import is_blank, read_lines
from ilo_fast.errors import CorpusError

_NO_TEXT = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".zip", ".bz2", ".xz", ".zst")


def read_text(source: Any, language: str) -> tuple[str, ...]:
    """The text of one language, one example per line.

    Parameters
    ----------
    source
        A file of `language`, compressed (``.gz``) or not; a folder or table as for
        :meth:`~ilo_fast.ParallelCorpus.from_dir`; several of these, whose lines are joined; a
        sequence of sentences; a corpus, or a mapping from language code to sentences;
        ``"demo"``, the embedded English text.
    language
        A code, ``eng_Latn`` or ``en``.

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
    lines = [line for line in _lines(source, language) if is_text(line)]
    if not lines:
        raise CorpusError(f"data: no text in {language}, only blank lines")
    return tuple(lines)


def find_joined(
    paths: Iterable[Path], *, allow_unknown: bool = False
) -> dict[str, list[CorpusFiles]]:
    """Where several folders or tables have text, by language, nothing read yet.

    Columns of tables that are no known language are left out unless `allow_unknown`.

    Raises
    ------
    AccessError, CorpusError
        As `ilo_fast.corpora.files.find_texts`.
    """
    found: dict[str, list[CorpusFiles]] = {}
    for path in paths:
        files = find_texts(path, allow_unknown=True)
        every = allow_unknown or files.layout.kind != "table"
        for code in files.parts:
            if every or find_language(code) is not None:
                found.setdefault(code, []).append(files)
    return found


def read_joined(found: Mapping[str, Sequence[CorpusFiles]], language: str) -> list[Any]:
    """The lines of one language in all that `find_joined` found, one after the other."""
    return [line for files in found[language] for line in files.read(language)]


def is_text(line: Any) -> bool:
    """Whether a line shows anything; a CorpusError where it is no string."""
    if not isinstance(line, str):
        raise CorpusError(
            f"data: wanted sentences, got {elide(repr(line), 80)} ({type(line).__name__})"
        )
    return not is_blank(line)


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
        return list(mapping[_key(language, mapping, "")])
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
        if Path(paths[0].name.lower().removesuffix(".gz")).suffix in _NO_TEXT:
            raise CorpusError(
                f"data: {plain(paths[0])} is no plain text, one sentence per line: for labelled "
                "data give its folder (LabelledCorpus.from_dir), else write the sentences to a "
                ".txt file"
            )
        return read_lines(paths[0])
    found = find_joined(paths, allow_unknown=True)
    where = ", ".join(plain(path) for path in paths)
    return read_joined(found, _key(language, found, f" in {where}"))


def _key(language: str, mapping: Mapping[str, Any], where: str) -> str:
    """The key of a language: as it is, else by its canonical code."""
    if language in mapping:
        return language
    code = resolve_code(language, mapping) if isinstance(language, str) else None
    if code in mapping:
        return str(code)
    raise CorpusError(
        f"language: no text in {language}{where}; there is {listed([*mapping], plain)}"
    )
