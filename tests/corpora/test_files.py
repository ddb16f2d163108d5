"""Folders of text: what is read, and what is refused and in which words."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers.parallel_text import DE, EN, FR, as_text, write

from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.errors import AccessError, CorpusError


def test_folder_gives_one_language_per_file(tmp_path: Path) -> None:
    folder = write(tmp_path, eng_Latn=as_text(EN), deu_Latn=as_text(DE))
    (folder / "notes.md").write_text("not a language")
    (folder / ".hidden.txt").write_text("nor this")
    (folder / "old.txt").mkdir()
    corpus = ParallelCorpus.from_dir(folder)
    assert corpus.languages == ("deu_Latn", "eng_Latn")  # sorted
    assert corpus.sentences["deu_Latn"] == tuple(DE)
    assert corpus.name == tmp_path.name
    assert corpus.info["kind"] == "directory" and corpus.info["path"] == str(folder)
    assert ParallelCorpus.from_dir(str(folder), "eng_Latn", limit=1).sentences == {
        "eng_Latn": ("One.",)
    }
    assert corpus.fingerprint() == ParallelCorpus.load(str(folder)).fingerprint()


@pytest.mark.parametrize(
    "content",
    [
        b"One.\nTwo.\n",
        b"One.\nTwo.",
        b"One.\r\nTwo.\r\n",
        b"One.\r\nTwo.",
        b"\xef\xbb\xbfOne.\nTwo.\n",
        b"\xef\xbb\xbfOne.\r\nTwo.\n",
    ],
)
def test_line_ends_and_byte_order_mark_are_dropped(tmp_path: Path, content: bytes) -> None:
    corpus = ParallelCorpus.from_dir(write(tmp_path, eng_Latn=content))
    assert corpus.sentences["eng_Latn"] == ("One.", "Two.")


def test_other_separators_do_not_end_a_line(tmp_path: Path) -> None:
    lines = ["a\u2028b", "c\u0085d", "e\u2029f", "g\x0bh\x0ci", "j\x1ck", "l\rm", "\ufeffn "]
    corpus = ParallelCorpus.from_dir(write(tmp_path, eng_Latn=as_text(lines)))
    assert corpus.sentences["eng_Latn"] == tuple(lines)


def test_not_utf8_names_file_and_byte(tmp_path: Path) -> None:
    write(tmp_path, eng_Latn=as_text(EN), fra_Latn=b"\xef\xbb\xbfUn.\nD\xe9j\xe0 vu.\nTrois.\n")
    with pytest.raises(CorpusError, match=r"fra_Latn\.txt.*byte 0xe9 at offset 8 \(line 2\)"):
        ParallelCorpus.from_dir(tmp_path)


def test_utf16_is_recognised(tmp_path: Path) -> None:
    write(tmp_path, eng_Latn="One.\n".encode("utf-16"))
    with pytest.raises(CorpusError, match=r"eng_Latn\.txt is UTF-16.*iconv"):
        ParallelCorpus.from_dir(tmp_path)


def test_nul_names_the_line(tmp_path: Path) -> None:
    write(tmp_path, eng_Latn="One.\nTw\0o.\n")
    with pytest.raises(CorpusError, match=r"eng_Latn\.txt holds a NUL character in line 2"):
        ParallelCorpus.from_dir(tmp_path)


def test_blank_line_in_a_file_is_named(tmp_path: Path) -> None:
    write(tmp_path, eng_Latn="One.\n\nThree.\n", deu_Latn=as_text(DE))
    with pytest.raises(CorpusError, match="eng_Latn line 2"):
        ParallelCorpus.from_dir(tmp_path)


def test_blank_line_at_the_end_is_counted(tmp_path: Path) -> None:
    write(tmp_path, eng_Latn=as_text(EN) + "\n", deu_Latn=as_text(DE), fra_Latn=as_text(FR))
    with pytest.raises(CorpusError, match=r"eng_Latn \(4, 1 of them blank\)"):
        ParallelCorpus.from_dir(tmp_path)


def test_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no sentences: eng_Latn"):
        ParallelCorpus.from_dir(write(tmp_path, eng_Latn=""))


def test_unknown_file_names_get_suggestions(tmp_path: Path) -> None:
    write(tmp_path, english=as_text(EN), zho_XXX=as_text(DE), story="hello\n")
    with pytest.raises(CorpusError) as caught:
        ParallelCorpus.from_dir(tmp_path)
    message = str(caught.value)
    assert "english.txt (did you mean eng_Latn?)" in message
    assert "zho_XXX.txt (did you mean zho_Hans or zho_Hant?)" in message
    assert "story.txt" in message and "allow_unknown=True" in message
    corpus = ParallelCorpus.from_dir(tmp_path, ["zho_XXX", "english"], allow_unknown=True)
    assert corpus.languages == ("zho_XXX", "english")
    assert corpus.info["unknown_languages"] == ["zho_XXX", "english"]
    (tmp_path / "story.txt").unlink()
    assert ParallelCorpus.load(tmp_path, allow_unknown=True).languages == ("english", "zho_XXX")


def test_languages_leaves_other_files_unread(tmp_path: Path) -> None:
    write(tmp_path, eng_Latn=as_text(EN), deu_Latn=as_text(DE), fra_Latn=b"\xff", README="x\n")
    corpus = ParallelCorpus.from_dir(tmp_path, "eng_Latn,deu_Latn")
    assert corpus.languages == ("eng_Latn", "deu_Latn")


@pytest.mark.parametrize("split", ["dev", "devtest"])
def test_layout_of_flores200_is_read(tmp_path: Path, split: str) -> None:
    for code, lines in (("eng_Latn", EN), ("zho_Hans", DE)):
        (tmp_path / f"{code}.{split}").write_text(as_text(lines))
    assert ParallelCorpus.from_dir(tmp_path).languages == ("eng_Latn", "zho_Hans")


def test_layout_of_ntrex128_is_read(tmp_path: Path) -> None:
    for name in ("src.eng", "ref.zho-CN", "ref.lav"):
        (tmp_path / f"newstest2019-{name}.txt").write_text(as_text(EN if "src" in name else DE))
    assert set(ParallelCorpus.from_dir(tmp_path).languages) == {"eng_Latn", "zho_Hans", "lvs_Latn"}


def test_two_files_for_one_language_are_refused(tmp_path: Path) -> None:
    write(tmp_path, eng_Latn=as_text(EN))
    (tmp_path / "eng_Latn.dev").write_text(as_text(EN))
    with pytest.raises(
        CorpusError, match=r"two files .* are eng_Latn: eng_Latn\.dev and eng_Latn\.txt; keep one"
    ):
        ParallelCorpus.from_dir(tmp_path)


def test_folder_without_text_names_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no text files in .*it holds no files"):
        ParallelCorpus.from_dir(tmp_path)
    (tmp_path / "eng_Latn.pdf").write_text("x")
    with pytest.raises(CorpusError, match=r"it holds eng_Latn\.pdf.*<code>\.txt.*parquet"):
        ParallelCorpus.from_dir(tmp_path)


def test_language_without_a_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path, eng_Latn=as_text(EN))
    with pytest.raises(CorpusError, match=r"no file in .* for deu_Latn; it has eng_Latn"):
        ParallelCorpus.from_dir(tmp_path, ["eng_Latn", "deu_Latn"])
    with pytest.raises(CorpusError, match="did you mean eng_Latn"):
        ParallelCorpus.from_dir(tmp_path, ["english"])


def test_absent_folder_and_file_in_its_place_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match=r"there is no folder .*nowhere"):
        ParallelCorpus.from_dir(tmp_path / "nowhere")
    write(tmp_path, eng_Latn=as_text(EN))
    with pytest.raises(CorpusError, match="is a file; wanted a folder"):
        ParallelCorpus.from_dir(tmp_path / "eng_Latn.txt")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user without all rights")
def test_unreadable_file_is_an_access_error(tmp_path: Path) -> None:
    write(tmp_path, eng_Latn=as_text(EN))
    (tmp_path / "eng_Latn.txt").chmod(0)
    with pytest.raises(AccessError, match=r"cannot read .*eng_Latn.txt"):
        ParallelCorpus.from_dir(tmp_path)
