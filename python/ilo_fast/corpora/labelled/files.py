"""Find labelled text: tables, one per language or per language and split.

Whether the rows of several languages fit together is decided by
`ilo_fast.corpora.labelled.checks`.
"""

from __future__ import annotations

from pathlib import Path

from ilo_fast._util.messages import plain
from ilo_fast.corpora.choosing import Languages, choose
from ilo_fast.corpora.languages import candidates
from ilo_fast.corpora.layouts import check_folder, visible_names
from ilo_fast.corpora.lines import check_regular, no_access
from ilo_fast.corpora.parts import Part
from ilo_fast.corpora.tables import table_suffix
from ilo_fast.errors import CorpusError


def find_labelled_files(
    folder: Path, languages: Languages, *, allow_unknown: bool = False
) -> list[tuple[str, Part]]:
    """The data files of a folder with their codes, in the order of `languages`, else by code.

    Parameters
    ----------
    folder
        Holds ``<code>.jsonl`` (or ``.csv``, ``.tsv``, ``.parquet``; also as ``.gz``), or else
        folders: ``<split>/<code>.jsonl`` or ``<code>/<split>.jsonl``. Other files and hidden files
        are ignored.
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
    check_folder(folder, "eng_Latn.jsonl, ...")
    try:
        found = [Part(_stem(path), plain(path.name), path) for path in _data_files(folder)]
        for name in [] if found else visible_names(folder):
            inner = folder / name
            for path in _data_files(inner) if inner.is_dir() else ():
                language, split = _stem(path), name
                if candidates(name):
                    language, split = name, language
                found.append(Part(language, plain(path.relative_to(folder)), path, split))
    except OSError as error:
        raise no_access(folder, error) from error
    if not found:
        raise CorpusError(
            f"path: no labelled files in {str(folder)!r}. Wanted: <code>.jsonl (or .csv, .tsv, "
            ".parquet; also as .gz), <split>/<code>.jsonl or <code>/<split>.jsonl, with a text and "
            "a label in every row"
        )
    return choose(found, languages, repr(str(folder)), allow_unknown=allow_unknown)


def _data_files(folder: Path) -> list[Path]:
    names = [name for name in visible_names(folder) if table_suffix(name)]
    named = [name for name in names if candidates(_stem(folder / name))]
    for name in named:
        check_regular(folder / name)
    return [folder / name for name in names if name in named or (folder / name).is_file()]


def _stem(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).stem
