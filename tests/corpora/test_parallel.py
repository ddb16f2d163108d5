"""ParallelCorpus: made, selected from, pickled, loaded by name or folder."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from helpers.parallel_text import DE, EN, FR, as_text, write

from ilo_fast.corpora.languages import PAPER_31
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.errors import AccessError, CorpusError


def test_from_dict_keeps_order_and_text() -> None:
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


def test_corpus_cannot_be_changed() -> None:
    given = {"eng_Latn": list(EN)}
    corpus = ParallelCorpus.from_dict(given)
    given["eng_Latn"][0] = "changed"
    corpus.info["name"] = "changed"
    assert corpus.sentences["eng_Latn"][0] == "One." and corpus.info["name"] == "dict"
    with pytest.raises(AttributeError):
        corpus.name = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        corpus.sentences["eng_Latn"] = ()  # type: ignore[index]


def test_pickle_keeps_the_corpus_and_warns_no_second_time(caplog: pytest.LogCaptureFixture) -> None:
    corpus = ParallelCorpus.from_dict(
        {"eng_Latn": ["a", "a"], "xx": ["b", "c"]}, allow_unknown=True
    )
    caplog.clear()
    again = pickle.loads(pickle.dumps(corpus))
    assert again.sentences == corpus.sentences and again.info == corpus.info
    assert not caplog.records


def test_fingerprint_depends_on_codes_and_text_alone() -> None:
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


def test_select_takes_languages_and_first_sentences() -> None:
    corpus = ParallelCorpus.from_dict({"eng_Latn": EN, "deu_Latn": DE, "fra_Latn": FR})
    part = corpus.select(["fra_Latn", "eng_Latn"], limit=2)
    assert dict(part.sentences) == {"fra_Latn": ("Un.", "Deux."), "eng_Latn": ("One.", "Two.")}
    assert part.info["n_sentences"] == 2 and part.info["languages"] == ["fra_Latn", "eng_Latn"]
    assert part.fingerprint() != corpus.fingerprint()
    assert corpus.select("deu_Latn, eng_Latn").languages == ("deu_Latn", "eng_Latn")
    assert corpus.select().fingerprint() == corpus.select(limit=99).fingerprint()


def test_select_takes_unknown_codes_that_the_corpus_has() -> None:
    corpus = ParallelCorpus.from_dict({"eng_Latn": EN, "x-toy": DE}, allow_unknown=True)
    assert corpus.info["unknown_languages"] == ["x-toy"]
    assert corpus.select("x-toy,eng_Latn").languages == ("x-toy", "eng_Latn")


@pytest.mark.parametrize(
    ("languages", "limit", "message"),
    [
        ("fra_Latn", None, "has no fra_Latn; it has eng_Latn"),
        ("paper31", None, "has no ban_Latn, ben_Beng.* and 22 more; it has eng_Latn"),
        ("fr", None, "has no fra_Latn; it has eng_Latn"),
        ("zh", None, "'zh' is ambiguous: it may mean zho_Hans, zho_Hant"),
        ([], None, "names no language"),
        (None, 0, "limit=0 leaves no sentence"),
        (None, -3, "limit=-3"),
        (None, 1.5, "whole number, got 1.5"),
        (None, True, "whole number, got True"),
    ],
)
def test_select_refuses_what_the_corpus_lacks(languages: Any, limit: Any, message: str) -> None:
    corpus = ParallelCorpus.from_dict({"eng_Latn": EN})
    with pytest.raises(CorpusError, match=message):
        corpus.select(languages, limit)


def test_select_takes_iso_codes() -> None:
    corpus = ParallelCorpus.from_dict({"eng_Latn": EN, "deu_Latn": DE})
    assert corpus.select("de,en-US").languages == ("deu_Latn", "eng_Latn")


def test_sample_takes_the_same_sentences_of_every_language() -> None:
    corpus = ParallelCorpus.from_dict(
        {"eng_Latn": [f"e{i}" for i in range(50)], "deu_Latn": [f"d{i}" for i in range(50)]}
    )
    part = corpus.sample(7, seed=3)
    rows = [int(line[1:]) for line in part.sentences["eng_Latn"]]
    assert rows == sorted(set(rows)) and len(rows) == 7
    assert part.sentences["deu_Latn"] == tuple(f"d{i}" for i in rows)
    assert part.info["sample"] == {"n": 7, "seed": 3, "of": 50}
    assert part.fingerprint() == corpus.sample(7, seed=3).fingerprint()
    assert part.fingerprint() != corpus.sample(7, seed=4).fingerprint()
    assert corpus.sample(99).sentences == corpus.sentences
    assert corpus.head(7).sentences == corpus.select(limit=7).sentences
    assert pickle.loads(pickle.dumps(part)).info == part.info


@pytest.mark.parametrize(("n", "says"), [(0, "n=0 leaves no"), (1.5, "got 1.5"), (True, "True")])
def test_sample_of_a_wrong_size_is_refused(n: Any, says: str) -> None:
    corpus = ParallelCorpus.from_dict({"eng_Latn": EN})
    with pytest.raises(CorpusError, match=says):
        corpus.sample(n)
    with pytest.raises(ValueError, match="seed=-1"):
        corpus.sample(1, seed=-1)


def test_load_of_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        AccessError, match=r"'flores' is neither .* names: demo, flores200, flores\+, ntr"
    ):
        ParallelCorpus.load("flores")
    with pytest.raises(AccessError, match="names no folder"):
        ParallelCorpus.load("")


def test_load_of_a_path_is_a_folder_even_if_named_like_a_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "demo").mkdir()
    write(tmp_path / "demo", eng_Latn=as_text(EN))
    monkeypatch.chdir(tmp_path)
    assert ParallelCorpus.load(Path("demo")).n_sentences == 3
    assert ParallelCorpus.load("./demo").n_sentences == 3


def test_demo_has_31_languages() -> None:
    corpus = ParallelCorpus.demo()
    assert corpus.languages == PAPER_31
    assert corpus.n_sentences == 60
    assert corpus.info["identical_languages"] == []
    part = ParallelCorpus.load("demo", "eng_Latn,deu_Latn", 5)
    assert part.languages == ("eng_Latn", "deu_Latn") and part.n_sentences == 5
    assert part.name == "demo" and part.info["kind"] == "demo"


def test_real_flores_is_kept_byte_for_byte(corpora: Path) -> None:
    corpus = ParallelCorpus.from_dir(corpora / "flores200_devtest")
    assert corpus.languages == PAPER_31 and corpus.n_sentences == 1012
    assert corpus.info["identical_languages"] == []
    assert corpus.info["duplicated_sentences"] == {"min_Latn": 1}
    for code, lines in corpus.sentences.items():  # bytes in = bytes out
        written = "".join(f"{line}\n" for line in lines).encode()
        assert written == (corpora / "flores200_devtest" / f"{code}.txt").read_bytes()


def test_real_text_that_is_not_parallel_is_refused(corpora: Path) -> None:
    with pytest.raises(CorpusError, match=r"not parallel.*lines: "):
        ParallelCorpus.from_dir(corpora / "mono_commonvoice")


def test_real_bible_is_limited(corpora: Path) -> None:
    corpus = ParallelCorpus.from_dir(corpora / "bible_nt", "eng_Latn,deu_Latn", limit=100)
    assert corpus.n_sentences == 100
