"""What lies at a path: which known layout of a corpus, and its parts, one per language and split.

Layouts are told by the names of files and by the columns of tables, in this order; what comes first
is taken, the rest is left out with a remark:

text
    ``<code>.txt``; ``<code>.devtest`` (FLORES-200); ``newstest2019-ref.<code>.txt`` (NTREX-128).
Moses
    ``<name>.<code>``, also ``.txt``, at least two languages of one name (OPUS, WMT);
    ``devtest.<code>`` (FLORES+).
table per language
    ``<code>.jsonl`` (.csv, .tsv, .parquet) with a column ``text`` or ``sentence``.
table
    One file with a column per language.
folder per language
    ``<code>/<name>.txt``; of several names, ``devtest`` or a split.

Any file may be compressed (``.gz``). A folder without any of these, whose folders hold some, is a
release with splits (``devtest/``, ``dev/``) or with the corpus in a folder of it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ilo_fast._util.messages import elide, listed, plain
from ilo_fast.corpora.languages import candidates
from ilo_fast.corpora.lines import check_regular, no_access
from ilo_fast.corpora.parts import Layout, Part
from ilo_fast.corpora.tables import Row, document_column, read_rows, table_suffix
from ilo_fast.errors import AccessError, CorpusError

logger = logging.getLogger(__name__)

UNDERSTOOD: Final = (
    "one file per language, named <code>.txt (eng_Latn.txt, en.txt), <code>.devtest, "
    "devtest.<code> or <name>.<code>, with one sentence per line; or a .tsv, .csv, .jsonl or "
    ".parquet file with a column per language; each also as .gz"
)
"""For messages: what a corpus may look like."""

_SPLITS: Final = ("dev", "devtest")
GROUPS_FILE: Final = "groups.txt"
NTREX_FILE: Final = re.compile(r"newstest2019-(?:src|ref)\.(?P<name>.+)\.txt")
_CODE: Final = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}(?:_\w+)?")
_ABOUT: Final = re.compile(
    r"(readme|licen[cs]e|copying|notice|changelog|changes|authors|citation|source|metadata|"
    r"languages|document_ids|groups|notes|requirements)\b.*",
    re.IGNORECASE,
)
_ARCHIVE: Final = re.compile(r"\.(zip|7z|rar|tgz|tar(\.(gz|xz|bz2|zst))?)$", re.IGNORECASE)
_COLUMN: Final = re.compile(r"(?:sentence|text)_(.+)")
_TEXT_COLUMNS: Final = ("text", "sentence")


def find_layout(path: Path, split: str | None = None, *, text_only: bool = False) -> Layout:
    """The layout of what lies at `path`, one split of it.

    Parameters
    ----------
    path
        A folder, a table, or the common beginning of Moses files (``corpus/train`` of ``train.en``
        and ``train.de``).
    split
        Which, where there are several; None: ``devtest``, else it must be the only one.
    text_only
        Look for text and Moses files alone, no tables.

    Raises
    ------
    AccessError
        There is nothing, or it cannot be read.
    CorpusError
        No corpus (says what was seen and what is understood), or a split that is not there.
    """
    if not isinstance(split, str | None):
        raise CorpusError(f"split must be a name such as 'dev', got {split!r}")
    wanted = split
    try:
        if path.is_dir():
            found, wanted = _of_folder(path, split, text_only=text_only)
        elif table_suffix(path.name) and not text_only:
            found = _of_table(path)
        elif not path.exists() and (parts := _with_prefix(path)):
            found = Layout("Moses", tuple(parts), {})
        else:
            check_folder(path, "eng_Latn.txt, ...; or a table .tsv, .csv, .jsonl, .parquet")
    except (OSError, ValueError) as error:
        if isinstance(error, CorpusError):
            raise
        raise no_access(path, error) from error
    return _one_split(found, wanted, path)


def check_folder(folder: Path, example: str) -> None:
    """Refuse a path that is no folder; `example` says what the folder should hold.

    Raises
    ------
    AccessError
        There is nothing.
    CorpusError
        It is a file.
    """
    try:
        exists, is_folder = folder.exists(), folder.is_dir()
    except (OSError, ValueError) as error:
        raise no_access(folder, error) from error
    if not exists:
        raise AccessError(f"path: there is no folder {str(folder)!r}")
    if not is_folder and _ARCHIVE.search(folder.name):
        raise CorpusError(f"path: {str(folder)!r} is an archive: unpack it, and give its folder")
    if not is_folder:
        raise CorpusError(
            f"path: {str(folder)!r} is a file; wanted a folder with one file per language "
            f"({example})"
        )


def visible_names(folder: Path) -> list[str]:
    """The names in a folder, sorted, without hidden ones."""
    try:
        return sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise no_access(folder, error) from error


def _of_folder(
    folder: Path, split: str | None, *, text_only: bool, depth: int = 2
) -> tuple[Layout, str | None]:
    """The layout of a folder, or of one in it, and the split to look for in that."""
    names = visible_names(folder)
    tables = _Tables([], [])
    found = _here(folder, names, tables, text_only=text_only)
    if found is not None:
        return found, split
    folders = [name for name in names if (folder / name).is_dir()]
    inner = {}
    for name in folders:
        below = folder / name
        layout = _here(below, visible_names(below), _Tables([], []), text_only=text_only)
        if layout is not None and any(candidates(part.name) for part in layout.parts):
            inner[name] = layout
    if split in inner:
        return _of_split(inner[split], split), None
    if len(inner) == 1:
        logger.info("%s: the corpus is in its folder %s", plain(folder), plain(next(iter(inner))))
        return next(iter(inner.values())), split
    if split is None and "devtest" in inner and set(inner) <= set(_SPLITS):
        logger.info("%s: the split devtest is taken, of %s", plain(folder), listed([*inner]))
        return _of_split(inner["devtest"], "devtest"), None
    if inner:
        raise CorpusError(
            f"path: {str(folder)!r} holds corpora in several folders: {listed(list(inner), plain)};"
            " give the path of one, or name it with split= (command line: --split)"
        )
    if len(parts := _folders_of_codes(folder, folders)) > 1:
        return Layout("folder per language", tuple(parts), {}), split
    if len(folders) == 1 and depth and not tables.others:  # as archives are unpacked
        return _of_folder(folder / folders[0], split, text_only=text_only, depth=depth - 1)
    if len(tables.others) == 1:  # its columns have other names: the caller may have said which
        return tables.others[0], split
    if tables.flaws:
        raise tables.flaws[0]
    seen = f"it holds {listed(names, _short)}" if names else "it holds no files"
    raise CorpusError(f"path: no text files in {str(folder)!r}; {seen}. Wanted: {UNDERSTOOD}")


@dataclass(frozen=True)
class _Tables:
    """Tables that were read and not taken: without two languages, or flawed."""

    others: list[Layout]
    flaws: list[CorpusError]


def _of_split(layout: Layout, split: str) -> Layout:
    """The layout of a folder that is named by its split, where its files do not say."""
    parts = [part if part.split else replace(part, split=split) for part in layout.parts]
    return Layout(layout.kind, tuple(parts), layout.rows)


def _here(folder: Path, names: Sequence[str], left: _Tables, *, text_only: bool) -> Layout | None:
    """The layout of the files of one folder; None where they are none."""
    moses = _moses_parts(folder, names)
    others = {part.path.name for part in moses}
    text = [
        part
        for name in names
        if name not in others and (part := _text_part(folder, name)) is not None
    ]
    if text:
        if moses:
            logger.warning("%s: left out: %s", plain(folder), listed(sorted(others), plain))
        _remark(folder, names, text)
        return Layout("text", tuple(text), {})
    if moses:
        _remark(folder, names, moses)
        return Layout("Moses", tuple(moses), {})
    tables = [name for name in names if table_suffix(name) and not text_only]
    own = [_table_part(folder, name) for name in tables if candidates(_stem(name))]
    if len(own) > 1:
        return _text_columns(own)
    found: list[Part] = []
    rows: dict[Path, list[Row]] = {}
    for name in tables:
        try:
            layout = _of_table(folder / name)
        except CorpusError as error:
            left.flaws.append(error)
            logger.info("left out: %s", error)
            continue
        if sum(bool(candidates(part.name)) for part in layout.parts) > 1:
            found += layout.parts
            rows |= layout.rows
        else:
            left.others.append(layout)
    if not found and own:
        return _text_columns(own)
    return Layout("table", tuple(found), rows) if found else None


def _folders_of_codes(folder: Path, folders: Sequence[str]) -> list[Part]:
    """The text files in folders that are named by codes; their names are those of splits."""
    found: list[Part] = []
    for code in filter(candidates, folders):
        for name in visible_names(folder / code):
            stem, _, suffix = name.removesuffix(".gz").rpartition(".")
            if suffix == "txt" and not _ABOUT.fullmatch(stem):
                check_regular(folder / code / name)
                place = f"{plain(code)}/{plain(name)}"
                found.append(Part(code, place, folder / code / name, stem))
    if len({part.name for part in found}) == len(found):  # nothing to choose from
        found = [replace(part, split=None) for part in found]
    return found


def _text_part(folder: Path, name: str) -> Part | None:
    """The part that a file of text is by its name; None of other names, and of a README."""
    bare = name[:-3] if name.lower().endswith(".gz") else name
    stem, _, suffix = bare.rpartition(".")
    language, split = stem, None
    if match := NTREX_FILE.fullmatch(bare):
        language = match["name"]
    elif suffix in _SPLITS:
        split = suffix
    elif suffix.lower() != "txt" or bare.startswith("newstest2019-ref-"):
        return None  # NTREX-128 has a second reference in Spanish, newstest2019-ref-2.spa.txt
    known = bool(candidates(language))
    if not stem or (not known and (_ABOUT.fullmatch(stem) or (folder / name).is_dir())):
        return None
    if known:
        check_regular(folder / name)
    elif not (folder / name).is_file():
        return None
    return Part(language, plain(name), folder / name, split)


def _moses_parts(folder: Path, names: Sequence[str]) -> list[Part]:
    """Files ``<name>.<code>``, of every name that has two languages or is a split of FLORES+."""
    by_prefix: dict[str, list[Part]] = {}
    for name in names:
        bare = name[:-3] if name.lower().endswith(".gz") else name
        prefix, _, language = bare.removesuffix(".txt").rpartition(".")
        if not prefix or NTREX_FILE.fullmatch(bare):
            continue
        if candidates(language) or (prefix in _SPLITS and _CODE.fullmatch(language)):
            part = Part(language, plain(name), folder / name, prefix)
            by_prefix.setdefault(prefix, []).append(part)
    found = [p for prefix, parts in by_prefix.items() if len(parts) > 1 or prefix in _SPLITS
             for p in parts]  # fmt: skip
    for part in found:
        check_regular(part.path)
    return found


def _with_prefix(path: Path) -> list[Part]:
    """The Moses files that begin with `path`."""
    if not path.parent.is_dir():
        return []
    names = [name for name in visible_names(path.parent) if name.startswith(f"{path.name}.")]
    return [part for part in _moses_parts(path.parent, names) if part.split == path.name]


def _stem(name: str) -> str:
    return Path(name[:-3] if name.lower().endswith(".gz") else name).stem


def _table_part(folder: Path, name: str) -> Part:
    return Part(_stem(name), plain(name), folder / name)


def _text_columns(parts: Sequence[Part]) -> Layout:
    """Tables of one language each: their column of text."""
    rows, found = {}, []
    for part in parts:
        rows[part.path] = read_rows(part.path)
        names = list(dict.fromkeys(key for row in rows[part.path] for key in row.values))
        column = next((name for name in _TEXT_COLUMNS if name in names), None)
        if column is None or "label" in names:
            what = "labelled examples" if "label" in names else "no column text or sentence"
            raise CorpusError(
                f"{part.place} holds {what} ({listed(names, _short)}), no parallel text. Labelled "
                "text is for LabelledCorpus.from_dir (command line: --data). Wanted: " + UNDERSTOOD
            )
        found.append(Part(part.name, part.place, part.path, None, column))
    return Layout("table per language", tuple(found), rows)


def _of_table(path: Path) -> Layout:
    """One table: a part for each column that may be a language."""
    rows = read_rows(path)
    if rows and all(set(row.values) == {"translation"} for row in rows):  # as data sets of OPUS are
        pairs = [(row, row.values["translation"]) for row in rows]
        rows = [Row(row.place, row.line, v if isinstance(v, dict) else {}) for row, v in pairs]
    columns = list(dict.fromkeys(key for row in rows for key in row.values))
    parts = []
    for column in columns:
        if document_column([column]) is not None:  # see ilo_fast.corpora.documents
            continue
        if not isinstance(column, str) or _is_identifier(column, rows):
            logger.info("%s: column %s is no text; left out", plain(path.name), _short(column))
            continue
        match = _COLUMN.fullmatch(column)
        name = match[1] if match and candidates(match[1]) else column
        place = f"{plain(path.name)}, column {column!r}"
        parts.append(Part(name, place, path, _stem(path.name), column))
    if not parts:
        raise CorpusError(
            f"{plain(path.name)} holds no columns of text ({listed(columns, _short)}); wanted one "
            "column per language, named by its code"
        )
    return Layout("table", tuple(parts), {path: rows})


def _is_identifier(column: str, rows: Sequence[Row]) -> bool:
    """Whether a column holds numbers, or is ``id`` and holds no sentence (``id`` is Indonesian)."""
    values = [value for row in rows if (value := row.values.get(column)) not in (None, "")]
    if column.lower() == "id" and all(_one_word(value) for value in values):
        return True
    return bool(values) and all(
        not isinstance(value, str) or value.strip().replace(".", "", 1).isdecimal()
        for value in values
    )


def _one_word(value: Any) -> bool:
    return not isinstance(value, str) or len(value.split()) < 2


def _one_split(layout: Layout, split: str | None, path: Path) -> Layout:
    splits = list(dict.fromkeys(part.split for part in layout.parts))
    if split is None and (len(splits) == 1 or None in splits):
        return layout
    named = [name for name in splits if name is not None]
    wanted = "devtest" if split is None and "devtest" in named else split
    if wanted in named:
        parts = tuple(part for part in layout.parts if part.split == wanted)
        return Layout(layout.kind, parts, layout.rows)
    if split is None:
        raise CorpusError(
            f"path: {str(path)!r} holds several splits or corpora: {listed(named, plain)}; name "
            "one with split= (command line: --split)"
        )
    has = f"it has {listed(named, plain)}" if named else "it has none; leave it out"
    raise CorpusError(f"split={split!r}: not in {str(path)!r}; {has}")


def _remark(folder: Path, names: Sequence[str], parts: Sequence[Part]) -> None:
    taken = {part.path.name for part in parts} | {GROUPS_FILE}  # which `documents` reads
    others = [name for name in names if name not in taken]
    if others:
        logger.info("%s: left out, no text of a language: %s", plain(folder), listed(others, plain))


def _short(name: object) -> str:
    return elide(plain(name), 60)
