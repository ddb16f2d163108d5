"""Labelled corpora: what is read, and what is refused."""

from __future__ import annotations

import json
import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ilo_fast.corpora.labelled.corpus import LabelledCorpus
from ilo_fast.errors import AccessError, CorpusError

ENGLISH = {"train": (["sun", "rain", "snow"], ["good", "bad", "bad"]), "test": (["fog"], ["bad"])}
GERMAN = {"test": (["Sonne", "Regen"], ["good", "bad"])}


def write_json(path: Path, rows: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")


def row(text: str, label: Any = "bad", split: str | None = "test", **others: Any) -> dict[str, Any]:
    named = {} if split is None else {"split": split}
    return {"text": text, "label": label, **named, **others}


@pytest.fixture
def corpus() -> LabelledCorpus:
    return LabelledCorpus.from_dict({"eng_Latn": ENGLISH, "deu_Latn": GERMAN})


def test_labels_become_positions_in_the_sorted_classes(corpus: LabelledCorpus) -> None:
    assert corpus.languages == ("eng_Latn", "deu_Latn")
    assert corpus.labels == ("bad", "good")
    assert corpus.splits == ("train", "test")
    assert corpus.splits_of("deu_Latn") == ("test",)
    assert corpus.texts("deu_Latn", "test") == ("Sonne", "Regen")
    targets = corpus.targets("eng_Latn", "train")
    assert targets.dtype == np.int64
    assert targets.tolist() == [1, 0, 0]
    assert corpus.n("eng_Latn", "train") == 3


def test_numbers_as_labels_are_sorted_as_numbers() -> None:
    labels = [10, 2, "1"]
    corpus = LabelledCorpus.from_dict({"eng_Latn": {"test": (["a", "b", "c"], labels)}})
    assert corpus.labels == ("1", "2", "10")
    assert corpus.targets("eng_Latn", "test").tolist() == [2, 1, 0]


def test_layouts_hold_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
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


def test_a_cell_may_hold_a_line_break(tmp_path: Path) -> None:
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


def test_an_id_that_is_null_is_the_line(tmp_path: Path) -> None:
    write_json(tmp_path / "eng_Latn.jsonl", [row("a", id=None), row("b", id=0), row("c", id=None)])
    assert LabelledCorpus.from_dir(tmp_path).ids("eng_Latn", "test") == ("1", "0", "3")


def test_ids_and_other_fields(tmp_path: Path) -> None:
    write_json(tmp_path / "eng_Latn.jsonl", [row("a", id=7, flores="dev:3"), row("b")])
    corpus = LabelledCorpus.from_dir(tmp_path)
    assert corpus.ids("eng_Latn", "test") == ("7", "2")
    assert corpus.field("eng_Latn", "test", "flores") == ("dev:3", None)
    with pytest.raises(CorpusError, match=r"no field 'url'; it has flores"):
        corpus.field("eng_Latn", "test", "url")


def test_other_names_of_fields(tmp_path: Path) -> None:
    write_json(tmp_path / "eng_Latn.jsonl", [{"sentence": "a", "category": "x"}])
    corpus = LabelledCorpus.from_dir(
        tmp_path, split="test", text_field="sentence", label_field="category"
    )
    assert corpus.texts("eng_Latn", "test") == ("a",)
    with pytest.raises(
        CorpusError, match=r"no field 'text'; it has sentence, category\..*text_field="
    ):
        LabelledCorpus.from_dir(tmp_path, split="test")


def test_the_fingerprint_follows_the_content(corpus: LabelledCorpus) -> None:
    swapped = LabelledCorpus.from_dict({"deu_Latn": GERMAN, "eng_Latn": ENGLISH}, name="other")
    assert swapped.fingerprint() == corpus.fingerprint()
    for texts, labels in (
        (["Sonne", "Regen"], ["bad", "good"]),
        (["Sonn", "eRegen"], GERMAN["test"][1]),
    ):
        changed = {"eng_Latn": ENGLISH, "deu_Latn": {"test": (texts, labels)}}
        assert LabelledCorpus.from_dict(changed).fingerprint() != corpus.fingerprint()
    renamed = {"eng_Latn": ENGLISH, "deu_Latn": {"dev": GERMAN["test"]}}
    assert LabelledCorpus.from_dict(renamed).fingerprint() != corpus.fingerprint()


def test_select_keeps_the_classes(corpus: LabelledCorpus, caplog: pytest.LogCaptureFixture) -> None:
    part = corpus.select("deu_Latn")
    assert part.languages == ("deu_Latn",)
    assert part.labels == corpus.labels
    with pytest.raises(CorpusError, match=r"no labelled examples in 'fra_Latn'; it has eng_Latn"):
        corpus.select(["deu_Latn", "fra_Latn"])


def test_pickles_and_info(corpus: LabelledCorpus) -> None:
    assert pickle.loads(pickle.dumps(corpus)).fingerprint() == corpus.fingerprint()
    info = json.loads(json.dumps(corpus.info))
    assert info["n"] == {"eng_Latn": {"train": 3, "test": 1}, "deu_Latn": {"test": 2}}
    assert "2 classes; train 3, test 3" in repr(corpus)


def test_a_language_or_split_without_data(corpus: LabelledCorpus) -> None:
    with pytest.raises(CorpusError, match=r"'fra_Latn'; it has eng_Latn, deu_Latn"):
        corpus.texts("fra_Latn", "test")
    with pytest.raises(CorpusError, match=r"deu_Latn has no split 'train' in 'dict'; it has test"):
        corpus.targets("deu_Latn", "train")


def test_labels_that_do_not_match_across_languages() -> None:
    odd = {"test": (["Sonne", "Regen"], ["Good", "bad"])}
    with pytest.raises(CorpusError, match=r"deu_Latn has Good, which eng_Latn \(bad, good\) lacks"):
        LabelledCorpus.from_dict({"eng_Latn": ENGLISH, "deu_Latn": odd})
    meant = LabelledCorpus.from_dict(
        {"eng_Latn": ENGLISH, "deu_Latn": odd}, labels=("good", "bad", "Good")
    )
    assert meant.targets("deu_Latn", "test").tolist() == [2, 1]
    with pytest.raises(CorpusError, match=r"lacks what examples have: 'Good' \(deu_Latn, test\)"):
        LabelledCorpus.from_dict({"deu_Latn": odd}, labels=("good", "bad"))


def test_labels_that_do_not_match_across_splits() -> None:
    parts = {"train": (["a", "b"], ["x", "y"]), "dev": (["c"], ["Y"])}
    with pytest.raises(CorpusError, match=r"eng_Latn, dev has Y, which no split 'train' \(x, y\)"):
        LabelledCorpus.from_dict({"eng_Latn": parts})


def test_a_class_that_a_language_lacks_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="ilo_fast"):
        LabelledCorpus.from_dict({"eng_Latn": ENGLISH, "deu_Latn": {"test": (["Regen"], ["bad"])}})
    assert "deu_Latn: good" in caplog.text


