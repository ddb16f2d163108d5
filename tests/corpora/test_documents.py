"""Documents: which sentences belong together, from every place that tells."""

from __future__ import annotations

import gzip
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.parallel_text import DE, EN, as_text, flores_plus, write

from ilo_fast.corpora.documents import partition_hash
from ilo_fast.corpora.opening import open_corpus
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.errors import AccessError, CorpusError

IDS = ("a", "a", "b")
TEXT = {"eng_Latn": EN, "deu_Latn": DE}
METADATA = "URL\tdomain\ttopic\n" + as_text([f"{item}\tnews\tx, y" for item in IDS])


def put(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return folder


def texts(pattern: str, first: str = "eng_Latn", second: str = "deu_Latn") -> dict[str, str]:
    return {pattern.format(first): as_text(EN), pattern.format(second): as_text(DE)}


def json_lines(lines: list[str], **columns: Any) -> str:
    rows = [
        {"id": n, "text": line, **{name: cells[n] for name, cells in columns.items()}}
        for n, line in enumerate(lines)
    ]
    return as_text([json.dumps(row) for row in rows])


FOLDERS: dict[str, tuple[dict[str, str], str]] = {
    "groups.txt": (texts("{}.txt") | {"groups.txt": as_text([*IDS])}, "groups.txt"),
    "packed": (texts("{}.txt.gz") | {"groups.txt.gz": as_text([*IDS])}, "groups.txt.gz"),
    "inside": (
        texts("corpus/{}.txt") | {"corpus/groups.txt": as_text([*IDS])},
        "groups.txt",
    ),
    "moses": (texts("train.{}", "en", "de") | {"groups.txt": as_text([*IDS])}, "groups.txt"),
    "flores": (texts("{}.txt") | {"metadata_devtest.tsv": METADATA}, "metadata_devtest.tsv"),
    "release": (
        texts("devtest/{}.devtest")
        | texts("dev/{}.dev")
        | {"metadata_devtest.tsv": METADATA, "metadata_dev.tsv": METADATA.replace("b", "a")},
        "metadata_devtest.tsv",
    ),
    "flores+": (
        texts("devtest/devtest.{}") | {"metadata_devtest.tsv": METADATA},
        "metadata_devtest.tsv",
    ),
    "ntrex": (
        texts("NTREX-128/newstest2019-ref.{}.txt", "eng", "deu")
        | {"DOCUMENT_IDS.tsv": as_text([*IDS]), "LANGUAGES.tsv": "x\ty\n"},
        "DOCUMENT_IDS.tsv",
    ),
    "table": (
        {"data.tsv": as_text([f"{d}\t{e}\t{i}" for d, e, i in [("de", "en", "Document"),
                                                           *zip(DE, EN, IDS, strict=True)]])},
        "data.tsv, column Document",
    ),
    "table per language": (
        {
            "eng_Latn.jsonl": json_lines(EN, url=[1, 1, 2]),
            "deu_Latn.jsonl": json_lines(DE, url=["1", None, 2]),
        },
        "eng_Latn.jsonl, column url",
    ),
    "written here before what is found": (
        texts("{}.txt") | {"groups.txt": as_text([*IDS]), "metadata_dev.tsv": METADATA},
        "groups.txt",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FOLDERS)
def test_documents_of_a_folder_are_found(tmp_path: Path, name: str) -> None:
    files, place = FOLDERS[name]
    corpus = ParallelCorpus.load(put(tmp_path, files), ["eng_Latn", "deu_Latn"])
    assert dict(corpus.sentences) == {"eng_Latn": tuple(EN), "deu_Latn": tuple(DE)}
    assert corpus.groups is not None and partition_hash(corpus.groups) == partition_hash(IDS)
    info = corpus.info
    assert (info["n_documents"], info["documents_from"]) == (2, place)
    assert json.loads(json.dumps(info)) == info and info["documents_sha256"]


UNFIT: dict[str, tuple[dict[str, str], bool]] = {  # files, and whether there is a warning
    "none": (texts("{}.txt"), False),
    "other count": (texts("{}.txt") | {"metadata_dev.tsv": METADATA + "c\tx\ty\n"}, True),
    "no URL": (texts("{}.txt") | {"metadata_dev.tsv": "title\tdomain\n" + "a\tb\n" * 3}, True),
    "flawed": (texts("{}.txt") | {"metadata_dev.tsv": "URL\tURL\n"}, True),
    "blank": (texts("{}.txt") | {"DOCUMENT_IDS.tsv": "a\n\nb\n"}, True),
    "empty cells": ({"a.tsv": "en\tde\turl\nOne.\tEins.\t\nTwo.\tZwei.\ta\n"}, True),
    "of another corpus": (
        texts("mine/{}.txt") | {"metadata_dev.tsv": METADATA, "DOCUMENT_IDS.tsv": "a\na\nb\n"},
        False,
    ),
}


@pytest.mark.parametrize("name", UNFIT)
def test_what_does_not_fit_is_left_out(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    files, warned = UNFIT[name]
    corpus = ParallelCorpus.load(put(tmp_path, files))
    assert corpus.groups is None
    assert corpus.info["n_documents"] is None and corpus.info["documents_from"] is None
    assert ("documents are not known" in caplog.text) == warned == bool(caplog.records)


def test_documents_that_languages_name_otherwise_are_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = {
        "eng_Latn.jsonl": json_lines(EN, group=[*IDS]),
        "deu_Latn.jsonl": json_lines(DE, group=["a", "b", "b"]),
    }
    corpus = ParallelCorpus.load(put(tmp_path, files), ["eng_Latn", "deu_Latn"])
    assert corpus.groups == IDS
    assert "row 2 is of one document in eng_Latn and of another in deu_Latn" in caplog.text


def test_groups_file_of_another_text_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, eng_Latn=as_text(EN), deu_Latn=as_text(DE), groups="a\nb\n")
    with pytest.raises(CorpusError, match=r"groups\.txt has 2 ids for 3 sentences; give one per"):
        ParallelCorpus.load(tmp_path)
    write(tmp_path, groups="a\n \nb\n")
    with pytest.raises(CorpusError, match=r"groups\.txt, sentence 2: the id is empty"):
        ParallelCorpus.load(tmp_path)
    # Of one file of several that lie in a folder, it need not be.
    put(tmp_path, {"t/data.tsv": "en\tde\na\tb\n", "t/groups.txt": "a\nb\n"})
    assert ParallelCorpus.load(tmp_path / "t" / "data.tsv").groups is None


@pytest.mark.parametrize("kind", ["folder", "dangling", "latin"])
def test_groups_file_that_cannot_be_read_is_an_error(tmp_path: Path, kind: str) -> None:
    write(tmp_path, eng_Latn=as_text(EN), deu_Latn=as_text(DE))
    file = tmp_path / "groups.txt"
    if kind == "folder":
        file.mkdir()
    elif kind == "dangling":
        file.symlink_to(tmp_path / "nowhere")
    else:
        file.write_bytes("é\n".encode("latin-1") * 3)
    with pytest.raises((AccessError, CorpusError), match=r"groups\.txt"):
        ParallelCorpus.load(tmp_path)


def test_groups_are_given_in_memory() -> None:
    for given in (list(IDS), iter(IDS), np.array(IDS), {"x": IDS}["x"]):
        corpus = ParallelCorpus.from_dict(TEXT, groups=given)
        assert corpus.groups == IDS and {type(item) for item in corpus.groups} == {str}
        assert corpus.info["documents_from"] == "groups"
    assert ParallelCorpus({"en": EN}, groups=IDS).groups == IDS


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ("aab", "must be a sequence of strings, got str"),
        (5, "must be a sequence of strings, got int"),
        ({"a": 1}, "must be a sequence of strings, got dict"),
        ([1, 1, 2], r"groups, sentence 1: must be a string, got 1 \(int\)"),
        (["a", None, "b"], "groups, sentence 2: is missing"),
        (["a", "\u200b", "b"], "groups, sentence 2: the id is empty"),
        (["a", "a"], "groups has 2 ids for 3 sentences"),
        (["a", "b\0", "c"], "holds a NUL character"),
        (["a", "\ud800", "c"], "half a surrogate pair"),
    ],
)
def test_groups_that_do_not_fit_are_refused(groups: Any, said: str) -> None:
    with pytest.raises(CorpusError, match=said):
        ParallelCorpus.from_dict(TEXT, groups=groups)


