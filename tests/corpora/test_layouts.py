"""Layouts of corpora: each that is read, and what is said of what is not."""

from __future__ import annotations

import gzip
import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from helpers.parallel_text import DE, EN, FR, as_text, write

from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.corpora.text import read_text
from ilo_fast.errors import AccessError, CorpusError

BOTH = {"deu_Latn": tuple(DE), "eng_Latn": tuple(EN)}


def put(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def table(separator: str, header: list[str] | None = None) -> str:
    rows = [header or ["en", "de"], *zip(EN, DE, strict=True)]
    return as_text([separator.join(row) for row in rows])


JSON_LINES = as_text([json.dumps({"en": e, "de": d}) for e, d in zip(EN, DE, strict=True)])
OPUS = as_text([json.dumps({"translation": json.loads(r)}) for r in JSON_LINES.splitlines()])

LAYOUTS: dict[str, dict[str, str]] = {
    "codes": {"eng_Latn.txt": as_text(EN), "deu_Latn.txt": as_text(DE)},
    "iso": {"en.txt": as_text(EN), "ger.txt": as_text(DE), "README.txt": "about\n"},
    "tags": {"en-GB.txt": as_text(EN), "de_DE.txt": as_text(DE), "LICENSE": "free"},
    "gz": {"en.txt.gz": as_text(EN), "de.txt": as_text(DE), ".DS_Store": "\0"},
    "flores200": {"eng_Latn.dev": as_text(EN), "deu_Latn.dev": as_text(DE)},
    "flores+": {"devtest.eng_Latn": as_text(EN), "devtest.deu_Latn": as_text(DE)},
    "release": {
        "devtest/devtest.eng_Latn": as_text(EN),
        "devtest/devtest.deu_Latn": as_text(DE),
        "dev/dev.eng_Latn": as_text(DE),
        "dev/dev.deu_Latn": as_text(EN),
        "metadata_devtest.tsv": "URL\tdomain\nhttp://x\ty\n",
        "README": "x",
    },
    "one folder down": {"NTREX/en.txt": as_text(EN), "NTREX/de.txt": as_text(DE), "LANG.tsv": ""},
    "moses": {"train.en": as_text(EN), "train.de": as_text(DE), "notes.md": "x", "a.py": "x"},
    "moses txt": {"ted.de-en.en.txt": as_text(EN), "ted.de-en.de.txt": as_text(DE)},
    "unpacked archive": {
        "corpus/devtest/eng_Latn.devtest": as_text(EN),
        "corpus/devtest/deu_Latn.devtest": as_text(DE),
        "corpus/dev/eng_Latn.dev": as_text(DE),
        "corpus/README": "x",
    },
    "opus": {"T.de-en.en": as_text(EN), "T.de-en.de": as_text(DE), "T.de-en.ids": "1\n"},
    "moses gz": {"train.en.gz": as_text(EN), "train.de.gz": as_text(DE)},
    "tsv": {"data.tsv": table("\t")},
    "csv of semicolons": {"data.csv": table(";")},
    "csv of tabs": {"data.csv": table("\t")},
    "folder per language": {"en/text.txt": as_text(EN), "de/text.txt.gz": as_text(DE)},
    "folder per language, one name each": {"en/a.txt": as_text(EN), "de/b.txt": as_text(DE)},
    "folder per language and splits": {
        "eng_Latn/devtest.txt": as_text(EN),
        "eng_Latn/dev.txt": as_text(DE),
        "eng_Latn/README.txt": "about\n",
        "deu_Latn/devtest.txt": as_text(DE),
        "deu_Latn/dev.txt": as_text(EN),
    },
    "csv": {"data.csv": table(","), "README.md": "x"},
    "tsv gz": {"data.tsv.gz": table("\t")},
    "jsonl": {"data.jsonl": JSON_LINES},
    "translation": {"data.jsonl": OPUS},
    "prefixed": {"data.csv": table(",", ["sentence_eng_Latn", "sentence_deu_Latn"])},
    "table per language": {
        f"{code}.jsonl": as_text([json.dumps({"id": i, "text": t}) for i, t in enumerate(lines)])
        for code, lines in (("eng_Latn", EN), ("deu_Latn", DE))
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_corpus(tmp_path: Path, layout: str) -> None:
    for name, content in LAYOUTS[layout].items():
        put(tmp_path / name, content)
    corpus = ParallelCorpus.load(tmp_path)
    assert dict(corpus.sentences) == BOTH
    assert ParallelCorpus.load(tmp_path, "en").languages == ("eng_Latn",)
    assert json.loads(json.dumps(corpus.info)) == corpus.info
    assert read_text(tmp_path, "de-AT") == tuple(DE)  # training text is found alike


@pytest.mark.parametrize("suffix", [".parquet", ".parquet.gz"])
def test_parquet_is_read(tmp_path: Path, suffix: str) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"id": [1, 2, 3], "en": EN, "de": DE, "score": [0.1, 0.2, 0.3]})
    put(tmp_path / f"a{suffix}", frame.to_parquet())
    assert dict(ParallelCorpus.load(tmp_path).sentences) == BOTH
    assert dict(ParallelCorpus.load(tmp_path / f"a{suffix}").sentences) == BOTH
    put(tmp_path / f"a{suffix}", frame.to_parquet()[:-20])
    with pytest.raises(CorpusError, match="no Parquet file, or damaged"):
        ParallelCorpus.load(tmp_path)


def test_split_is_chosen(tmp_path: Path) -> None:
    for name in ("release", "moses"):
        for file, content in LAYOUTS[name].items():
            put(tmp_path / name / file, content)
    put(tmp_path / "moses" / "test.en", as_text(FR))
    put(tmp_path / "moses" / "test.de", as_text(EN))
    dev = ParallelCorpus.load(tmp_path / "release", split="dev")
    assert dev.sentences["eng_Latn"] == tuple(DE) and dev.info["split"] == "dev"
    assert ParallelCorpus.load(tmp_path / "release").info["split"] == "devtest"
    put(tmp_path / "own" / "test" / "en.txt", as_text(EN))
    assert ParallelCorpus.load(tmp_path / "own", split="test").info["split"] == "test"
    with pytest.raises(CorpusError, match=r"split='dev': not in .*it has none"):
        ParallelCorpus.load(tmp_path / "own", split="dev")
    with pytest.raises(CorpusError, match=r"split='test': not in .*it has devtest|in several"):
        ParallelCorpus.load(tmp_path / "release", split="test")
    with pytest.raises(CorpusError, match=r"several splits or corpora: test, train.*--split"):
        ParallelCorpus.load(tmp_path / "moses")
    put(tmp_path / "moses" / "dev.en", as_text(FR))
    put(tmp_path / "moses" / "dev.de", as_text(EN))  # the beginning of FLORES+ is no rule here
    with pytest.raises(CorpusError, match="several splits or corpora: dev, test, train"):
        ParallelCorpus.load(tmp_path / "moses")
    assert dict(ParallelCorpus.load(tmp_path / "moses", split="train").sentences) == BOTH
    assert dict(ParallelCorpus.load(tmp_path / "moses" / "train").sentences) == BOTH  # a prefix


NTREX = ("eng-GB", "eng-IN", "eng-US", "fra-CA", "fra", "por-BR", "por", "spa-MX", "spa", "zho-CN",
         "zho-TW", "aze-Latn", "srp-Cyrl", "srp-Latn", "arb", "fil", "lav", "mon", "fas", "prs",
         "nno", "nob", "shi", "snd-Arab", "ckb-Arab", "swa", "msa", "sqi", "nep")  # fmt: skip


def test_ntrex_has_a_code_of_its_own_for_every_region(tmp_path: Path) -> None:
    for number, name in enumerate(NTREX):
        put(tmp_path / "NTREX-128" / f"newstest2019-ref.{name}.txt", f"{number}\n")
    put(tmp_path / "NTREX-128" / "newstest2019-src.eng.txt", "source\n")
    put(tmp_path / "NTREX-128" / "newstest2019-ref-2.spa.txt", "second\n")
    put(tmp_path / "LANGUAGES.tsv", "afr\tAfrikaans\n")
    corpus = ParallelCorpus.load(tmp_path)
    assert len(corpus.languages) == len(NTREX) + 1
    assert not corpus.info["unknown_languages"]
    assert corpus.sentences["eng_Latn"] == ("source",)
    for code, name in {
        "eng_Latn_GB": "eng-GB", "fra_Latn": "fra", "fra_Latn_CA": "fra-CA",
        "por_Latn_BR": "por-BR",
        "zho_Hant": "zho-TW", "srp_Latn": "srp-Latn", "khk_Cyrl": "mon",
    }.items():  # fmt: skip
        assert corpus.sentences[code] == (str(NTREX.index(name)),)
    assert corpus.info["names"]["eng_Latn_GB"] == "eng-GB"
    part = ParallelCorpus.load(tmp_path, "en-GB,pt,es-MX")
    assert part.languages == ("eng_Latn_GB", "por_Latn", "spa_Latn_MX")


def test_two_names_of_one_language_are_refused_with_both(tmp_path: Path) -> None:
    write(tmp_path, eng_Latn=as_text(EN), en=as_text(EN))
    with pytest.raises(CorpusError, match=r"are eng_Latn: en\.txt and eng_Latn\.txt; keep one"):
        ParallelCorpus.load(tmp_path)
    assert ParallelCorpus.load(tmp_path, "eng_Latn=en", allow_unknown=True).n_sentences == 3
    put(tmp_path / "t.tsv", table("\t", ["en", "eng"]))
    with pytest.raises(CorpusError, match=r"are eng_Latn: t\.tsv, column 'en' and t\.tsv, column"):
        ParallelCorpus.load(tmp_path / "t.tsv")
    with pytest.raises(CorpusError, match="'en' and 'eng' are one language"):
        ParallelCorpus.from_dict({"en": EN, "eng": DE})


def test_ambiguous_name_lists_candidates_and_can_be_given_a_code(tmp_path: Path) -> None:
    write(tmp_path, zh=as_text(EN), en=as_text(DE), xx=as_text(FR))
    with pytest.raises(CorpusError, match=r"zh\.txt .*may mean zho_Hans, zho_Hant.*zho_Hans=zh"):
        ParallelCorpus.load(tmp_path)
    with pytest.raises(CorpusError, match=r"for zho_Hant \(zh may be it: zho_Hant=zh\)"):
        ParallelCorpus.load(tmp_path, "zho_Hant")
    for languages in ("zho_Hant=zh,en", {"zho_Hant": "zh", "eng_Latn": "en"}, ["zh-TW=zh", "en"]):
        corpus = ParallelCorpus.load(tmp_path, languages)
        assert corpus.languages == ("zho_Hant", "eng_Latn")
        assert corpus.sentences["zho_Hant"] == tuple(EN)
    with pytest.raises(CorpusError, match=r"no klingon in .*; it has en, xx, zh"):
        ParallelCorpus.load(tmp_path, "tlh_Latn=klingon")
    with pytest.raises(CorpusError, match="'zh' two codes"):
        ParallelCorpus.load(tmp_path, "zho_Hant=zh,zho_Hans=zh")


def test_columns_that_are_no_language_are_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = ["id,,en,de,domain,no", *(f"s-{i},{i},{e},{d},news,{i}" for i, (e, d) in
            enumerate(zip(EN, DE, strict=True)))]  # fmt: skip
    put(tmp_path / "a.csv", as_text(rows))
    with caplog.at_level(logging.INFO):
        assert dict(ParallelCorpus.load(tmp_path).sentences) == BOTH
    assert "no languages, left out: domain" in caplog.text
    assert "column id is no text" in caplog.text and "column no is no text" in caplog.text


def test_columns_of_other_names_can_be_given_codes(tmp_path: Path) -> None:
    put(tmp_path / "pairs.tsv", table("\t", ["src", "tgt"]))
    for path in (tmp_path, tmp_path / "pairs.tsv"):
        with pytest.raises(CorpusError, match=r"no language code: pairs\.tsv, column 'src'"):
            ParallelCorpus.load(path)
        assert dict(ParallelCorpus.load(path, "deu_Latn=tgt,eng_Latn=src").sentences) == BOTH


def test_column_id_with_sentences_is_indonesian(tmp_path: Path) -> None:
    put(tmp_path / "a.tsv", "id\ten\nSatu dua.\tOne two.\nTiga.\tThree.\n")
    assert ParallelCorpus.load(tmp_path).languages == ("eng_Latn", "ind_Latn")


MISSING: dict[str, tuple[str, str]] = {
    "a.tsv": ("en\tde\na\tb\nc\t\n", "blank sentences: deu_Latn line 2"),
    "b.csv": ("en,de\na,b\nc\n", "line 3: 1 cell, but the header names 2"),
    "c.jsonl": ('{"en": "a", "de": "b"}\n{"en": "c"}\n', "deu_Latn, sentence 2: is missing"),
    "d.jsonl": ('{"en": "a", "de": NaN}\n{"en": "c", "de": "d"}', "deu_Latn, sentence 1: is miss"),
    "e.jsonl": ('{"en": "a", "de": ["b"]}\n{"en": "c", "de": "d"}', "sentence 1: must be a string"),
    "f.tsv": ("en\ten\na\tb\n", "names a column twice: en"),
    "g.tsv": ("", "is empty; wanted a header"),
    "h.tsv": ("en\tde\n", "no columns of text"),
    "i.jsonl": ("[" * 100_000, "line 1: no JSON"),
    "j.jsonl": ('{"en": ' + "1" * 5000 + "}", "no JSON|no columns of text"),
    "k.csv": ("en,de\na,\u3164\n", "blank sentences: deu_Latn line 1"),
    "eng_Latn.jsonl": ('{"text": "a", "label": "x"}\n', "labelled examples .*LabelledCorpus"),
}


@pytest.mark.parametrize("name", MISSING)
def test_flawed_tables_are_refused(tmp_path: Path, name: str) -> None:
    content, says = MISSING[name]
    put(tmp_path / name, content)
    with pytest.raises(CorpusError, match=says):
        ParallelCorpus.load(tmp_path)


def test_ids_that_differ_are_not_parallel(tmp_path: Path) -> None:
    for code, ids in (("eng_Latn", (1, 2)), ("deu_Latn", (1, 3))):
        put(tmp_path / f"{code}.jsonl", as_text([json.dumps({"id": i, "text": "a"}) for i in ids]))
    with pytest.raises(CorpusError, match=r"row 2 has id 3 in deu_Latn\.jsonl and 2 in eng_Latn"):
        ParallelCorpus.load(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="POSIX names")
def test_hostile_names_and_kinds_of_files_give_clear_errors(tmp_path: Path) -> None:
    write(tmp_path, eng_Latn=as_text(EN))
    (tmp_path / "deu_Latn.txt").symlink_to("deu_Latn.txt")
    with pytest.raises(AccessError, match=r"cannot read .*deu_Latn\.txt"):
        ParallelCorpus.load(tmp_path)
    (tmp_path / "deu_Latn.txt").unlink()
    os.mkfifo(tmp_path / "deu_Latn.txt")
    with pytest.raises(AccessError, match=r"deu_Latn\.txt: it is a pipe"):
        ParallelCorpus.load(tmp_path)
    (tmp_path / "deu_Latn.txt").unlink()
    for name in (b"\x1b[31mred\x07.txt", b"two\nlines.txt", b"\xff\xfe.txt"):
        path = os.fsdecode(os.fsencode(tmp_path) + b"/" + name)
        Path(path).write_bytes(b"a\n")
        with pytest.raises(CorpusError, match="no language code") as caught:
            ParallelCorpus.load(tmp_path)
        assert str(caught.value).isprintable()
        with pytest.raises(CorpusError, match="cannot name a file"):
            ParallelCorpus.load(tmp_path, allow_unknown=True)
        os.unlink(path)
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\x1b[31m")
    os.mkdir(odd)
    write(Path(odd), eng_Latn=as_text(EN))
    corpus = ParallelCorpus.load(odd)
    assert corpus.name.isprintable() and json.dumps(corpus.info).isprintable()
    corpus.info["path"].encode()
    put(tmp_path / "x" / "\x1b[31m\udcff.tsv", table("\t"))
    shown = ParallelCorpus.load(tmp_path / "x", {"eng_Latn": "en"}).info
    assert json.dumps(shown, ensure_ascii=False).encode() and shown["split"].isprintable()


@pytest.mark.parametrize("path", ["", " ", "\0", "a" * 5000, b"x", None, 3, "~nobody-here/x"])
def test_paths_that_are_none_are_access_errors(path: Any) -> None:
    with pytest.raises(AccessError):
        ParallelCorpus.load(path)


def test_columns_of_pandas_and_datasets_and_any_iterable_are_taken() -> None:
    pandas, datasets = pytest.importorskip("pandas"), pytest.importorskip("datasets")
    numpy = pytest.importorskip("numpy")
    frame = pandas.DataFrame({"en": EN, "de": DE})
    for source in (
        frame,
        datasets.Dataset.from_pandas(frame),
        {"en": numpy.array(EN), "de": pandas.Series(DE)},
        {"en": iter(EN), "de": (line for line in DE)},
        {"en": numpy.array(EN, object), "de": tuple(DE)},
    ):
        corpus = ParallelCorpus.from_dict(source)
        assert dict(corpus.select("de,en").sentences) == BOTH
        assert {type(line) for line in corpus.sentences["eng_Latn"]} == {str}
    for wrong, says in (
        (frame.assign(en=[None, "b", "c"]), "eng_Latn, sentence 1: is missing"),
        ({"en": pandas.Series(["a", pandas.NA], dtype="string")}, "sentence 2: is missing"),
        ({"en": numpy.array(EN, "S")}, "must be a string, got .*b'One"),
        ({"en": numpy.array([EN])}, r"has shape \(1, 3\)"),
        ({"en": numpy.arange(3)}, "sentence 1: must be a string"),
        ({"en": {"a": 1}}, "sequence of strings, got dict"),
        ({"en": ["x" * 10_000, 1 << 9000]}, "must be a string"),
        (pandas.DataFrame([["a", "b"]], columns=["en", "en"]), "two columns .*one name"),
    ):
        with pytest.raises(CorpusError, match=says) as caught:
            ParallelCorpus.from_dict(wrong)
        assert len(str(caught.value)) < 300


def test_text_that_is_not_composed_is_left_and_recorded() -> None:
    corpus = ParallelCorpus.from_dict({"en": ["cafe\u0301", "b"], "fr": ["caf\u00e9", "b"]})
    assert corpus.info["not_nfc"] == {"eng_Latn": 1}
    assert corpus.sentences["eng_Latn"][0] == "cafe\u0301"


def test_real_corpus_is_the_same_in_every_layout(tmp_path: Path, corpora: Path) -> None:
    plain = ParallelCorpus.load(corpora / "flores200_devtest", "eng_Latn,tha_Thai,zho_Hans")
    lines = plain.sentences
    for code, text in lines.items():
        put(tmp_path / "moses" / f"all.{code}.gz", as_text(list(text)))
        put(tmp_path / "plus" / "devtest" / f"devtest.{code}", as_text(list(text)))
    rows = [dict(zip(lines, row, strict=True)) for row in zip(*lines.values(), strict=True)]
    put(tmp_path / "t.jsonl", as_text([json.dumps(row, ensure_ascii=False) for row in rows]))
    put(tmp_path / "t.tsv.gz", as_text(["\t".join(r) for r in [list(lines), *(
        list(row.values()) for row in rows)]]))  # fmt: skip
    for name in ("moses", "plus", "t.jsonl", "t.tsv.gz"):
        assert ParallelCorpus.load(tmp_path / name).fingerprint() == plain.fingerprint()


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tgz", "a.TAR"])
def test_archive_is_to_be_unpacked(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(CorpusError, match="is an archive: unpack it, and give its folder"):
        ParallelCorpus.load(tmp_path / name)


def test_folders_of_languages_have_splits_and_documents(tmp_path: Path) -> None:
    for file, content in LAYOUTS["folder per language and splits"].items():
        put(tmp_path / file, content)
    put(tmp_path / "groups.txt", "a\na\nb\n")
    dev = ParallelCorpus.load(tmp_path, split="dev")
    assert dev.sentences["eng_Latn"] == tuple(DE) and dev.info["split"] == "dev"
    assert dev.groups == ("a", "a", "b") and dev.info["layout"] == "folder per language"
    put(tmp_path / "eng_Latn" / "test.txt", as_text(EN))
    with pytest.raises(CorpusError, match=r"split='nosuch': not in .*it has dev, devtest, test"):
        ParallelCorpus.load(tmp_path, split="nosuch")
