"""Parallel text: what is taken, what is refused and in which words, and the loaders."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ilo_fast.corpora.languages import NAMED_SETS, PAPER_31
from ilo_fast.corpora.parallel import CORPUS_NAMES, ParallelCorpus
from ilo_fast.errors import AccessError, CorpusError

EN = ["One.", "Two.", "Three."]
DE = ["Eins.", "Zwei.", "Drei."]
FR = ["Un.", "Deux.", "Trois."]


def write(folder: Path, **files: str | bytes) -> Path:
    """Files named <code>.txt with the given content."""
    for code, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / f"{code}.txt").write_bytes(data)
    return folder


def as_text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


# --- the class


def test_from_dict() -> None:
    corpus = ParallelCorpus.from_dict({"deu_Latn": DE, "eng_Latn": iter(EN)}, name="toy")
    assert corpus.languages == ("deu_Latn", "eng_Latn")
    assert corpus.n_sentences == 3
    assert corpus.sentences["eng_Latn"] == tuple(EN)
    assert corpus.name == corpus.info["name"] == "toy"
    assert corpus.info["sha256"] == corpus.fingerprint()
    assert corpus.info["duplicated_sentences"] == {}
    assert "2 languages x 3 sentences: deu_Latn, eng_Latn" in repr(corpus)


def test_one_language_is_allowed() -> None:
    assert ParallelCorpus.from_dict({"eng_Latn": EN}).n_sentences == 3


def test_immutable() -> None:
    given = {"eng_Latn": list(EN)}
    corpus = ParallelCorpus.from_dict(given)
    given["eng_Latn"][0] = "changed"
    corpus.info["name"] = "changed"
    assert corpus.sentences["eng_Latn"][0] == "One." and corpus.info["name"] == "dict"
    with pytest.raises(AttributeError):
        corpus.name = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        corpus.sentences["eng_Latn"] = ()  # type: ignore[index]


def test_pickle(caplog: pytest.LogCaptureFixture) -> None:
    corpus = ParallelCorpus.from_dict(
        {"eng_Latn": ["a", "a"], "xx": ["b", "c"]}, allow_unknown=True
    )
    caplog.clear()
    again = pickle.loads(pickle.dumps(corpus))
    assert again.sentences == corpus.sentences and again.info == corpus.info
    assert not caplog.records


def test_fingerprint() -> None:
    corpus = ParallelCorpus.from_dict({"eng_Latn": EN, "deu_Latn": DE})
    print_ = corpus.fingerprint()
    # Pinned: a change of the format would silently unkey every stored result.
    assert print_ == "52a540bb1470da4616a7bc6194ba0767c3eb70e627df020e95bce9c39dcd65db"
    assert ParallelCorpus.from_dict({"deu_Latn": DE, "eng_Latn": EN}).fingerprint() == print_
    for other in (
        {"eng_Latn": EN, "fra_Latn": DE},
        {"eng_Latn": DE, "deu_Latn": EN},
        {"eng_Latn": EN, "deu_Latn": ["Eins. ", *DE[1:]]},
        {"eng_Latn": EN, "deu_Latn": ["Eins.Z", "wei.", "Drei."]},
        {"eng_Latn": EN},
    ):
        assert ParallelCorpus.from_dict(other).fingerprint() != print_


def test_select() -> None:
    corpus = ParallelCorpus.from_dict({"eng_Latn": EN, "deu_Latn": DE, "fra_Latn": FR})
    part = corpus.select(["fra_Latn", "eng_Latn"], limit=2)
    assert dict(part.sentences) == {"fra_Latn": ("Un.", "Deux."), "eng_Latn": ("One.", "Two.")}
    assert part.info["n_sentences"] == 2 and part.info["languages"] == ["fra_Latn", "eng_Latn"]
    assert part.fingerprint() != corpus.fingerprint()
    assert corpus.select("deu_Latn, eng_Latn").languages == ("deu_Latn", "eng_Latn")
    assert corpus.select().fingerprint() == corpus.select(limit=99).fingerprint()


def test_select_unknown_code_of_its_own() -> None:
    corpus = ParallelCorpus.from_dict({"eng_Latn": EN, "x-toy": DE}, allow_unknown=True)
    assert corpus.info["unknown_languages"] == ["x-toy"]
    assert corpus.select("x-toy,eng_Latn").languages == ("x-toy", "eng_Latn")


@pytest.mark.parametrize(
    ("languages", "limit", "message"),
    [
        ("fra_Latn", None, "has no fra_Latn; it has eng_Latn"),
        ("paper31", None, "has no ban_Latn, ben_Beng.* and 22 more; it has eng_Latn"),
        ("en", None, "did you mean eng_Latn"),
        ([], None, "names no language"),
        (None, 0, "limit=0 leaves no sentence"),
        (None, -3, "limit=-3"),
        (None, 1.5, "whole number, got 1.5"),
        (None, True, "whole number, got True"),
    ],
)
def test_select_refuses(languages: Any, limit: Any, message: str) -> None:
    corpus = ParallelCorpus.from_dict({"eng_Latn": EN})
    with pytest.raises(CorpusError, match=message):
        corpus.select(languages, limit)


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        ({}, "no language"),
        ([("eng_Latn", EN)], "must be a mapping .* got list"),
        ({"en": EN}, r"unknown language code 'en': did you mean eng_Latn\?.*allow_unknown=True"),
        ({3: EN}, "a language code must be a string, got 3"),
        ({"": EN}, "a language code must be a string, got ''"),
        ({"eng_Latn": "One."}, r"sentences\['eng_Latn'\] must be a sequence of strings, got str"),
        ({"eng_Latn": b"One."}, "sequence of strings, got bytes"),
        ({"eng_Latn": None}, "got NoneType"),
        ({"eng_Latn": ["a", 2]}, r"eng_Latn, sentence 2: must be a string, got 2 \(int\)"),
        ({"eng_Latn": ["a", None]}, "sentence 2: must be a string, got None"),
        ({"eng_Latn": ["a\0b"]}, "eng_Latn, sentence 1: holds a NUL"),
        ({"eng_Latn": ["a", "\ud83d"]}, r"sentence 2: holds half a surrogate pair \(U\+D83D\)"),
        ({"eng_Latn": [], "deu_Latn": []}, "no sentences: eng_Latn, deu_Latn hold no line"),
        ({"eng_Latn": ["a", " \t"], "deu_Latn": ["", "b"]}, "eng_Latn line 2, deu_Latn line 1"),
        ({"eng_Latn": ["a", "\u3000\u2028"]}, "empty or blank sentences: eng_Latn line 2"),
    ],
)
def test_refuses(sentences: Any, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        ParallelCorpus.from_dict(sentences)
    with pytest.raises(CorpusError, match=message):
        ParallelCorpus(sentences)


def test_misaligned_names_the_odd_ones() -> None:
    with pytest.raises(CorpusError) as caught:
        ParallelCorpus.from_dict(
            {"eng_Latn": EN, "deu_Latn": [*DE, ""], "fra_Latn": FR, "spa_Latn": ["Uno.", "Dos."]}
        )
    message = str(caught.value)
    assert "Not 3 lines as the majority has: deu_Latn (4, 1 of them blank), spa_Latn (2)" in message
    assert (
        "All counts: 3 lines: eng_Latn, fra_Latn; 4 lines: deu_Latn; 2 lines: spa_Latn" in message
    )


def test_misaligned_without_majority() -> None:
    with pytest.raises(CorpusError, match="not parallel") as caught:
        ParallelCorpus.from_dict({"eng_Latn": EN, "deu_Latn": DE[:2]})
    assert "majority" not in str(caught.value)
    assert "3 lines: eng_Latn; 2 lines: deu_Latn" in str(caught.value)


def test_one_empty_language_is_misaligned() -> None:
    with pytest.raises(CorpusError, match="0 lines: deu_Latn"):
        ParallelCorpus.from_dict({"eng_Latn": EN, "deu_Latn": []})


def test_many_blank_lines_are_cut_short() -> None:
    with pytest.raises(CorpusError, match=r"eng_Latn line 8 and 12 more"):
        ParallelCorpus.from_dict({"eng_Latn": [""] * 20})


def test_duplicates_are_reported_not_refused(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        corpus = ParallelCorpus.from_dict(
            {"eng_Latn": ["a", "b", "a", "a"], "deu_Latn": ["a", "c", "d", "e"]}
        )
    assert corpus.info["duplicated_sentences"] == {"eng_Latn": 2}
    assert "eng_Latn 2 (line 3 is line 1)" in caplog.text
    assert corpus.select(limit=2).info["duplicated_sentences"] == {}


def test_copied_language_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        corpus = ParallelCorpus.from_dict({"eng_Latn": EN, "deu_Latn": DE, "fra_Latn": EN})
    assert corpus.info["identical_languages"] == [["eng_Latn", "fra_Latn"]]
    assert "eng_Latn and fra_Latn have exactly the same text" in caplog.text


# --- folders


def test_from_dir(tmp_path: Path) -> None:
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
def test_line_ends_and_byte_order_mark(tmp_path: Path, content: bytes) -> None:
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


def test_blank_lines_in_files(tmp_path: Path) -> None:
    write(tmp_path, eng_Latn="One.\n\nThree.\n", deu_Latn=as_text(DE))
    with pytest.raises(CorpusError, match="eng_Latn line 2"):
        ParallelCorpus.from_dir(tmp_path)


def test_blank_line_at_the_end_is_told(tmp_path: Path) -> None:
    write(tmp_path, eng_Latn=as_text(EN) + "\n", deu_Latn=as_text(DE), fra_Latn=as_text(FR))
    with pytest.raises(CorpusError, match=r"eng_Latn \(4, 1 of them blank\)"):
        ParallelCorpus.from_dir(tmp_path)


def test_empty_file(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no sentences: eng_Latn"):
        ParallelCorpus.from_dir(write(tmp_path, eng_Latn=""))


def test_unknown_file_names(tmp_path: Path) -> None:
    write(tmp_path, en=as_text(EN), zho_CN=as_text(DE), README="hello\n")
    with pytest.raises(CorpusError) as caught:
        ParallelCorpus.from_dir(tmp_path)
    message = str(caught.value)
    assert "en.txt (did you mean eng_Latn?)" in message
    assert "zho_CN.txt (did you mean zho_Hans or zho_Hant?)" in message
    assert "README.txt" in message and "allow_unknown=True" in message
    corpus = ParallelCorpus.from_dir(tmp_path, ["zho_CN", "en"], allow_unknown=True)
    assert corpus.languages == ("zho_CN", "en")
    assert corpus.info["unknown_languages"] == ["zho_CN", "en"]
    (tmp_path / "README.txt").unlink()
    assert ParallelCorpus.load(tmp_path, allow_unknown=True).languages == ("en", "zho_CN")


def test_languages_leaves_other_files_unread(tmp_path: Path) -> None:
    write(tmp_path, eng_Latn=as_text(EN), deu_Latn=as_text(DE), fra_Latn=b"\xff", README="x\n")
    corpus = ParallelCorpus.from_dir(tmp_path, "eng_Latn,deu_Latn")
    assert corpus.languages == ("eng_Latn", "deu_Latn")


@pytest.mark.parametrize("split", ["dev", "devtest"])
def test_layout_of_flores200(tmp_path: Path, split: str) -> None:
    for code, lines in (("eng_Latn", EN), ("zho_Hans", DE)):
        (tmp_path / f"{code}.{split}").write_text(as_text(lines))
    assert ParallelCorpus.from_dir(tmp_path).languages == ("eng_Latn", "zho_Hans")


def test_layout_of_ntrex128(tmp_path: Path) -> None:
    for name in ("src.eng", "ref.zho-CN", "ref.lav"):
        (tmp_path / f"newstest2019-{name}.txt").write_text(as_text(EN if "src" in name else DE))
    assert set(ParallelCorpus.from_dir(tmp_path).languages) == {"eng_Latn", "zho_Hans", "lvs_Latn"}


def test_two_files_for_one_language(tmp_path: Path) -> None:
    write(tmp_path, eng_Latn=as_text(EN))
    (tmp_path / "eng_Latn.dev").write_text(as_text(EN))
    with pytest.raises(CorpusError, match=r"2 files .* are eng_Latn: eng_Latn\.dev, eng_Latn\.txt"):
        ParallelCorpus.from_dir(tmp_path)


def test_folder_without_text(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no text files in .*it holds no files"):
        ParallelCorpus.from_dir(tmp_path)
    (tmp_path / "eng_Latn.tsv").write_text("x")
    with pytest.raises(CorpusError, match=r"it holds eng_Latn\.tsv.*<code>\.txt"):
        ParallelCorpus.from_dir(tmp_path)


def test_language_without_a_file(tmp_path: Path) -> None:
    write(tmp_path, eng_Latn=as_text(EN))
    with pytest.raises(CorpusError, match=r"no file in .* for deu_Latn; it has eng_Latn"):
        ParallelCorpus.from_dir(tmp_path, ["eng_Latn", "deu_Latn"])
    with pytest.raises(CorpusError, match="did you mean eng_Latn"):
        ParallelCorpus.from_dir(tmp_path, ["en"])


def test_absent_folder_and_file(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match=r"there is no folder .*nowhere"):
        ParallelCorpus.from_dir(tmp_path / "nowhere")
    write(tmp_path, eng_Latn=as_text(EN))
    with pytest.raises(CorpusError, match="is a file; wanted a folder"):
        ParallelCorpus.from_dir(tmp_path / "eng_Latn.txt")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user without all rights")
def test_unreadable_file(tmp_path: Path) -> None:
    write(tmp_path, eng_Latn=as_text(EN))
    (tmp_path / "eng_Latn.txt").chmod(0)
    with pytest.raises(AccessError, match=r"cannot read .*eng_Latn.txt"):
        ParallelCorpus.from_dir(tmp_path)


# --- names


def test_load_unknown_name() -> None:
    with pytest.raises(AccessError, match=r"'flores' is neither .* demo, flores200, flores\+, ntr"):
        ParallelCorpus.load("flores")
    with pytest.raises(AccessError, match="neither"):
        ParallelCorpus.load("")


def test_a_path_is_a_folder_even_if_named_like_a_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "demo").mkdir()
    write(tmp_path / "demo", eng_Latn=as_text(EN))
    monkeypatch.chdir(tmp_path)
    assert ParallelCorpus.load(Path("demo")).n_sentences == 3
    assert ParallelCorpus.load("./demo").n_sentences == 3


def test_load_split_needs_a_named_data_set(tmp_path: Path) -> None:
    write(tmp_path, eng_Latn=as_text(EN))
    with pytest.raises(CorpusError, match=r"split='dev' fits only .*flores200"):
        ParallelCorpus.load(tmp_path, split="dev")
    with pytest.raises(CorpusError, match="revision='main' fits only"):
        ParallelCorpus.load("demo", revision="main")
    with pytest.raises(CorpusError, match=r"split='test': flores200 has devtest and dev"):
        ParallelCorpus.load("flores200", split="test")


def test_demo() -> None:
    corpus = ParallelCorpus.demo()
    assert corpus.languages == PAPER_31
    assert corpus.n_sentences == 60
    assert corpus.info["identical_languages"] == []
    part = ParallelCorpus.load("demo", "eng_Latn,deu_Latn", 5)
    assert part.languages == ("eng_Latn", "deu_Latn") and part.n_sentences == 5
    assert part.name == "demo" and part.info["kind"] == "demo"


# --- the Hub: in-memory data sets laid out as the real ones are


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> dict[Any, Any]:
    """What datasets.load_dataset finds: (id, config) -> split -> columns, or an exception."""
    datasets = pytest.importorskip("datasets")
    served: dict[Any, Any] = {}
    calls: list[tuple[str, str | None, str, str | None]] = []

    def load_dataset(
        path: str, name: str | None = None, *, split: str, revision: Any = None
    ) -> Any:
        calls.append((path, name, split, revision))
        if (path, name) not in served:
            raise ValueError(f"BuilderConfig '{name}' not found. Available: ['default']")
        found = served[path, name]
        if isinstance(found, Exception):
            raise found
        if split not in found:
            raise ValueError(f'Unknown split "{split}". Should be one of {list(found)}.')
        content = found[split]
        return datasets.Dataset.from_dict(content) if isinstance(content, dict) else content

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    served["calls"] = calls
    return served


def flores_plus(lines: list[str], code: str, ids: list[int] | None = None) -> dict[str, Any]:
    iso, script = code.split("_")[:2]
    n = len(lines)
    return {
        "id": ids or list(range(n)),
        "iso_639_3": [iso] * n,
        "iso_15924": [script] * n,
        "glottocode": ["abcd1234"] * n,
        "text": lines,
        "url": ["https://example.org"] * n,
        "last_updated": ["1.0"] * n,
    }


def test_hub_columns(hub: dict[Any, Any]) -> None:
    hub["me/wide", "cfg"] = {"test": {"english": EN, "german": DE, "id": [1, 2, 3]}}
    corpus = ParallelCorpus.from_hub(
        "me/wide",
        split="test",
        columns={"deu_Latn": "german", "eng_Latn": "english"},
        config="cfg",
        revision="abc",
        limit=2,
    )
    assert dict(corpus.sentences) == {"deu_Latn": ("Eins.", "Zwei."), "eng_Latn": ("One.", "Two.")}
    assert corpus.name == "me/wide"
    assert corpus.info["dataset"] == "me/wide" and corpus.info["split"] == "test"
    assert corpus.info["revision"] == "abc" and corpus.info["commit"] is None
    assert hub["calls"] == [("me/wide", "cfg", "test", "abc")]


def test_hub_configs_align_by_id(hub: dict[Any, Any]) -> None:
    hub["me/c", "en"] = {"test": flores_plus(EN, "eng_Latn")}
    hub["me/c", "de"] = {"test": flores_plus(DE[::-1], "deu_Latn", ids=[2, 1, 0])}
    arguments: dict[str, Any] = {
        "split": "test",
        "configs": {"eng_Latn": "en", "deu_Latn": "de"},
        "text_column": "text",
    }
    corpus = ParallelCorpus.from_hub("me/c", **arguments, id_column="id")
    assert corpus.sentences["deu_Latn"] == tuple(DE)
    unaligned = ParallelCorpus.from_hub("me/c", **arguments)
    assert unaligned.sentences["deu_Latn"] == tuple(DE[::-1])


def test_hub_rows(hub: dict[Any, Any]) -> None:
    blocks = [
        flores_plus(EN, "eng_Latn"),
        flores_plus([DE[1], DE[0], DE[2]], "deu_Latn", ids=[1, 0, 2]),
    ]
    hub["me/long", None] = {"dev": {key: blocks[0][key] + blocks[1][key] for key in blocks[0]}}
    corpus = ParallelCorpus.from_hub(
        "me/long",
        split="dev",
        language_column=("iso_639_3", "iso_15924"),
        text_column="text",
        id_column="id",
    )
    assert dict(corpus.sentences) == {"eng_Latn": tuple(EN), "deu_Latn": tuple(DE)}
    named = ParallelCorpus.from_hub(
        "me/long",
        split="dev",
        language_column="iso_639_3",
        language_values={"deu_Latn": "deu", "eng_Latn": "eng"},
        text_column="text",
        id_column="id",
    )
    # In the order of the ids of the first language.
    assert named.sentences["deu_Latn"] == (DE[1], DE[0], DE[2])
    assert named.sentences["eng_Latn"] == (EN[1], EN[0], EN[2])
    with pytest.raises(
        CorpusError, match=r"no rows for fra_Latn \('fra'\); iso_639_3 holds deu, e"
    ):
        ParallelCorpus.from_hub(
            "me/long",
            split="dev",
            language_column="iso_639_3",
            language_values={"fra_Latn": "fra"},
            text_column="text",
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "exactly one of columns, configs and language_column .* got none"),
        ({"columns": {"a": "b"}, "configs": {"a": "b"}}, "got columns and configs"),
        ({"columns": {}}, "columns is empty"),
        ({"columns": {"a": "b"}, "id_column": "id"}, "id_column has no meaning with columns"),
        ({"configs": {"a": "b"}, "text_column": "t", "config": "c"}, "config has no meaning"),
        ({"configs": {"a": "b"}}, "configs needs text_column"),
        ({"language_column": "lang"}, "language_column needs text_column"),
    ],
)
def test_hub_arguments_must_fit(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        ParallelCorpus.from_hub("me/x", split="test", **arguments)


def test_hub_layout_must_fit(hub: dict[Any, Any]) -> None:
    hub["me/w", None] = {"test": {"a": EN, "b": ["x", None, "z"]}}
    with pytest.raises(CorpusError, match="has no column c; it has a, b"):
        ParallelCorpus.from_hub("me/w", split="test", columns={"eng_Latn": "c"})
    with pytest.raises(CorpusError, match=r"split 'dev': Unknown split"):
        ParallelCorpus.from_hub("me/w", split="dev", columns={"eng_Latn": "a"})
    with pytest.raises(CorpusError, match=r"configuration 'nope'.*BuilderConfig"):
        ParallelCorpus.from_hub("me/w", split="test", columns={"eng_Latn": "a"}, config="nope")
    with pytest.raises(CorpusError, match="deu_Latn, sentence 2: must be a string, got None"):
        ParallelCorpus.from_hub("me/w", split="test", columns={"eng_Latn": "a", "deu_Latn": "b"})
    with pytest.raises(CorpusError, match="'en': did you mean eng_Latn"):
        ParallelCorpus.from_hub("me/w", split="test", columns={"en": "a"})


def test_hub_config_must_be_named(hub: dict[Any, Any]) -> None:
    hub["me/w", None] = ValueError("Config name is missing.\nPlease pick one among ['x', 'y']")
    with pytest.raises(CorpusError, match=r"me/w: .* Config name is missing\. Please pick one"):
        ParallelCorpus.from_hub("me/w", split="test", columns={"eng_Latn": "a"})


def test_hub_ids_must_fit(hub: dict[Any, Any]) -> None:
    hub["me/c", "en"] = {"test": flores_plus(EN, "eng_Latn")}
    hub["me/c", "de"] = {"test": flores_plus(DE, "deu_Latn", ids=[0, 1, 7])}
    hub["me/c", "fr"] = {"test": flores_plus(FR, "fra_Latn", ids=[0, 1, 1])}
    for code, config, message in (
        ("deu_Latn", "de", r"deu_Latn has 3 .* eng_Latn 3, and their id differ .*: 2, 7"),
        ("fra_Latn", "fr", "id=1 occurs more than once for fra_Latn"),
    ):
        with pytest.raises(CorpusError, match=message):
            ParallelCorpus.from_hub(
                "me/c",
                split="test",
                configs={"eng_Latn": "en", code: config},
                text_column="text",
                id_column="id",
            )


def test_hub_commit_is_read_off_the_cache(hub: dict[Any, Any], tmp_path: Path) -> None:
    import datasets

    sha = "0123456789abcdef" * 2 + "01234567"
    place = tmp_path / "me___w" / "default" / "0.0.0" / sha
    datasets.Dataset.from_dict({"a": EN}).save_to_disk(place)
    hub["me/w", None] = {"test": datasets.load_from_disk(place)}
    corpus = ParallelCorpus.from_hub("me/w", split="test", columns={"eng_Latn": "a"})
    assert corpus.info["commit"] == sha


def test_flores200_by_name(hub: dict[Any, Any]) -> None:
    columns = {"eng_Latn": EN, "zho_Hans": DE, "id": [1, 2, 3]}
    hub["mteb/flores", None] = {"dev": columns, "devtest": columns}
    corpus = ParallelCorpus.load("flores200")  # what there is of the 204
    assert corpus.languages == ("eng_Latn", "zho_Hans")
    assert len(corpus.info["skipped_languages"]) == 202
    assert corpus.name == "flores200" and corpus.info["split"] == "devtest"
    part = ParallelCorpus.load("FLORES200", "zho_Hans", 1, split="dev", revision="r1")
    assert dict(part.sentences) == {"zho_Hans": ("Eins.",)}
    assert hub["calls"][-1] == ("mteb/flores", None, "dev", "r1")
    with pytest.raises(CorpusError, match="has no column fra_Latn; it has eng_Latn"):
        ParallelCorpus.load("flores200", "eng_Latn,fra_Latn")


def test_flores_plus_by_name(hub: dict[Any, Any]) -> None:
    repo = "openlanguagedata/flores_plus"
    hub[repo, "eng_Latn"] = {"dev": flores_plus(EN, "eng_Latn")}
    hub[repo, "cmn_Hans"] = {"dev": flores_plus(DE, "cmn_Hans")}
    hub[repo, "apc_Arab_nort3139"] = {"dev": flores_plus(FR, "apc_Arab")}
    hub[repo, "kaa_Latn"] = {"devtest": flores_plus(FR, "kaa_Latn")}
    # Codes of FLORES-200 find what FLORES+ has renamed, and are kept.
    corpus = ParallelCorpus.load("flores+", "zho_Hans,apc_Arab,eng_Latn", split="dev")
    assert corpus.languages == ("zho_Hans", "apc_Arab", "eng_Latn")
    assert corpus.sentences["zho_Hans"] == tuple(DE)
    every = ParallelCorpus.load("flores+", split="dev")
    assert set(every.languages) == {"eng_Latn", "cmn_Hans", "apc_Arab"}
    assert "kaa_Latn" in every.info["skipped_languages"]
    with pytest.raises(CorpusError, match=r"configuration 'kaa_Latn', split 'dev': Unknown split"):
        ParallelCorpus.load("flores+", "kaa_Latn", split="dev")


def test_flores_plus_with_nothing(hub: dict[Any, Any]) -> None:
    with pytest.raises(CorpusError, match="none of 221 configurations has a split 'devtest'"):
        ParallelCorpus.load("flores+")


def test_ntrex_by_name(hub: dict[Any, Any]) -> None:
    hub["mteb/NTREX", None] = {
        "test": {"eng_Latn": EN, "lav_Latn": DE, "fil_Latn": FR, "mon_Mong": DE[::-1]}
    }
    corpus = ParallelCorpus.load("ntrex128")
    assert corpus.languages == ("eng_Latn", "fil_Latn", "khk_Cyrl", "lvs_Latn")
    assert corpus.sentences["lvs_Latn"] == tuple(DE)
    assert ParallelCorpus.load("ntrex128", "tgl_Latn").sentences["tgl_Latn"] == tuple(FR)
    with pytest.raises(CorpusError, match="has no column ban_Latn"):
        ParallelCorpus.load("ntrex128", "paper31")


def test_named_sets_match_names() -> None:
    assert set(CORPUS_NAMES) - {"demo"} <= set(NAMED_SETS)


def test_gated(hub: dict[Any, Any]) -> None:
    from datasets.exceptions import DatasetNotFoundError

    repo = "openlanguagedata/flores_plus"
    hub[repo, "eng_Latn"] = DatasetNotFoundError(
        f"Dataset '{repo}' is a gated dataset on the Hub. You must be authenticated to access it."
    )
    with pytest.raises(AccessError) as caught:
        ParallelCorpus.load("flores+", "eng_Latn")
    message = str(caught.value)
    assert f"'{repo}' is gated, private or absent" in message
    assert f"https://huggingface.co/datasets/{repo}" in message
    assert "hf auth login" in message and "HF_TOKEN" in message and "folder" in message
    assert "You must be authenticated" in message


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError("Couldn't find any data file at /x"), "gated, private or absent"),
        (ConnectionError("Couldn't reach 'me/x' on the Hub (OfflineModeIsEnabled)"), "offline"),
        (ValueError("Couldn't find cache for me/x for config 'a'"), "not in the local cache"),
        (RuntimeError("Dataset scripts are no longer supported, but found x.py"), "a loading scr"),
    ],
)
def test_no_access(hub: dict[Any, Any], error: Exception, message: str) -> None:
    hub["me/x", None] = error
    with pytest.raises(AccessError, match=message):
        ParallelCorpus.from_hub("me/x", split="test", columns={"eng_Latn": "a"})


@pytest.mark.parametrize(
    "error",
    [ValueError("something else"), RuntimeError("a bug"), OSError("no space left on device")],
)
def test_other_errors_pass(hub: dict[Any, Any], error: Exception) -> None:
    hub["me/x", None] = error
    with pytest.raises(type(error), match=str(error)):
        ParallelCorpus.from_hub("me/x", split="test", columns={"eng_Latn": "a"})


def test_without_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(AccessError, match=r"needs the package 'datasets'.*pip install"):
        ParallelCorpus.load("ntrex128", "eng_Latn")


def test_offline_for_real(tmp_path: Path) -> None:
    """No mock: the real library, told to stay offline, with an empty cache."""
    pytest.importorskip("datasets")
    program = (
        "from ilo_fast.corpora.parallel import ParallelCorpus\n"
        "import sys\n"
        "assert not {'torch', 'transformers', 'datasets', 'tqdm'} & set(sys.modules)\n"
        "from ilo_fast.errors import AccessError\n"
        "try:\n"
        "    ParallelCorpus.load('flores200', 'eng_Latn')\n"
        "except AccessError as error:\n"
        "    print(error)\n"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert "'mteb/flores' cannot be reached (offline?)" in run.stdout
    assert "HF_HUB_OFFLINE" in run.stdout and "folder" in run.stdout


# --- real text


def test_real_flores(corpora: Path) -> None:
    corpus = ParallelCorpus.from_dir(corpora / "flores200_devtest")
    assert corpus.languages == PAPER_31 and corpus.n_sentences == 1012
    assert corpus.info["identical_languages"] == []
    assert corpus.info["duplicated_sentences"] == {"min_Latn": 1}
    for code, lines in corpus.sentences.items():  # bytes in = bytes out
        written = "".join(f"{line}\n" for line in lines).encode()
        assert written == (corpora / "flores200_devtest" / f"{code}.txt").read_bytes()


def test_real_text_that_is_not_parallel(corpora: Path) -> None:
    with pytest.raises(CorpusError, match=r"not parallel.*lines: "):
        ParallelCorpus.from_dir(corpora / "mono_commonvoice")


def test_real_bible(corpora: Path) -> None:
    corpus = ParallelCorpus.from_dir(corpora / "bible_nt", "eng_Latn,deu_Latn", limit=100)
    assert corpus.n_sentences == 100
