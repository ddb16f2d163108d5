"""Read parallel text from a folder or table: the counterpart of `ilo_fast.corpora.hub`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ilo_fast.corpora.choosing import Languages
from ilo_fast.corpora.documents import find_documents
from ilo_fast.corpora.files import display_path, find_texts


def read_folder(
    path: Path, languages: Languages = None, *, split: str | None = None, allow_unknown: bool
) -> tuple[dict[str, tuple[Any, ...]], tuple[str, ...] | None, dict[str, Any]]:
    """The text at a path, and its documents; parameters as `ilo_fast.corpora.files.find_texts`.

    Returns
    -------
    sentences
        Code -> sentences. `ParallelCorpus` checks whether they are parallel, and text.
    groups
        The document of each sentence, or None.
    info
        Where they come from, JSON-able: ``kind``, ``path``, ``layout``, ``split``, ``names``,
        ``documents_from``.

    Raises
    ------
    AccessError
        The folder or a file cannot be read.
    CorpusError
        No corpus, a split or language that is not there, a flawed file.
    """
    files = find_texts(path, languages, split=split, allow_unknown=allow_unknown)
    files.check_ids()
    sentences = {code: tuple(files.read(code)) for code in files.parts}
    groups, place = find_documents(path, files, len(next(iter(sentences.values()))))
    info = {"kind": "directory", "path": display_path(path), **files.info}
    return sentences, groups, info | {"documents_from": place}
