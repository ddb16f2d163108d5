"""Which sentences of a corpus belong to one document: ids, where they are found, what they must be.

Sentences of one document resemble each other, so intervals draw documents anew, not sentences. The
id of each sentence's document is taken from the first of these that is there:

``groups.txt``
    In the folder of the text files, or around the folders of the languages, one id per line.
a column ``document``, ``group`` or ``url``
    Of a table or a data set of the Hub, in any case of letters (FLORES+ has ``url``).
``metadata_devtest.tsv``, ``metadata_dev.tsv``
    Of FLORES-200, its column ``URL``; beside the text or in the folder above.
``DOCUMENT_IDS.tsv``
    Of NTREX-128, likewise; one id per line.

A ``groups.txt`` that does not fit the text is an error, as somebody wrote it for that text; what
others wrote is left out with a warning.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ilo_fast._util.messages import counted, plain
from ilo_fast.corpora.checks import check_strings
from ilo_fast.corpora.files import CorpusFiles
from ilo_fast.corpora.fingerprint import add_words
from ilo_fast.corpora.layouts import GROUPS_FILE, NTREX_FILE
from ilo_fast.corpora.lines import is_blank, read_lines
from ilo_fast.corpora.tables import document_column, read_rows
from ilo_fast.errors import AccessError, CorpusError

logger = logging.getLogger(__name__)

_NTREX_IDS: Final = "DOCUMENT_IDS.tsv"
_SPLITS: Final = ("devtest", "dev")

Found = tuple[tuple[str, ...], str] | tuple[None, None]
"""Ids and where they are from."""


def check_groups(groups: Any, n_sentences: int, place: str = "groups") -> tuple[str, ...]:
    """Ids of documents as a tuple.

    Parameters
    ----------
    groups
        One string per sentence: any sequence or column of strings.
    n_sentences
        How many there must be.
    place
        For messages.

    Raises
    ------
    CorpusError
        No sequence of strings, an empty id, or another number of ids than of sentences.
    """
    if isinstance(groups, str | bytes | Mapping) or not isinstance(groups, Iterable):
        raise CorpusError(
            f"{place} must be a sequence of strings, got {type(groups).__name__}; one id per "
            "sentence, equal for sentences of one document"
        )
    ids = tuple(str(item) if isinstance(item, str) else item for item in groups)
    check_strings(place, ids)
    if len(ids) != n_sentences:
        raise CorpusError(
            f"{place} has {counted(len(ids), 'id')} for {counted(n_sentences, 'sentence')}; give "
            "one per sentence, in the same order"
        )
    blank = next((n for n, item in enumerate(ids, 1) if is_blank(item)), None)
    if blank is not None:
        raise CorpusError(
            f"{place}, sentence {blank}: the id is empty; a sentence of no document gets an id "
            "that no other has"
        )
    return ids


def partition_hash(groups: Sequence[str] | None) -> str | None:
    """SHA-256 of which sentences belong together, whatever their documents are called."""
    if groups is None:
        return None
    number: dict[str, int] = {}
    sha = hashlib.sha256(b"ilo_fast.documents.1")
    add_words(sha, [str(number.setdefault(item, len(number))) for item in groups])
    return sha.hexdigest()


def documents_info(groups: Sequence[str] | None, found_in: str | None) -> dict[str, Any]:
    """What to say of ids without listing them, JSON-able."""
    return {
        "n_documents": None if groups is None else len(set(groups)),
        "documents_from": None if groups is None else found_in or "groups",
        "documents_sha256": partition_hash(groups),
    }


def find_documents(path: Path, files: CorpusFiles, n_sentences: int) -> Found:
    """The documents of the text that was found at `path`; (None, None) where nothing tells.

    Raises
    ------
    AccessError, CorpusError
        ``groups.txt`` cannot be read.
    """
    first = next(iter(files.parts.values()))
    folder = first.path.parent
    place = path if files.layout.kind == "folder per language" else folder
    own = _present(place, GROUPS_FILE) if path.is_dir() else None
    if own is not None:  # (counted where the corpus is made, after its languages were compared)
        return tuple(read_lines(own)), plain(own.name)
    if first.column is not None:
        return _of_tables(files)
    for file in _companions(folder, first.split, first.path.name):
        found = _read_companion(file, n_sentences)
        if found is not None:
            return found, plain(file.name)
    return None, None


def agreed(cells: Mapping[str, Sequence[Any]], place: str) -> tuple[str, ...] | None:
    """Ids from the cells that each language has for the same sentences.

    Those of the first language are taken; a warning says where another has others, or that a cell
    is empty (then there are no documents).

    Parameters
    ----------
    cells
        Language code -> one cell per sentence.
    place
        File and column, for messages.
    """
    first = next(iter(cells))
    ids = ["" if _missing(cell) else str(cell) for cell in cells[first]]
    if not all(map(_is_id, ids)):
        n = next(n for n, item in enumerate(ids, 1) if not _is_id(item))
        logger.warning("%s: row %d names no document; documents are not known", place, n)
        return None
    for code, own in cells.items():
        pairs = enumerate(zip(ids, own, strict=False), 1)
        odd = next((n for n, (a, b) in pairs if not _missing(b) and str(b) != a), None)
        if odd is not None:
            logger.warning(
                "%s: row %d is of one document in %s and of another in %s; those of %s are taken",
                place, odd, first, code, first,
            )  # fmt: skip
            break
    return tuple(ids)


def _of_tables(files: CorpusFiles) -> Found:
    """From the column of documents of the first table that has one, or of one per language."""
    cells: dict[str, list[Any]] = {}
    place = ""
    for code, part in files.parts.items():
        rows = files.layout.rows[part.path]
        column = document_column(key for row in rows for key in row.values)
        if column is not None and not cells:
            place = f"{plain(part.path.name)}, column {plain(column)}"
        if column is not None:
            cells[code] = [row.values.get(column) for row in rows]
    ids = agreed(cells, place) if cells else None
    return (None, None) if ids is None else (ids, place)


def _companions(folder: Path, split: str | None, text: str) -> list[Path]:
    """The files of a release that tell the documents of a text, the nearest first."""
    known = split or (folder.name if folder.name in _SPLITS else None)
    names = [f"metadata_{name}.tsv" for name in ([known] if known else _SPLITS)]
    above = names if known else []
    if NTREX_FILE.fullmatch(text.removesuffix(".gz")):
        above = [*above, _NTREX_IDS]
    places = [(folder, name) for name in (*names, _NTREX_IDS)]
    places += [(folder.resolve().parent, name) for name in above]
    return [file for place, name in places if (file := _present(place, name)) is not None]


def _read_companion(file: Path, n_sentences: int) -> tuple[str, ...] | None:
    """The ids of one of these files, or None and a warning."""
    try:
        if file.name.startswith(_NTREX_IDS):
            ids = read_lines(file)
        else:
            rows = read_rows(file)
            column = document_column(key for row in rows for key in row.values)
            ids = ["" if column is None else str(row.values[column]) for row in rows]
    except (AccessError, CorpusError) as error:
        logger.warning("documents are not known: %s", error)
        return None
    if len(ids) != n_sentences or not all(map(_is_id, ids)):
        reason = f"{len(ids)} rows for {n_sentences} sentences"
        if len(ids) == n_sentences:
            reason = "rows that name no document"
        logger.warning(
            "%s has %s: documents are not known (%s with an id per line names them)",
            plain(file), reason, GROUPS_FILE,
        )  # fmt: skip
        return None
    return tuple(ids)


def _present(folder: Path, name: str) -> Path | None:
    files = (folder / name, folder / f"{name}.gz")
    return next((file for file in files if os.path.lexists(file)), None)


def _missing(cell: Any) -> bool:
    return cell is None or cell != cell or (isinstance(cell, str) and is_blank(cell))


def _is_id(text: str) -> bool:
    try:
        check_strings("", [text])
    except CorpusError:
        return False
    return not is_blank(text)