def test_documents_go_with_the_sentences() -> None:
    lines = [f"s{n}" for n in range(30)]
    ids = tuple(f"doc {n // 4}" for n in range(30))
    corpus = ParallelCorpus.from_dict({"eng_Latn": lines, "deu_Latn": lines[::-1]}, groups=ids)
    assert corpus.select("deu_Latn").groups == ids
    assert corpus.head(6).groups == ids[:6] and corpus.head(6).info["n_documents"] == 2
    part = corpus.sample(7, seed=3)
    assert part.groups == tuple(ids[int(line[1:])] for line in part.sentences["eng_Latn"])
    again = pickle.loads(pickle.dumps(part))
    assert again.groups == part.groups and again.info == part.info
    opened = open_corpus(part)
    assert opened.groups == part.groups
    assert open_corpus(dict(corpus.sentences)).groups is None


def test_the_fingerprint_of_the_text_does_not_depend_on_documents() -> None:
    plain, grouped = ParallelCorpus.from_dict(TEXT), ParallelCorpus.from_dict(TEXT, groups=IDS)
    assert plain.fingerprint() == grouped.fingerprint()
    other = ParallelCorpus.from_dict(TEXT, groups=["a", "b", "b"])
    assert grouped.info["documents_sha256"] != other.info["documents_sha256"]
    # What they are called is nothing: the same draws come of it.
    renamed = ParallelCorpus.from_dict(TEXT, groups=["http://x", "http://x", "y"])
    assert grouped.info["documents_sha256"] == renamed.info["documents_sha256"]


