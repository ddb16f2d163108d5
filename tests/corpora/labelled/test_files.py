"""Files of labelled text: the layouts that are read, and the flaws that are refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ilo_fast.corpora.labelled.corpus import LabelledCorpus
from ilo_fast.errors import AccessError, CorpusError


def write_json(path: Path, rows: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")


def row(text: str, label: Any = "bad", split: str | None = "test", **others: Any) -> dict[str, Any]:
    named = {} if split is None else {"split": split}
    return {"text": text, "label": label, **named, **others}


def test_all_layouts_give_the_same_corpus(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [row('a, "b"', "x", "train"), row("c", "y", "train"), row("d\u2028e", "x", "test")]
    write_json(tmp_path / "flat" / "eng_Latn.jsonl", rows)
    (tmp_path / "flat" / "SOURCE.md").write_text("no data")
    for split in ("train", "test"):
        part = [{k: v for k, v in r.items() if k != "split"} for r in rows if r["split"] == split]
        write_json(tmp_path / "by_split" / split / "eng_Latn.jsonl", part)
        write_json(tmp_path / "by_language" / "eng_Latn" / f"{split}.jsonl", part)
    for kind, comma in (("csv", ","), ("tsv", "\t")):
        table = comma.join(("split", "label", "text")) + "\r\n"
        # In a TSV file, quotes are text.
        table += comma.join(("train", "x", '"a, ""b"""' if kind == "csv" else 'a, "b"')) + "\r\n"
        table += comma.join(("train", "y", "c")) + "\r\n" + comma.join(("test", "x", "d\u2028e"))
        (tmp_path / kind).mkdir()
        (tmp_path / kind / f"eng_Latn.{kind}").write_bytes(table.encode())
    found = [
        LabelledCorpus.from_dir(tmp_path / name)
        for name in ("flat", "by_split", "by_language", "csv", "tsv")
    ]
    assert {corpus.fingerprint() for corpus in found} == {found[0].fingerprint()}
    assert found[0].texts("eng_Latn", "train") == ('a, "b"', "c")
    assert found[0].texts("eng_Latn", "test") == ("d\u2028e",)
    assert found[0].name == "flat"


def test_csv_cell_may_hold_a_line_break(tmp_path: Path) -> None:
    (tmp_path / "eng_Latn.csv").write_text('text,label\n"one\ntwo",x\nthree,y\n')
    corpus = LabelledCorpus.from_dir(tmp_path, split="test")
    assert corpus.texts("eng_Latn", "test") == ("one\ntwo", "three")


def test_quotes_in_a_tsv_file_are_text(tmp_path: Path) -> None:
    texts = ('"Stop" he said', '5" nails', '"go on', 'end"', '"whole"')
    table = "".join(f"{text}\t{'xy'[i % 2]}\n" for i, text in enumerate(texts))
    (tmp_path / "eng_Latn.tsv").write_text(f"text\tlabel\n{table}")
    corpus = LabelledCorpus.from_dir(tmp_path, split="test")
    assert corpus.texts("eng_Latn", "test") == texts
    assert corpus.ids("eng_Latn", "test") == ("2", "3", "4", "5", "6")


def test_id_that_is_null_becomes_the_line(tmp_path: Path) -> None:
    write_json(tmp_path / "eng_Latn.jsonl", [row("a", id=None), row("b", id=0), row("c", id=None)])
    assert LabelledCorpus.from_dir(tmp_path).ids("eng_Latn", "test") == ("1", "0", "3")


def test_ids_and_other_fields_are_kept(tmp_path: Path) -> None:
    write_json(tmp_path / "eng_Latn.jsonl", [row("a", id=7, flores="dev:3"), row("b")])
    corpus = LabelledCorpus.from_dir(tmp_path)
    assert corpus.ids("eng_Latn", "test") == ("7", "2")
    assert corpus.field("eng_Latn", "test", "flores") == ("dev:3", None)
    with pytest.raises(CorpusError, match=r"no field 'url'; it has flores"):
        corpus.field("eng_Latn", "test", "url")


def test_fields_may_have_other_names(tmp_path: Path) -> None:
    write_json(tmp_path / "eng_Latn.jsonl", [{"sentence": "a", "category": "x"}])
    corpus = LabelledCorpus.from_dir(
        tmp_path, split="test", text_field="sentence", label_field="category"
    )
    assert corpus.texts("eng_Latn", "test") == ("a",)
    with pytest.raises(
        CorpusError, match=r"no field 'text'; it has sentence, category\..*text_field="
    ):
        LabelledCorpus.from_dir(tmp_path, split="test")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("eng_Latn.jsonl", '{"text": "a"', r"eng_Latn.jsonl, line 1: no JSON"),
        ("eng_Latn.jsonl", "[1]", "a JSON list, wanted an object"),
        ("eng_Latn.jsonl", '{"text": "a", "label": "x"}', "line 1: no split; put a field 'split'"),
        ("eng_Latn.jsonl", '{"text": "a", "split": "test"}', "line 1: no field 'label'"),
        ("eng_Latn.jsonl", "\n\n", "eng_Latn.jsonl holds no examples"),
        ("eng_Latn.csv", "", "is empty; wanted a header"),
        ("eng_Latn.csv", "text,label\na,b,c\n", "line 2: 3 cells, but the header names 2"),
        ("eng_Latn.csv", 'text,label\n"a"b,c\n', "line 2: ',' expected after.*be quoted whole"),
        ("eng_Latn.csv", 'text,label\na,b\n"c,d\ne,f\n', "_Latn.csv, line 3: .* be quoted whole"),
        ("eng_Latn.tsv", "text\tlabel\na\tb\tc\n", "line 2: 3 cells, .*; cells hold no tabs"),
        ("english.jsonl", "{}", r"no language code: english.jsonl \(did you mean eng_Latn"),
        ("english.jsonl", "{}", r"--languages.* allow_unknown=True \(.*: --allow-unknown\)"),
        ("notes.txt", "a", "no labelled files"),
    ],
)
def test_flawed_files_are_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(CorpusError, match=message):
        LabelledCorpus.from_dir(tmp_path)


