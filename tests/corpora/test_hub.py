"""Parallel text from the Hub: the three layouts, and what the errors say."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.parallel_text import DE, EN, FR, flores_plus

from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.errors import AccessError, CorpusError


def test_columns_become_languages(hub: dict[Any, Any]) -> None:
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


def test_configs_are_aligned_by_id(hub: dict[Any, Any]) -> None:
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


def test_rows_are_grouped_by_language_and_aligned_by_id(hub: dict[Any, Any]) -> None:
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
        ({}, "exactly one of columns, configs and language_column, got none"),
        ({"columns": {"a": "b"}, "configs": {"a": "b"}}, "got columns and configs"),
        ({"columns": {}}, "columns is empty"),
        ({"columns": {"a": "b"}, "id_column": "id"}, "id_column has no meaning with columns"),
        ({"configs": {"a": "b"}, "text_column": "t", "config": "c"}, "config has no meaning"),
        ({"configs": {"a": "b"}}, "configs needs text_column"),
        ({"language_column": "lang"}, "language_column needs text_column"),
    ],
)
def test_layout_arguments_that_do_not_fit_are_refused(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(CorpusError, match=message):
        ParallelCorpus.from_hub("me/x", split="test", **arguments)


def test_layout_that_the_data_set_lacks_is_refused(hub: dict[Any, Any]) -> None:
    hub["me/w", None] = {"test": {"a": EN, "b": ["x", None, "z"]}}
    with pytest.raises(CorpusError, match="has no column c; it has a, b"):
        ParallelCorpus.from_hub("me/w", split="test", columns={"eng_Latn": "c"})
    with pytest.raises(CorpusError, match=r"split 'dev': Unknown split"):
        ParallelCorpus.from_hub("me/w", split="dev", columns={"eng_Latn": "a"})
    with pytest.raises(CorpusError, match=r"configuration 'nope'.*BuilderConfig"):
        ParallelCorpus.from_hub("me/w", split="test", columns={"eng_Latn": "a"}, config="nope")
    with pytest.raises(CorpusError, match="deu_Latn, sentence 2: is missing"):
        ParallelCorpus.from_hub("me/w", split="test", columns={"eng_Latn": "a", "deu_Latn": "b"})
    with pytest.raises(CorpusError, match="'english': did you mean eng_Latn"):
        ParallelCorpus.from_hub("me/w", split="test", columns={"english": "a"})


def test_config_that_must_be_named_is_asked_for(hub: dict[Any, Any]) -> None:
    hub["me/w", None] = ValueError("Config name is missing.\nPlease pick one among ['x', 'y']")
    with pytest.raises(CorpusError, match=r"me/w: .* Config name is missing\. Please pick one"):
        ParallelCorpus.from_hub("me/w", split="test", columns={"eng_Latn": "a"})


def test_ids_that_differ_or_repeat_are_refused(hub: dict[Any, Any]) -> None:
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


def test_commit_is_read_from_the_paths_of_the_cache(hub: dict[Any, Any], tmp_path: Path) -> None:
    import datasets

    sha = "0123456789abcdef" * 2 + "01234567"
    place = tmp_path / "me___w" / "default" / "0.0.0" / sha
    datasets.Dataset.from_dict({"a": EN}).save_to_disk(place)
    hub["me/w", None] = {"test": datasets.load_from_disk(place)}
    corpus = ParallelCorpus.from_hub("me/w", split="test", columns={"eng_Latn": "a"})
    assert corpus.info["commit"] == sha


def test_gated_data_set_says_how_to_get_access(hub: dict[Any, Any]) -> None:
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
def test_data_set_out_of_reach_is_an_access_error(
    hub: dict[Any, Any], error: Exception, message: str
) -> None:
    hub["me/x", None] = error
    with pytest.raises(AccessError, match=message):
        ParallelCorpus.from_hub("me/x", split="test", columns={"eng_Latn": "a"})


@pytest.mark.parametrize(
    "error",
    [ValueError("something else"), RuntimeError("a bug"), OSError("no space left on device")],
)
def test_other_errors_are_passed_on(hub: dict[Any, Any], error: Exception) -> None:
    hub["me/x", None] = error
    with pytest.raises(type(error), match=str(error)):
        ParallelCorpus.from_hub("me/x", split="test", columns={"eng_Latn": "a"})


def test_missing_datasets_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(AccessError, match=r"needs the package 'datasets'.*pip install"):
        ParallelCorpus.load("ntrex128", "eng_Latn")
