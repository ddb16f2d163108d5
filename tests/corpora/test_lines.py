"""Lines of files: where they end, what is blank, and files that are none."""

from __future__ import annotations

import codecs
import gzip
import os
import random
import sys
import unicodedata
from pathlib import Path

import pytest

from ilo_fast.corpora import lines
from ilo_fast.corpora.lines import decode_lines, is_blank, read_bytes, read_lines
from ilo_fast.errors import AccessError, CorpusError


def lines_one_character_at_a_time(text: str) -> list[str]:
    """The oracle: LF ends a line, or CR where there is no LF; CRs before the end go with it."""
    end = "\n" if "\n" in text else "\r"
    found, line = [], ""
    for character in text:
        if character == end:
            found.append(line)
            line = ""
        else:
            line += character
    if line:
        found.append(line)
    stripped = []
    for line in found:
        while line and line[-1] == "\r":
            line = line[:-1]
        stripped.append(line)
    return stripped


def test_random_text_is_split_as_one_character_at_a_time_does() -> None:
    rng = random.Random()
    seed = rng.randrange(2**32)
    rng.seed(seed)
    separators = ["\n", "\r", "\r\n", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e"]
    for _ in range(500):
        kept = rng.sample(separators, rng.randrange(1, 6))
        parts = [rng.choice(["a", "ß", "語", "\U0001f600", "", " ", *kept]) for _ in range(12)]
        text = "".join(parts)
        mark = codecs.BOM_UTF8 if rng.random() < 0.3 else b""
        found = decode_lines(mark + text.encode(), "x")
        assert found == lines_one_character_at_a_time(text), (seed, text)


def test_cr_ends_lines_only_where_there_is_no_lf() -> None:
    assert decode_lines(b"a\rb\rc", "x") == decode_lines(b"a\rb\rc\r", "x") == ["a", "b", "c"]
    assert decode_lines(b"a\rb\nc\n", "x") == ["a\rb", "c"]
    assert decode_lines(b"a\r\r\nb\r\n\r\n", "x") == ["a", "b", ""]
    assert decode_lines(b"", "x") == [] and decode_lines(b"\xef\xbb\xbf", "x") == []


def test_line_number_in_a_message_counts_the_line_ends_of_the_file() -> None:
    with pytest.raises(CorpusError, match=r"offset 4 \(line 3\)"):
        decode_lines(b"a\rb\r\xff", "x")
    with pytest.raises(CorpusError, match="NUL character in line 2"):
        decode_lines(b"a\r\0", "x")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_other_encodings_are_named_by_their_mark(encoding: str) -> None:
    name = encoding[:6].upper()
    with pytest.raises(CorpusError, match=f"x is {name} .*iconv -f {name} -t UTF-8"):
        decode_lines(("\ufeff" + "a\n").encode(encoding), "x")


def test_blank_is_what_shows_nothing() -> None:
    shown = {"\u3164", "\u115f", "\u1160", "\uffa0", "\u2800", "\u034f", "\u17b4", "\ufe0f"}
    for point in range(sys.maxunicode + 1):
        c = chr(point)
        if unicodedata.category(c) in {"Cc", "Cf", "Zs", "Zl", "Zp"} or c in shown:
            assert is_blank(c), hex(point)
    assert is_blank("") and is_blank(" \u200b\ufeff\u00ad\u202e\U000e0041\U000e0100\t")
    for line in ("a", ".", "\u200ba", "\u0301", "\u0e33", "語", "\U0001f600", "\u200d\u0915", "-"):
        assert not is_blank(line)


def test_gzip_is_read_whatever_its_name_and_members(tmp_path: Path) -> None:
    for name in ("a.txt.gz", "a.txt"):
        (tmp_path / name).write_bytes(gzip.compress(b"a\nb\n") + gzip.compress(b"c\n"))
        assert read_lines(tmp_path / name) == ["a", "b", "c"]
    whole = gzip.compress(os.urandom(500))
    for data in (whole[:-9], whole[:40], whole + b"more", whole[:100] + b"?" + whole[101:]):
        (tmp_path / "bad.gz").write_bytes(data)
        with pytest.raises(CorpusError, match=r"bad\.gz is damaged gzip"):
            read_bytes(tmp_path / "bad.gz")
    (tmp_path / "plain.gz").write_bytes(b"a\n")
    with pytest.raises(CorpusError, match=r"plain\.gz is not gzip, though its name says so"):
        read_bytes(tmp_path / "plain.gz")


def test_decompression_stops_at_a_bomb_and_where_memory_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"a" * (5 << 20)))
    monkeypatch.setattr(lines, "_BOMB_BYTES", 1 << 20)
    with pytest.raises(CorpusError, match="grows to more than 2 MiB when decompressed: no text"):
        read_bytes(path)
    monkeypatch.setattr(lines, "available_memory", lambda: 3 << 20)
    monkeypatch.setattr(lines, "_BOMB_BYTES", 1 << 28)
    with pytest.raises(CorpusError, match=r"more than 2 MiB \(all that memory holds"):
        read_bytes(path)
    (tmp_path / "b.txt").write_bytes(b"a" * (2 << 20))
    with pytest.raises(CorpusError, match=r"b\.txt has 2 MiB, which memory cannot hold"):
        read_bytes(tmp_path / "b.txt")


@pytest.mark.skipif(os.name == "nt", reason="POSIX files")
def test_what_is_no_regular_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    for path, says in (
        (tmp_path / "pipe", "it is a pipe"),
        (tmp_path, "it is a folder"),
        (Path("/dev/zero"), "it is a device"),
        (tmp_path / "loop", "symbolic links"),
        (tmp_path / "dangling", "No such file"),
        (tmp_path / ("a" * 300), "File name too long"),
        (tmp_path / "a\0b", "null byte"),
    ):
        with pytest.raises(AccessError, match=says):
            read_bytes(path)
