"""Read folders of text files: one file per language, one sentence per line.

This module decides what a file may hold. Whether the languages fit together is decided by
`ilo_fast.corpora.checks`.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Protocol

from ilo_fast._util.messages import listed
from ilo_fast.corpora.languages import LANGUAGES, NTREX_CODES, did_you_mean
from ilo_fast.errors import AccessError, CorpusError

# The known layouts, by the names of the files: ours, that of the FLORES-200 archive (one folder per
# split), that of the NTREX-128 repository.
_PATTERNS = (
    re.compile(r"(?P<code>.+)\.txt"),
    re.compile(r"(?P<code>.+)\.(?:dev|devtest)"),
)
_NTREX = re.compile(r"newstest2019-(?:src|ref)\.(?P<code>.+)")


@dataclass(frozen=True)
class CorpusFile:
    """One file of a folder.

    Attributes
    ----------
    split
        None where the name of the file does not tell it.
    """

    path: Path
    language: str
    split: str | None = None


class Readable(Protocol):
    """A path, or a file among the data of a package."""

    @property
    def name(self) -> str: ...

    def read_bytes(self) -> bytes: ...


def decode_lines(data: bytes, source: str) -> list[str]:
    """Decode UTF-8 and split it into lines.

    Parameters
    ----------
    data
        The bytes of a file. A byte order mark is dropped. Lines end in LF or CR LF and nowhere
        else: U+2028 or U+0085 inside a sentence stay.
    source
        Name for messages.

    Returns
    -------
    list of str
        The lines without their ends. A last line without an end counts; an end at the end of the
        file begins no further line.

    Raises
    ------
    CorpusError
        Not UTF-8 (with the byte offset), or a NUL byte.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise CorpusError(
            f"{source} is UTF-16 (it begins with its byte order mark), UTF-8 is wanted; "
            f"convert it: iconv -f UTF-16 -t UTF-8"
        )
    body = data.removeprefix(codecs.BOM_UTF8)
    skipped = len(data) - len(body)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise CorpusError(
            f"{source} is not UTF-8: byte 0x{body[error.start]:02x} at offset "
            f"{error.start + skipped} (line {line}): {error.reason}; convert the file to UTF-8"
        ) from None
    at = text.find("\0")
    if at >= 0:
        raise CorpusError(
            f"{source} holds a NUL character in line {text.count(chr(10), 0, at) + 1}; "
            "it is not a text file, or is damaged: remove the character"
        )
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def read_lines(path: Readable) -> list[str]:
    """The lines of one UTF-8 file; see `decode_lines`.

    Raises
    ------
    AccessError
        The file cannot be read.
    CorpusError
        As `decode_lines`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AccessError(f"cannot read {path}: {error.strerror or error}") from error
    return decode_lines(data, path.name)


def find_files(
    folder: Path, languages: Sequence[str] | None = None, *, allow_unknown: bool = False
) -> dict[str, Path]:
    """The text files of a folder, by language.

    Parameters
    ----------
    folder
        Holds ``<code>.txt``, or ``<code>.dev`` or ``<code>.devtest`` as in the archive of
        FLORES-200, or ``newstest2019-ref.<code>.txt`` as in the repository of NTREX-128. Other
        files, hidden files and folders are ignored.
    languages
        Take only these codes, in this order. None: all files, sorted by code.
    allow_unknown
        Take file names that are no known code as well.

    Returns
    -------
    dict
        Code -> path.

    Raises
    ------
    AccessError
        The folder is absent or cannot be read.
    CorpusError
        Not a folder; no text files; two files for one language; a file name that is no known code;
        no file for one of `languages`.
    """
    check_folder(folder, "eng_Latn.txt, deu_Latn.txt")
    try:
        names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    except OSError as error:
        raise AccessError(f"cannot read {folder}: {error.strerror or error}") from error
    codes = {name: _code_of(name) for name in names if not name.startswith(".")}
    found = [CorpusFile(folder / name, code) for name, code in codes.items() if code is not None]
    if not found:
        others = f"; it holds {listed(names)}" if names else "; it holds no files"
        raise CorpusError(
            f"path: no text files in {str(folder)!r}{others}. Wanted: one file per language, "
            "named <code>.txt (eng_Latn.txt)"
        )
    chosen = choose_files(found, folder, languages, allow_unknown=allow_unknown)
    return {file.language: file.path for file in chosen}


def check_folder(folder: Path, example: str) -> None:
    """Refuse a path that is no folder; `example` says what the folder should hold.

    Raises
    ------
    AccessError
        There is nothing.
    CorpusError
        It is a file.
    """
    if not folder.exists():
        raise AccessError(f"path: there is no folder {str(folder)!r}")
    if not folder.is_dir():
        raise CorpusError(
            f"path: {str(folder)!r} is a file; wanted a folder with one file per language "
            f"({example}, ...)"
        )


def choose_files(
    found: Sequence[CorpusFile],
    folder: Path,
    languages: Sequence[str] | None,
    *,
    allow_unknown: bool,
) -> list[CorpusFile]:
    """The files of `languages`, in that order; None: all files, sorted by code.

    Raises
    ------
    CorpusError
        A name that is no known code, a language without a file, two files for the same.
    """
    by_code: dict[str, list[CorpusFile]] = {}
    for file in found:
        by_code.setdefault(file.language, []).append(file)
    codes = sorted(by_code) if languages is None else list(languages)
    missing = [code for code in codes if code not in by_code]
    if missing:
        raise CorpusError(
            f"languages: no file in {str(folder)!r} for {listed(missing)}; it has "
            f"{', '.join(sorted(by_code))}"
        )
    unknown = [code for code in codes if code not in LANGUAGES]
    if unknown and languages is None and not allow_unknown:

        def show(code: str) -> str:
            hint = did_you_mean(code)
            name = by_code[code][0].path.relative_to(folder)
            return f"{name} ({hint})" if hint else str(name)

        raise CorpusError(
            f"path: names in {str(folder)!r} that are no language code: {listed(unknown, show)}. "
            f"Rename them to a code such as eng_Latn{found[0].path.suffix}, name those to take "
            "with languages= (command line: --languages), or pass allow_unknown=True (command "
            "line: --allow-unknown)"
        )
    chosen = [file for code in codes for file in by_code[code]]
    seen: dict[tuple[str, str | None], CorpusFile] = {}
    for file in chosen:
        other = seen.setdefault((file.language, file.split), file)
        if other is not file:
            raise CorpusError(
                f"path: two files in {str(folder)!r} are {file.language}: "
                f"{other.path.relative_to(folder)} and {file.path.relative_to(folder)}; keep one"
            )
    return chosen


def demo_files(kind: str) -> dict[str, Readable]:
    """The text files that ship with the package, by language, sorted.

    Parameters
    ----------
    kind
        ``"corpus"`` or ``"training"``.

    Raises
    ------
    AccessError
        The installation lacks them.
    """
    folder = resources.files("ilo_fast") / "demo" / kind
    found = folder.iterdir() if folder.is_dir() else ()
    files: dict[str, Readable] = {
        file.name.removesuffix(".txt"): file for file in found if file.name.endswith(".txt")
    }
    if not files:
        raise AccessError(
            f"the demo text ({kind}) is not in this installation of ilo_fast; install it again"
        )
    return dict(sorted(files.items()))


def _code_of(file_name: str) -> str | None:
    for pattern in _PATTERNS:
        match = pattern.fullmatch(file_name)
        if match:
            stem = match["code"]
            ntrex = _NTREX.fullmatch(stem)
            return NTREX_CODES.get(ntrex["code"], ntrex["code"]) if ntrex else stem
    return None
