"""Read labelled text: JSON lines, CSV or TSV, one file per language or per language and split.

This module returns rows. Whether those of several languages fit together is decided by
`ilo_fast.corpora.labelled.checks`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ilo_fast.corpora.files import CorpusFile, check_folder, choose_files, read_lines
from ilo_fast.corpora.languages import LANGUAGES
from ilo_fast.errors import AccessError, CorpusError

_SUFFIXES: Final = (".jsonl", ".csv", ".tsv")


@dataclass(frozen=True)
class Row:
    """One example as the file has it.

    Attributes
    ----------
    place
        File and line, for messages.
    line
        Line in the file, from 1.
    values
        The fields.
    """

    place: str
    line: int
    values: Mapping[str, Any]


def find_labelled_files(
    folder: Path, languages: Sequence[str] | None, *, allow_unknown: bool = False
) -> list[CorpusFile]:
    """The data files of a folder, in the order of `languages`, else by code.

    Parameters
    ----------
    folder
        Holds ``<code>.jsonl`` (or ``.csv``, ``.tsv``), or else folders: ``<split>/<code>.jsonl`` or
        ``<code>/<split>.jsonl``. Other files and hidden files are ignored.
    languages
        Take only these codes. None: all.
    allow_unknown
        Take names that are no known language code as well.

    Raises
    ------
    AccessError
        The folder is absent or cannot be read.
    CorpusError
        Not a folder; no data files; names that are no code; two files for one language and split;
        a language without a file (names those that have one).
    """
    check_folder(folder, "eng_Latn.jsonl, deu_Latn.jsonl")
    try:
        found = [CorpusFile(path, path.stem) for path in _data_files(folder)]
        for inner in [] if found else sorted(p for p in folder.iterdir() if p.is_dir()):
            is_language = inner.name in LANGUAGES
            for path in _data_files(inner):
                names = (inner.name, path.stem) if is_language else (path.stem, inner.name)
                found.append(CorpusFile(path, *names))
    except OSError as error:
        raise AccessError(f"cannot read {folder}: {error.strerror or error}") from error
    if not found:
        raise CorpusError(
            f"path: no labelled files in {str(folder)!r}. Wanted: <code>.jsonl (or .csv, .tsv), "
            "<split>/<code>.jsonl or <code>/<split>.jsonl, with a text and a label in every row"
        )
    return choose_files(found, folder, languages, allow_unknown=allow_unknown)


def read_rows(path: Path) -> list[Row]:
    """The rows of one file; blank lines of a JSON-lines file are skipped.

    Raises
    ------
    AccessError
        The file cannot be read.
    CorpusError
        Not UTF-8; a line that is no JSON object; a table without a header, or with a row of another
        length.
    """
    lines = read_lines(path)
    return _json_rows(path, lines) if path.suffix == ".jsonl" else _table_rows(path, lines)


def _data_files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix in _SUFFIXES and path.is_file() and not path.name.startswith(".")
    )


def _json_rows(path: Path, lines: Sequence[str]) -> list[Row]:
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{path.name}, line {number}"
        try:
            values = json.loads(line)
        except json.JSONDecodeError as error:
            raise CorpusError(
                f"{place}: no JSON ({error}); wanted one object per line, "
                '{"text": "...", "label": "..."}'
            ) from None
        if not isinstance(values, dict):
            raise CorpusError(
                f"{place}: a JSON {type(values).__name__}, wanted an object with a text and a label"
            )
        rows.append(Row(place, number, values))
    return rows


def _table_rows(path: Path, lines: Sequence[str]) -> list[Row]:
    """Rows of CSV or TSV. In TSV a quote is text: most programs that write TSV do not quote."""
    text = io.StringIO("\n".join(lines), newline="")
    if path.suffix == ".tsv":
        reader = csv.reader(text, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True)
        fix = "cells hold no tabs"
    else:
        reader = csv.reader(text, strict=True)
        fix = "quote cells that hold the separator"
    rows: list[Row] = []
    begun = 1  # the line on which the current row began
    try:
        header = next(reader, None)
        if not header:
            raise CorpusError(f"{path.name} is empty; wanted a header that names text and label")
        begun = reader.line_num + 1
        for cells in reader:
            begun = reader.line_num + 1
            if not cells:
                continue
            place = f"{path.name}, line {reader.line_num}"
            if len(cells) != len(header):
                raise CorpusError(
                    f"{place}: {len(cells)} cells, but the header names {len(header)} "
                    f"({', '.join(header)}); {fix}"
                )
            values = dict(zip(header, cells, strict=True))
            rows.append(Row(place, reader.line_num, values))
    except csv.Error as error:
        hint = ""
        if "expected after" in str(error) or "unexpected end" in str(error):
            hint = (
                "; a cell that begins with a quote must be quoted whole, each quote inside it "
                'written twice: """Stop"", he said"'
            )
        raise CorpusError(f"{path.name}, line {begun}: {error}{hint}") from None
    return rows