def test_a_text_in_two_splits_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="ilo_fast"):
        LabelledCorpus.from_dict(
            {"eng_Latn": {**ENGLISH, "dev": (["sun", "wind"], ["good", "bad"])}}
        )
    assert "two splits of a language (eng_Latn: 1)" in caplog.text


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ({}, "examples: none"),
        ({"eng_Latn": {"test": ([], [])}}, "eng_Latn, test has no examples"),
        ({"eng_Latn": {"test": (["a", " \t"], ["x", "y"])}}, r"blank texts \(id 2\)"),
        ({"eng_Latn": {"test": (["a", "b"], ["x"])}}, "2 texts but 1 labels"),
        ({"eng_Latn": {"test": (["a"], [True])}}, r"the label is True \(bool\)"),
        ({"eng_Latn": {"test": (["a"], [None])}}, "the label is None"),
        ({"eng_Latn": {"test": (["a"], [" "])}}, "the label is empty"),
        ({"eng_Latn": {"test": ([3], ["x"])}}, "the text is 3"),
        ({"eng_Latn": {"test": "ab"}}, "wanted a pair"),
    ],
)
def test_flawed_examples(examples: Any, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        LabelledCorpus.from_dict(examples)


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
def test_flawed_files(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(CorpusError, match=message):
        LabelledCorpus.from_dir(tmp_path)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    write_json(tmp_path / "eng_Latn.jsonl", [row("a")])
    with pytest.raises(CorpusError, match=r"no labelled file in .* for deu_Latn; it has eng_Latn"):
        LabelledCorpus.from_dir(tmp_path, "eng_Latn,deu_Latn")
    with pytest.raises(AccessError, match="there is no folder"):
        LabelledCorpus.from_dir(tmp_path / "absent")
    (tmp_path / "eng_Latn.csv").write_text("text,label\na,b\n")
    with pytest.raises(CorpusError, match=r"two files .*eng_Latn.csv and eng_Latn.jsonl; keep one"):
        LabelledCorpus.from_dir(tmp_path)


def test_sib200_loads_as_it_is(corpora: Path) -> None:
    corpus = LabelledCorpus.from_dir(corpora / "sib200", "eng_Latn,yue_Hant")
    sizes = [corpus.n("yue_Hant", split) for split in ("train", "dev", "test")]
    assert sizes == [701, 99, 204]
    assert len(corpus.labels) == 7
    for split in corpus.splits:  # parallel: the same items, so the same labels
        english, yue = (corpus.targets(code, split) for code in corpus.languages)
        assert np.array_equal(english, yue)
        assert corpus.ids("eng_Latn", split) == corpus.ids("yue_Hant", split)
    assert corpus.field("eng_Latn", "train", "flores")[1] == "dev:5"
