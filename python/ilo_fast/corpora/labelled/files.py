"""Read labelled text: JSON lines, CSV or TSV, one file a language or one a language and split.

Files in, rows out; whether the rows of several languages fit together is settled in `labelled`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ilo_fast._util.messages import listed
from ilo_fast.corpora.files import read_lines
from ilo_fast.corpora.languages import LANGUAGES, suggest_codes
from ilo_fast.errors import AccessError, CorpusError

__all__ = ["LabelledFile", "Row", "find_labelled_files", "read_rows"]

_SUFFIXES: Final = (".jsonl", ".csv", ".tsv")


@dataclass(frozen=True)
class LabelledFile:
    """One file of a folder; `split` is None where its rows have to name theirs."""

    path: Path
    language: str
    split: str | None


@dataclass(frozen=True)
class Row:
    """One example as it stands in a file, with the place for messages."""

    place: str
    line: int
    values: Mapping[str, Any]


def find_labelled_files(
    folder: Path, languages: Sequence[str] | None, *, allow_unknown: bool = False
) -> list[LabelledFile]:
    """The data files of a folder, in the order of `languages`, else by code.

    Parameters
    ----------
    folder
        Holds ``<code>.jsonl`` (or ``.csv``, ``.tsv``), or else folders: ``<split>/<code>.jsonl`` or
        ``<code>/<split>.jsonl``. Other files, hidden files and folders are left alone.
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
    if not folder.exists():
        raise AccessError(f"path: there is no folder {str(folder)!r}")
    if not folder.is_dir():
        raise CorpusError(
            f"path: {str(folder)!r} is a file; wanted a folder with one file a language "
            "(eng_Latn.jsonl, deu_Latn.jsonl, ...)"
        )
    try:
        found = [LabelledFile(path, path.stem, None) for path in _data_files(folder)]
        for inner in [] if found else sorted(p for p in folder.iterdir() if p.is_dir()):
            is_language = inner.name in LANGUAGES
            for path in _data_files(inner):
                names = (inner.name, path.stem) if is_language else (path.stem, inner.name)
                found.append(LabelledFile(path, *names))
    except OSError as error:
        raise AccessError(f"cannot read {folder}: {error.strerror or error}") from error
    if not found:
        raise CorpusError(
            f"path: no labelled files in {str(folder)!r}. Wanted: <code>.jsonl (or .csv, .tsv), "
            "<split>/<code>.jsonl or <code>/<split>.jsonl, with a text and a label in every row"
        )

    by_code: dict[str, list[LabelledFile]] = {}
    for file in found:
        by_code.setdefault(file.language, []).append(file)
    if languages is None:
        if not allow_unknown:
            _refuse_unknown(by_code, folder)
        codes = sorted(by_code)
    else:
        codes = list(languages)
        missing = [code for code in codes if code not in by_code]
        if missing:
            raise CorpusError(
                f"languages: no labelled file in {str(folder)!r} for {listed(missing)}; it has "
                f"{', '.join(sorted(by_code))}"
            )
    for code in codes:
        seen: dict[str | None, Path] = {}
        for file in by_code[code]:
            other = seen.setdefault(file.split, file.path)
            if other is not file.path:
                raise CorpusError(
                    f"path: two files in {str(folder)!r} are {code}: {other.name} and "
                    f"{file.path.name}; keep one"
                )
    return [file for code in codes for file in by_code[code]]


def read_rows(path: Path) -> list[Row]:
    """The rows of one file; a blank line of a JSON-lines file is passed over.

    Raises
    ------
    AccessError
        The file cannot be read.
    CorpusError
        Not UTF-8, a line that is no JSON object, a table without a header or with a row of another
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


def _refuse_unknown(by_code: Mapping[str, list[LabelledFile]], folder: Path) -> None:
    unknown = sorted(code for code in by_code if code not in LANGUAGES)
    if not unknown:
        return

    def show(code: str) -> str:
        near = suggest_codes(code)
        hint = f" (did you mean {' or '.join(near)}?)" if near else ""
        return f"{by_code[code][0].path.relative_to(folder)}{hint}"

    raise CorpusError(
        f"path: names in {str(folder)!r} that are no language code: {listed(unknown, show)}. "
        "Rename them to a code such as eng_Latn.jsonl, name those to take with languages= (command "
        "line: --languages), or pass allow_unknown=True (command line: --allow-unknown)"
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
                f"{place}: no JSON ({error}); wanted one object a line, "
                '{"text": "...", "label": "..."}'
            ) from None
        if not isinstance(values, dict):
            raise CorpusError(
                f"{place}: a JSON {type(values).__name__}, wanted an object with a text and a label"
            )
        rows.append(Row(place, number, values))
    return rows


def _table_rows(path: Path, lines: Sequence[str]) -> list[Row]:
    """In TSV quotes are text like any other, as what writes TSV mostly has it."""
    text = io.StringIO("\n".join(lines), newline="")
    if path.suffix == ".tsv":
        reader = csv.reader(text, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True)
        fix = "cells hold no tabs"
    else:
        reader = csv.reader(text, strict=True)
        fix = "quote cells that hold the separator"
    rows: list[Row] = []
    begun = 1  # the line on which the row began
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
