"""Random hostile corpora: whatever lies there, the openers answer or say clearly why not."""

from __future__ import annotations

import gzip
import json
import os
import random
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from ilo_fast.cli import main
from ilo_fast.corpora.labelled.corpus import LabelledCorpus
from ilo_fast.corpora.opening import open_corpus
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.corpora.text import read_text
from ilo_fast.errors import AccessError, CorpusError

NAMES = ("eng_Latn", "en", "deu_Latn", "de", "zh", "en-GB", "xx", "README", "id", "\x1b[31m",
         "a\nb", "eng_Latn ", "ENG_LATN", ".en", "-", "en=de", "\udcff")  # fmt: skip
SUFFIXES = (".txt", ".txt.gz", ".tsv", ".csv", ".jsonl", ".parquet", ".dev", ".en", ".de", ".gz",
            "", ".TXT", ".json", ".jsonl.gz")  # fmt: skip
PREFIXES = ("", "", "", "train.", "devtest.", "newstest2019-ref.", "dev/", "devtest/", "en/", "x/")
WORDS = ("a", "b c", "", "\u200b", "\u3164", "e\u0301", "語", "\u2028", "\x85", "\x0b", "\r", "\n",
         "\t", ",", '"', "{", "nan", "1", "\x00", "\ufeff", "label", "text", "a" * 999)  # fmt: skip
VALUES = (None, True, float("nan"), 10**30, [], {"en": "a"}, "a", "b", "c d", "\ud800", 1, "")
LANGUAGES: tuple[Any, ...] = (
    None, None, None, "en", "zh", "eng_Latn=en", "", [], {"eng_Latn": "en"}, {1: 2}, {}, 3, b"en",
    "=", "paper31", ["en", None], "\udcff", "a" * 999,
)  # fmt: skip


def content(rng: random.Random, name: str) -> bytes:
    kind = rng.randrange(8)
    words = [rng.choice(WORDS) + rng.choice(("", "\n", "\r\n")) for _ in range(rng.randrange(9))]
    columns = [rng.choice((*NAMES, "text", "label", "split")) for _ in range(rng.randrange(1, 4))]
    if kind == 0:
        return rng.randbytes(rng.randrange(60))
    if kind == 1:
        return "".join(words).encode(rng.choice(("utf-16", "utf-32", "utf-8-sig")), "replace")
    if kind == 2:
        return "".join(words).encode()
    if ".jsonl" in name:
        rows = [{c: rng.choice(VALUES) for c in columns} for _ in range(rng.randrange(4))]
        return "\n".join(map(json.dumps, rows)).encode()
    if name.endswith((".tsv", ".csv")):
        comma = "\t" if name.endswith(".tsv") else ","
        cells = [[rng.choice(WORDS) for _ in columns] for _ in range(rng.randrange(4))]
        return "\n".join(map(comma.join, [columns, *cells])).encode("utf-8", "replace")
    return b"".join(b"line %d\n" % i for i in range(rng.choice((1, 2, 2, 2))))


def make(rng: random.Random, folder: Path) -> None:
    for _ in range(rng.randrange(5)):
        name = rng.choice(PREFIXES) + rng.choice(NAMES) + rng.choice(SUFFIXES)
        path = folder / name
        if os.path.lexists(path) or (os.path.lexists(path.parent) and not path.parent.is_dir()):
            continue
        path.parent.mkdir(exist_ok=True)
        match rng.randrange(16):
            case 0:
                os.mkfifo(path)
            case 1:
                path.mkdir()
            case 2:
                path.symlink_to(rng.choice((path.name, "nowhere", "/dev/zero", "..")))
            case _:
                data = content(rng, name)
                packed = name.endswith(".gz") and rng.random() < 0.8
                path.write_bytes(gzip.compress(data)[: rng.choice((None, 9))] if packed else data)


@pytest.mark.skipif(os.name == "nt", reason="POSIX names and files")
def test_random_hostile_corpora_give_a_corpus_or_a_clear_error(tmp_path: Path) -> None:
    rng = random.Random(11)
    opened = refused = 0
    for number in range(150):
        folder = tmp_path / str(number)
        folder.mkdir()
        make(rng, folder)
        languages, unknown = rng.choice(LANGUAGES), rng.random() < 0.5
        split = rng.choice((None, None, "dev", "..", 3))
        for opening in (
            lambda: ParallelCorpus.load(folder, languages, split=split, allow_unknown=unknown),  # noqa: B023
            lambda: LabelledCorpus.from_dir(folder, languages, allow_unknown=unknown),  # noqa: B023
            lambda: read_text(folder, "en"),  # noqa: B023
            lambda: open_corpus(folder),  # noqa: B023
        ):
            try:
                found = opening()
            except (CorpusError, AccessError) as error:
                refused += 1
                assert not any(unicodedata.category(c) in {"Cc", "Cs"} for c in str(error)), number
                assert 10 < len(str(error)) < 2500, number
            else:
                opened += 1
                if isinstance(found, ParallelCorpus):
                    assert len({len(lines) for lines in found.sentences.values()}) == 1
                    json.dumps(found.info, ensure_ascii=False).encode()
    assert opened > 5 and refused > 100


@pytest.mark.parametrize(
    "flags",
    [["--limit", "0"], ["--limit", "x"], ["--limit", "-1"], ["--limit", "9" * 30, "--split", "\0"],
     ["--languages", "zh"], ["--languages", "="], ["--corpus", "\0"], ["--corpus", "a" * 5000],
     ["--corpus", "/dev/null"], ["--corpus-revision", "x"], ["--languages", ",,"]],
)  # fmt: skip
def test_hostile_flags_end_in_one_sentence(
    flags: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    try:
        status: Any = main(["run", "-o", str(tmp_path / "out"), *flags])
    except SystemExit as end:
        status = end.code
    said = capsys.readouterr().err
    assert status in (1, 2, 3)
    assert "Traceback" not in said and "bug in ilo_fast" not in said and said.strip()