def test_flores_plus_has_documents_on_the_hub(
    hub: dict[Any, Any], caplog: pytest.LogCaptureFixture
) -> None:
    for code, lines, ids in (("eng_Latn", EN, [0, 1, 2]), ("deu_Latn", DE[::-1], [2, 1, 0])):
        columns = flores_plus(lines, code, ids) | {"url": [IDS[n] for n in ids]}
        hub["openlanguagedata/flores_plus", code] = {"devtest": columns}
    corpus = ParallelCorpus.load("flores+", ["eng_Latn", "deu_Latn"])
    assert corpus.sentences["deu_Latn"] == tuple(DE) and corpus.groups == IDS
    assert corpus.info["documents_from"] == "openlanguagedata/flores_plus"
    assert not caplog.records


def test_data_sets_of_other_layouts_have_documents(hub: dict[Any, Any]) -> None:
    hub["a/wide", None] = {"test": {"e": EN, "d": DE, "URL": [*IDS]}}
    columns = {"eng_Latn": "e", "deu_Latn": "d"}
    assert ParallelCorpus.from_hub("a/wide", split="test", columns=columns).groups == IDS
    long = {"lang": ["en"] * 3 + ["de"] * 3, "s": [*EN, *DE], "document": [*IDS, *IDS]}
    hub["a/long", None] = {"test": long}
    corpus = ParallelCorpus.from_hub(
        "a/long", split="test", language_column="lang", text_column="s", limit=2
    )
    assert corpus.groups == ("a", "a")


@pytest.mark.skipif("ILO_FAST_TEST_CORPORA" not in os.environ, reason="needs real corpora")
def test_flores_200_has_281_documents() -> None:
    folder = Path(os.environ["ILO_FAST_TEST_CORPORA"]) / "flores200_devtest"
    corpus = ParallelCorpus.load(folder, "eng,deu")
    assert (corpus.n_sentences, corpus.info["n_documents"]) == (1012, 281)


def test_the_groups_file_is_not_said_to_be_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, eng_Latn=as_text(EN), deu_Latn=as_text(DE))
    (tmp_path / "groups.txt").write_text("a\n" * len(EN))
    (tmp_path / "README.md").write_text("about")
    with caplog.at_level("INFO"):
        ParallelCorpus.load(tmp_path)
    assert "README.md" in caplog.text
    assert "groups.txt" not in caplog.text
