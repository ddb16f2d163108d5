"""Data sets by name: FLORES-200, FLORES+ and NTREX-128."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.parallel_text import DE, EN, FR, as_text, flores_plus, write

from ilo_fast.corpora.languages import NAMED_SETS
from ilo_fast.corpora.parallel import CORPUS_NAMES, ParallelCorpus
from ilo_fast.errors import CorpusError


def test_flores200_gives_the_languages_that_there_are(hub: dict[Any, Any]) -> None:
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


def test_flores_plus_is_found_by_codes_of_flores200(hub: dict[Any, Any]) -> None:
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


def test_flores_plus_without_any_configuration_is_refused(hub: dict[Any, Any]) -> None:
    with pytest.raises(CorpusError, match="none of 221 configurations has a split 'devtest'"):
        ParallelCorpus.load("flores+")


def test_ntrex128_columns_are_renamed_to_our_codes(hub: dict[Any, Any]) -> None:
    hub["mteb/NTREX", None] = {
        "test": {"eng_Latn": EN, "lav_Latn": DE, "fil_Latn": FR, "mon_Mong": DE[::-1]}
    }
    corpus = ParallelCorpus.load("ntrex128")
    assert corpus.languages == ("eng_Latn", "fil_Latn", "khk_Cyrl", "lvs_Latn")
    assert corpus.sentences["lvs_Latn"] == tuple(DE)
    assert ParallelCorpus.load("ntrex128", "tgl_Latn").sentences["tgl_Latn"] == tuple(FR)
    with pytest.raises(CorpusError, match="has no column ban_Latn"):
        ParallelCorpus.load("ntrex128", "paper31")


def test_every_named_data_set_has_a_set_of_languages() -> None:
    assert set(CORPUS_NAMES) - {"demo"} <= set(NAMED_SETS)


def test_split_and_revision_are_refused_where_they_mean_nothing(tmp_path: Path) -> None:
    write(tmp_path, eng_Latn=as_text(EN))
    with pytest.raises(CorpusError, match=r"split='dev': not in .*; it has none; leave it out"):
        ParallelCorpus.load(tmp_path, split="dev")
    with pytest.raises(CorpusError, match=r"split='dev' fits only named data sets .*flores200"):
        ParallelCorpus.load("demo", split="dev")
    with pytest.raises(CorpusError, match="revision='main' fits only"):
        ParallelCorpus.load("demo", revision="main")
    with pytest.raises(CorpusError, match=r"split='test': flores200 has devtest and dev"):
        ParallelCorpus.load("flores200", split="test")


def test_offline_process_with_an_empty_cache_says_what_to_do(tmp_path: Path) -> None:
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
