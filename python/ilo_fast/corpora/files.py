"""Read a folder of text files, one language a file, one sentence a line.

Bytes in, lines out: what a file may hold is settled here, whether the lines of
several languages fit together in `corpus`.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ilo_fast.corpora.languages import LANGUAGES, NTREX_CODES, suggest_codes
from ilo_fast.errors import AccessError, CorpusError

__all__ = ["decode_lines", "find_files", "read_lines"]

# The layouts that are known, by the names of the files: ours, that of the FLORES-200
# archive (one folder a split), that of the NTREX-128 repository.
_PATTERNS = (
    re.compile(r"(?P<code>.+)\.txt"),
    re.compile(r"(?P<code>.+)\.(?:dev|devtest)"),
)
_NTREX = re.compile(r"newstest2019-(?:src|ref)\.(?P<code>.+)")


class File(Protocol):
    """A path, or a file among the data of a package."""

    @property
    def name(self) -> str: ...

    def read_bytes(self) -> bytes: ...


def decode_lines(data: bytes, source: str) -> list[str]:
    """Decode UTF-8 and split it into lines.

    Parameters
    ----------
    data
        The bytes of a file. A byte order mark is dropped; lines end in LF or
        CR LF, and nowhere else (U+2028 or U+0085 inside a sentence stay).
    source
        Name for messages.

    Returns
    -------
    list of str
        The lines, without their ends. A last line without an end counts, an
        end without a line after it does not.

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
            "it is not a text file, or was written wrongly: remove the character"
        )
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def read_lines(path: File) -> list[str]:
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


def _code_of(file_name: str) -> str | None:
    for pattern in _PATTERNS:
        match = pattern.fullmatch(file_name)
        if match:
            stem = match["code"]
            ntrex = _NTREX.fullmatch(stem)
            return NTREX_CODES.get(ntrex["code"], ntrex["code"]) if ntrex else stem
    return None


def find_files(
    folder: Path, languages: Sequence[str] | None = None, *, allow_unknown: bool = False
) -> dict[str, Path]:
    """The text files of a folder, by language.

    Parameters
    ----------
    folder
        Holds ``<code>.txt``, or ``<code>.dev`` or ``<code>.devtest`` as in the
        archive of FLORES-200, or ``newstest2019-ref.<code>.txt`` as in the
        repository of NTREX-128. Other files, hidden files and folders are left
        alone.
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
        Not a folder; no text files; two files for one language; a file name
        that is no known code; no file for a language asked for.
    """
    if not folder.exists():
        raise AccessError(f"path: there is no folder {str(folder)!r}")
    if not folder.is_dir():
        raise CorpusError(
            f"path: {str(folder)!r} is a file; wanted a folder with one file a language "
            "(eng_Latn.txt, deu_Latn.txt, ...)"
        )
    try:
        names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    except OSError as error:
        raise AccessError(f"cannot read {folder}: {error.strerror or error}") from error

    by_code: dict[str, list[str]] = {}
    for name in names:
        code = None if name.startswith(".") else _code_of(name)
        if code is not None:
            by_code.setdefault(code, []).append(name)
    if not by_code:
        others = f"; it holds {', '.join(names[:5])}" if names else "; it holds no files"
        raise CorpusError(
            f"path: no text files in {str(folder)!r}{others}. Wanted: one file a language, "
            "named <code>.txt (eng_Latn.txt)"
        )

    if languages is None:
        codes = sorted(by_code)
        _refuse_unknown([] if allow_unknown else codes, by_code, folder)
    else:
        codes = list(languages)
        missing = [code for code in codes if code not in by_code]
        if missing:
            raise CorpusError(
                f"languages: no file in {str(folder)!r} for {', '.join(missing)}; "
                f"it has {', '.join(sorted(by_code))}"
            )
    for code in codes:
        if len(by_code[code]) > 1:
            raise CorpusError(
                f"path: {len(by_code[code])} files in {str(folder)!r} are {code}: "
                f"{', '.join(by_code[code])}; keep one"
            )
    return {code: folder / by_code[code][0] for code in codes}


def _refuse_unknown(codes: Sequence[str], by_code: dict[str, list[str]], folder: Path) -> None:
    unknown = [code for code in codes if code not in LANGUAGES]
    if not unknown:
        return
    named = []
    for code in unknown[:5]:
        near = suggest_codes(code)
        hint = f" (did you mean {' or '.join(near)}?)" if near else ""
        named.append(f"{by_code[code][0]}{hint}")
    more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
    raise CorpusError(
        f"path: file names in {str(folder)!r} that are no language code: {', '.join(named)}{more}. "
        "Rename them to a code such as eng_Latn.txt, name the files to take with languages=, or "
        "pass allow_unknown=True"
    )
