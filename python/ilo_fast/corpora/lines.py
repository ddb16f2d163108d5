"""The bytes of a file, decompressed, and their lines, whatever ends them."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import stat
import zlib
from pathlib import Path
from typing import Final, Protocol

from ilo_fast._util.memory import available_memory
from ilo_fast._util.messages import plain
from ilo_fast.errors import AccessError, CorpusError

_GZIP: Final = b"\x1f\x8b"
_CHUNK: Final = 1 << 20
_BOMB_BYTES: Final = 1 << 28  # from here on, a file that shrank more than text does is refused
_BOMB_RATIO: Final = 200  # prose shrinks 3 to 5 times, the best that gzip can do is 1032

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_OTHER_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)

# What a reader sees nothing of: white space, control and format characters (zero-width spaces and
# joiners, marks of direction, the byte order mark, soft hyphens, tags), variation selectors, and
# fillers. Unicode: White_Space, Cc, Cf, Default_Ignorable_Code_Point; and the blank of Braille.
_VISIBLE: Final = re.compile(
    r"[^\s\x00-\x1f\x7f-\xa0\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2"
    r"\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


class Readable(Protocol):
    """A path, or a file among the data of a package."""

    @property
    def name(self) -> str: ...

    def read_bytes(self) -> bytes: ...


def is_blank(line: str) -> bool:
    """Whether a line shows nothing: empty, or white space and invisible characters alone."""
    return _VISIBLE.search(line) is None


def read_bytes(path: Readable) -> bytes:
    """The content of a regular file, decompressed where it is gzip.

    Raises
    ------
    AccessError
        There is no such file, it cannot be read, or it is a folder, a pipe or a device.
    CorpusError
        Damaged gzip, a decompression bomb, or more than fits into memory.
    """
    name = plain(path.name)
    size = check_regular(path) if isinstance(path, Path) else 0
    limit = memory_limit()
    if limit is not None and size > limit:
        raise CorpusError(
            f"{name} has {size >> 20} MiB, which memory cannot hold (at most {limit >> 20} MiB "
            "now); split the file"
        )
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise no_access(path, error) from error
    if data.startswith(_GZIP):
        return _decompress(data, name, limit)
    if name.lower().endswith(".gz"):
        raise CorpusError(f"{name} is not gzip, though its name says so; rename it, or compress it")
    return data


def read_lines(path: Readable) -> list[str]:
    """The lines of one UTF-8 file, compressed by gzip or not; see `decode_lines`.

    Raises
    ------
    AccessError, CorpusError
        As `read_bytes` and `decode_lines`.
    """
    return decode_lines(read_bytes(path), path.name)


def decode_lines(data: bytes, source: str) -> list[str]:
    """Decode UTF-8 and split it into lines.

    Parameters
    ----------
    data
        The bytes of a file. A byte order mark is dropped. Lines end in LF or CR LF, or in CR in a
        file that has no LF, and nowhere else: U+2028, U+0085, a form feed and, beside LF, a lone
        CR inside a sentence stay.
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
    source = plain(source)
    for mark, encoding in _OTHER_MARKS:
        if data.startswith(mark):
            raise CorpusError(
                f"{source} is {encoding} (it begins with its byte order mark), UTF-8 is wanted; "
                f"convert it: iconv -f {encoding} -t UTF-8"
            )
    body = data.removeprefix(codecs.BOM_UTF8)
    skipped = len(data) - len(body)
    end = b"\n" if b"\n" in body else b"\r"
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        line = body.count(end, 0, error.start) + 1
        raise CorpusError(
            f"{source} is not UTF-8: byte 0x{body[error.start]:02x} at offset "
            f"{error.start + skipped} (line {line}): {error.reason}; convert the file to UTF-8"
        ) from None
    at = text.find("\0")
    if at >= 0:
        raise CorpusError(
            f"{source} holds a NUL character in line {text.count(end.decode(), 0, at) + 1}; "
            "it is not a text file, or is damaged: remove the character"
        )
    lines = text.split(end.decode())
    if not lines[-1]:
        lines.pop()
    return [line.rstrip("\r") for line in lines]


def check_regular(path: Path) -> int:
    """The size of a regular file; an AccessError of others, which may block or never end."""
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        raise no_access(path, error) from error
    if not stat.S_ISREG(found.st_mode):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
        kind = kinds.get(stat.S_IFMT(found.st_mode), "a device")
        raise AccessError(f"cannot read {plain(path)}: it is {kind}, wanted a file")
    return found.st_size


def no_access(path: object, error: Exception) -> AccessError:
    """What to say where the file system refuses."""
    return AccessError(f"cannot read {plain(path)}: {getattr(error, 'strerror', None) or error}")


def memory_limit() -> int | None:
    """The most bytes to read at once (text takes about three times as many); None if unknown."""
    available = available_memory()
    return None if available is None else available // 3


def _decompress(data: bytes, name: str, limit: int | None) -> bytes:
    parts: list[bytes] = []
    total = 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            while chunk := file.read(_CHUNK):
                parts.append(chunk)
                total += len(chunk)
                bomb = total > _BOMB_BYTES and total > _BOMB_RATIO * len(data)
                if bomb or (limit is not None and total > limit):
                    raise CorpusError(
                        f"{name} has {len(data)} bytes and grows to more than {total >> 20} MiB "
                        + ("when decompressed: no text does" if bomb else "(all that memory holds)")
                        + "; decompress and look at it"
                    )
    except (OSError, EOFError, zlib.error) as error:
        raise CorpusError(f"{name} is damaged gzip: {error}; fetch or make it again") from None
    return b"".join(parts)
