"""Rows of tables: JSON lines, CSV, TSV or Parquet, compressed by gzip or not."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ilo_fast._util.messages import counted, elide, listed, plain
from ilo_fast._util.optional import require
from ilo_fast.corpora.lines import decode_lines, memory_limit, read_bytes
from ilo_fast.errors import AccessError, CorpusError

TABLE_SUFFIXES: Final = (".jsonl", ".csv", ".tsv", ".parquet")
_DOCUMENT_COLUMNS: Final = ("document", "group", "url")


@dataclass(frozen=True)
class Row:
    """One row as the file has it.

    Attributes
    ----------
    place
        File and line (of Parquet: row), for messages.
    line
        From 1.
    values
        The cells by the names of their columns; columns without a name are left out.
    """

    place: str
    line: int
    values: Mapping[str, Any]


def table_suffix(name: str) -> str | None:
    """The suffix that makes a file name that of a table, without ``.gz``; else None."""
    suffix = Path(name.lower().removesuffix(".gz")).suffix
    return suffix if suffix in TABLE_SUFFIXES else None


def document_column(names: Iterable[str]) -> str | None:
    """The column that names the document of each row: ``document``, ``group`` or ``url``; or None.

    Case is nothing; where there are several, the first in this order.
    """
    found = {name.lower(): name for name in names if isinstance(name, str)}
    return next((found[name] for name in _DOCUMENT_COLUMNS if name in found), None)


def read_rows(path: Path) -> list[Row]:
    """The rows of one file; blank lines are skipped.

    Raises
    ------
    AccessError
        The file cannot be read, or pyarrow is not installed.
    CorpusError
        Not UTF-8; a line that is no JSON object; a table without a header, with two columns of one
        name, or with a row of another length; damaged Parquet.
    """
    data = read_bytes(path)
    name = plain(path.name)
    suffix = table_suffix(path.name)
    if suffix == ".parquet":
        return _parquet_rows(name, data)
    lines = decode_lines(data, name)
    if suffix == ".jsonl":
        return _json_rows(name, lines)
    return _tsv_rows(name, lines) if suffix == ".tsv" else _csv_rows(name, lines)


def _json_rows(name: str, lines: Sequence[str]) -> list[Row]:
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{name}, line {number}"
        try:
            values = json.loads(line)
        # Numbers of thousands of digits are a ValueError, thousands of brackets a RecursionError.
        except (ValueError, RecursionError) as error:
            raise CorpusError(
                f"{place}: no JSON ({elide(str(error), 100)}); wanted one object per line, "
                '{"text": "...", "label": "..."}'
            ) from None
        if not isinstance(values, dict):
            raise CorpusError(
                f"{place}: a JSON {type(values).__name__}, wanted an object, such as one with a "
                "text and a label"
            )
        rows.append(Row(place, number, values))
    return rows


def _tsv_rows(name: str, lines: Sequence[str]) -> list[Row]:
    """A quote is text: most programs that write TSV do not quote."""
    if not lines:
        raise CorpusError(f"{name} is empty; wanted a header that names the columns")
    header = _header(name, lines[0].split("\t"))
    return [
        _row(f"{name}, line {number}", number, header, line.split("\t"), "cells hold no tabs")
        for number, line in enumerate(lines[1:], 2)
        if line
    ]


def _csv_rows(name: str, lines: Sequence[str]) -> list[Row]:
    # Spreadsheets write semicolons where the comma is in numbers, and call it CSV, too.
    head = lines[0] if lines else ""
    separator = next((sign for sign in ",;\t" if sign in head), ",")
    text = io.StringIO("\n".join(lines), newline="")
    reader = csv.reader(text, strict=True, delimiter=separator)
    rows: list[Row] = []
    begun = 1  # the line on which the current row began
    try:
        first = next(reader, None)
        if not first:
            raise CorpusError(f"{name} is empty; wanted a header that names the columns")
        header = _header(name, first)
        begun = reader.line_num + 1
        for cells in reader:
            begun = reader.line_num + 1
            if cells:
                place, number = f"{name}, line {reader.line_num}", reader.line_num
                fix = "quote cells that hold the separator"
                rows.append(_row(place, number, header, cells, fix))
    except csv.Error as error:
        hint = ""
        if "expected after" in str(error) or "unexpected end" in str(error):
            hint = (
                "; a cell that begins with a quote must be quoted whole, each quote inside it "
                'written twice: """Stop"", he said"'
            )
        raise CorpusError(f"{name}, line {begun}: {error}{hint}") from None
    return rows


def _header(name: str, cells: Sequence[str]) -> list[str]:
    header = [cell.strip() for cell in cells]
    twice = [cell for n, cell in enumerate(header) if cell and cell in header[:n]]
    if twice:
        raise CorpusError(f"{name}: its header names a column twice: {_shown(twice)}; rename one")
    return header


def _row(place: str, number: int, header: Sequence[str], cells: Sequence[str], fix: str) -> Row:
    if len(cells) != len(header):
        raise CorpusError(
            f"{place}: {counted(len(cells), 'cell')}, but the header names {len(header)} "
            f"({_shown(header)}); {fix}"
        )
    return Row(place, number, {k: v for k, v in zip(header, cells, strict=True) if k})


def _shown(names: Sequence[str]) -> str:
    return listed(names, lambda name: elide(plain(name), 40))


def _parquet_rows(name: str, data: bytes) -> list[Row]:
    try:
        require("pyarrow", "data")
    except ImportError as error:
        raise AccessError(f"{name}: {error} (or write the table as .jsonl or .tsv)") from error
    import pyarrow
    from pyarrow import parquet

    limit = memory_limit()
    try:
        file = parquet.ParquetFile(pyarrow.BufferReader(data))
        about = file.metadata
        sizes = [about.row_group(i).total_byte_size for i in range(about.num_row_groups)]
        size = max(sum(sizes), 8 * about.num_rows * about.num_columns)
        if limit is not None and size > limit:
            raise CorpusError(f"{name} holds {size >> 20} MiB, which memory cannot hold; split it")
        values = file.read().to_pylist()
    # Arrow's own errors are of many kinds, and thrift's, of a damaged footer, of others.
    except (pyarrow.ArrowException, OSError, ValueError, TypeError, OverflowError) as error:
        said = elide(plain(error), 200)
        raise CorpusError(f"{name} is no Parquet file, or damaged: {said}") from None
    return [Row(f"{name}, row {n}", n, row) for n, row in enumerate(values, 1)]
