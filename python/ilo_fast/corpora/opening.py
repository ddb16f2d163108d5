"""Open a corpus given as a name, a folder, a ParallelCorpus or a plain mapping."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ilo_fast.corpora.checks import check_sentences
from ilo_fast.corpora.fingerprint import fingerprint
from ilo_fast.corpora.parallel import ParallelCorpus


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
    groups
        The document of each sentence; None where it is not known, or the text not parallel.
    """

    sentences: Mapping[str, tuple[str, ...]]
    name: str
    parallel: bool
    sha256: str
    info: dict[str, Any]
    groups: tuple[str, ...] | None = None


def open_corpus(
    corpus: Corpus | ParallelCorpus | Mapping[str, Sequence[str]] | str | os.PathLike[str],
) -> Corpus:
    """The corpus, read and checked.

    Raises
    ------
    AccessError
        The name or folder does not exist or cannot be reached.
    CorpusError
        As `ilo_fast.corpora.parallel.ParallelCorpus`, but a mapping need not be parallel, and its
        codes need not be known.
    """
    if isinstance(corpus, Corpus):
        return corpus
    if isinstance(corpus, (str, os.PathLike)):
        corpus = ParallelCorpus.load(corpus)
    if isinstance(corpus, ParallelCorpus):
        info = corpus.info
        # A dict, as the read-only view that a ParallelCorpus has cannot be pickled.
        sentences = dict(corpus.sentences)
        return Corpus(sentences, corpus.name, True, info["sha256"], info, corpus.groups)
    sentences = check_sentences(corpus, allow_unknown=True, parallel=False)
    sha256 = fingerprint(sentences)
    info = {"name": "mapping", "languages": list(sentences), "sha256": sha256}
    return Corpus(sentences, "mapping", False, sha256, info)