def test_missing_and_double_files_are_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "eng_Latn.jsonl", [row("a")])
    with pytest.raises(CorpusError, match=r"no file in .* for deu_Latn; it has eng_Latn"):
        LabelledCorpus.from_dir(tmp_path, "eng_Latn,deu_Latn")
    with pytest.raises(AccessError, match="there is no folder"):
        LabelledCorpus.from_dir(tmp_path / "absent")
    (tmp_path / "eng_Latn.csv").write_text("text,label\na,b\n")
    with pytest.raises(CorpusError, match=r"two files .*eng_Latn.csv and eng_Latn.jsonl; keep one"):
        LabelledCorpus.from_dir(tmp_path)


def test_sib200_is_read_as_published(corpora: Path) -> None:
    corpus = LabelledCorpus.from_dir(corpora / "sib200", "eng_Latn,yue_Hant")
    sizes = [corpus.n("yue_Hant", split) for split in ("train", "dev", "test")]
    assert sizes == [701, 99, 204]
    assert len(corpus.labels) == 7
    for split in corpus.splits:  # parallel: the same items, so the same labels
        english, yue = (corpus.targets(code, split) for code in corpus.languages)
        assert np.array_equal(english, yue)
        assert corpus.ids("eng_Latn", split) == corpus.ids("yue_Hant", split)
    assert corpus.field("eng_Latn", "train", "flores")[1] == "dev:5"


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".parquet", ".tsv.gz"])
def test_compressed_tables_and_parquet_are_read_by_iso_code(tmp_path: Path, suffix: str) -> None:
    pandas, _ = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    for code, texts in (("en", ["sun", "rain"]), ("de-DE", ["Sonne", "Regen"])):
        frame = pandas.DataFrame({"": [0, 1], "text": texts, "label": ["x", "y"]})
        kind = suffix.removesuffix(".gz")
        data = {
            ".parquet": lambda frame=frame: frame.to_parquet(),
            ".tsv": lambda frame=frame: frame.to_csv(sep="\t", index=False).encode(),
            ".jsonl": lambda frame=frame: frame.to_json(orient="records", lines=True).encode(),
        }[kind]()
        packed = gzip.compress(data) if suffix.endswith(".gz") else data
        (tmp_path / f"{code}{suffix}").write_bytes(packed)
    corpus = LabelledCorpus.from_dir(tmp_path, split="test")
    assert corpus.languages == ("deu_Latn", "eng_Latn")
    assert corpus.texts("en", "test") == ("sun", "rain")
    assert corpus.select("de").texts("deu_Latn", "test") == ("Sonne", "Regen")


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([row("a", label=None)], "line 1: the field 'label' is empty; fill it in"),
        ([row("a"), row("b", label=float("nan"))], r"line 2: the label is nan \(float\)"),
        ([row("a", label=["x"])], r"the label is \['x'\] \(list\)"),
        ([row("a", label=True)], r"the label is True \(bool\)"),
        ([row("a", label=" ")], "the label is empty"),
        ([row("\u3164\u200b")], "empty or blank texts"),
        ([row(3)], "sentence 1: must be a string, got 3"),
        ([row("a", split=7)], "line 1: no split"),
        ([row("a", split=" ")], "is no name, such as 'test'"),
        ([row("a\0b")], "holds a NUL"),
    ],
)
def test_flawed_cells_are_named(tmp_path: Path, rows: list[Any], says: str) -> None:
    write_json(tmp_path / "en.jsonl", rows)
    with pytest.raises(CorpusError, match=says):
        LabelledCorpus.from_dir(tmp_path)


@pytest.mark.parametrize(
    ("examples", "labels", "says"),
    [
        (["a"], (), "examples is a list: wanted language code"),
        ({"en": ["a"]}, (), r"examples\['en'\] is a list"),
        ({"en": {3: (["a"], ["x"])}}, (), "split 3 is no name"),
        ({"en": {"test": ("ab", "xy")}}, (), "wanted texts and labels, two sequences"),
        ({"en": {"test": (["a"], ["x"])}}, "xy", "labels='xy': wanted a sequence"),
        ({"en": {"test": (["a"], ["x"])}}, ["y"], "labels: y lacks what examples have: 'x'"),
        ({"en": {"test": (["a"], ["x"])}, "eng": {}}, (), "eng has no examples"),
        ({5: {"test": (["a"], ["x"])}}, (), "a language code must be a string, got 5"),
    ],
)
def test_flawed_mappings_are_refused(examples: Any, labels: Any, says: str) -> None:
    with pytest.raises(CorpusError, match=says):
        LabelledCorpus.from_dict(examples, labels=labels)
