"""Open a corpus given as a name, a folder, a ParallelCorpus or a plain mapping."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ilo_fast.corpora.fingerprint import fingerprint
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.errors import CorpusError


@dataclass(frozen=True)
class Corpus:
    """Sentences in several languages, parallel or not.

    Attributes
    ----------
    sentences
        Language code -> sentences, none of them empty.
    name
        For reports.
    parallel
        Whether equal positions mean the same; False for a plain mapping, which does not tell.
    sha256
        Content hash, see `ilo_fast.corpora.fingerprint`.
    info
        What the corpus is, JSON-able.
    """

    sentences: Mapping[str, tuple[str, ...]]
    name: str
    parallel: bool
    sha256: str
    info: dict[str, Any]


def open_corpus(
    corpus: Corpus | ParallelCorpus | Mapping[str, Sequence[str]] | str | os.PathLike[str],
) -> Corpus:
    """The corpus, read and checked.

    Raises
    ------
    AccessError
        The name or folder does not exist or cannot be reached.
    CorpusError
        No language, a language without sentences, a sentence that is no string or has no text.
    """
    if isinstance(corpus, Corpus):
        return corpus
    if isinstance(corpus, (str, os.PathLike)):
        corpus = ParallelCorpus.load(corpus)
    if isinstance(corpus, ParallelCorpus):
        info = corpus.info
        return Corpus(corpus.sentences, corpus.name, True, info["sha256"], info)
    if not isinstance(corpus, Mapping):
        raise CorpusError(
            f"corpus is a {type(corpus).__name__}: wanted a ParallelCorpus, a folder, a name, or a "
            "mapping from language code to a sequence of sentences"
        )
    if not corpus:
        raise CorpusError("corpus has no languages")
    sentences = {code: _read_language(code, corpus[code]) for code in corpus}
    sha256 = fingerprint(sentences)
    info = {"name": "mapping", "languages": list(sentences), "sha256": sha256}
    return Corpus(sentences, "mapping", False, sha256, info)


def _read_language(code: Any, sentences: Any) -> tuple[str, ...]:
    if not isinstance(code, str) or not code or code[0] == "." or set(code) & set('/\\:*?"<>|'):
        raise CorpusError(f"language code {code!r} cannot name a file: use codes like 'eng_Latn'")
    if isinstance(sentences, str) or not isinstance(sentences, Iterable):
        raise CorpusError(
            f"{code}: wanted a sequence of sentences, got one {type(sentences).__name__}"
        )
    lines = tuple(sentences)
    if not lines:
        raise CorpusError(f"{code} has no sentences")
    for number, line in enumerate(lines, start=1):
        if not isinstance(line, str):
            raise CorpusError(f"{code}, line {number}: wanted a string, got {type(line).__name__}")
    empty = [number for number, line in enumerate(lines, start=1) if not line.strip()]
    if empty:
        more = f" (and {len(empty) - 1} more)" if len(empty) > 1 else ""
        raise CorpusError(
            f"{code}, line {empty[0]} is empty{more}: every line must hold a "
            "sentence; drop the line in all languages"
        )
    return lines
